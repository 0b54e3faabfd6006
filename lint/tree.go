// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/cfs-label/cfs-label/boot"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Files gives what is wanted of the content of files.
type Files interface {
	// Head returns the first HeadSize bytes of a file that WantsHead wants, or
	// all there are; ok is false if they are not to be had.
	Head(path string, file tree.Ino) (head []byte, ok bool)
	// CommandLines returns the kernel command lines of a UKI, with the errors of
	// boot.CommandLines.
	CommandLines(path string, file tree.Ino) ([]boot.CommandLine, error)
}

// Input is a tree to look at.
type Input struct {
	// Tree is what layers give together, or a directory holds, before hosts
	// change it.
	Tree *tree.Tree
	// AsIs tells that hosts do not change it: it is a dump, or a composefs image.
	AsIs bool
	// HasLayers tells that the Collector was told of the reading of layers, and
	// will be of what the image says of itself.
	HasLayers bool
	// Files, if not nil, gives content.
	Files Files
	// Layer, if not nil, gives the layer that an inode is of.
	Layer func(tree.Ino) int
	// Now is what times are in the future of; zero: none is.
	Now time.Time
}

// clockSkew is how far clocks of machines are apart.
const clockSkew = time.Hour

// repairsMax is how many names are taken out of a tree so that the rest of it can
// be looked at.
const repairsMax = 100

// Tree looks at a tree, and tells the Collector of what it finds. It takes names
// out of one that no composefs image can hold.
func Tree(in *Input, to *Collector) {
	l := &linter{
		in: in, to: to,
		seen: map[tree.Ino]bool{}, dropped: map[tree.XattrSet][]string{}, sums: map[sum]*Finding{},
		future: math.MaxInt64,
	}
	if !in.Now.IsZero() {
		l.future = in.Now.Add(clockSkew).Unix()
	}
	l.skip()
	if !in.AsIs {
		l.transforms()
	}
	l.bootable()
	if l.checked = l.check(); l.checked == nil {
		return
	}
	l.walk()
	l.settle()
	*in.Tree = *l.checked.Thaw()
}

type linter struct {
	in      *Input
	to      *Collector
	checked *tree.Checked
	future  int64 // from when on times are in the future, in seconds since 1970

	dirs    []directory                // from the root down to the one that is walked
	seen    map[tree.Ino]bool          // inodes with several names
	dropped map[tree.XattrSet][]string // what hosts drop of a set
	sums    map[sum]*Finding
	order   []sum
	unread  int // files of which there is no content
	ukis    int // that were looked at
}

// directory is one on the way.
type directory struct {
	ino  tree.Ino
	name string
}

// sum is what has one finding for all files.
type sum struct{ rule, about string }

func (l *linter) layer(ino tree.Ino) int {
	if l.in.Layer == nil || ino == tree.Root {
		return NoLayer
	}
	return l.in.Layer(ino)
}

// find tells of a file.
func (l *linter) find(rule, path string, ino tree.Ino, message string) {
	l.to.Add(Finding{Rule: rule, Path: path, Layer: l.layer(ino), Message: message})
}

// add counts a file of a finding that is of many. The first gives it its path.
func (l *linter) add(rule, about string, path func() string, layer int) {
	s := sum{rule, about}
	f := l.sums[s]
	if f == nil {
		f = &Finding{Rule: rule, Path: path(), Layer: layer}
		l.sums[s] = f
		l.order = append(l.order, s)
	}
	f.Count++
}

// skip tells of what cannot be looked at.
func (l *linter) skip() {
	for _, s := range []struct {
		holds bool
		needs Needs
		why   string
	}{
		{l.in.AsIs, NeedsWhole, "it is what hosts have made of an image already"},
		{!l.in.HasLayers, NeedsLayers, "there are no layers"},
		{!l.in.HasLayers, NeedsLabels, "there is no config"},
		{l.in.Files == nil, NeedsContent, "there is no content of files"},
	} {
		if s.holds {
			l.to.skip(s.why, func(r *Rule) bool { return r.Needs&s.needs != 0 })
		}
	}
}

