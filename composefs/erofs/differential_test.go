// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

// mkcomposefs returns the image that cfsctl makes of the dump. It knows V0 and
// V1, and SHA-256.
func mkcomposefs(t testing.TB, cfsctl, dump string, f erofs.Format) []byte {
	t.Helper()
	return []byte(run(t, dump, cfsctl, "mkcomposefs", "--from-file", "--min-version="+strings.TrimPrefix(f.String(), "v"), "-", "-"))
}

// compareWithReference fails unless cfsctl makes the same images of the tree.
func compareWithReference(t *testing.T, cfsctl string, c *tree.Checked) {
	t.Helper()
	dump := writeDump(t, c, fsverity.SHA256)
	for _, f := range []erofs.Format{erofs.V0, erofs.V1} {
		want := mkcomposefs(t, cfsctl, dump, f)
		if got := writeImage(t, c, f, fsverity.SHA256); !bytes.Equal(got, want) {
			t.Errorf("%s:", f)
			showDifference(t, cfsctl, want, got)
		}
	}
}

// TestShapes: cfsctl makes the same image, bit for bit, of a tree for each
// rule.
func TestShapes(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if s.slow && testing.Short() {
				t.Skip("slow")
			}
			m := newMaker()
			s.make(m)
			compareWithReference(t, cfsctl, check(t, m.t))
			if t.Failed() {
				t.Log(s.rule)
			}
		})
	}
}

// TestShapesC: the C mkcomposefs, the second opinion, makes the same images.
// MKCOMPOSEFS names it; it is in no distribution that CI runs on.
func TestShapesC(t *testing.T) {
	program := os.Getenv("MKCOMPOSEFS")
	if program == "" {
		t.Skip("MKCOMPOSEFS does not name the C mkcomposefs")
	}
	compared := 0
	for _, s := range shapes() {
		if cDiffers[s.name] != "" || s.slow && testing.Short() {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			m := newMaker()
			s.make(m)
			c := check(t, m.t)
			want := run(t, writeDump(t, c, fsverity.SHA256), program, "--from-file", "--min-version=1", "-", "-")
			if got := writeImage(t, c, erofs.V1, fsverity.SHA256); string(got) != want {
				t.Errorf("images of %d bytes (C) and %d (ours) differ: %s", len(want), len(got), s.rule)
			}
			compared++
		})
	}
	if compared < 30 {
		t.Errorf("only %d trees compared", compared)
	}
}

// cDiffers has the shapes of which the C program makes no image, or another
// than cfsctl does, and why.
var cDiffers = map[string]string{
	"empty-object":             "forgets the object of a file of no bytes",
	"chunk-indexes":            "refuses more than a block of chunk indexes",
	"chunk-indexes-largest":    "refuses more than a block of chunk indexes",
	"blocks-in-order":          "refuses more than a block of chunk indexes",
	"shared-many":              "wraps around at 256 shared xattrs in another way",
	"own-larger-than-block":    "refuses 64 KiB of xattrs",
	"xattr-count-overflows":    "refuses 64 KiB of xattrs",
	"root-xattrs":              "refuses 64 KiB of xattrs",
	"stub-likes":               "knows its stubs, and takes nothing else for one",
	"stub-like-only":           "knows its stubs, and takes nothing else for one",
	"stub-labels":              "knows its stubs, and takes nothing else for one",
	"whiteouts":                "replaces an xattr that it adds itself",
	"whiteout-two-values":      "refuses an xattr that it adds itself",
	"whiteout-one-xattr-twice": "replaces an xattr that it adds itself",
}

// TestRandom: cfsctl makes the same images, bit for bit, of random trees.
func TestRandom(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	trees := 300
	if testing.Short() {
		trees = 40
	}
	for seed := range trees {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			compareWithReference(t, cfsctl, check(t, randomTree(uint64(seed))))
		})
	}
}

// TestBlocksAbove65535: the upper half of a block's number goes into the chunk
// format of a file whose indexes are in that block. Images of this size are
// compared by digest.
func TestBlocksAbove65535(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	cfsctl := oracle.Require(t, "cfsctl")
	m := newMaker()
	for i := range 1<<16 + 10 {
		m.sparse(fmt.Sprintf("d%d/f%d", i>>8, i), 2*indexesMax*chunkMax)
	}
	c := check(t, m.t)
	want := run(t, writeDump(t, c, fsverity.SHA256), cfsctl, "mkcomposefs", "--from-file", "--min-version=1", "--print-digest-only", "-")
	got, err := erofs.Digest(c, erofs.Options{Format: erofs.V1, Algorithm: fsverity.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != strings.TrimSpace(want) {
		t.Errorf("digest %s, cfsctl says %s", got, want)
	}
}
