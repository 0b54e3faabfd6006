// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"bytes"
	"fmt"

	"github.com/cfs-label/cfs-label/composefs/selinux"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// selinuxKinds are the letters of file types.
var selinuxKinds = [...]selinux.Kind{
	tree.Directory:   selinux.Directory,
	tree.Regular:     selinux.Regular,
	tree.Symlink:     selinux.Symlink,
	tree.BlockDevice: selinux.BlockDevice,
	tree.CharDevice:  selinux.CharDevice,
	tree.FIFO:        selinux.FIFO,
	tree.Socket:      selinux.Socket,
}

// label gives every inode the label that the policy has for it. With an error
// no label has changed.
func label(t *tree.Tree, policy *selinux.Policy) error {
	c, err := t.Check()
	if err != nil {
		return err
	}
	l := newLabeler(policy, c.Inodes())
	err = l.walk(c)
	*t = *c.Thaw()
	if err != nil {
		return err
	}
	l.apply(t)
	return nil
}

// A labeler finds the labels first and sets them afterwards: a tree that is
// walked cannot change.
type labeler struct {
	policy *selinux.Policy
	labels []string
	number map[string]uint32 // of a label
	given  []uint32          // per inode: the number of its label
	splits []split
	bases  [][]byte // the path of each directory down to the one that is walked
}

// What given says besides the number of a label.
const (
	notYet  = 0
	noLabel = 1
)

// split is a name whose label is not that of its inode.
type split struct {
	dir   tree.Ino
	name  string
	ino   tree.Ino
	label uint32
}

func newLabeler(policy *selinux.Policy, inodes int) *labeler {
	return &labeler{
		policy: policy,
		labels: []string{notYet: "", noLabel: ""},
		number: map[string]uint32{},
		given:  make([]uint32, inodes),
	}
}

func (l *labeler) walk(c *tree.Checked) error {
	l.bases = append(l.bases, append(make([]byte, 0, 4096), '/'))
	label, err := l.lookup([]byte("/"), tree.Directory)
	if err != nil {
		return err
	}
	l.given[tree.Root] = label
	for step := range c.Walk() {
		if err := l.visit(c, step); err != nil {
			return err
		}
	}
	return nil
}

func (l *labeler) visit(c *tree.Checked, step *tree.Step) error {
	l.bases = l.bases[:step.Depth()]
	base := &l.bases[step.Depth()-1]
	path := *base
	if path[len(path)-1] != '/' {
		path = append(path, '/')
	}
	path = append(path, step.Name()...)
	*base = (*base)[:afterPop(*base)]
	path = l.policy.Substitute(path)
	kind := c.Kind(step.Ino)
	if kind == tree.Directory {
		l.bases = append(l.bases, path)
	}
	label, err := l.lookup(path, kind)
	if err != nil {
		return err
	}
	switch l.given[step.Ino] {
	case notYet:
		l.given[step.Ino] = label
	case label:
	default:
		// A second name of a split-off inode is not looked for: hosts split each
		// name off by itself.
		l.splits = append(l.splits, split{step.Dir, string(step.Name()), step.Ino, label})
	}
	return nil
}

// afterPop returns how much of a directory's path is left when a name was
// pushed to it and popped again (Rust's PathBuf): slashes and dots at its end
// are lost. Only a substitution can have brought them, and only the first name
// in the directory sees them.
func afterPop(path []byte) int {
	start := 0 // what is never lost
	if path[0] == '/' || path[0] == '.' && (len(path) == 1 || path[1] == '/') {
		start = 1
	}
	end := len(path)
	for end > start {
		slash := bytes.LastIndexByte(path[start:end], '/')
		last := path[start+slash+1 : end]
		if len(last) > 0 && string(last) != "." {
			break
		}
		end = start + max(slash, 0)
	}
	return end
}

// lookup returns the number of the label for the path.
func (l *labeler) lookup(path []byte, kind tree.Kind) (uint32, error) {
	label, ok, err := l.policy.Lookup(path, selinuxKinds[kind])
	if err != nil {
		return 0, fmt.Errorf("no SELinux label for %.200q: %w", path, err)
	}
	if !ok {
		return noLabel, nil
	}
	number, ok := l.number[label]
	if !ok {
		number = uint32(len(l.labels))
		l.labels = append(l.labels, label)
		l.number[label] = number
	}
	return number, nil
}

// apply sets the labels.
func (l *labeler) apply(t *tree.Tree) {
	type change struct {
		set   tree.XattrSet
		label uint32
	}
	sets := map[change]tree.XattrSet{}
	set := func(ino tree.Ino, label uint32) {
		m := t.Meta(ino)
		to, ok := sets[change{m.Xattrs, label}]
		if !ok {
			to = t.Xattrs(l.relabeled(t.XattrList(m.Xattrs), label)...)
			sets[change{m.Xattrs, label}] = to
		}
		m.Xattrs = to
		t.SetMeta(ino, m)
	}
	for ino, label := range l.given {
		if label != notYet {
			set(tree.Ino(ino), label)
		}
	}
	for _, s := range l.splits {
		ino := t.Copy(s.ino)
		set(ino, s.label)
		t.Link(s.dir, []byte(s.name), ino)
	}
}

// relabeled returns the attributes with the label in place of theirs.
func (l *labeler) relabeled(xattrs []tree.Xattr, label uint32) []tree.Xattr {
	var to []tree.Xattr
	for _, x := range xattrs {
		if x.Name != SELinuxXattr {
			to = append(to, x)
		}
	}
	if label != noLabel {
		to = append(to, tree.Xattr{Name: SELinuxXattr, Value: l.labels[label]})
	}
	return to
}
