// SPDX-License-Identifier: Apache-2.0

package tree_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// TestWalkOrder: depth first, names as bytes sort. What a directory holds
// follows it at once, also where its name and a slash would sort elsewhere.
func TestWalkOrder(t *testing.T) {
	tr := newTree()
	a := mkdir(tr, tree.Root, "a")
	for _, name := range []string{"b", "\xff", "-", ".x", "a.b", "A", "!", "\xc3\xa9", "\xc3", "a-", "\x01", "...", "aa"} {
		touch(tr, tree.Root, name)
		touch(tr, a, name)
	}
	want := []string{
		"/\x01", "/!", "/-", "/...", "/.x", "/A",
		"/a", "/a/\x01", "/a/!", "/a/-", "/a/...", "/a/.x", "/a/A", "/a/a-", "/a/a.b", "/a/aa", "/a/b", "/a/\xc3", "/a/\xc3\xa9", "/a/\xff",
		"/a-", "/a.b", "/aa", "/b", "/\xc3", "/\xc3\xa9", "/\xff",
	}
	if diff := cmp.Diff(want, paths(check(t, tr))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWalkSteps: a step says the directory, the inode, the name and how deep
// it is, and a walk may be stopped.
func TestWalkSteps(t *testing.T) {
	tr := newTree()
	d := mkdir(tr, tree.Root, "d")
	e := mkdir(tr, d, "e")
	f := touch(tr, e, "f")
	g := touch(tr, tree.Root, "g")
	c := check(t, tr)
	type step struct {
		Dir, Ino tree.Ino
		Name     string
		Depth    int
		Path     string
	}
	var got []step
	for s := range c.Walk() {
		got = append(got, step{s.Dir, s.Ino, string(s.Name()), s.Depth(), string(s.AppendPath([]byte("x:")))})
	}
	want := []step{
		{tree.Root, d, "d", 1, "x:/d"},
		{d, e, "e", 2, "x:/d/e"},
		{e, f, "f", 3, "x:/d/e/f"},
		{tree.Root, g, "g", 1, "x:/g"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	n := 0
	for range c.Walk() {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d steps before the break, want 2", n)
	}
}

// TestEntries: a directory's entries are sorted, and Len counts them; they may
// be read up to any of them.
func TestEntries(t *testing.T) {
	tr := newTree()
	d := mkdir(tr, tree.Root, "d")
	empty := mkdir(tr, tree.Root, "empty")
	f := touch(tr, d, "z")
	link(tr, d, "a", f)
	link(tr, d, "m", f)
	tr.Unlink(d, []byte("m"))
	c := check(t, tr)
	var got []string
	for name, ino := range c.Entries(d) {
		if got = append(got, string(name)); ino != f {
			t.Errorf("%q means %d, want %d", name, ino, f)
		}
	}
	if !slices.Equal(got, []string{"a", "z"}) || c.Len(d) != 2 {
		t.Errorf("%d entries %q", c.Len(d), got)
	}
	for name := range c.Entries(d) {
		if string(name) != "a" {
			t.Errorf("%q comes first", name)
		}
		break
	}
	if c.Len(empty) != 0 {
		t.Errorf("%d entries in the empty directory", c.Len(empty))
	}
}

// TestLinks: Nlink counts the names that the root leads to; FirstDir is the
// directory that Walk comes to first, not the one that was linked first or is
// less deep.
func TestLinks(t *testing.T) {
	tr := newTree()
	deep := mkdir(tr, mkdir(tr, tree.Root, "a"), "deep")
	b := mkdir(tr, tree.Root, "b")
	lost := tr.NewDirectory(tree.Meta{})

	f := touch(tr, tree.Root, "z")
	for _, dir := range []tree.Ino{b, deep, lost} {
		link(tr, dir, "x", f)
		link(tr, dir, "y", f)
	}
	moved := touch(tr, deep, "gone")
	tr.Unlink(deep, []byte("gone"))
	link(tr, b, "moved", moved)
	link(tr, tree.Root, "moved", moved)
	once, orphan := touch(tr, b, "once"), tr.NewInline(tree.Meta{}, nil)

	c := check(t, tr)
	for _, tc := range []struct {
		name  string
		ino   tree.Ino
		nlink uint32
	}{{"root", tree.Root, 1}, {"f", f, 5}, {"moved", moved, 2}, {"once", once, 1}, {"orphan", orphan, 0}, {"lost", lost, 0}, {"deep", deep, 1}} {
		if got := c.Nlink(tc.ino); got != tc.nlink {
			t.Errorf("Nlink of %s = %d, want %d", tc.name, got, tc.nlink)
		}
	}
	if got := c.FirstDir(f); got != deep {
		t.Errorf("FirstDir = %d, want that of /a/deep, %d", got, deep)
	}
	if got := c.FirstDir(moved); got != b {
		t.Errorf("FirstDir = %d, want that of /b, %d", got, b)
	}
}
