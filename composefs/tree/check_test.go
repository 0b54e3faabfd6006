// SPDX-License-Identifier: Apache-2.0

package tree_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// nest makes n directories, one in the other, and returns the innermost.
func nest(t *tree.Tree, n int) tree.Ino {
	dir := tree.Root
	for range n {
		dir = mkdir(t, dir, "d")
	}
	return dir
}

// special returns a device without a name.
func special(t *tree.Tree, kind tree.Kind, rdev uint64) tree.Ino {
	return t.NewSpecial(kind, tree.Meta{}, rdev)
}

// named returns a function that adds a file of that name to /d.
func named(name string) func(*tree.Tree) {
	return func(t *tree.Tree) { touch(t, mkdir(t, tree.Root, "d"), name) }
}

// checkCases has trees that break a rule, and such that just do not.
var checkCases = []struct {
	name  string
	build func(tr *tree.Tree)
	path  string
	want  error // nil if no rule is broken
}{
	{"empty name", named(""), "/d/", tree.ErrName},
	{"slash", named("/"), "/d//", tree.ErrName},
	{"slash inside", named("a/b"), "/d/a/b", tree.ErrName},
	{"dot", named("."), "/d/.", tree.ErrName},
	{"two dots", named(".."), "/d/..", tree.ErrName},
	{"three dots", named("..."), "", nil},
	{"longest name", named(strings.Repeat("n", tree.NameMax)), "", nil},
	{"too long a name", named(strings.Repeat("n", tree.NameMax+1)), "/d/" + strings.Repeat("n", tree.NameMax+1), tree.ErrName},
	{"any other bytes", named("\x00\x01 \n\\\xff"), "", nil},

	{"deepest directory", func(tr *tree.Tree) { nest(tr, tree.DepthMax) }, "", nil},
	{"too deep", func(tr *tree.Tree) { nest(tr, tree.DepthMax+1) }, strings.Repeat("/d", tree.DepthMax+1), tree.ErrDepth},
	{"file too deep", func(tr *tree.Tree) { touch(tr, nest(tr, tree.DepthMax), "f") }, strings.Repeat("/d", tree.DepthMax) + "/f", tree.ErrDepth},

	{"whiteout", func(tr *tree.Tree) { link(tr, tree.Root, "w", special(tr, tree.CharDevice, 0)) }, "", nil},
	{"whiteout with two names", func(tr *tree.Tree) {
		link(tr, tree.Root, "v", link(tr, tree.Root, "w", special(tr, tree.CharDevice, 0)))
	}, "/w", tree.ErrWhiteout},
	{"other device with two names", func(tr *tree.Tree) {
		link(tr, tree.Root, "v", link(tr, tree.Root, "w", special(tr, tree.CharDevice, 1)))
	}, "", nil},
	{"block device 0,0 with two names", func(tr *tree.Tree) {
		link(tr, tree.Root, "v", link(tr, tree.Root, "w", special(tr, tree.BlockDevice, 0)))
	}, "", nil},

	{"largest device", func(tr *tree.Tree) { link(tr, tree.Root, "b", special(tr, tree.BlockDevice, math.MaxUint32)) }, "", nil},
	{"too large a device", func(tr *tree.Tree) { link(tr, tree.Root, "b", special(tr, tree.BlockDevice, 1<<32)) }, "/b", tree.ErrRdev},
	{"too large a character device", func(tr *tree.Tree) { link(tr, tree.Root, "c", special(tr, tree.CharDevice, 1<<32)) }, "/c", tree.ErrRdev},
	{"large file", func(tr *tree.Tree) { link(tr, tree.Root, "f", tr.NewSparse(tree.Meta{}, math.MaxUint64)) }, "", nil},

	{"last nanosecond", func(tr *tree.Tree) { tr.SetMeta(mkdir(tr, tree.Root, "d"), tree.Meta{MtimeNsec: 999999999}) }, "", nil},
	{"too many nanoseconds", func(tr *tree.Tree) { tr.SetMeta(mkdir(tr, tree.Root, "d"), tree.Meta{MtimeNsec: 1e9}) }, "/d", tree.ErrMtime},
	{"too many nanoseconds of the root", func(tr *tree.Tree) { tr.SetMeta(tree.Root, tree.Meta{MtimeNsec: 1e9}) }, "/", tree.ErrMtime},

	{"directory with two names", func(tr *tree.Tree) {
		link(tr, mkdir(tr, tree.Root, "a"), "x", mkdir(tr, tree.Root, "b"))
	}, "/b", tree.ErrDirLink},
	{"root in the root", func(tr *tree.Tree) { link(tr, tree.Root, "r", tree.Root) }, "/r", tree.ErrDirLink},
	{"root in a directory", func(tr *tree.Tree) { link(tr, mkdir(tr, tree.Root, "d"), "r", tree.Root) }, "/d/r", tree.ErrDirLink},
	{"directory in itself", func(tr *tree.Tree) { d := mkdir(tr, tree.Root, "d"); link(tr, d, "d", d) }, "/d/d", tree.ErrDirLink},
	{"cycle of two", func(tr *tree.Tree) {
		a := mkdir(tr, tree.Root, "a")
		link(tr, mkdir(tr, a, "b"), "a", a)
	}, "/a/b/a", tree.ErrDirLink},
	{"cycle that nothing leads to", func(tr *tree.Tree) {
		a, b := tr.NewDirectory(tree.Meta{}), tr.NewDirectory(tree.Meta{})
		link(tr, a, "b", b)
		link(tr, b, "a", a)
	}, "", nil},
	{"bad inode without a name", func(tr *tree.Tree) { special(tr, tree.BlockDevice, 1<<32) }, "", nil},
	{"bad name in a directory without one", func(tr *tree.Tree) { touch(tr, tr.NewDirectory(tree.Meta{}), "..") }, "", nil},
}

