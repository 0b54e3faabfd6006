// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
)

// Xattr is an extended attribute. Both strings hold arbitrary bytes.
type Xattr struct {
	Name  string
	Value string
}

// XattrSet identifies a set of extended attributes of one Tree. Equal sets are
// stored once. The zero XattrSet is the empty one.
type XattrSet uint32

// xattrSets holds each set once.
type xattrSets struct {
	sets   [][]Xattr
	byText map[string]XattrSet
}

func newXattrSets() xattrSets {
	return xattrSets{sets: [][]Xattr{nil}, byText: map[string]XattrSet{"": 0}}
}

func (s *xattrSets) intern(xattrs []Xattr) XattrSet {
	if len(xattrs) == 0 {
		return 0
	}
	// Of two with one name, the later holds.
	byName := make(map[string]string, len(xattrs))
	for _, x := range xattrs {
		byName[x.Name] = x.Value
	}
	set := make([]Xattr, 0, len(byName))
	for name, value := range byName {
		set = append(set, Xattr{name, value})
	}
	slices.SortFunc(set, func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) })
	var text []byte
	for _, x := range set {
		text = binary.AppendUvarint(text, uint64(len(x.Name)))
		text = append(text, x.Name...)
		text = binary.AppendUvarint(text, uint64(len(x.Value)))
		text = append(text, x.Value...)
	}
	if id, ok := s.byText[string(text)]; ok {
		return id
	}
	id := XattrSet(len(s.sets))
	s.sets = append(s.sets, set)
	s.byText[string(text)] = id
	return id
}

// clone returns sets that grow by themselves.
func (s *xattrSets) clone() xattrSets {
	return xattrSets{sets: slices.Clone(s.sets), byText: maps.Clone(s.byText)}
}

// Repeated returns a name that is in the list twice.
func Repeated(list []Xattr) (name string, again bool) {
	if len(list) < 2 {
		return "", false
	}
	seen := make(map[string]bool, len(list))
	for _, x := range list {
		if seen[x.Name] {
			return x.Name, true
		}
		seen[x.Name] = true
	}
	return "", false
}

// Xattrs returns the set that has these attributes; of two with one name, the
// later holds.
func (t *Tree) Xattrs(xattrs ...Xattr) XattrSet {
	t.mustBeOpen()
	return t.xattrs.intern(xattrs)
}

// XattrList returns the attributes of the set, sorted by name. The caller must
// not change them.
func (t *nodes) XattrList(set XattrSet) []Xattr { return t.xattrs.sets[set] }

// FilterXattrs takes from every inode the attributes that keep does not keep.
// It asks once for each name of each different set.
func (t *Tree) FilterXattrs(keep func(name string) bool) {
	t.mustBeOpen()
	old := t.xattrs.sets
	t.xattrs = newXattrSets()
	to := make([]XattrSet, len(old))
	for i, set := range old {
		kept := slices.DeleteFunc(slices.Clone(set), func(x Xattr) bool { return !keep(x.Name) })
		to[i] = t.xattrs.intern(kept)
	}
	for i := range t.inodes.len() {
		n := t.inodes.at(i)
		n.xattrs = to[n.xattrs]
	}
}

// SaveXattrs remembers the attributes of every inode there is. What it returns
// brings them back, as often as it is called, however they were filtered or
// changed since. Inodes that were added since lose theirs.
func (t *Tree) SaveXattrs() (restore func()) {
	t.mustBeOpen()
	n := t.nodes
	sets := n.xattrs.clone()
	saved := make([]XattrSet, n.inodes.len())
	for i := range saved {
		saved[i] = n.inodes.at(uint32(i)).xattrs
	}
	return func() {
		(&Tree{n}).mustBeOpen()
		n.xattrs = sets.clone()
		for i := range n.inodes.len() {
			set := XattrSet(0)
			if int(i) < len(saved) {
				set = saved[i]
			}
			n.inodes.at(i).xattrs = set
		}
	}
}
