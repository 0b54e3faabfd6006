// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"errors"
	"fmt"
	"io"

	"github.com/cfs-label/cfs-label/composefs/erofs/internal/disk"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// The rules that Read holds an image to; errors.Is finds them in a ReadError.
var (
	ErrMagic       = errors.New("not a composefs image")
	ErrUnsupported = errors.New("not of a format that is known")
	ErrLimit       = errors.New("more than is accepted")
	ErrBounds      = errors.New("it reaches past the end of the image")
	ErrOverlap     = errors.New("the same bytes serve twice: directories in a loop, or content that overlaps")
	ErrInode       = errors.New("malformed inode")
	ErrDirectory   = errors.New("malformed directory")
	ErrXattr       = errors.New("malformed extended attributes")
	ErrObject      = errors.New("not the object of a digest")
	ErrWhiteout    = errors.New("an overlayfs whiteout that the format does not add: a mount would hide something")
)

// ReadError says where an image is wrong, and why.
type ReadError struct {
	NID    int64 // number of the inode, in slots of 32 bytes; -1 where it is about none
	Offset int64 // in bytes from the beginning of the image
	Err    error
}

func (e *ReadError) Error() string {
	if e.NID < 0 {
		return fmt.Sprintf("erofs: at %#x: %v", e.Offset, e.Err)
	}
	return fmt.Sprintf("erofs: inode %d at %#x: %v", e.NID, e.Offset, e.Err)
}

func (e *ReadError) Unwrap() error { return e.Err }

// amounts is how much of everything an image may hold.
type amounts struct {
	entries int    // names
	text    uint64 // bytes of names, of content in the image, and of xattrs
}

// defaultAmounts are those of the other readers of trees.
var defaultAmounts = amounts{entries: 16 << 20, text: 2 << 30}

// Shared xattrs cost four bytes each time: without a bound, a small image
// could hold any amount of them.
const (
	textFloor  = 64 << 20 // bytes of text that any image may hold
	textFactor = 64       // and as much for each of its bytes
)

// Read reads the image of size bytes, which Write, cfsctl or mkcomposefs made,
// and returns the tree it was made of, and its format. What the format adds for
// overlayfs is taken away, and what it escapes is as it was; so Write makes the
// same image again, if the tree has no name, xattr or count that is too long
// for its field. The tree has the algorithm of the image's digests, or both
// where it has none.
//
// Each inode must be named exactly as often as it says, and no byte may serve
// twice, so that time and memory are bounded by the size; 16 million names and
// 2 GiB of text are the most. Bytes that have no meaning (padding, reserved
// fields, inode numbers for stat) are not looked at.
//
// What is wrong with the image is told by a *ReadError. An error of r is
// returned wrapped.
func Read(r io.ReaderAt, size int64) (*tree.Tree, Format, error) {
	t, f, err := readWithin(defaultAmounts, r, size)
	if io, ok := errors.AsType[*readerError](err); ok {
		return nil, 0, fmt.Errorf("erofs: read the image: %w", io.err)
	}
	return t, f, err
}

func readWithin(most amounts, r io.ReaderAt, size int64) (*tree.Tree, Format, error) {
	most.text = min(most.text, textFloor+textFactor*uint64(max(size, 0)))
	// Which algorithm the tree must have is known once there is a digest.
	algs := []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256}
	for {
		rd := reader{src: newSource(r, uint64(max(size, 0))), left: most, algs: algs}
		err := rd.read()
		if known, ok := errors.AsType[algorithmError](err); ok {
			algs = []fsverity.Algorithm{fsverity.Algorithm(known)}
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		return rd.t, rd.format, nil
	}
}

// algorithmError ends the reading into a tree that does not have the one
// algorithm of the image's digests.
type algorithmError fsverity.Algorithm

func (e algorithmError) Error() string { return fsverity.Algorithm(e).String() }

// reader makes a tree of an image.
type reader struct {
	src  *source
	left amounts // what may still come
	algs []fsverity.Algorithm

	format Format
	profile
	sb disk.Superblock

	t      *tree.Tree
	inodes uint64              // read so far
	links  map[uint64]*linked  // inodes with several names, by number
	shared map[uint64]rawXattr // by place
	dirs   []pending           // whose entries are still to be read
	stub   stub
}

// linked is an inode with several names.
type linked struct {
	ino     tree.Ino
	kind    tree.Kind
	at      uint64
	missing uint32 // names
}

// pending is a directory whose entries are still to be read.
type pending struct {
	inode
	ino    tree.Ino
	parent uint64 // number
}

