// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"fmt"

	"github.com/cfs-label/cfs-label/composefs/erofs/internal/disk"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// inode is one of an image, as it is there.
type inode struct {
	nid uint64
	at  uint64 // where it begins, in bytes

	layout uint16
	kind   tree.Kind
	meta   tree.Meta // without xattrs
	nlink  uint32
	size   uint64 // bytes
	union  uint32

	xattrs     []rawXattr
	xattrsSize uint64 // bytes of them behind the inode, their header included
	tailAt     uint64 // where what is behind the xattrs begins, in bytes
}

// fail says that the inode is wrong.
func (n *inode) fail(err error) error { return newReadError(int64(n.nid), n.at, err) }

func (r *reader) readInode(nid uint64) (inode, error) {
	n := inode{nid: nid, at: nid * disk.SlotSize}
	if nid > r.src.size/disk.SlotSize {
		return n, fmt.Errorf("%w: inode %d, in %d bytes", ErrBounds, nid, r.src.size)
	}
	size, err := r.readInodeHeader(&n)
	if err == nil {
		err = r.src.take(n.at, size+n.xattrsSize)
	}
	if err == nil {
		err = r.readXattrs(&n, n.at+size)
	}
	n.tailAt = n.at + size + n.xattrsSize
	r.inodes++
	if err != nil {
		err = n.fail(err)
	}
	return n, err
}

// readInodeHeader reads the fields and returns how many bytes they take.
func (r *reader) readInodeHeader(n *inode) (size uint64, err error) {
	b, err := r.src.bytes(n.at, disk.CompactInodeSize)
	if err != nil {
		return 0, err
	}
	var xattrCount, mode uint16
	if disk.ParseFormat(b)&disk.FormatExtended == 0 {
		i := disk.ParseCompactInode(b)
		size, n.layout, xattrCount, mode = disk.CompactInodeSize, i.Format, i.XattrCount, i.Mode
		n.size, n.union, n.nlink = uint64(i.Size), i.Union, uint32(i.Nlink)
		n.meta = tree.Meta{UID: uint32(i.UID), GID: uint32(i.GID), MtimeSec: int64(r.sb.BuildTimeSec), MtimeNsec: r.sb.BuildTimeNsec}
		if !r.compact {
			return 0, fmt.Errorf("%w: compact, which %s has none of", ErrInode, r.format)
		}
	} else {
		if b, err = r.src.bytes(n.at, disk.ExtendedInodeSize); err != nil {
			return 0, err
		}
		i := disk.ParseExtendedInode(b)
		size, n.layout, xattrCount, mode = disk.ExtendedInodeSize, i.Format&^disk.FormatExtended, i.XattrCount, i.Mode
		n.size, n.union, n.nlink = i.Size, i.Union, i.Nlink
		n.meta = tree.Meta{UID: i.UID, GID: i.GID, MtimeSec: int64(i.MtimeSec), MtimeNsec: i.MtimeNsec}
	}
	kind, ok := tree.KindOfMode(uint32(mode))
	n.kind = kind
	n.meta.Mode = uint32(mode) &^ tree.ModeTypeMask
	if xattrCount > 0 {
		n.xattrsSize = disk.XattrHeaderSize + uint64(xattrCount-1)*disk.XattrWord
	}
	switch {
	case !ok:
		return 0, fmt.Errorf("%w: mode %o", ErrInode, mode)
	case n.layout != disk.FlatPlain && n.layout != disk.FlatInline && n.layout != disk.ChunkBased:
		return 0, fmt.Errorf("%w: layout %d", ErrInode, n.layout>>1)
	case n.layout == disk.ChunkBased && kind != tree.Regular:
		return 0, fmt.Errorf("%w: a %s in chunks", ErrInode, kind)
	case n.meta.MtimeNsec >= 1e9:
		return 0, fmt.Errorf("%w: %w", ErrInode, tree.ErrMtime)
	case n.meta.MtimeNsec != 0 && !r.nanoseconds:
		return 0, fmt.Errorf("%w: fractions of seconds, which %s has none of", ErrInode, r.format)
	case n.nlink == 0:
		return 0, fmt.Errorf("%w: no names", ErrInode)
	}
	return size, nil
}

// extentsOf returns how much of the content is in blocks, and behind the
// inode.
func (r *reader) extentsOf(n *inode) (inBlocks, tail uint64) {
	switch {
	case n.layout == disk.FlatPlain:
		return n.size, 0
	case !r.blockContent && n.kind != tree.Directory:
		return 0, n.size
	}
	inBlocks = n.size &^ (disk.BlockSize - 1)
	return inBlocks, n.size - inBlocks
}

