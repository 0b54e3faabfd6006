// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"slices"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Side is one of the two trees.
type Side uint8

// The sides, in the order of Compare's arguments.
const (
	A Side = iota
	B
)

// String returns A or B.
func (s Side) String() string { return string("AB"[s]) }

func (s Side) other() Side { return 1 - s }

// Aspects are what differs on a path, a bit each.
type Aspects uint16

// The aspects, in the order in which details are told.
const (
	Type    Aspects = 1 << iota
	Content         // of a regular file: its size or its digest
	Target          // of a symlink
	Rdev            // of a device
	Storage         // where content is: in the image, in an object, nowhere
	Mode
	Owner
	Mtime
	Xattrs
	Links // which paths share the inode

	// Missing stands alone: one side does not have the path.
	Missing
)

// aspectNames are those of JSON.
var aspectNames = []struct {
	aspect Aspects
	name   string
}{
	{Type, "type"},
	{Content, "content"},
	{Target, "target"},
	{Rdev, "rdev"},
	{Storage, "storage"},
	{Mode, "mode"},
	{Owner, "owner"},
	{Mtime, "mtime"},
	{Xattrs, "xattrs"},
	{Links, "hard-links"},
	{Missing, "missing"},
}

// Result is how two trees differ.
type Result struct {
	// Paths is how many paths there are in either tree, the root included.
	Paths int
	// NotCompared is how many files of equal size may differ in content: the
	// trees have no algorithm in common.
	NotCompared int
	// Differences are in the order of Walk: a directory before what it holds,
	// names as bytes sort.
	Differences []Difference
	// Causes begin with that which explains most.
	Causes []Cause

	trees [2]*tree.Checked
	dirs  []dirName
	links [2]map[tree.Ino][]int // inode -> the differences that are its names
	sets  map[setPair]xattrKinds
	held  [2]map[tree.Ino]fsverity.Digest // of content in the image, with several names
	same  map[[2]tree.Ino]bool            // whether such content is equal
	both  int                             // paths that both sides have
	alg   fsverity.Algorithm              // 0 if there is none in common
}

// Equal reports whether nothing differs. Content may not have been compared.
func (r *Result) Equal() bool { return len(r.Differences) == 0 }

// Difference is a path that differs.
type Difference struct {
	Aspects Aspects
	// OnlyIn is the side that has the path, if Aspects is Missing.
	OnlyIn Side
	// Below is how many paths are below, of a directory that is on one side
	// only, or is something else on the other.
	Below int
	// Cause is the one in Result.Causes that has this difference.
	Cause int

	inos [2]tree.Ino
	kind tree.Kind // on the side that has it, A before B
	dir  uint32    // number of the directory
	name []byte

	place place
	// explained is the difference that also changed this directory's mtime, -1
	// if there is none.
	explained int
}

// dirName is a directory on the way of the walk. The root has no name.
type dirName struct {
	parent uint32
	name   []byte
}

// Path returns the path of the difference, which begins with a slash.
func (r *Result) Path(d *Difference) string {
	if d.name == nil {
		return "/"
	}
	names := [][]byte{d.name}
	for dir := d.dir; dir != 0; dir = r.dirs[dir].parent {
		names = append(names, r.dirs[dir].name)
	}
	var path []byte
	for _, name := range slices.Backward(names) {
		path = append(path, '/')
		path = append(path, name...)
	}
	return string(path)
}

// Compare finds out how the trees differ. It keeps some hundred bytes for each
// path that differs, and nothing for others.
func Compare(a, b *tree.Checked) *Result {
	r := &Result{
		trees: [2]*tree.Checked{a, b},
		dirs:  []dirName{{}},
		links: [2]map[tree.Ino][]int{{}, {}},
		sets:  map[setPair]xattrKinds{},
		held:  [2]map[tree.Ino]fsverity.Digest{{}, {}},
		same:  map[[2]tree.Ino]bool{},
	}
	for _, alg := range a.Algorithms() {
		if r.alg == 0 && slices.Contains(b.Algorithms(), alg) {
			r.alg = alg
		}
	}
	w := walker{Result: r, split: r.findSplit()}
	w.run()
	r.classify()
	return r
}