// TestCheckErrors: each rule that a tree can break is named by an error, with
// the first path that breaks it.
func TestCheckErrors(t *testing.T) {
	for _, tc := range checkCases {
		tr := newTree()
		tc.build(tr)
		_, err := tr.Check()
		if tc.want == nil {
			if err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		var ce *tree.CheckError
		if !errors.As(err, &ce) || !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", tc.name, err, tc.want)
		} else if ce.Path != tc.path {
			t.Errorf("%s: path %.60q, want %.60q", tc.name, ce.Path, tc.path)
		}
	}
}

// TestCheckAgain: after Check found a broken rule the tree can be repaired and
// checked again; links are then counted anew.
func TestCheckAgain(t *testing.T) {
	tr := newTree()
	f := touch(tr, tree.Root, "a")
	link(tr, tree.Root, "b", f)
	touch(tr, tree.Root, "..")
	if _, err := tr.Check(); !errors.Is(err, tree.ErrName) {
		t.Fatalf("error %v, want %v", err, tree.ErrName)
	}
	tr.Unlink(tree.Root, []byte(".."))
	c := check(t, tr)
	if got := c.Nlink(f); got != 2 {
		t.Errorf("Nlink = %d, want 2", got)
	}
	tr = c.Thaw()
	link(tr, tree.Root, "c", f)
	tr.Unlink(tree.Root, []byte("a"))
	touch(tr, tree.Root, "new")
	c = check(t, tr)
	if diff := cmp.Diff([]string{"/b", "/c", "/new"}, paths(c)); diff != "" {
		t.Errorf("after Thaw (-want +got):\n%s", diff)
	}
	if got := c.Nlink(f); got != 2 {
		t.Errorf("Nlink after Thaw = %d, want 2", got)
	}
}

