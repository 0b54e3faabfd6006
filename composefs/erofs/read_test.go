// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

func readBack(t testing.TB, image []byte) (*tree.Checked, erofs.Format) {
	t.Helper()
	tr, f, err := erofs.Read(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	return check(t, tr), f
}

// checkReadBack fails unless Read is the inverse of Write for the tree: what is
// read says the same, and its image is the same, byte for byte.
func checkReadBack(t *testing.T, c *tree.Checked, f erofs.Format, alg fsverity.Algorithm) {
	t.Helper()
	image := writeImage(t, c, f, alg)
	got, format := readBack(t, image)
	if format != f {
		t.Errorf("%s: read as %s", f, format)
	}
	if !bytes.Equal(writeImage(t, got, f, alg), image) {
		t.Errorf("%s %s: the tree that was read makes another image", f, alg)
	}
	want := writeDump(t, c, alg)
	if f == erofs.V2 {
		want = withoutNanoseconds(want)
	} else {
		want = withoutStubLikes(want)
	}
	if dump := writeDump(t, got, alg); dump != want {
		t.Errorf("%s %s: (-tree +read):\n%s", f, alg, cmp.Diff(strings.Split(want, "\n"), strings.Split(dump, "\n")))
	}
}

// withoutNanoseconds cuts the fractions of mtimes from a dump, as V2 does.
func withoutNanoseconds(dump string) string {
	lines := strings.Split(dump, "\n")
	for i, line := range lines {
		if fields := strings.Split(line, " "); len(fields) > 7 {
			fields[7], _, _ = strings.Cut(fields[7], ".")
			fields[7] += ".0"
			lines[i] = strings.Join(fields, " ")
		}
	}
	return strings.Join(lines, "\n")
}

// withoutStubLikes takes from a dump the whiteouts in the root that cannot be
// told from those that V0 and V1 add.
func withoutStubLikes(dump string) string {
	lines := strings.Split(dump, "\n")
	root := strings.Split(lines[0], " ")
	label := ""
	for _, x := range root[11:] {
		if strings.HasPrefix(x, selinux+"=") {
			label = " " + x
		}
	}
	like := fmt.Sprintf(" 0 20644 1 %s %s 0 %s - - -%s", root[4], root[5], root[7], label)
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool {
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, "/"), " ")
		return len(name) == 2 && strings.Trim(name, "0123456789abcdef") == "" && " "+rest == like
	}), "\n")
}

// TestReadVectors: the trees of the conformance cases come back from images of
// every format.
func TestReadVectors(t *testing.T) {
	for _, v := range vectors(t) {
		if v.name == "symlink-empty" {
			continue // no dump says this; TestReadVectorImages has it
		}
		c := readDump(t, v.dump, fsverity.SHA512)
		for _, f := range formats {
			t.Run(fmt.Sprintf("%s/%s", v.name, f), func(t *testing.T) { checkReadBack(t, c, f, fsverity.SHA512) })
		}
	}
}

// unreadableShapes are the trees whose image cannot be read, by anyone: a count
// in it is cut.
var unreadableShapes = map[string]bool{"shared-many": true, "xattr-count-overflows": true}

