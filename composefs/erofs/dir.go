// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"bytes"

	"github.com/cfs-label/cfs-label/composefs/erofs/internal/disk"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// dirent is an entry of a directory of the image.
type dirent struct {
	name []byte
	node node
	dot  bool // the directory itself or its parent
}

var (
	dotName    = []byte(".")
	dotDotName = []byte("..")
)

// entriesOf returns the directory's entries as bytes sort, valid until the
// next call.
func (im *image) entriesOf(dir, parent node) []dirent {
	added := []dirent{{dotName, dir, true}, {dotDotName, parent, true}}
	if dir == node(tree.Root) {
		for i, name := range im.stubs.names {
			added = append(added, dirent{name, im.stubs.first + node(i), false})
		}
	}
	out := im.dirents[:0]
	for name, ino := range im.c.Entries(tree.Ino(dir)) {
		for len(added) > 0 && bytes.Compare(added[0].name, name) < 0 {
			out = append(out, added[0])
			added = added[1:]
		}
		out = append(out, dirent{name, node(ino), false})
	}
	out = append(out, added...)
	im.dirents = out
	return out
}

// dirPlan says how the entries of a directory fall into blocks.
type dirPlan struct {
	blocks  uint64 // whole blocks
	tail    uint64 // bytes behind the inode
	subdirs uint32 // entries that are directories, the two dots among them
}

// takeBlock returns how many of the entries fit into one block, and their size
// in bytes.
func takeBlock(entries []dirent) (n int, size uint64) {
	for _, e := range entries {
		s := uint64(disk.DirentSize + len(e.name))
		if size+s > disk.BlockSize {
			break
		}
		size += s
		n++
	}
	return n, size
}

// inlineMax is the most that stands behind a directory's inode, in bytes.
const inlineMax = disk.BlockSize / 2

func (im *image) planDir(entries []dirent) dirPlan {
	var p dirPlan
	for _, e := range entries {
		if e.dot || im.kindOf(e.node) == tree.Directory {
			p.subdirs++
		}
	}
	for len(entries) > 0 {
		n, size := takeBlock(entries)
		entries = entries[n:]
		if len(entries) == 0 && size <= inlineMax {
			p.tail = size
		} else {
			p.blocks++
		}
	}
	return p
}

// appendDirBlock appends the entries of one block, which is not padded.
func (im *image) appendDirBlock(b []byte, entries []dirent) []byte {
	nameOffset := len(entries) * disk.DirentSize
	for _, e := range entries {
		b = disk.Dirent{
			NID:        uint64(im.nids[e.node]),
			NameOffset: uint16(nameOffset), // takeBlock keeps it below BlockSize
			FileType:   direntTypes[im.writtenKind(e.node)],
		}.AppendTo(b)
		nameOffset += len(e.name)
	}
	for _, e := range entries {
		b = append(b, e.name...)
	}
	return b
}

// appendDirTail appends what stands behind the inode.
func (im *image) appendDirTail(b []byte, s *shape) []byte {
	entries := im.entriesOf(s.node, s.parent)
	for range s.blocks {
		n, _ := takeBlock(entries)
		entries = entries[n:]
	}
	return im.appendDirBlock(b, entries)
}

func (im *image) writeDirBlocks(o *output, s *shape) {
	entries := im.entriesOf(s.node, s.parent)
	for range s.blocks {
		n, _ := takeBlock(entries)
		o.wrote(im.appendDirBlock(o.scratch(), entries[:n]))
		o.pad(disk.BlockSize)
		entries = entries[n:]
	}
}
