// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cfs-label/cfs-label/composefs/erofs/internal/disk"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// readDir reads what the directory holds, and then sets its xattrs, which are
// known only when it is known whether there are whiteouts in it.
func (r *reader) readDir(dir *pending) error {
	data, err := r.content(&dir.inode)
	if err != nil {
		return dir.fail(err)
	}
	d := dirReader{r: r, dir: dir, marks: r.dirMarks()}
	d.marked = r.escapeWhiteouts && dir.has(d.marks)
	for len(data) > 0 {
		block := data[:min(len(data), disk.BlockSize)]
		data = data[len(block):]
		if err := d.block(block); err != nil {
			return dir.fail(err)
		}
	}
	if d.dots < 2 {
		return dir.fail(fmt.Errorf("%w: %q or %q is missing", ErrDirectory, dotName, dotDotName))
	}
	if d.subdirs != dir.nlink {
		return dir.fail(fmt.Errorf("%w: %d directories in it, not %d", ErrDirectory, d.subdirs, dir.nlink))
	}
	return d.setMeta()
}

// dirMarks are the xattrs of a directory that has escaped whiteouts.
func (r *reader) dirMarks() []tree.Xattr {
	if r.opaqueWhiteoutDirs {
		return slices.Concat(whiteoutDirXattrs, opaqueDirXattrs)
	}
	return whiteoutDirXattrs
}

// dirReader reads one directory.
type dirReader struct {
	r   *reader
	dir *pending

	marks  []tree.Xattr
	marked bool // the directory has the marks: it may have escaped whiteouts

	last      []byte // name
	dots      int    // . and .., as far as they were met
	subdirs   uint32 // with both
	whiteouts bool   // there was an escaped one
}

// setMeta gives the directory what it has but for what the format added.
func (d *dirReader) setMeta() error {
	var added []tree.Xattr
	if d.whiteouts {
		added = slices.Clone(d.marks)
	}
	if d.r.opaqueRoot && d.dir.ino == tree.Root {
		added = append(added, tree.Xattr{Name: opaqueName, Value: "y"})
	}
	attrs, err := d.r.attributesOf(&d.dir.inode, added)
	if err == nil && attrs.isObject() {
		err = fmt.Errorf("%w: a directory with the object of a file", ErrXattr)
	}
	if err != nil {
		return d.dir.fail(err)
	}
	m := d.dir.meta
	m.Xattrs = d.r.t.Xattrs(attrs.list...)
	d.r.t.SetMeta(d.dir.ino, m)
	return nil
}

// block reads the entries of one block. Its names stand behind all of its
// entries, the first of which so tells how many there are.
func (d *dirReader) block(b []byte) error {
	if len(b) < disk.DirentSize {
		return fmt.Errorf("%w: %d bytes", ErrDirectory, len(b))
	}
	first := int(disk.ParseDirent(b).NameOffset)
	if first == 0 || first%disk.DirentSize != 0 || first > len(b) {
		return fmt.Errorf("%w: names at %d of %d bytes", ErrDirectory, first, len(b))
	}
	at := first
	for i := 0; i < first; i += disk.DirentSize {
		e := disk.ParseDirent(b[i:])
		end := len(b)
		if next := i + disk.DirentSize; next < first {
			end = int(disk.ParseDirent(b[next:]).NameOffset)
		} else if zero := bytes.IndexByte(b[at:], 0); zero >= 0 && len(b) == disk.BlockSize {
			end = at + zero // the rest is padding
		}
		if int(e.NameOffset) != at || end <= at || end > len(b) {
			return fmt.Errorf("%w: a name at %d to %d of %d bytes", ErrDirectory, e.NameOffset, end, len(b))
		}
		if err := d.entry(e, b[at:end]); err != nil {
			return err
		}
		at = end
	}
	return nil
}

func (d *dirReader) entry(e disk.Dirent, name []byte) error {
	if bytes.Compare(name, d.last) <= 0 {
		return fmt.Errorf("%w: %.300q after %.300q", ErrDirectory, name, d.last)
	}
	d.last = append(d.last[:0], name...)
	switch {
	case bytes.Equal(name, dotName):
		return d.dot(e, name, d.dir.nid)
	case bytes.Equal(name, dotDotName):
		return d.dot(e, name, d.dir.parent)
	case len(name) > tree.NameMax || bytes.IndexByte(name, 0) >= 0 || bytes.IndexByte(name, '/') >= 0:
		return fmt.Errorf("%w: %.300q: %w", ErrDirectory, name, tree.ErrName)
	}
	if d.r.left.entries--; d.r.left.entries < 0 {
		return fmt.Errorf("%w: too many entries", ErrLimit)
	}
	if err := d.r.keep(len(name)); err != nil {
		return err
	}
	ino, kind, err := d.child(e.NID, name)
	if err != nil {
		return err
	}
	if e.FileType != direntTypes[kind] {
		return fmt.Errorf("%w: %.300q is of type %d, its inode is a %s", ErrDirectory, name, e.FileType, kind)
	}
	if kind == tree.Directory {
		d.subdirs++
	}
	if ino != noInode {
		d.r.t.Link(d.dir.ino, name, ino)
	}
	return nil
}

