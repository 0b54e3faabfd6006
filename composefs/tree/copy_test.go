// SPDX-License-Identifier: Apache-2.0

package tree_test

import (
	"bytes"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// TestCopy: a copy has all that the inode has, its object included, and
// changing it leaves the other as it is.
func TestCopy(t *testing.T) {
	tr := newTree()
	meta := tree.Meta{Mode: 0o644, UID: 1, GID: 2, MtimeSec: 3, MtimeNsec: 4, Xattrs: tr.Xattrs(tree.Xattr{Name: "a", Value: "b"})}
	for name, ino := range map[string]tree.Ino{
		"external": tr.NewExternal(meta, 5, make([]byte, fsverity.SHA256.Size())),
		"inline":   tr.NewInline(meta, []byte("data")),
		"symlink":  tr.NewSymlink(meta, []byte("target")),
		"device":   tr.NewSpecial(tree.CharDevice, meta, 6),
	} {
		dup := tr.Copy(ino)
		if dup == ino || tr.Kind(dup) != tr.Kind(ino) || tr.Size(dup) != tr.Size(ino) || tr.Rdev(dup) != tr.Rdev(ino) ||
			tr.Meta(dup) != meta || !bytes.Equal(tr.Data(dup), tr.Data(ino)) || tr.Storage(dup) != tr.Storage(ino) {
			t.Errorf("%s: the copy is not like it", name)
		}
		object, ok := tr.Object(ino)
		if o, k := tr.Object(dup); o != object || k != ok {
			t.Errorf("%s: object %d, %t, want %d, %t", name, o, k, object, ok)
		}
		tr.SetMeta(dup, tree.Meta{})
		if tr.Meta(ino) != meta {
			t.Errorf("%s: changing the copy changed it", name)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a directory was copied")
		}
	}()
	tr.Copy(tree.Root)
}

// TestSaveXattrs: attributes come back after they were filtered and changed,
// in a tree that was checked meanwhile; those of newer inodes are gone.
func TestSaveXattrs(t *testing.T) {
	tr := newTree()
	a, b := tree.Xattr{Name: "a", Value: "1"}, tree.Xattr{Name: "b", Value: "2"}
	both := tr.Xattrs(a, b)
	file := touch(tr, tree.Root, "f")
	tr.SetMeta(file, tree.Meta{Xattrs: both})
	restore := tr.SaveXattrs()
	tr.FilterXattrs(func(name string) bool { return name == "a" })
	c, err := tr.Check()
	if err != nil {
		t.Fatal(err)
	}
	tr = c.Thaw()
	newer := touch(tr, tree.Root, "g")
	tr.SetMeta(newer, tree.Meta{Xattrs: tr.Xattrs(tree.Xattr{Name: "c"})})
	tr.SetMeta(tree.Root, tree.Meta{Xattrs: tr.Xattrs(b)})
	restore()
	for ino, want := range map[tree.Ino]tree.XattrSet{file: both, newer: 0, tree.Root: 0} {
		if got := tr.Meta(ino).Xattrs; got != want {
			t.Errorf("inode %d: set %d, want %d", ino, got, want)
		}
	}
	if got := tr.XattrList(both); len(got) != 2 || got[0] != a || got[1] != b {
		t.Errorf("the set has %v", got)
	}
}

// TestSaveXattrsTwice: sets that came since are gone with what had them, and
// are made anew when they are asked for again; each restoring is like the first.
func TestSaveXattrsTwice(t *testing.T) {
	tr := newTree()
	a, b, c := tree.Xattr{Name: "a"}, tree.Xattr{Name: "b"}, tree.Xattr{Name: "c"}
	tr.SetMeta(tree.Root, tree.Meta{Xattrs: tr.Xattrs(a)})
	restore := tr.SaveXattrs()
	for _, x := range []tree.Xattr{b, c, c, b} {
		tr.SetMeta(tree.Root, tree.Meta{Xattrs: tr.Xattrs(x)})
		if got := tr.XattrList(tr.Meta(tree.Root).Xattrs); len(got) != 1 || got[0] != x {
			t.Errorf("the root has %v, want %v", got, x)
		}
		restore()
		if got := tr.XattrList(tr.Meta(tree.Root).Xattrs); len(got) != 1 || got[0] != a {
			t.Errorf("restored the root has %v, want %v", got, a)
		}
	}
}
