// SPDX-License-Identifier: Apache-2.0

package dumpfile_test

import (
	"bytes"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// write returns the dump of the tree.
func write(t testing.TB, tr *tree.Tree, alg fsverity.Algorithm) string {
	t.Helper()
	return writeChecked(t, check(t, tr), alg)
}

func writeChecked(t testing.TB, c *tree.Checked, alg fsverity.Algorithm) string {
	t.Helper()
	var b bytes.Buffer
	if err := dumpfile.Write(&b, c, alg); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func check(t testing.TB, tr *tree.Tree) *tree.Checked {
	t.Helper()
	c, err := tr.Check()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t testing.TB, dump string, alg fsverity.Algorithm) *tree.Tree {
	t.Helper()
	tr, err := dumpfile.Read(strings.NewReader(dump), alg)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// vector is a dump that the reference made.
type vector struct {
	name string // of the case
	dir  string
	dump string // with SHA-512 digests
}

// vectors returns the dumps of the conformance cases; cases in which the
// reference fails have none.
func vectors(t testing.TB) []vector {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/conformance/*/merged-sha512.dump")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no dumps in ../../testdata/conformance (%v)", err)
	}
	var vs []vector
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) == 0 {
			t.Fatalf("%s is empty", path)
		}
		dir := filepath.Dir(path)
		vs = append(vs, vector{name: filepath.Base(dir), dir: dir, dump: string(text)})
	}
	return vs
}

// inode is all that a tree says of a name.
type inode struct {
	Path    string
	Kind    tree.Kind
	Storage tree.Storage
	Meta    tree.Meta
	Xattrs  []tree.Xattr
	Size    uint64
	Rdev    uint64
	Nlink   uint32
	Data    string
	Sum     string
	First   string // path of the inode's first name
}

// list returns what the tree says of all names.
func list(c *tree.Checked, alg fsverity.Algorithm) iter.Seq[inode] {
	first := map[tree.Ino]string{}
	describe := func(path string, ino tree.Ino) inode {
		if _, ok := first[ino]; !ok {
			first[ino] = path
		}
		n := inode{
			Path: path, First: first[ino],
			Kind: c.Kind(ino), Storage: c.Storage(ino),
			Meta: c.Meta(ino), Xattrs: c.XattrList(c.Meta(ino).Xattrs),
			Size: c.Size(ino), Rdev: c.Rdev(ino), Nlink: c.Nlink(ino),
			Data: string(c.Data(ino)),
		}
		n.Meta.Xattrs = 0 // numbered as each tree likes
		if object, ok := c.Object(ino); ok {
			n.Sum = string(c.Sum(object, alg))
		}
		return n
	}
	return func(yield func(inode) bool) {
		if !yield(describe("/", tree.Root)) {
			return
		}
		for step := range c.Walk() {
			if !yield(describe(step.Path(), step.Ino)) {
				return
			}
		}
	}
}

// compare fails unless both trees say the same.
func compare(t testing.TB, want, got *tree.Checked, alg fsverity.Algorithm) {
	t.Helper()
	next, stop := iter.Pull(list(got, alg))
	defer stop()
	for w := range list(want, alg) {
		g, _ := next()
		if diff := cmp.Diff(w, g); diff != "" {
			t.Fatalf("the trees differ (-want +got):\n%s", diff)
		}
	}
	if g, ok := next(); ok {
		t.Fatalf("%s should not be there", g.Path)
	}
}