func (d *dirReader) dot(e disk.Dirent, name []byte, nid uint64) error {
	if e.NID != nid || e.FileType != disk.TypeDirectory {
		return fmt.Errorf("%w: %q is inode %d, want %d", ErrDirectory, name, e.NID, nid)
	}
	d.dots++
	d.subdirs++
	return nil
}

// noInode is that of an entry which the tree does not have.
const noInode = tree.Ino(1<<32 - 1)

// child returns the inode of an entry and its kind in the image. Its names in
// messages are the directory's for what is about the entry, and its own.
func (d *dirReader) child(nid uint64, name []byte) (tree.Ino, tree.Kind, error) {
	if l, ok := d.r.links[nid]; ok {
		if l.missing == 0 {
			return 0, l.kind, fmt.Errorf("%w: %.300q: inode %d has more names than it says", ErrInode, name, nid)
		}
		l.missing--
		return l.ino, l.kind, nil
	}
	n, err := d.r.readInode(nid)
	if err != nil {
		return 0, n.kind, err
	}
	if n.kind == tree.Directory {
		ino := d.r.t.NewDirectory(n.meta)
		d.r.dirs = append(d.r.dirs, pending{n, ino, d.dir.nid})
		return ino, n.kind, nil
	}
	ino, err := d.leaf(&n, name)
	if err != nil {
		return 0, n.kind, n.fail(err)
	}
	if n.nlink > 1 && ino != noInode {
		d.r.links[nid] = &linked{ino: ino, kind: n.kind, at: n.at, missing: n.nlink - 1}
	}
	return ino, n.kind, nil
}

// leaf adds what is no directory to the tree. A stub is none of the tree's.
func (d *dirReader) leaf(n *inode, name []byte) (tree.Ino, error) {
	if d.r.escapeWhiteouts && n.kind == tree.CharDevice && n.union == 0 {
		if d.isStubName(name) && n.nlink == 1 && n.size == 0 && d.r.stub.is(n.meta, n.plain()) {
			return noInode, nil
		}
		return 0, ErrWhiteout
	}
	if !d.isEscaped(n, name) {
		attrs, err := d.r.attributesOf(n, nil)
		if err != nil {
			return 0, err
		}
		return d.r.add(n, &attrs)
	}
	attrs, err := d.r.attributesOf(n, whiteoutFileXattrs)
	if err != nil {
		return 0, err
	}
	d.whiteouts = true
	whiteout := *n
	whiteout.kind, whiteout.layout, whiteout.union = tree.CharDevice, disk.FlatPlain, 0
	return d.r.add(&whiteout, &attrs)
}

// isEscaped reports whether the file stands for a whiteout of the tree. One
// that the writer would not have escaped is the file it looks like.
func (d *dirReader) isEscaped(n *inode, name []byte) bool {
	if !d.marked || n.kind != tree.Regular || n.nlink != 1 || n.size != 0 ||
		n.layout == disk.ChunkBased || !n.has(whiteoutFileXattrs) {
		return false
	}
	if !d.isStubName(name) {
		return true
	}
	rest := n.plain()
	for _, x := range whiteoutFileXattrs {
		at := slices.Index(rest, x)
		rest = slices.Delete(rest, at, at+1)
	}
	return !d.r.stub.is(n.meta, rest)
}

// isStubName reports whether the entry has the name of a stub, in the root.
func (d *dirReader) isStubName(name []byte) bool {
	return d.r.stubs && d.dir.ino == tree.Root && len(name) == 2 &&
		len(bytes.Trim(name, "0123456789abcdef")) == 0
}

// stub is what all stubs are like.
type stub struct {
	meta  tree.Meta
	label []tree.Xattr
}

// setStub learns from the root what the stubs are like (see newStubs).
func (r *reader) setStub(root *inode) {
	m := root.meta
	m.Mode = 0o644
	r.stub = stub{meta: m}
	for _, x := range root.plain() {
		if x.Name == selinuxXattr {
			r.stub.label = []tree.Xattr{x}
		}
	}
}

// is reports whether that is what a stub has.
func (s *stub) is(m tree.Meta, xattrs []tree.Xattr) bool {
	return m == s.meta && slices.Equal(xattrs, s.label)
}

// plain returns the xattrs as the image has them.
func (n *inode) plain() []tree.Xattr {
	var list []tree.Xattr
	for _, x := range n.xattrs {
		list = append(list, x.Xattr)
	}
	return list
}