// TestPanics: misuse panics, and so does every change after Check.
func TestPanics(t *testing.T) {
	name := []byte("n")
	file := func(tr *tree.Tree) tree.Ino { return tr.NewInline(tree.Meta{}, nil) }
	frozen := func(change func(tr *tree.Tree)) func(tr *tree.Tree) {
		return func(tr *tree.Tree) {
			if _, err := tr.Check(); err != nil {
				t.Fatal(err)
			}
			change(tr)
		}
	}
	for rule, misuse := range map[string]func(tr *tree.Tree){
		"Link into a file":              func(tr *tree.Tree) { f := file(tr); tr.Link(f, name, f) },
		"Link of no inode":              func(tr *tree.Tree) { tr.Link(tree.Root, name, 77) },
		"Link into no inode":            func(tr *tree.Tree) { tr.Link(77, name, tree.Root) },
		"Lookup in a file":              func(tr *tree.Tree) { tr.Lookup(file(tr), name) },
		"Unlink from a file":            func(tr *tree.Tree) { tr.Unlink(file(tr), name) },
		"Clear of a file":               func(tr *tree.Tree) { tr.Clear(file(tr)) },
		"NewExternal with short digest": func(tr *tree.Tree) { tr.NewExternal(tree.Meta{}, 1, make([]byte, 31)) },
		"NewExternal with long digest":  func(tr *tree.Tree) { tr.NewExternal(tree.Meta{}, 1, make([]byte, 33)) },
		"NewUnverified without digest":  func(tr *tree.Tree) { tr.NewUnverified(tree.Meta{}, 1, nil) },
		"SetSums of an inline file":     func(tr *tree.Tree) { tr.SetSums(file(tr), make([]byte, 32)) },
		"SetSums with short digest": func(tr *tree.Tree) {
			tr.SetSums(tr.NewExternal(tree.Meta{}, 1, make([]byte, 32)), make([]byte, 31))
		},
		"NewSpecial of a directory":    func(tr *tree.Tree) { tr.NewSpecial(tree.Directory, tree.Meta{}, 0) },
		"NewSpecial of a regular file": func(tr *tree.Tree) { tr.NewSpecial(tree.Regular, tree.Meta{}, 0) },
		"NewSpecial of a symlink":      func(tr *tree.Tree) { tr.NewSpecial(tree.Symlink, tree.Meta{}, 0) },
		"Sum of an unknown algorithm": func(tr *tree.Tree) {
			tr.NewExternal(tree.Meta{}, 1, make([]byte, 32))
			tr.Sum(0, fsverity.SHA512)
		},

		"NewDirectory after Check": frozen(func(tr *tree.Tree) { tr.NewDirectory(tree.Meta{}) }),
		"NewInline after Check":    frozen(func(tr *tree.Tree) { file(tr) }),
		"NewExternal after Check":  frozen(func(tr *tree.Tree) { tr.NewExternal(tree.Meta{}, 1, make([]byte, 32)) }),
		"NewSymlink after Check":   frozen(func(tr *tree.Tree) { tr.NewSymlink(tree.Meta{}, name) }),
		"NewSpecial after Check":   frozen(func(tr *tree.Tree) { tr.NewSpecial(tree.FIFO, tree.Meta{}, 0) }),
		"NewSparse after Check":    frozen(func(tr *tree.Tree) { tr.NewSparse(tree.Meta{}, 1) }),
		"SetSums after Check": func(tr *tree.Tree) {
			ino := tr.NewExternal(tree.Meta{}, 1, make([]byte, 32))
			frozen(func(tr *tree.Tree) { tr.SetSums(ino, make([]byte, 32)) })(tr)
		},
		"SetMeta after Check":      frozen(func(tr *tree.Tree) { tr.SetMeta(tree.Root, tree.Meta{}) }),
		"Copy after Check":         func(tr *tree.Tree) { ino := file(tr); frozen(func(tr *tree.Tree) { tr.Copy(ino) })(tr) },
		"SaveXattrs after Check":   frozen(func(tr *tree.Tree) { tr.SaveXattrs() }),
		"restoring after Check":    func(tr *tree.Tree) { restore := tr.SaveXattrs(); frozen(func(*tree.Tree) { restore() })(tr) },
		"Link after Check":         frozen(func(tr *tree.Tree) { tr.Link(tree.Root, name, tree.Root) }),
		"Unlink after Check":       frozen(func(tr *tree.Tree) { tr.Unlink(tree.Root, name) }),
		"Clear after Check":        frozen(func(tr *tree.Tree) { tr.Clear(tree.Root) }),
		"Xattrs after Check":       frozen(func(tr *tree.Tree) { tr.Xattrs(tree.Xattr{Name: "a"}) }),
		"FilterXattrs after Check": frozen(func(tr *tree.Tree) { tr.FilterXattrs(func(string) bool { return true }) }),
		"Check after Check":        frozen(func(tr *tree.Tree) { _, _ = tr.Check() }),
		"the Checked after Thaw": func(tr *tree.Tree) {
			c, _ := tr.Check()
			c.Thaw()
			c.Len(tree.Root)
		},
	} {
		t.Run(rule, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			misuse(newTree())
		})
	}
}
