// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"fmt"

	"github.com/cfs-label/cfs-label/composefs/erofs/internal/disk"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// node is an inode of the image: one of the tree or, numbered behind those,
// one of the stubs.
type node uint32

const selinuxXattr = "security.selinux"

// stubs are overlayfs whiteouts in the root directory that the tree does not
// have (see profile.stubs).
type stubs struct {
	first node // the others follow
	names [][]byte
	meta  tree.Meta // of each; its Xattrs are not used
	label []tree.Xattr

	// likes are whiteouts of the tree that cannot be told from stubs. The
	// reference does not tell them apart either, and leaves them as they are.
	likes map[node]bool
}

func newStubs(c *tree.Checked) stubs {
	root := c.Meta(tree.Root)
	s := stubs{
		first: node(c.Inodes()),
		meta:  tree.Meta{Mode: 0o644, UID: root.UID, GID: root.GID, MtimeSec: root.MtimeSec, MtimeNsec: root.MtimeNsec},
	}
	for _, x := range c.XattrList(root.Xattrs) {
		if x.Name == selinuxXattr {
			s.label = []tree.Xattr{x}
		}
	}
	for i := range 256 {
		name := fmt.Appendf(nil, "%02x", i)
		ino, ok := c.Lookup(tree.Root, name)
		if !ok {
			s.names = append(s.names, name)
		} else if s.matches(c, ino) {
			s.likes = setAdd(s.likes, node(ino))
		}
	}
	return s
}

// matches reports whether the inode, in the root under the name of a stub, has
// the metadata of one.
func (s *stubs) matches(c *tree.Checked, ino tree.Ino) bool {
	m := c.Meta(ino)
	xattrs := c.XattrList(m.Xattrs)
	m.Xattrs = 0
	if m != s.meta || len(xattrs) != len(s.label) {
		return false
	}
	return len(xattrs) == 0 || xattrs[0] == s.label[0]
}

// isStub reports whether n is a stub.
func (im *image) isStub(n node) bool { return int(n) >= im.c.Inodes() }

func (im *image) kindOf(n node) tree.Kind {
	if im.isStub(n) {
		return tree.CharDevice
	}
	return im.c.Kind(tree.Ino(n))
}

func (im *image) nlinkOf(n node) uint32 {
	if im.isStub(n) {
		return 1
	}
	return im.c.Nlink(tree.Ino(n))
}

func (im *image) metaOf(n node) tree.Meta {
	if im.isStub(n) {
		return im.stubs.meta
	}
	return im.c.Meta(tree.Ino(n))
}

func (im *image) mtimeOf(n node) mtime {
	m := im.metaOf(n)
	return mtime{uint64(m.MtimeSec), m.MtimeNsec}
}

// isEscaped reports whether n is an overlayfs whiteout of the tree, which is
// user data, and must not act as one.
func (im *image) isEscaped(n node) bool {
	if im.isStub(n) || !im.escapeWhiteouts || im.stubs.likes[n] {
		return false
	}
	return im.c.Kind(tree.Ino(n)) == tree.CharDevice && im.c.Rdev(tree.Ino(n)) == 0
}

// writtenKind is the kind that the image gives n.
func (im *image) writtenKind(n node) tree.Kind {
	if im.isEscaped(n) {
		return tree.Regular
	}
	return im.kindOf(n)
}

var direntTypes = [...]uint8{
	tree.Directory:   disk.TypeDirectory,
	tree.Regular:     disk.TypeRegular,
	tree.Symlink:     disk.TypeSymlink,
	tree.BlockDevice: disk.TypeBlockDevice,
	tree.CharDevice:  disk.TypeCharDevice,
	tree.FIFO:        disk.TypeFIFO,
	tree.Socket:      disk.TypeSocket,
}
