// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bytes"
	"fmt"

	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// nameMax is the longest name that Linux opens, in bytes (linux/limits.h,
// NAME_MAX).
const nameMax = 255

// vanishing are the directories that hosts empty, and the rules of what is in
// them: /run of every image, the others of a bootable one.
var vanishing = map[string]string{"run": ruleInRun, "boot": ruleInBoot, "sysroot": ruleInSysroot}

// walk looks at every name. Those in /sysroot come last: images made by ostree
// have a second name there for each file, which nobody knows it by.
func (l *linter) walk() {
	if l.in.AsIs {
		l.inode(nil, tree.Root)
	}
	for _, inSysroot := range []bool{false, true} {
		l.dirs = append(l.dirs[:0], directory{tree.Root, ""})
		for step := range l.checked.Walk() {
			depth := step.Depth()
			l.dirs = l.dirs[:depth]
			name := step.Name()
			top := ""
			if depth > 1 {
				top = l.dirs[1].name
			}
			if l.checked.Kind(step.Ino) == tree.Directory {
				l.dirs = append(l.dirs, directory{step.Ino, string(name)})
			}
			if (top == "sysroot") == inSysroot {
				l.visit(step, top)
			}
		}
	}
}

// visit looks at a name. top is that of the directory of the root that it is in,
// "" for one of the root itself.
func (l *linter) visit(step *tree.Step, top string) {
	if rule, ok := vanishing[top]; ok && !l.in.AsIs {
		l.add(rule, "", func() string { return "/" + top }, NoLayer)
		if rule == ruleInRun {
			return // nobody will see it
		}
	}
	l.name(step)
	if l.in.Files != nil {
		l.content(step)
	}
	if l.checked.Nlink(step.Ino) > 1 {
		if l.seen[step.Ino] {
			return
		}
		l.seen[step.Ino] = true
	}
	l.inode(step, step.Ino)
}

// name looks at a name as such.
func (l *linter) name(step *tree.Step) {
	name := step.Name()
	if len(name) > nameMax {
		l.find(ruleNameLong, step.Path(), step.Ino, fmt.Sprintf("its name has %d bytes", len(name)))
	}
	if before, _, ok := bytes.Cut(name, []byte{0}); ok {
		l.find(ruleNameNUL, step.Path(), step.Ino, fmt.Sprintf("its name has a NUL byte behind %q", before))
	}
}

// content looks at what is in a file, if it is one of those that matter.
func (l *linter) content(step *tree.Step) {
	name := step.Name()
	switch {
	case WantsHead(name):
		depth := step.Depth()
		dir, above := l.dirs[depth-1], l.dirs[max(depth-2, 0)]
		l.pyc(step, above.ino, dir.name)
	case bytes.HasSuffix(name, []byte(".efi")):
		l.uki(step)
	}
}

// inode looks at an inode. The step is nil for the root.
func (l *linter) inode(step *tree.Step, ino tree.Ino) {
	m := l.checked.Meta(ino)
	path := func() string {
		if step == nil {
			return "/"
		}
		return step.Path()
	}
	find := func(rule, format string, args ...any) {
		l.find(rule, path(), ino, fmt.Sprintf(format, args...))
	}
	add := func(rule, about string) { l.add(rule, about, path, l.layer(ino)) }
	switch {
	case m.MtimeSec < 0:
		find(ruleBefore1970, "its time is %s", when(m))
	case m.MtimeSec > l.future:
		find(ruleFuture, "its time is %s", when(m))
	}
	if m.MtimeNsec > 0 {
		add(ruleFraction, "")
	}
	for _, name := range l.drops(m.Xattrs) {
		if name == transform.SELinuxXattr {
			add(ruleLabelXattr, "")
		} else {
			add(ruleXattr, name)
		}
	}
	l.kind(ino, m, find)
}

// kind looks at what is special to one kind of inode.
func (l *linter) kind(ino tree.Ino, m tree.Meta, find func(rule, format string, args ...any)) {
	const setID, sticky, othersWrite = 0o6000, 0o1000, 0o002
	kind := l.checked.Kind(ino)
	switch {
	case kind == tree.Symlink && l.checked.Size(ino) == 0:
		find(ruleEmptyLink, "its target is empty")
	case kind == tree.CharDevice && l.checked.Rdev(ino) == 0:
		find(ruleZeroDevice, "a character device 0,0")
	case kind == tree.Socket:
		find(ruleSocket, "a socket")
	case kind == tree.Regular && m.Mode&setID != 0:
		find(ruleSetID, "mode %04o, owner %d:%d", m.Mode&0o7777, m.UID, m.GID)
	}
	isOpen := kind == tree.Regular || kind == tree.Directory && m.Mode&sticky == 0
	if isOpen && m.Mode&othersWrite != 0 {
		find(ruleWritable, "a %s of mode %04o", kind, m.Mode&0o7777)
	}
}

// drops returns the names of a set that hosts drop.
func (l *linter) drops(set tree.XattrSet) []string {
	if l.in.AsIs {
		return nil
	}
	names, ok := l.dropped[set]
	if !ok {
		for _, x := range l.checked.XattrList(set) {
			if !transform.AllowlistOnly.Keeps(x.Name) {
				names = append(names, x.Name)
			}
		}
		l.dropped[set] = names
	}
	return names
}

// settle tells of what was counted.
func (l *linter) settle() {
	for _, s := range l.order {
		f := *l.sums[s]
		switch f.Rule {
		case ruleXattr:
			f.Message = fmt.Sprintf("%q is dropped of %s", s.about, files(f.Count))
		case ruleLabelXattr:
			f.Message = fmt.Sprintf("%q of %s does not count", transform.SELinuxXattr, files(f.Count))
		case ruleFraction:
			f.Message = fmt.Sprintf("%s with a fraction of a second in the time", files(f.Count))
		case ruleInRun:
			f.Message = fmt.Sprintf("hosts empty it of %s", files(f.Count))
		default:
			f.Message = fmt.Sprintf("%s are not in the bootable digest", files(f.Count))
		}
		l.to.Add(f)
	}
	if l.unread > 0 {
		l.to.skip(fmt.Sprintf("the content of %s was not to be had", files(l.unread)), func(r *Rule) bool {
			return r.ID == ruleStalePyc || r.ID == ruleUKIMalformed
		})
	}
}

func files(n int) string {
	if n == 1 {
		return "1 file or directory"
	}
	return fmt.Sprintf("%d files and directories", n)
}
