// SPDX-License-Identifier: Apache-2.0

package tree_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

func newTree() *tree.Tree { return tree.New(fsverity.SHA256) }

func link(t *tree.Tree, dir tree.Ino, name string, ino tree.Ino) tree.Ino {
	t.Link(dir, []byte(name), ino)
	return ino
}

func mkdir(t *tree.Tree, dir tree.Ino, name string) tree.Ino {
	return link(t, dir, name, t.NewDirectory(tree.Meta{}))
}

func touch(t *tree.Tree, dir tree.Ino, name string) tree.Ino {
	return link(t, dir, name, t.NewInline(tree.Meta{}, nil))
}

func check(t testing.TB, tr *tree.Tree) *tree.Checked {
	t.Helper()
	c, err := tr.Check()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// paths returns what Walk comes to, in order.
func paths(c *tree.Checked) []string {
	all := []string{}
	for step := range c.Walk() {
		all = append(all, step.Path())
	}
	return all
}

// nameRules has, for each rule about names, a few calls, and the paths that
// there are then.
var nameRules = []struct {
	rule   string
	change func(tr *tree.Tree)
	want   []string
}{
	{"a new tree has a root without entries", func(*tree.Tree) {}, []string{}},
	{"Link replaces what the name meant", func(tr *tree.Tree) {
		d := mkdir(tr, tree.Root, "a")
		touch(tr, d, "lost")
		touch(tr, tree.Root, "a")
	}, []string{"/a"}},
	{"Unlink of a directory removes what it holds", func(tr *tree.Tree) {
		touch(tr, mkdir(tr, tree.Root, "a"), "b")
		tr.Unlink(tree.Root, []byte("a"))
	}, []string{}},
	{"a name may come back after Unlink", func(tr *tree.Tree) {
		touch(tr, tree.Root, "a")
		tr.Unlink(tree.Root, []byte("a"))
		mkdir(tr, mkdir(tr, tree.Root, "a"), "b")
	}, []string{"/a", "/a/b"}},
	{"Clear empties a directory and keeps it", func(tr *tree.Tree) {
		d := mkdir(tr, tree.Root, "d")
		touch(tr, d, "a")
		touch(tr, mkdir(tr, d, "b"), "c")
		touch(tr, tree.Root, "e")
		tr.Clear(d)
	}, []string{"/d", "/e"}},
	{"names may come back after Clear, and only they do", func(tr *tree.Tree) {
		d := mkdir(tr, tree.Root, "d")
		touch(tr, d, "a")
		touch(tr, d, "b")
		tr.Clear(d)
		touch(tr, d, "a")
		tr.Clear(d)
		touch(tr, d, "b")
	}, []string{"/d", "/d/b"}},
	{"Clear works on the root, and twice", func(tr *tree.Tree) {
		touch(tr, tree.Root, "a")
		tr.Clear(tree.Root)
		tr.Clear(tree.Root)
		touch(tr, tree.Root, "b")
	}, []string{"/b"}},
	{"a directory taken away can be put elsewhere with all it holds", func(tr *tree.Tree) {
		d := mkdir(tr, tree.Root, "d")
		touch(tr, d, "f")
		tr.Unlink(tree.Root, []byte("d"))
		link(tr, mkdir(tr, tree.Root, "e"), "d", d)
	}, []string{"/e", "/e/d", "/e/d/f"}},
	{"what Clear detached lives on where it has another name", func(tr *tree.Tree) {
		d := mkdir(tr, tree.Root, "d")
		link(tr, tree.Root, "f", touch(tr, d, "f"))
		tr.Clear(d)
	}, []string{"/d", "/f"}},
	{"the same name in two directories is two names", func(tr *tree.Tree) {
		touch(tr, mkdir(tr, tree.Root, "a"), "x")
		touch(tr, mkdir(tr, tree.Root, "b"), "x")
		a, _ := tr.Lookup(tree.Root, []byte("a"))
		tr.Unlink(a, []byte("x"))
	}, []string{"/a", "/b", "/b/x"}},
}

// TestNames: the rules about names hold.
func TestNames(t *testing.T) {
	for _, tc := range nameRules {
		tr := newTree()
		tc.change(tr)
		if diff := cmp.Diff(tc.want, paths(check(t, tr))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.rule, diff)
		}
	}
}

