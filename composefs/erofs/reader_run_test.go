// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// directorySize returns the size of a directory with these entries: whole
// blocks but for what remains, if that is no more than half a block.
func directorySize(f erofs.Format, root bool, names []string) int64 {
	if root && f != erofs.V2 {
		for i := range 256 {
			names = append(names, fmt.Sprintf("%02x", i))
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	slices.Sort(names)
	blocks, used := int64(0), 0
	for _, name := range names {
		n := direntSize + len(name)
		if used+n > blockSize {
			blocks, used = blocks+1, 0
		}
		used += n
	}
	if used > blockSize/2 {
		blocks, used = blocks+1, 0
	}
	return blocks*blockSize + int64(used)
}

// compareWithReader fails unless the independent reader finds in the image all
// that the tree has, and the stubs, but nothing else.
func compareWithReader(t *testing.T, c *tree.Checked, f erofs.Format, alg fsverity.Algorithm, indexed bool) {
	t.Helper()
	x := expect(c, f, alg)
	got, inodes := readImage(t, openImage(t, writeImage(t, c, f, alg)), indexed)
	for path, want := range x.entries {
		e, ok := got[path]
		if !ok {
			t.Fatalf("%q is missing", path)
		}
		if e.Xattrs == nil {
			e.Xattrs = map[string]string{}
		}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Fatalf("%q (-tree +image):\n%s", path, diff)
		}
		delete(got, path)
	}
	for path := range got {
		t.Errorf("%q is too much", path)
	}
	// Paths have one inode in the image if and only if they have one in the tree.
	to := map[int64]tree.Ino{}
	from := map[tree.Ino]int64{}
	for path, ino := range x.inodes {
		at := inodes[path]
		if other, ok := to[at]; ok && other != ino {
			t.Errorf("%q: two inodes are one in the image", path)
		}
		if other, ok := from[ino]; ok && other != at {
			t.Errorf("%q: one inode is two in the image", path)
		}
		to[at], from[ino] = ino, at
	}
}

// unreadable has what the independent reader does not read, and why, by the
// name of a tree and, behind a slash, a format.
var unreadable = map[string]string{
	"shared-larger-than-block": "it reads a shared xattr from one block",
	"root-xattrs":              "it reads a shared xattr from one block",
}

// notIndexed has the images in which files that are elsewhere lack chunk
// indexes where EROFS looks for them. The reference writes them so; overlayfs
// never reads such a file's content here, only its xattrs.
var notIndexed = map[string]string{
	"sparse/v2":          "V2 has an index only for verified files",
	"unverified/v2":      "V2 has an index only for verified files",
	"chunk-indexes/v0":   "indexes in a block of their own are no feature of EROFS",
	"chunk-indexes/v1":   "indexes in a block of their own are no feature of EROFS",
	"blocks-in-order/v0": "indexes in a block of their own are no feature of EROFS",
	"blocks-in-order/v1": "indexes in a block of their own are no feature of EROFS",
}

// TestReaderVectors: an independent reader finds in our images of the
// conformance cases what their dumps say.
func TestReaderVectors(t *testing.T) {
	read := 0
	for _, v := range vectors(t) {
		if v.name == "symlink-empty" {
			continue // no dump says this; see TestReaderEmptySymlink
		}
		c := readDump(t, v.dump, fsverity.SHA512)
		for _, f := range formats {
			name := fmt.Sprintf("%s/%s", v.name, f)
			t.Run(name, func(t *testing.T) {
				if reason := unreadable[name]; reason != "" {
					t.Skip("the reader does not read it: " + reason)
				}
				compareWithReader(t, c, f, fsverity.SHA512, true)
				read++
			})
		}
	}
	if read < 240 {
		t.Errorf("only %d images read", read)
	}
}

// TestReaderShapes does so for the trees that stand for a rule each.
func TestReaderShapes(t *testing.T) {
	for _, s := range shapes() {
		if s.strange || s.slow {
			continue
		}
		m := newMaker()
		s.make(m)
		c := check(t, m.t)
		for _, f := range formats {
			name := fmt.Sprintf("%s/%s", s.name, f)
			t.Run(name, func(t *testing.T) {
				if reason := unreadable[s.name] + unreadable[name]; reason != "" {
					t.Skip("the reader does not read it: " + reason)
				}
				compareWithReader(t, c, f, fsverity.SHA256, notIndexed[name] == "")
			})
		}
	}
}

// TestReaderEmptySymlink: a symlink to nothing, which a layer can hold and a
// dump cannot, is one in the image.
func TestReaderEmptySymlink(t *testing.T) {
	m := newMaker()
	m.symlink("l", "")
	c := check(t, m.t)
	for _, f := range formats {
		compareWithReader(t, c, f, fsverity.SHA256, true)
	}
}

// TestReaderRandom does so for random trees: the reader finds everything where
// it can read all that is in them, and else the names of the root.
func TestReaderRandom(t *testing.T) {
	trees, whole := 150, 0
	if testing.Short() {
		trees = 30
	}
	for seed := range trees {
		c := check(t, randomTree(uint64(seed)))
		sane, plain := features(c)
		for _, f := range formats {
			if sane {
				listRoot(t, c, f, writeImage(t, c, f, fsverity.SHA256))
			}
			if plain {
				compareWithReader(t, c, f, fsverity.SHA256, false)
				whole++
			}
		}
	}
	if whole < trees/2 {
		t.Errorf("only %d images read as a whole", whole)
	}
}