// TestReadVectorImages: the images that the reference made of the conformance
// cases are what we make of what is read from them.
func TestReadVectorImages(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/conformance/*/v1-sha512.erofs")
	if err != nil || len(paths) < 50 {
		t.Fatalf("%d images, want 50 or more (%v)", len(paths), err)
	}
	for _, path := range paths {
		name := filepath.Base(filepath.Dir(path))
		t.Run(name, func(t *testing.T) {
			image, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c, f := readBack(t, image)
			if f != erofs.V1 || !bytes.Equal(writeImage(t, c, f, fsverity.SHA512), image) {
				t.Errorf("read as %s, and makes another image", f)
			}
		})
	}
}

// TestReadShapes: so do the trees that stand for a rule each, but for two.
func TestReadShapes(t *testing.T) {
	for _, s := range shapes() {
		if s.slow && testing.Short() {
			continue
		}
		for _, f := range formats {
			t.Run(fmt.Sprintf("%s/%s", s.name, f), func(t *testing.T) {
				m := newMaker()
				s.make(m)
				c := check(t, m.t)
				if !unreadableShapes[s.name] {
					checkReadBack(t, c, f, fsverity.SHA256)
					return
				}
				image := writeImage(t, c, f, fsverity.SHA256)
				if _, _, err := erofs.Read(bytes.NewReader(image), int64(len(image))); !errors.Is(err, erofs.ErrXattr) {
					t.Errorf("error %v, want %v", err, erofs.ErrXattr)
				}
			})
		}
	}
}

// TestReadRandom: so do random trees.
func TestReadRandom(t *testing.T) {
	trees := 200
	if testing.Short() {
		trees = 40
	}
	for seed := range trees {
		c := check(t, randomTree(uint64(seed)))
		for _, f := range formats {
			checkReadBack(t, c, f, fsverity.SHA256)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestReadReference: what cfsctl makes of a dump reads as what our writer makes
// of it.
func TestReadReference(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	for seed := range 20 {
		c := check(t, randomTree(uint64(1000+seed)))
		dump := writeDump(t, c, fsverity.SHA256)
		for _, f := range []erofs.Format{erofs.V0, erofs.V1} {
			got, format := readBack(t, mkcomposefs(t, cfsctl, dump, f))
			if diff := cmp.Diff(withoutStubLikes(dump), writeDump(t, got, fsverity.SHA256)); diff != "" || format != f {
				t.Errorf("seed %d, %s read as %s (-dump +read):\n%s", seed, f, format, diff)
			}
		}
	}
}

// TestReadAlgorithm: the tree has the algorithm of the image's digests, or
// both if there is none.
func TestReadAlgorithm(t *testing.T) {
	for _, tc := range []struct {
		want []fsverity.Algorithm
		file bool
	}{
		{[]fsverity.Algorithm{fsverity.SHA256}, true},
		{[]fsverity.Algorithm{fsverity.SHA512}, true},
		{[]fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256}, false},
	} {
		tr := tree.New(tc.want[0])
		if tc.file {
			tr.Link(tree.Root, []byte("f"), tr.NewExternal(tree.Meta{}, 100, make([]byte, tc.want[0].Size())))
		}
		got, _ := readBack(t, writeImage(t, check(t, tr), erofs.V1, tc.want[0]))
		if diff := cmp.Diff(tc.want, got.Algorithms()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestReadReturnsTheReadersError: an error of the reader comes back, and is no
// finding about the image. A reader that has less than it was said to have is
// one.
func TestReadReturnsTheReadersError(t *testing.T) {
	m := newMaker()
	m.fill("d", 3000)
	image := writeImage(t, check(t, m.t), erofs.V1, fsverity.SHA256)
	for _, tc := range []struct {
		r    *brokenReader
		want error
	}{
		{&brokenReader{image, 0, iotest.ErrTimeout}, iotest.ErrTimeout},
		{&brokenReader{image, len(image) / 2, iotest.ErrTimeout}, iotest.ErrTimeout},
		{&brokenReader{image, len(image) / 2, nil}, io.ErrUnexpectedEOF},
	} {
		_, _, err := erofs.Read(tc.r, int64(len(image)))
		if !errors.Is(err, tc.want) {
			t.Errorf("error %v, want %v", err, tc.want)
		}
		if _, ok := errors.AsType[*erofs.ReadError](err); ok {
			t.Errorf("%v is said to be about the image", err)
		}
	}
}

// brokenReader has the first n bytes of the image.
type brokenReader struct {
	image []byte
	n     int
	err   error // instead of io.EOF
}

func (r *brokenReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := bytes.NewReader(r.image[:r.n]).ReadAt(p, off)
	if err != nil && r.err != nil {
		err = r.err
	}
	return n, err
}

// TestReadLikeWhiteouts: what has the xattrs of an escaped whiteout is one only
// if all else is as the writer makes it.
func TestReadLikeWhiteouts(t *testing.T) {
	m := newMaker()
	like := m.xattrs("trusted.overlay.whiteout", "", "user.overlay.whiteout", "")
	m.inline("unmarked/file", "", like)
	m.whiteout("marked/whiteout")
	m.special("marked/fifo", tree.FIFO, 0, like)
	m.inline("marked/content", "x", like)
	m.sparse("marked/sparse", 0, like)
	m.inline("marked/one", "", m.xattrs("user.overlay.whiteout", ""))
	m.put("marked/hard2", m.inline("marked/hard1", "", like))
	m.whiteout("marked/xattrs", like)
	c := check(t, m.t)
	for _, f := range formats {
		checkReadBack(t, c, f, fsverity.SHA256)
	}
}
