// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/cfs-label/cfs-label/composefs/erofs/internal/disk"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// shape is how much room an inode takes, and in what form.
type shape struct {
	node   node
	parent node // of a directory

	layout  uint16
	compact bool
	nlink   uint32
	size    uint64 // i_size, in bytes
	xattrs  uint64 // bytes of the xattrs, their header included
	tail    uint64 // bytes behind the xattrs
	blocks  uint64 // blocks of its own
}

func (s *shape) headerSize() uint64 {
	if s.compact {
		return disk.CompactInodeSize
	}
	return disk.ExtendedInodeSize
}

func (im *image) shapeOf(n, parent node) shape {
	s := shape{node: n, parent: parent, nlink: im.nlinkOf(n), xattrs: im.xattrs.bodySize(n)}
	switch im.kindOf(n) {
	case tree.Directory:
		p := im.planDir(im.entriesOf(n, parent))
		s.nlink = p.subdirs
		s.blocks, s.tail = p.blocks, p.tail
		s.size = p.blocks*disk.BlockSize + p.tail
		s.layout = flatLayout(s.tail)
	case tree.Regular:
		s.size = im.c.Size(tree.Ino(n))
		if im.c.Storage(tree.Ino(n)) == tree.Inline {
			im.shapeInline(&s)
		} else {
			im.shapeChunks(&s)
		}
	case tree.Symlink:
		s.size = im.c.Size(tree.Ino(n))
	case tree.BlockDevice, tree.CharDevice, tree.FIFO, tree.Socket:
		s.layout = disk.FlatPlain
	}
	s.compact = im.compact && im.fitsCompact(&s)
	if im.kindOf(n) == tree.Symlink {
		im.shapeSymlink(&s)
	}
	return s
}

func flatLayout(tail uint64) uint16 {
	if tail > 0 {
		return disk.FlatInline
	}
	return disk.FlatPlain
}

func (im *image) fitsCompact(s *shape) bool {
	m := im.metaOf(s.node)
	return im.mtimeOf(s.node) == im.earliest &&
		s.nlink <= math.MaxUint16 && m.UID <= math.MaxUint16 && m.GID <= math.MaxUint16 &&
		s.size <= math.MaxUint32
}

// shapeInline: whole blocks go to blocks, and so does a rest of more than half
// a block.
func (im *image) shapeInline(s *shape) {
	s.tail = s.size
	if im.blockContent {
		s.blocks, s.tail = s.size/disk.BlockSize, s.size%disk.BlockSize
		if s.tail > disk.BlockSize/2 {
			s.blocks, s.tail = s.blocks+1, 0
		}
	}
	s.layout = flatLayout(s.tail)
}

// shapeChunks: behind the inode stands an index for each chunk. Where they
// might reach past a block, a block of its own holds as many as fit.
func (im *image) shapeChunks(s *shape) {
	s.layout = disk.ChunkBased
	s.blocks, s.tail = im.chunkIndexes(s.size, s.xattrs, im.c.Storage(tree.Ino(s.node)))
}

// chunkIndexes returns where the indexes of a file of size bytes are, behind
// so many bytes of xattrs: in one block or none, or in the tail, in bytes.
func (p *profile) chunkIndexes(size, xattrs uint64, storage tree.Storage) (blocks, tail uint64) {
	if !p.sizedChunks {
		if storage == tree.External {
			tail = disk.ChunkIndexSize
		}
		return 0, tail
	}
	if size == 0 {
		return 0, 0
	}
	chunk := uint64(1) << chunkBits(size)
	tail = uint64(uint32((size-1)/chunk+1)) * disk.ChunkIndexSize
	if tail+xattrs%disk.SlotSize > disk.BlockSize {
		return 1, 0
	}
	return 0, tail
}

// chunkFormat returns what i_u says of the chunks, besides a block.
func (p *profile) chunkFormat(size uint64) uint32 {
	if p.sizedChunks {
		return uint32(chunkBits(size) - disk.BlockBits)
	}
	return disk.ChunkBitsMask
}

// chunkBits returns the base-2 logarithm of the chunk size: the file in one
// chunk, if there are chunks that large.
func chunkBits(size uint64) int {
	b := 1
	if size > 1 {
		b = bits.Len64(size - 1)
	}
	return min(max(b, disk.BlockBits), disk.BlockBits+disk.ChunkBitsMask)
}

// shapeSymlink: a target that fills a block together with its inode goes to a
// block of its own, which it then has alone.
func (im *image) shapeSymlink(s *shape) {
	s.tail = s.size
	s.layout = disk.FlatInline
	if im.blockContent && s.size > 0 && s.headerSize()+s.xattrs+s.size >= disk.BlockSize {
		s.blocks, s.tail = 1, 0
		s.layout = disk.FlatPlain
	}
}