// TestLookup: Lookup finds exactly what was linked last and not unlinked;
// Unlink says whether there was anything.
func TestLookup(t *testing.T) {
	tr := newTree()
	d := mkdir(tr, tree.Root, "d")
	lookup := func(dir tree.Ino, name string, want tree.Ino, wantOK bool) {
		t.Helper()
		if got, ok := tr.Lookup(dir, []byte(name)); got != want || ok != wantOK {
			t.Errorf("Lookup(%d, %q) = %d, %t, want %d, %t", dir, name, got, ok, want, wantOK)
		}
	}
	a, b := touch(tr, tree.Root, "x"), touch(tr, d, "x")
	lookup(tree.Root, "x", a, true)
	lookup(d, "x", b, true)
	lookup(d, "", 0, false)
	lookup(d, "X", 0, false)
	lookup(d, "x\x00", 0, false)
	link(tr, d, "x", a)
	lookup(d, "x", a, true)
	for _, want := range []bool{true, false} {
		if got := tr.Unlink(d, []byte("x")); got != want {
			t.Errorf("Unlink = %t, want %t", got, want)
		}
		lookup(d, "x", 0, false)
	}
	lookup(tree.Root, "x", a, true)
	tr.Clear(tree.Root)
	lookup(tree.Root, "x", 0, false)
	if tr.Unlink(tree.Root, []byte("x")) {
		t.Error("Unlink found a name after Clear")
	}
}

// TestNameIsCopied: the caller may reuse the memory of names, targets, content
// and digests.
func TestNameIsCopied(t *testing.T) {
	tr := newTree()
	name, data, sum := []byte("name"), []byte("data"), make([]byte, 32)
	file, symlink := tr.NewInline(tree.Meta{}, data), tr.NewSymlink(tree.Meta{}, data)
	object := tr.NewExternal(tree.Meta{}, 1, sum)
	tr.Link(tree.Root, name, file)
	for _, b := range [][]byte{name, data, sum} {
		b[0] = 'X'
	}
	if _, ok := tr.Lookup(tree.Root, []byte("name")); !ok {
		t.Error("the name changed")
	}
	id, _ := tr.Object(object)
	if string(tr.Data(file)) != "data" || string(tr.Data(symlink)) != "data" || tr.Sum(id, fsverity.SHA256)[0] != 0 {
		t.Error("the content changed")
	}
}

// TestInodes: each kind of inode has what it was made with, and zero for what
// its kind has not.
func TestInodes(t *testing.T) {
	type inode struct {
		Kind    tree.Kind
		Storage tree.Storage
		Size    uint64
		Rdev    uint64
		Data    string
		Sum     string
	}
	sum := string(fsverity.Sum(fsverity.SHA256, nil).Bytes())
	tr := newTree()
	m := tree.Meta{Mode: 0o7777, UID: 1, GID: math.MaxUint32, MtimeSec: -5, MtimeNsec: 6, Xattrs: tr.Xattrs(tree.Xattr{Name: "a"})}
	for _, tc := range []struct {
		ino  tree.Ino
		want inode
	}{
		{tr.NewDirectory(m), inode{Kind: tree.Directory}},
		{tr.NewInline(m, []byte("abc")), inode{Kind: tree.Regular, Size: 3, Data: "abc"}},
		{tr.NewInline(m, nil), inode{Kind: tree.Regular}},
		{tr.NewExternal(m, 1<<63, []byte(sum)), inode{Kind: tree.Regular, Storage: tree.External, Size: 1 << 63, Sum: sum}},
		{tr.NewUnverified(m, 5, []byte(sum)), inode{Kind: tree.Regular, Storage: tree.Unverified, Size: 5, Sum: sum}},
		{tr.NewSparse(m, 7), inode{Kind: tree.Regular, Storage: tree.Sparse, Size: 7}},
		{tr.NewSymlink(m, []byte("target")), inode{Kind: tree.Symlink, Size: 6, Data: "target"}},
		{tr.NewSpecial(tree.BlockDevice, m, 9), inode{Kind: tree.BlockDevice, Rdev: 9}},
		{tr.NewSpecial(tree.CharDevice, m, 0), inode{Kind: tree.CharDevice}},
		{tr.NewSpecial(tree.FIFO, m, 0), inode{Kind: tree.FIFO}},
		{tr.NewSpecial(tree.Socket, m, 0), inode{Kind: tree.Socket}},
	} {
		got := inode{
			Kind: tr.Kind(tc.ino), Storage: tr.Storage(tc.ino), Size: tr.Size(tc.ino), Rdev: tr.Rdev(tc.ino),
			Data: string(tr.Data(tc.ino)),
		}
		if object, ok := tr.Object(tc.ino); ok {
			got.Sum = string(tr.Sum(object, fsverity.SHA256))
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.want.Kind, diff)
		}
		if got := tr.Meta(tc.ino); got != m {
			t.Errorf("%s: metadata %+v, want %+v", tc.want.Kind, got, m)
		}
		tr.SetMeta(tc.ino, tree.Meta{UID: 7})
		if got := tr.Meta(tc.ino); got != (tree.Meta{UID: 7}) {
			t.Errorf("%s: metadata %+v after SetMeta", tc.want.Kind, got)
		}
	}
}