func (r *reader) read() error {
	if err := r.readSuperblock(); err != nil {
		return err
	}
	r.t = tree.New(r.algs...)
	r.links = map[uint64]*linked{}
	r.shared = map[uint64]rawXattr{}
	root, err := r.readInode(uint64(r.sb.RootNID))
	if err != nil {
		return failAt(disk.SuperblockOffset+0x0e, err)
	}
	if root.kind != tree.Directory {
		return root.fail(fmt.Errorf("%w: the root is a %s", ErrInode, root.kind))
	}
	r.setStub(&root)
	r.dirs = []pending{{root, tree.Root, root.nid}}
	// Level by level or depth first, as the inodes are ordered, to go through
	// the image once.
	for len(r.dirs) > 0 {
		next := len(r.dirs) - 1
		if r.breadthFirst {
			next = 0
		}
		dir := r.dirs[next]
		if r.breadthFirst {
			r.dirs = r.dirs[1:]
		} else {
			r.dirs = r.dirs[:next]
		}
		if err := r.readDir(&dir); err != nil {
			return err
		}
	}
	return r.finish()
}

func failAt(at uint64, err error) error { return newReadError(-1, at, err) }

// newReadError leaves errors that have a place, or are not about the image, as
// they are.
func newReadError(nid int64, at uint64, err error) error {
	if _, ok := errors.AsType[*ReadError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*readerError](err); ok {
		return err
	}
	if _, ok := errors.AsType[algorithmError](err); ok {
		return err
	}
	return &ReadError{NID: nid, Offset: int64(at), Err: err}
}

func (r *reader) readSuperblock() error {
	b, err := r.src.bytes(0, disk.SuperblockOffset+disk.SuperblockSize)
	if errors.Is(err, ErrBounds) {
		return failAt(0, fmt.Errorf("%w: %d bytes", ErrMagic, r.src.size))
	}
	if err != nil {
		return err
	}
	h := disk.ParseHeader(b)
	r.sb = disk.ParseSuperblock(b[disk.SuperblockOffset:])
	unsupported := func(at uint64, format string, args ...any) error {
		return failAt(at, fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...)))
	}
	const sb = disk.SuperblockOffset
	switch {
	case h.Magic != disk.HeaderMagic:
		return failAt(0, ErrMagic)
	case h.Version != disk.HeaderVersion:
		return unsupported(0x04, "version %d of the header", h.Version)
	case h.Flags&^disk.HeaderHasACL != 0:
		return unsupported(0x08, "flags %#x", h.Flags)
	case h.ComposefsVersion >= uint32(len(formatNames)):
		return unsupported(0x0c, "composefs version %d", h.ComposefsVersion)
	case r.sb.Magic != disk.SuperblockMagic:
		return failAt(sb, fmt.Errorf("%w: no superblock of EROFS", ErrMagic))
	case r.sb.FeatureCompat&disk.CompatXattrFilter == 0:
		return unsupported(sb+0x08, "features %#x", r.sb.FeatureCompat)
	case r.sb.BlockBits != disk.BlockBits:
		return unsupported(sb+0x0c, "blocks of 2^%d bytes", r.sb.BlockBits)
	case r.sb.BuildTimeNsec >= 1e9:
		return failAt(sb+0x20, fmt.Errorf("%w: %w", ErrInode, tree.ErrMtime))
	case r.sb.MetaBlock != 0:
		return unsupported(sb+0x28, "metadata from block %d on", r.sb.MetaBlock)
	case r.sb.FeatureIncompat != 0:
		return unsupported(sb+0x50, "incompatible features %#x", r.sb.FeatureIncompat)
	case uint64(r.sb.Blocks)*disk.BlockSize > r.src.size:
		return failAt(sb+0x24, fmt.Errorf("%w: it has %d blocks of %d bytes, and %d bytes are there", ErrBounds, r.sb.Blocks, disk.BlockSize, r.src.size))
	case uint64(r.sb.Blocks)*disk.BlockSize < r.src.size:
		return unsupported(sb+0x24, "it ends after %d blocks of %d bytes, and %d bytes are there", r.sb.Blocks, disk.BlockSize, r.src.size)
	}
	r.format = Format(h.ComposefsVersion)
	r.profile = r.format.profile()
	return r.src.take(0, disk.SuperblockOffset+disk.SuperblockSize)
}

// finish holds the whole to what it says of itself.
func (r *reader) finish() error {
	for nid, l := range r.links {
		if l.missing > 0 {
			return newReadError(int64(nid), l.at, fmt.Errorf("%w: %d names less than it says", ErrInode, l.missing))
		}
	}
	if at, twice := r.src.checkTaken(); twice {
		return failAt(at, ErrOverlap)
	}
	if r.inodes != r.sb.Inodes {
		return failAt(disk.SuperblockOffset+0x10, fmt.Errorf("%w: %d inodes, not %d", ErrInode, r.inodes, r.sb.Inodes))
	}
	return nil
}

// keep counts bytes that the tree keeps.
func (r *reader) keep(n int) error {
	if uint64(n) > r.left.text {
		return fmt.Errorf("%w: too much text", ErrLimit)
	}
	r.left.text -= uint64(n)
	return nil
}