// padInode writes the zeros that keep the inode's tail from crossing a block
// boundary.
func (im *image) padInode(o *output, s *shape) {
	o.pad(disk.SlotSize)
	if !im.tightTails {
		if s.layout == disk.FlatInline {
			padLooseTail(o, s)
		}
		return
	}
	fixed := s.headerSize() + s.xattrs
	switch {
	case im.kindOf(s.node) == tree.Symlink:
		// The whole inode moves. Linux before 6.12 refuses a fast symlink that
		// crosses a block (fs/erofs/inode.c, erofs_fill_symlink). One that moved
		// to a block of its own is padded as if it had not.
		if o.pos%disk.BlockSize+fixed+s.size > disk.BlockSize {
			o.pad(disk.BlockSize)
		}
	case s.layout == disk.ChunkBased && s.blocks > 0:
		o.pad(disk.BlockSize)
	case s.layout == disk.FlatInline || s.layout == disk.ChunkBased:
		room := (disk.BlockSize - (o.pos+fixed)%disk.BlockSize) % disk.BlockSize
		if room > 0 && room < s.tail {
			o.zeros((room + disk.SlotSize - 1) / disk.SlotSize * disk.SlotSize)
		}
	}
}

func padLooseTail(o *output, s *shape) {
	last := o.pos + s.headerSize() + s.xattrs - 1 // of the fixed part
	end := last + 1 + s.size%disk.BlockSize
	if last/disk.BlockSize != end/disk.BlockSize {
		o.zeros(disk.BlockSize - last%disk.BlockSize)
		o.pad(disk.SlotSize)
	}
}

func (im *image) writeInode(o *output, s *shape, index, block uint32) {
	im.padInode(o, s)
	slot := o.pos / disk.SlotSize
	if o.counting() {
		im.tooLarge = im.tooLarge || slot > math.MaxUint32
		im.nids[s.node] = uint32(slot)
		o.skip(s.headerSize() + s.xattrs + s.tail)
		o.pad(disk.SlotSize)
		return
	}
	if uint64(im.nids[s.node]) != slot {
		panic("erofs: internal error: an inode is not where the first pass placed it")
	}
	ino := uint32(slot)
	if im.sequentialIno {
		ino = index
	}
	b := im.appendInodeHeader(o.scratch(), s, ino, block)
	b = im.xattrs.appendBody(b, s.node)
	b = im.appendTail(b, s)
	o.wrote(b)
	o.pad(disk.SlotSize)
}

func (im *image) appendInodeHeader(b []byte, s *shape, ino, block uint32) []byte {
	m := im.metaOf(s.node)
	mode := uint16(im.writtenKind(s.node).ModeBits() | m.Mode&^tree.ModeTypeMask)
	xattrCount := uint16(0)
	if s.xattrs > 0 {
		xattrCount = uint16(1 + (s.xattrs-disk.XattrHeaderSize)/disk.XattrWord)
	}
	if s.compact {
		i := disk.CompactInode{
			Format:     s.layout,
			XattrCount: xattrCount,
			Mode:       mode,
			Nlink:      uint16(s.nlink),
			Size:       uint32(s.size),
			Union:      im.union(s, block),
			Ino:        ino,
			UID:        uint16(m.UID),
			GID:        uint16(m.GID),
		}
		return i.AppendTo(b)
	}
	i := disk.ExtendedInode{
		Format:     s.layout | disk.FormatExtended,
		XattrCount: xattrCount,
		Mode:       mode,
		Size:       s.size,
		Union:      im.union(s, block),
		Ino:        ino,
		UID:        m.UID,
		GID:        m.GID,
		MtimeSec:   uint64(m.MtimeSec),
		Nlink:      s.nlink,
	}
	if im.nanoseconds {
		i.MtimeNsec = m.MtimeNsec
	}
	return i.AppendTo(b)
}

// union returns i_u, whose meaning depends on kind and layout.
func (im *image) union(s *shape, block uint32) uint32 {
	switch im.kindOf(s.node) {
	case tree.BlockDevice, tree.CharDevice:
		if im.isStub(s.node) {
			return 0
		}
		return uint32(im.c.Rdev(tree.Ino(s.node))) // Check keeps it within 32 bits
	case tree.Directory, tree.Regular, tree.Symlink, tree.FIFO, tree.Socket:
	}
	if s.layout != disk.ChunkBased {
		if s.blocks > 0 {
			return block
		}
		return 0
	}
	format := im.chunkFormat(s.size)
	if s.blocks > 0 {
		return block&0xffff0000 | format
	}
	return format
}

// appendTail appends what stands behind the inode's xattrs.
func (im *image) appendTail(b []byte, s *shape) []byte {
	switch {
	case s.tail == 0:
		return b
	case im.kindOf(s.node) == tree.Directory:
		return im.appendDirTail(b, s)
	case s.layout == disk.ChunkBased:
		return appendNullChunks(b, s.tail/disk.ChunkIndexSize)
	}
	data := im.c.Data(tree.Ino(s.node))
	return append(b, data[uint64(len(data))-s.tail:]...)
}

func appendNullChunks(b []byte, n uint64) []byte {
	for range n {
		b = binary.LittleEndian.AppendUint32(b, disk.NullChunk)
	}
	return b
}

// writeOwnBlocks writes the blocks that the inode has of its own.
func (im *image) writeOwnBlocks(o *output, s *shape) {
	switch {
	case im.kindOf(s.node) == tree.Directory:
		im.writeDirBlocks(o, s)
		return
	case s.layout == disk.ChunkBased:
		o.wrote(appendNullChunks(o.scratch(), disk.BlockSize/disk.ChunkIndexSize))
	default:
		data := im.c.Data(tree.Ino(s.node))
		n := min(uint64(len(data)), s.blocks*disk.BlockSize)
		o.wrote(append(o.scratch(), data[:n]...))
	}
	o.pad(disk.BlockSize)
}
