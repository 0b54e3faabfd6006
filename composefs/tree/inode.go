// SPDX-License-Identifier: Apache-2.0

package tree

import "fmt"

// Ino identifies an inode of one Tree. It has nothing to do with the inode
// numbers of a composefs image.
type Ino uint32

// Root is the inode of the root directory, which every Tree has.
const Root Ino = 0

// noIno stands in a directory entry whose name was removed.
const noIno Ino = 1<<32 - 1

// Kind is the type of an inode.
type Kind uint8

// The kinds of inodes.
const (
	Directory Kind = iota
	Regular
	Symlink
	BlockDevice
	CharDevice
	FIFO
	Socket
)

// kinds gives what each kind is called and its file type bits
// (linux/include/uapi/linux/stat.h, S_IFMT).
var kinds = [...]struct {
	name string
	bits uint32
}{
	Directory:   {"directory", 0o040000},
	Regular:     {"regular file", 0o100000},
	Symlink:     {"symlink", 0o120000},
	BlockDevice: {"block device", 0o060000},
	CharDevice:  {"character device", 0o020000},
	FIFO:        {"fifo", 0o010000},
	Socket:      {"socket", 0o140000},
}

// ModeTypeMask is the part of a mode that tells the kind (S_IFMT).
const ModeTypeMask = 0o170000

// String names the kind in words.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k].name
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// ModeBits returns the file type bits of the kind.
func (k Kind) ModeBits() uint32 { return kinds[k].bits }

// KindOfMode returns the kind that the file type bits of mode tell.
func KindOfMode(mode uint32) (Kind, bool) {
	for k := range kinds {
		if kinds[k].bits == mode&ModeTypeMask {
			return Kind(k), true
		}
	}
	return 0, false
}

// Meta is what stat and listxattr say of an inode.
type Meta struct {
	// Mode has the permission bits. Other bits may be set, as a tar header can
	// hold any; the writers of images ignore them, dumps show them.
	Mode      uint32
	UID       uint32
	GID       uint32
	MtimeSec  int64  // seconds since 1970
	MtimeNsec uint32 // nanoseconds, below 1e9
	Xattrs    XattrSet
}

// Storage tells where the content of a regular file is.
type Storage uint8

// The ways in which a regular file is stored.
const (
	// Inline content is in the image itself.
	Inline Storage = iota
	// External content is in an object of its own, named by its digest, which
	// the kernel enforces.
	External
	// Unverified content is in an object named by its digest, without the
	// kernel being told to enforce it.
	Unverified
	// Sparse files have a size and no content.
	Sparse
)

// InlineMax is the largest file that composefs keeps inline, in bytes, when an
// image is made from layers or a directory.
const InlineMax = 64

// inode is 48 bytes; a million of them is what an image may have.
type inode struct {
	mtimeSec  int64
	arg       uint64 // regular file: size in bytes; device: rdev
	mode      uint32
	uid       uint32
	gid       uint32
	mtimeNsec uint32
	xattrs    XattrSet
	ref       uint32 // directory: its key; external file: its sums; inline file, symlink: its data
	nlink     uint32 // counted by Check
	kind      Kind
	storage   Storage
}
