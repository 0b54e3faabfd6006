// SPDX-License-Identifier: Apache-2.0

package tree_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// TestXattrSets: equal sets are one, in whatever order and however often their
// attributes were named; different sets are not.
func TestXattrSets(t *testing.T) {
	a1, a2 := tree.Xattr{Name: "a", Value: "1"}, tree.Xattr{Name: "a", Value: "2"}
	b := tree.Xattr{Name: "b", Value: "1"}
	for _, tc := range []struct {
		rule string
		x, y []tree.Xattr
		same bool
	}{
		{"order does not matter", []tree.Xattr{a1, b}, []tree.Xattr{b, a1}, true},
		{"the later of two with one name holds", []tree.Xattr{a1, b, a2}, []tree.Xattr{a2, b}, true},
		{"the earlier does not", []tree.Xattr{a1, a2}, []tree.Xattr{a1}, false},
		{"values count", []tree.Xattr{a1}, []tree.Xattr{a2}, false},
		{"names count", []tree.Xattr{a1}, []tree.Xattr{b}, false},
		{"name and value are apart", []tree.Xattr{{Name: "ab", Value: "c"}}, []tree.Xattr{{Name: "a", Value: "bc"}}, false},
		{"a value is no further attribute", []tree.Xattr{{Name: "a", Value: "\x01b"}}, []tree.Xattr{{Name: "a"}, {Name: "b"}}, false},
		{"nor is a name", []tree.Xattr{{Name: "a\x00b"}}, []tree.Xattr{{Name: "a"}, {Name: "b"}}, false},
		{"an empty value is one", []tree.Xattr{{Name: "a"}}, nil, false},
		{"an empty name is one", []tree.Xattr{{}}, nil, false},
		{"nothing is nothing", nil, []tree.Xattr{}, true},
	} {
		tr := newTree()
		x, y := tr.Xattrs(tc.x...), tr.Xattrs(tc.y...)
		if (x == y) != tc.same {
			t.Errorf("%s: sets %d and %d", tc.rule, x, y)
		}
	}
}

// TestXattrList: the list is sorted by name, and the zero set is empty.
func TestXattrList(t *testing.T) {
	tr := newTree()
	set := tr.Xattrs(tree.Xattr{Name: "user.b", Value: "\x00"}, tree.Xattr{Name: "user.B"}, tree.Xattr{Name: "a", Value: "x"}, tree.Xattr{Name: "\xff"})
	want := []tree.Xattr{{Name: "a", Value: "x"}, {Name: "user.B"}, {Name: "user.b", Value: "\x00"}, {Name: "\xff"}}
	if diff := cmp.Diff(want, tr.XattrList(set)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := tr.XattrList(0); len(got) != 0 {
		t.Errorf("the zero set has %v", got)
	}
}

// TestFilterXattrs: what is not kept goes from every inode, and sets that are
// equal then are one; keep is asked once for each name of each set.
func TestFilterXattrs(t *testing.T) {
	tr := newTree()
	kept, gone := tree.Xattr{Name: "keep", Value: "v"}, tree.Xattr{Name: "drop", Value: "v"}
	both, one, none := tr.Xattrs(kept, gone), tr.Xattrs(kept), tr.Xattrs(gone)
	other := tr.Xattrs(tree.Xattr{Name: "keep", Value: "w"}, gone)
	var inos []tree.Ino
	for range 1000 {
		for _, set := range []tree.XattrSet{both, one, none, 0, other} {
			inos = append(inos, tr.NewDirectory(tree.Meta{UID: 5, Xattrs: set}))
		}
	}
	tr.SetMeta(tree.Root, tree.Meta{Xattrs: none})
	asked := 0
	tr.FilterXattrs(func(name string) bool {
		asked++
		return strings.HasPrefix(name, "k")
	})
	if asked != 6 {
		t.Errorf("keep was asked %d times, want 6", asked)
	}
	for i, ino := range inos {
		want := [][]tree.Xattr{{kept}, {kept}, nil, nil, {{Name: "keep", Value: "w"}}}[i%5]
		m := tr.Meta(ino)
		if diff := cmp.Diff(want, tr.XattrList(m.Xattrs)); diff != "" || m.UID != 5 {
			t.Fatalf("inode %d, %+v (-want +got):\n%s", i, m, diff)
		}
	}
	if a, b := tr.Meta(inos[0]).Xattrs, tr.Meta(inos[1]).Xattrs; a != b {
		t.Errorf("equal sets are %d and %d", a, b)
	}
	if got := tr.Meta(tree.Root).Xattrs; got != 0 {
		t.Errorf("the root has set %d, want the empty one", got)
	}
	if got, want := tr.Xattrs(kept), tr.Meta(inos[0]).Xattrs; got != want {
		t.Errorf("a set made later is %d, the equal one %d", got, want)
	}
}