// TestSums: each object has a digest of each algorithm, whatever their order.
func TestSums(t *testing.T) {
	algs := []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256}
	tr := tree.New(algs...)
	if got := tr.Algorithms(); !slices.Equal(got, algs) {
		t.Errorf("Algorithms() = %v, want %v", got, algs)
	}
	const files = 10000 // more than a chunk of them
	inos := make([]tree.Ino, files)
	for i := range inos {
		text := fmt.Append(nil, i)
		sums := append(fsverity.Sum(algs[0], text).Bytes(), fsverity.Sum(algs[1], text).Bytes()...)
		inos[i] = tr.NewExternal(tree.Meta{}, 0, sums)
	}
	if got := tr.Objects(); got != files {
		t.Errorf("Objects() = %d, want %d", got, files)
	}
	for i, ino := range inos {
		object, _ := tr.Object(ino)
		for _, alg := range algs {
			if got, want := tr.Sum(object, alg), fsverity.Sum(alg, fmt.Append(nil, i)).Bytes(); !slices.Equal(got, want) {
				t.Fatalf("%s of object %d: %x, want %x", alg, i, got, want)
			}
		}
	}
}

// TestSetSums: an object's digests can be told after its name, and those of
// others stay as they are.
func TestSetSums(t *testing.T) {
	tr := newTree()
	var inos []tree.Ino
	for range 3 {
		inos = append(inos, tr.NewExternal(tree.Meta{}, 1, make([]byte, fsverity.SHA256.Size())))
	}
	want := fsverity.Sum(fsverity.SHA256, []byte("late")).Bytes()
	tr.SetSums(inos[1], want)
	for i, ino := range inos {
		object, _ := tr.Object(ino)
		if got := tr.Sum(object, fsverity.SHA256); slices.Equal(got, want) != (i == 1) {
			t.Errorf("object %d: %x", i, got)
		}
	}
}

// TestKindOfMode: every kind has file type bits, by which it is found; no
// other bits are a kind.
func TestKindOfMode(t *testing.T) {
	known := map[uint32]bool{}
	for k := tree.Directory; k <= tree.Socket; k++ {
		known[k.ModeBits()] = true
		if got, ok := tree.KindOfMode(k.ModeBits() | 0o7777); !ok || got != k {
			t.Errorf("KindOfMode(%o) = %s, %t, want %s", k.ModeBits(), got, ok, k)
		}
	}
	for bits := uint32(0); bits <= tree.ModeTypeMask; bits += 0o10000 {
		if k, ok := tree.KindOfMode(bits); ok != known[bits] {
			t.Errorf("KindOfMode(%o) = %s, %t", bits, k, ok)
		}
	}
	if len(known) != 7 {
		t.Errorf("%d kinds", len(known))
	}
}
