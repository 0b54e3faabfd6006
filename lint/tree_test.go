// SPDX-License-Identifier: Apache-2.0

package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/boot"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers"
	"github.com/cfs-label/cfs-label/lint"
)

// newTree returns a tree of which there is nothing to say, and its /usr.
func newTree() (t *tree.Tree, usr tree.Ino) {
	t = tree.New()
	for _, name := range []string{"boot", "sysroot", "usr"} {
		usr = t.NewDirectory(tree.Meta{Mode: 0o755})
		t.Link(tree.Root, []byte(name), usr)
	}
	return t, usr
}

func look(in *lint.Input) *lint.Report {
	var found lint.Collector
	in.Now = time.Unix(1000, 0)
	lint.Tree(in, &found)
	return found.Report()
}

func rulesOf(r *lint.Report) []string {
	var ids []string
	for _, f := range r.Findings {
		ids = append(ids, f.Rule+" "+f.Path)
	}
	return ids
}

// TestTree: what no archive holds, and a directory, a dump or a composefs image
// may, is found as well; what cannot be in an image is taken out, and the rest is
// looked at.
func TestTree(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *tree.Tree, usr tree.Ino)
		want []string
	}{
		{"nothing", func(*tree.Tree, tree.Ino) {}, nil},
		{"socket", func(t *tree.Tree, usr tree.Ino) {
			t.Link(usr, []byte("s"), t.NewSpecial(tree.Socket, tree.Meta{}, 0))
		}, []string{"socket /usr/s"}},
		{"fifo", func(t *tree.Tree, usr tree.Ino) {
			t.Link(usr, []byte("s"), t.NewSpecial(tree.FIFO, tree.Meta{}, 0))
		}, nil},
		{"nanoseconds", func(t *tree.Tree, usr tree.Ino) {
			t.Link(usr, []byte("a"), t.NewInline(tree.Meta{MtimeNsec: 1e9}, nil))
			t.Link(usr, []byte("b"), t.NewSpecial(tree.Socket, tree.Meta{}, 0))
		}, []string{"mtime-impossible /usr/a", "socket /usr/b"}},
		{"directory twice", func(t *tree.Tree, usr tree.Ino) {
			dir := t.NewDirectory(tree.Meta{})
			t.Link(usr, []byte("a"), dir)
			t.Link(usr, []byte("b"), dir)
		}, []string{"directory-linked /usr/b"}},
		{"name with a slash", func(t *tree.Tree, usr tree.Ino) {
			t.Link(usr, []byte("a/b"), t.NewInline(tree.Meta{}, nil))
		}, []string{"name-impossible /usr/a/b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, usr := newTree()
			c.make(root, usr)
			r := look(&lint.Input{Tree: root})
			if diff := cmp.Diff(c.want, rulesOf(r)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func mustLookup(t *testing.T, in *tree.Tree, name string) tree.Ino {
	t.Helper()
	ino, ok := in.Lookup(tree.Root, []byte(name))
	if !ok {
		t.Fatalf("no %s", name)
	}
	return ino
}

// TestTreeTooDeep: of directories that are nested too deep the first is told, and
// the rest of the tree is looked at.
func TestTreeTooDeep(t *testing.T) {
	root, usr := newTree()
	for dir, i := usr, 0; i <= tree.DepthMax; i++ {
		next := root.NewDirectory(tree.Meta{})
		root.Link(dir, []byte("d"), next)
		dir = next
	}
	root.Link(usr, []byte("s"), root.NewSpecial(tree.Socket, tree.Meta{}, 0))
	r := look(&lint.Input{Tree: root})
	var ids []string
	for _, f := range r.Findings {
		ids = append(ids, f.Rule)
	}
	if diff := cmp.Diff([]string{"too-deep", "socket"}, ids); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestTreeTooOdd: a tree that has too much to be taken out is not looked at any
// further, and that is told.
func TestTreeTooOdd(t *testing.T) {
	root, usr := newTree()
	for i := range 200 {
		root.Link(usr, fmt.Appendf(nil, "a%03d", i), root.NewInline(tree.Meta{MtimeNsec: 1e9}, nil))
	}
	root.Link(usr, []byte("s"), root.NewSpecial(tree.Socket, tree.Meta{}, 0))
	r := look(&lint.Input{Tree: root})
	told := slices.ContainsFunc(r.Skipped, func(s lint.Skipped) bool { return slices.Contains(s.Rules, "socket") })
	if len(r.Findings) != 100 || !told {
		t.Errorf("%d findings, not looked at: %v", len(r.Findings), r.Skipped)
	}
}

// TestTreeAsIs: of what hosts have made of an image already, nothing is said that
// they would do to it; what needs content or layers is told not to be looked at.
func TestTreeAsIs(t *testing.T) {
	root, usr := newTree()
	root.Link(tree.Root, []byte("run"), root.NewSymlink(tree.Meta{}, []byte("usr")))
	root.Link(usr, []byte("a"), root.NewInline(tree.Meta{Xattrs: root.Xattrs(tree.Xattr{Name: "user.a"})}, nil))
	root.Link(usr, []byte("a.py"), root.NewInline(tree.Meta{MtimeSec: 1}, nil))
	root.Link(usr, []byte("a.pyc"), root.NewInline(tree.Meta{}, []byte("\xcb\x0d\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")))
	root.SetMeta(tree.Root, tree.Meta{Mode: 0o777, MtimeSec: 5})
	r := look(&lint.Input{Tree: root, AsIs: true})
	if diff := cmp.Diff([]string{"world-writable /"}, rulesOf(r)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	whys := map[string]string{}
	for _, s := range r.Skipped {
		for _, id := range s.Rules {
			whys[id] = s.Why
		}
	}
	for id, part := range map[string]string{"run-not-directory": "already", "missing-parent": "no layers", "stale-pyc": "no content", "label-inherited": "no config"} {
		if !strings.Contains(whys[id], part) {
			t.Errorf("%s is not looked at because %q, want %q", id, whys[id], part)
		}
	}
	if whys["socket"] != "" {
		t.Errorf("socket is not looked at, as %s", whys["socket"])
	}
}

// TestTreeStays: a tree that hosts take is the same after it was looked at.
func TestTreeStays(t *testing.T) {
	root, usr := newTree()
	root.Link(usr, []byte("s"), root.NewSpecial(tree.Socket, tree.Meta{}, 0))
	before := root.Inodes()
	look(&lint.Input{Tree: root})
	if _, ok := root.Lookup(usr, []byte("s")); !ok || root.Inodes() != before {
		t.Error("it is another tree")
	}
	root.Link(usr, []byte("t"), root.NewSpecial(tree.FIFO, tree.Meta{}, 0)) // panics unless it can be changed
}

// TestTreeSysroot: a file that has a name in /sysroot and one elsewhere is named
// by the other, once; one that is in /sysroot alone by that.
func TestTreeSysroot(t *testing.T) {
	root, usr := newTree()
	sysroot := mustLookup(t, root, "sysroot")
	both := root.NewInline(tree.Meta{Mode: 0o4755}, nil)
	root.Link(sysroot, []byte("object"), both)
	root.Link(usr, []byte("su"), both)
	root.Link(sysroot, []byte("alone"), root.NewInline(tree.Meta{Mode: 0o4755}, nil))
	r := look(&lint.Input{Tree: root})
	if diff := cmp.Diff([]string{"content-in-sysroot /sysroot", "set-id /sysroot/alone", "set-id /usr/su"}, rulesOf(r)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// nothing gives no content.
type nothing struct{}

func (nothing) Head(string, tree.Ino) ([]byte, bool) { return nil, false }

func (nothing) CommandLines(string, tree.Ino) ([]boot.CommandLine, error) {
	return nil, layers.ErrTooMany
}

// TestTreeUnread: files whose content is not to be had are counted, and no
// findings.
func TestTreeUnread(t *testing.T) {
	root, usr := newTree()
	big := func(name string) {
		root.Link(usr, []byte(name), root.NewSparse(tree.Meta{}, 1000))
	}
	big("a.py")
	big("a.pyc")
	big("alone.pyc")
	dir := usr
	for _, name := range []string{"lib", "modules", "1"} {
		next := root.NewDirectory(tree.Meta{})
		root.Link(dir, []byte(name), next)
		dir = next
	}
	root.Link(dir, []byte("a.efi"), root.NewSparse(tree.Meta{}, 1000))
	r := look(&lint.Input{Tree: root, Files: nothing{}, HasLayers: true})
	if len(r.Findings) > 0 || len(r.Skipped) != 1 || !strings.HasPrefix(r.Skipped[0].Why, "the content of 2 files") {
		t.Errorf("%v, not looked at: %v", r.Findings, r.Skipped)
	}
}

// BenchmarkTree is 100,000 files, half of them compiled Python, in 1000
// directories.
func BenchmarkTree(b *testing.B) {
	root, usr := newTree()
	for d := range 1000 {
		dir := root.NewDirectory(tree.Meta{Mode: 0o755})
		root.Link(usr, fmt.Appendf(nil, "d%d", d), dir)
		for f := range 50 {
			root.Link(dir, fmt.Appendf(nil, "module%d.py", f), root.NewSparse(tree.Meta{Mode: 0o644, MtimeSec: 1}, 1000))
			root.Link(dir, fmt.Appendf(nil, "module%d.pyc", f), root.NewInline(tree.Meta{Mode: 0o644, MtimeSec: 1},
				[]byte("\xcb\x0d\r\n\x00\x00\x00\x00\x00\x00\x00\x00\xe8\x03\x00\x00")))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if r := look(&lint.Input{Tree: root, Files: nothing{}}); len(r.Findings) != lint.PerRule || r.More["stale-pyc"] != 45000 {
			b.Fatalf("%d findings, %v", len(r.Findings), r.More)
		}
	}
}

// TestTreeRoot: what an entry for the root says and /usr says otherwise is named,
// all of it and nothing else.
func TestTreeRoot(t *testing.T) {
	const gets = "it gets from /usr: "
	for _, c := range []struct {
		root tree.Meta
		want string
	}{
		{tree.Meta{}, ""}, // no entry
		{tree.Meta{Mode: 0o755}, ""},
		{tree.Meta{Mode: 0o700}, gets + "mode 0755, not 0700"},
		{tree.Meta{Mode: 0o755, UID: 1}, gets + "owner 0:0, not 1:0"},
		{tree.Meta{Mode: 0o755, GID: 2}, gets + "owner 0:0, not 0:2"},
		{tree.Meta{Mode: 0o755, MtimeSec: 1}, gets + "time 1970-01-01T00:00:00Z, not 1970-01-01T00:00:01Z"},
		{tree.Meta{Mode: 0o755, MtimeNsec: 1}, gets + "time 1970-01-01T00:00:00Z, not 1970-01-01T00:00:00.000000001Z"},
		{tree.Meta{Mode: 0o755, MtimeSec: 1 << 50}, gets + "time 1970-01-01T00:00:00Z, not 1125899906842624 seconds since 1970"},
		{tree.Meta{Mode: 0o755, Xattrs: 1}, gets + "other extended attributes"},
		{tree.Meta{Mode: 0o700, UID: 1}, gets + "mode 0755, not 0700; owner 0:0, not 1:0"},
	} {
		root, _ := newTree()
		root.Xattrs(tree.Xattr{Name: "security.capability"}) // the set 1
		root.SetMeta(tree.Root, c.root)
		got := ""
		for _, f := range look(&lint.Input{Tree: root}).Findings {
			got += f.Message
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.root, got, c.want)
		}
	}
}