// content returns what the image holds of the inode: a file's content, a
// symlink's target, the entries of a directory. The caller may keep it.
func (r *reader) content(n *inode) ([]byte, error) {
	inBlocks, tail := r.extentsOf(n)
	at := uint64(n.union) * disk.BlockSize
	blocks := (inBlocks + disk.BlockSize - 1) &^ (disk.BlockSize - 1)
	if blocks < inBlocks {
		return nil, fmt.Errorf("%w: %d bytes", ErrBounds, n.size)
	}
	if err := r.src.take(at, blocks); err != nil {
		return nil, err
	}
	if err := r.src.take(n.tailAt, tail); err != nil {
		return nil, err
	}
	out := make([]byte, 0, inBlocks+tail) // take knows that there are so many
	for _, piece := range []extent{{at, at + inBlocks}, {n.tailAt, n.tailAt + tail}} {
		b, err := r.src.bytes(piece.start, piece.end-piece.start)
		if piece.start == piece.end {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

// symlinkMax is the longest target, in bytes, of which V0 and V1 hold all: one
// that is not behind its inode has one block.
const symlinkMax = disk.BlockSize

// add adds the inode, which is no directory, with these attributes to the tree.
func (r *reader) add(n *inode, attrs *attributes) (tree.Ino, error) {
	m := n.meta
	m.Xattrs = r.t.Xattrs(attrs.list...)
	if n.kind != tree.Regular && attrs.isObject() {
		return 0, fmt.Errorf("%w: a %s with the object of a file", ErrXattr, n.kind)
	}
	switch n.kind {
	case tree.Regular:
		return r.addRegular(n, m, attrs)
	case tree.Symlink:
		if r.blockContent && n.size > symlinkMax {
			return 0, fmt.Errorf("%w: a target of %d bytes", ErrInode, n.size)
		}
		target, err := r.content(n)
		if err != nil {
			return 0, err
		}
		return r.t.NewSymlink(m, target), r.keep(len(target))
	case tree.BlockDevice, tree.CharDevice, tree.FIFO, tree.Socket, tree.Directory:
	}
	if n.size != 0 || n.layout != disk.FlatPlain {
		return 0, fmt.Errorf("%w: a %s with content", ErrInode, n.kind)
	}
	rdev := uint64(0)
	if n.kind == tree.BlockDevice || n.kind == tree.CharDevice {
		rdev = uint64(n.union)
	}
	return r.t.NewSpecial(n.kind, m, rdev), nil
}

func (r *reader) addRegular(n *inode, m tree.Meta, attrs *attributes) (tree.Ino, error) {
	if (n.layout == disk.ChunkBased) != attrs.isObject() {
		return 0, fmt.Errorf("%w: content in chunks goes with %s", ErrInode, metacopyName)
	}
	if !attrs.isObject() {
		data, err := r.content(n)
		if err != nil {
			return 0, err
		}
		return r.t.NewInline(m, data), r.keep(len(data))
	}
	storage := attrs.storage()
	if err := r.checkChunks(n, storage); err != nil {
		return 0, err
	}
	switch storage {
	case tree.External:
		return r.t.NewExternal(m, n.size, attrs.sum), nil
	case tree.Unverified:
		return r.t.NewUnverified(m, n.size, attrs.sum), nil
	case tree.Inline, tree.Sparse:
	}
	return r.t.NewSparse(m, n.size), nil
}

// checkChunks: none of the file's content is in the image. Indexes in a block
// of their own cannot be found: half of the block's number is lost.
func (r *reader) checkChunks(n *inode, storage tree.Storage) error {
	blocks, tail := r.chunkIndexes(n.size, n.xattrsSize, storage)
	format := n.union
	if blocks > 0 {
		format &= 0xffff
	}
	if format != r.chunkFormat(n.size) {
		return fmt.Errorf("%w: chunks of format %#x", ErrInode, n.union)
	}
	if err := r.src.take(n.tailAt, tail); err != nil {
		return err
	}
	b, err := r.src.bytes(n.tailAt, tail)
	if err != nil {
		return err
	}
	for _, c := range b {
		if c != 0xff { // NullChunk
			return fmt.Errorf("%w: content in the image, in chunks", ErrInode)
		}
	}
	return nil
}
