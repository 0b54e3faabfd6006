// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/cfs-label/cfs-label/composefs/erofs/internal/disk"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Options say what to write.
type Options struct {
	Format Format
	// Algorithm is that of the digests in the image; the tree must have it.
	Algorithm fsverity.Algorithm
}

// ErrTooLarge is returned for a tree whose image would be larger than the
// format can address: 16 TiB in blocks, 128 GiB of inodes.
var ErrTooLarge = errors.New("erofs: the image is too large for its format")

// Write writes the image of the tree to w in one go. It returns ErrTooLarge or
// the writer's error.
func Write(w io.Writer, c *tree.Checked, opts Options) error {
	im := newImage(c, opts)

	// The first pass places everything. What it places does not depend on
	// where other things are, so the second comes out the same.
	var first output
	im.write(&first)
	if im.tooLarge || first.pos/disk.BlockSize > math.MaxUint32 {
		return ErrTooLarge
	}
	im.end = first.pos

	second := output{w: w}
	im.write(&second)
	second.flush()
	if second.err == nil && second.pos != im.end {
		panic(fmt.Sprintf("erofs: internal error: the passes differ: %d and %d bytes", im.end, second.pos))
	}
	return second.err
}

// Digest returns the composefs digest of the tree: the fs-verity digest, under
// the same algorithm, of the image that Write would write.
func Digest(c *tree.Checked, opts Options) (fsverity.Digest, error) {
	h := fsverity.New(opts.Algorithm)
	if err := Write(h, c, opts); err != nil {
		return fsverity.Digest{}, err
	}
	return h.Digest(), nil
}

// mtime is a point in time as an image stores it.
type mtime struct {
	sec  uint64
	nsec uint32
}

func (m mtime) before(n mtime) bool {
	return m.sec < n.sec || m.sec == n.sec && m.nsec < n.nsec
}

// ref is a node and, for a directory, its parent.
type ref struct{ node, parent node }

// image is an image under construction.
type image struct {
	*profile
	c   *tree.Checked
	alg fsverity.Algorithm

	stubs        stubs
	order        []node // the image's inodes
	dirParents   []node // of the directories in order, their parents
	whiteoutDirs map[node]bool
	xattrs       *xattrTable
	earliest     mtime

	// Known after the first pass.
	nids      []uint32 // where each node is, in slots
	hasBlocks []ref    // the nodes that have blocks of their own, in order
	inodesEnd uint64   // bytes
	sharedAt  []uint64 // where the shared xattrs are, in bytes
	dataStart uint64   // where the blocks begin, in bytes
	end       uint64   // bytes
	tooLarge  bool

	// Scratch space.
	items   []item
	dirents []dirent
}

func newImage(c *tree.Checked, opts Options) *image {
	p := opts.Format.profile()
	im := &image{profile: &p, c: c, alg: opts.Algorithm}
	if p.stubs {
		im.stubs = newStubs(c)
	}
	if p.breadthFirst {
		im.collectBreadthFirst()
	} else {
		im.collectDepthFirst()
	}
	im.nids = make([]uint32, c.Inodes()+len(im.stubs.names))
	im.xattrs = newXattrTable(im)
	im.earliest = im.findEarliest()
	return im
}

func (im *image) findEarliest() mtime {
	earliest := mtime{math.MaxUint64, math.MaxUint32}
	for _, n := range im.order {
		if m := im.mtimeOf(n); m.before(earliest) {
			earliest = m
		}
	}
	return earliest
}

// write is the table of contents of an image. It runs once to count, once to
// write.
func (im *image) write(o *output) {
	im.writeHeader(o)
	im.writeInodes(o)
	im.writeSharedXattrs(o)
	im.writeBlocks(o)
}

func (im *image) writeHeader(o *output) {
	flags := uint32(0)
	if im.aclFlag && im.xattrs.hasACL {
		flags = disk.HeaderHasACL
	}
	h := disk.Header{
		Magic:            disk.HeaderMagic,
		Version:          disk.HeaderVersion,
		Flags:            flags,
		ComposefsVersion: im.version,
	}
	o.wrote(h.AppendTo(o.scratch()))
	o.pad(disk.SuperblockOffset)
	s := disk.Superblock{
		Magic:         disk.SuperblockMagic,
		FeatureCompat: disk.CompatMtime | disk.CompatXattrFilter,
		BlockBits:     disk.BlockBits,
		RootNID:       uint16(im.nids[im.order[0]]), // the first inode is in one of the first two blocks
		Inodes:        uint64(len(im.order)),
		Blocks:        uint32(im.end / disk.BlockSize),
	}
	if im.compact {
		s.BuildTimeSec, s.BuildTimeNsec = im.earliest.sec, im.earliest.nsec
	}
	if im.xattrBlock {
		s.XattrBlock = uint32(im.inodesEnd / disk.BlockSize)
	}
	o.wrote(s.AppendTo(o.scratch()))
}

func (im *image) writeInodes(o *output) {
	blocks := im.dataStart / disk.BlockSize // where the next inode's blocks are
	dirs := 0
	for i, n := range im.order {
		var parent node
		if im.kindOf(n) == tree.Directory {
			parent = im.dirParents[dirs]
			dirs++
		}
		s := im.shapeOf(n, parent)
		im.writeInode(o, &s, uint32(i), uint32(blocks))
		blocks += s.blocks
		if o.counting() && s.blocks > 0 {
			im.hasBlocks = append(im.hasBlocks, ref{n, parent})
		}
	}
	if o.counting() {
		im.inodesEnd = o.pos
	}
}

func (im *image) writeSharedXattrs(o *output) {
	for _, it := range im.xattrs.shared {
		if o.counting() {
			im.sharedAt = append(im.sharedAt, o.pos)
			o.skip(im.xattrs.size(it))
			continue
		}
		o.wrote(im.xattrs.append(o.scratch(), it))
		o.pad(disk.XattrWord)
	}
	o.pad(disk.BlockSize)
	if o.counting() {
		im.dataStart = o.pos
	}
}

func (im *image) writeBlocks(o *output) {
	for _, r := range im.hasBlocks {
		s := im.shapeOf(r.node, r.parent)
		if o.counting() {
			o.skip(s.blocks * disk.BlockSize)
		} else {
			im.writeOwnBlocks(o, &s)
		}
	}
}