// transforms looks at what hosts need to make of the tree what they mount.
func (l *linter) transforms() {
	t := l.in.Tree
	usr, ok := t.Lookup(tree.Root, []byte("usr"))
	if !ok || t.Kind(usr) != tree.Directory {
		l.to.Add(Finding{Rule: ruleNoUsr, Path: "/usr", Layer: NoLayer, Message: transform.ErrNoUsr.Error()})
	} else {
		l.rootMeta(t.Meta(tree.Root), t.Meta(usr))
	}
	if run, ok := t.Lookup(tree.Root, []byte("run")); ok && t.Kind(run) != tree.Directory {
		l.find(ruleRun, "/run", run, transform.ErrRunNotDir.Error())
	}
}

// rootMeta holds what an entry for the root says against what counts. Without one
// all of it is zero.
func (l *linter) rootMeta(root, usr tree.Meta) {
	if root == (tree.Meta{}) || root == usr {
		return
	}
	var differ []string
	for _, d := range []struct {
		differs bool
		what    string
		a, b    string
	}{
		{root.Mode != usr.Mode, "mode", fmt.Sprintf("%#o", root.Mode&0o7777), fmt.Sprintf("%#o", usr.Mode&0o7777)},
		{root.UID != usr.UID || root.GID != usr.GID, "owner", fmt.Sprintf("%d:%d", root.UID, root.GID), fmt.Sprintf("%d:%d", usr.UID, usr.GID)},
		{root.MtimeSec != usr.MtimeSec || root.MtimeNsec != usr.MtimeNsec, "time", when(root), when(usr)},
	} {
		if d.differs {
			differ = append(differ, fmt.Sprintf("%s %s, not %s", d.what, d.b, d.a))
		}
	}
	if root.Xattrs != usr.Xattrs {
		differ = append(differ, "other extended attributes")
	}
	l.to.Add(Finding{Rule: ruleRootMeta, Path: "/", Layer: NoLayer, Message: "it gets from /usr: " + strings.Join(differ, "; ")})
}

// when shows a modification time: as a date, if it is of a year that has one.
func when(m tree.Meta) string {
	const first, last = -62135596800, 253402300799 // seconds since 1970, of the years 1 and 9999
	if m.MtimeSec < first || m.MtimeSec > last {
		return fmt.Sprintf("%d seconds since 1970", m.MtimeSec)
	}
	return time.Unix(m.MtimeSec, int64(m.MtimeNsec)).UTC().Format(time.RFC3339Nano)
}

// bootable looks at the directories of a bootable image.
func (l *linter) bootable() {
	for _, name := range []string{"boot", "sysroot"} {
		dir, ok := l.in.Tree.Lookup(tree.Root, []byte(name))
		switch {
		case !ok:
			l.to.Add(Finding{Rule: ruleNotBootable, Path: "/" + name, Layer: NoLayer, Message: "there is no directory /" + name})
		case l.in.Tree.Kind(dir) != tree.Directory:
			l.find(ruleNotBootable, "/"+name, dir, fmt.Sprintf("/%s is a %s", name, l.in.Tree.Kind(dir)))
		}
	}
}

// check makes the tree one that can be walked. It returns nil if that is not to
// be had.
func (l *linter) check() *tree.Checked {
	for range repairsMax {
		checked, err := l.in.Tree.Check()
		if err == nil {
			return checked
		}
		path := ""
		if at, ok := errors.AsType[*tree.CheckError](err); ok {
			path, err = at.Path, at.Err
		}
		l.to.Add(Finding{Rule: ruleOf(err), Path: path, Layer: NoLayer, Message: err.Error()})
		if !unlink(l.in.Tree, path) {
			break
		}
	}
	l.to.skip("the tree is too odd", func(r *Rule) bool {
		return r.Severity != Error && r.Needs&NeedsLayers == 0 && r.ID != ruleNotBootable && r.ID != ruleRootMeta
	})
	return nil
}

// unlink takes a path out of the tree. One of a name with a slash in it cannot
// be found.
func unlink(t *tree.Tree, path string) bool {
	dir := tree.Root
	rest := []byte(strings.TrimPrefix(path, "/"))
	for {
		name, behind, more := bytes.Cut(rest, []byte("/"))
		if !more {
			return t.Unlink(dir, name)
		}
		next, ok := t.Lookup(dir, name)
		if !ok || t.Kind(next) != tree.Directory {
			return false
		}
		dir, rest = next, behind
	}
}
