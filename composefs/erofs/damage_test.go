// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// damaged is an image whose bytes are changed.
type damaged struct {
	t     *testing.T
	image []byte
}

// Where the fields of inodes and of the superblock are, in bytes.
const (
	atFormat, atXattrs, atMode, atSize, atUnion = 0x00, 0x02, 0x04, 0x08, 0x10
	atNsec, atNlink                             = 0x28, 0x2c // of an extended inode
	superblock                                  = 1024
)

func (d *damaged) set16(at int, v uint16) { binary.LittleEndian.PutUint16(d.image[at:], v) }
func (d *damaged) set32(at int, v uint32) { binary.LittleEndian.PutUint32(d.image[at:], v) }
func (d *damaged) set64(at int, v uint64) { binary.LittleEndian.PutUint64(d.image[at:], v) }
func (d *damaged) get16(at int) uint16    { return binary.LittleEndian.Uint16(d.image[at:]) }

func (d *damaged) root() int { return int(d.get16(superblock+0x0e)) * 32 }

// entry returns where the entry of that name is in the directory whose inode
// is at dir, and where its inode is. All must be behind inodes.
func (d *damaged) entry(dir int, name string) (dirent, inode int) {
	tail := dir + 32
	if d.get16(dir)&1 != 0 {
		tail = dir + 64
	}
	if n := int(d.get16(dir + atXattrs)); n > 0 {
		tail += 12 + (n-1)*4
	}
	for i := 0; i < int(d.get16(tail+8)); i += 12 {
		at := tail + i
		end := d.get16(at + 12 + 8) // of the last entry, something else
		start := tail + int(d.get16(at+8))
		if bytes.HasPrefix(d.image[start:], []byte(name)) && (tail+int(end) == start+len(name) || i+12 == int(d.get16(tail+8))) {
			return at, int(binary.LittleEndian.Uint64(d.image[at:])) * 32
		}
	}
	d.t.Fatalf("no %q", name)
	return 0, 0
}

func (d *damaged) dirent(name string) int {
	at, _ := d.entry(d.root(), name)
	return at
}

func (d *damaged) inode(name string) int {
	_, at := d.entry(d.root(), name)
	return at
}

// replace changes the only place where the image has old.
func (d *damaged) replace(old, now string) {
	at := bytes.Index(d.image, []byte(old))
	if n := bytes.Count(d.image, []byte(old)); n != 1 || at < 0 || len(old) != len(now) {
		d.t.Fatalf("%q is %d times in the image", old, n)
	}
	copy(d.image[at:], now)
}

// sample has one of everything. Its inodes are extended, and all is behind
// them, but for the blocks of two files.
func sample() *tree.Tree {
	m := newMaker()
	m.root(mtime(9, 0))
	later := mtime(10, 0)
	m.dir("dir", later)
	m.inline("dir/inner", "inner", later)
	m.dir("empty", later)
	m.inline("file", "content", later)
	m.inline("twin", "content", later)
	m.put("hard1", m.put("hard0", m.inline("hard", "x", later)))
	m.inline("block1", strings.Repeat("1", 4000), later)
	m.inline("block2", strings.Repeat("2", 4000), later)
	m.symlink("link", "target", later)
	m.special("null", tree.CharDevice, 0x103, later)
	m.external("object", 100, 1, later)
	m.unverified("loose", 100, 2, later)
	m.sparse("sparse", 100, later)
	m.inline("own", "", later, m.xattrs("user.one", "1", "user.two", "2"))
	m.inline("share1", "", later, m.xattrs("user.share", "value"))
	m.inline("share2", "", later, m.xattrs("user.share", "value"))
	return m.t
}

// TestReadDamaged: each rule that an image can break has its error, with the
// inode or the place.
func TestReadDamaged(t *testing.T) {
	base := map[erofs.Format][]byte{}
	for _, f := range formats {
		base[f] = writeImage(t, check(t, sample()), f, fsverity.SHA256)
		readBack(t, base[f])
	}
	for _, group := range [][]damage{damagedSuperblocks, damagedInodes, damagedDirectories, damagedXattrs} {
		for _, tc := range group {
			t.Run(tc.name, func(t *testing.T) {
				// V2 has no stubs, so that the root's entries are behind it.
				d := damaged{t, slices.Clone(base[erofs.V2])}
				tc.change(&d)
				_, _, err := erofs.Read(bytes.NewReader(d.image), int64(len(d.image)))
				re, ok := errors.AsType[*erofs.ReadError](err)
				if !ok || !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
					t.Fatalf("error %v, want %v with %q", err, tc.want, tc.text)
				}
				if re.Offset < 0 || re.NID >= 0 && re.Offset != re.NID*32 {
					t.Errorf("inode %d is at %#x", re.NID, re.Offset)
				}
			})
		}
	}
}

type damage struct {
	name   string
	change func(d *damaged)
	want   error
	text   string
}

var damagedSuperblocks = []damage{
	{"empty", func(d *damaged) { d.image = nil }, erofs.ErrMagic, "0 bytes"},
	{"cut", func(d *damaged) { d.image = d.image[:1100] }, erofs.ErrMagic, "1100 bytes"},
	{"header", func(d *damaged) { d.set32(0, 1) }, erofs.ErrMagic, "at 0x0"},
	{"header-version", func(d *damaged) { d.set32(4, 2) }, erofs.ErrUnsupported, "version 2"},
	{"header-flags", func(d *damaged) { d.set32(8, 2) }, erofs.ErrUnsupported, "flags 0x2"},
	{"composefs-version", func(d *damaged) { d.set32(12, 3) }, erofs.ErrUnsupported, "composefs version 3"},
	{"magic", func(d *damaged) { d.set32(superblock, 1) }, erofs.ErrMagic, "at 0x400"},
	{"no-filter", func(d *damaged) { d.set32(superblock+8, 0) }, erofs.ErrUnsupported, "features 0x0"},
	{"block-size", func(d *damaged) { d.image[superblock+0x0c] = 9 }, erofs.ErrUnsupported, "2^9"},
	{"root-outside", func(d *damaged) { d.set16(superblock+0x0e, 0xffff) }, erofs.ErrBounds, "at 0x40e"},
	{"root-a-file", func(d *damaged) { d.set16(superblock+0x0e, uint16(d.inode("file")/32)) }, erofs.ErrInode, "the root is a regular file"},
	{"inodes", func(d *damaged) { d.set64(superblock+0x10, 99) }, erofs.ErrInode, "not 99"},
	{"build-time", func(d *damaged) { d.set32(superblock+0x20, 1e9) }, tree.ErrMtime, "at 0x420"},
	{"blocks", func(d *damaged) { d.set32(superblock+0x24, 99) }, erofs.ErrBounds, "99 blocks"},
	{"fewer-blocks", func(d *damaged) { d.set32(superblock+0x24, 1) }, erofs.ErrUnsupported, "1 blocks"},
	{"shorter", func(d *damaged) { d.image = d.image[:len(d.image)-1] }, erofs.ErrBounds, "bytes"},
	{"longer", func(d *damaged) { d.image = append(d.image, 0) }, erofs.ErrUnsupported, "bytes"},
	{"meta-block", func(d *damaged) { d.set32(superblock+0x28, 1) }, erofs.ErrUnsupported, "block 1"},
	{"incompatible", func(d *damaged) { d.set32(superblock+0x50, 1) }, erofs.ErrUnsupported, "0x1"},
}

var damagedInodes = []damage{
	{"type", func(d *damaged) { d.set16(d.inode("file")+atMode, 0o644) }, erofs.ErrInode, "mode 644"},
	{"layout", func(d *damaged) { d.set16(d.inode("file"), 1|1<<1) }, erofs.ErrInode, "layout 1"},
	{"compact-in-v2", func(d *damaged) { d.set16(d.inode("file"), 2<<1) }, erofs.ErrInode, "compact"},
	{"nanoseconds", func(d *damaged) { d.set32(d.inode("file")+atNsec, 1e9) }, tree.ErrMtime, "inode"},
	{"fractions-in-v2", func(d *damaged) { d.set32(d.inode("file")+atNsec, 1) }, erofs.ErrInode, "fractions"},
	{"no-names", func(d *damaged) { d.set32(d.inode("file")+atNlink, 0) }, erofs.ErrInode, "no names"},
	{"names-missing", func(d *damaged) { d.set32(d.inode("file")+atNlink, 3) }, erofs.ErrInode, "2 names less"},
	{"names-too-many", func(d *damaged) { d.set32(d.inode("hard")+atNlink, 2) }, erofs.ErrInode, "more names"},
	{"size", func(d *damaged) { d.set64(d.inode("file")+atSize, 1<<40) }, erofs.ErrBounds, "inode"},
	{"size-largest", func(d *damaged) {
		d.set16(d.inode("block1"), 1)
		d.set64(d.inode("block1")+atSize, 1<<64-1)
	}, erofs.ErrBounds, "inode"},
	{"file-in-chunks", func(d *damaged) { d.set16(d.inode("file"), 1|4<<1) }, erofs.ErrInode, "chunks"},
	{"link-in-chunks", func(d *damaged) { d.set16(d.inode("link"), 1|4<<1) }, erofs.ErrInode, "a symlink in chunks"},
	{"object-not-in-chunks", func(d *damaged) { d.set16(d.inode("object"), 1) }, erofs.ErrInode, "chunks"},
	{"chunk-format", func(d *damaged) { d.set32(d.inode("object")+atUnion, 1) }, erofs.ErrInode, "format 0x1"},
	{"chunk-format-large", func(d *damaged) { d.set32(d.inode("object")+atUnion, 0x1001f) }, erofs.ErrInode, "format 0x1001f"},
	{"chunk-in-image", func(d *damaged) {
		at := d.inode("object")
		d.set32(at+64+12+(int(d.get16(at+atXattrs))-1)*4, 0)
	}, erofs.ErrInode, "content in the image"},
	{"device-with-content", func(d *damaged) { d.set64(d.inode("null")+atSize, 1) }, erofs.ErrInode, "with content"},
	{"same-block", func(d *damaged) {
		for _, name := range []string{"block1", "block2"} {
			d.set16(d.inode(name), 1)
			d.set32(d.inode(name)+atUnion, 1)
		}
	}, erofs.ErrOverlap, "0x1000"},
	{"block-outside", func(d *damaged) {
		d.set16(d.inode("block1"), 1)
		d.set32(d.inode("block1")+atUnion, 1<<20)
	}, erofs.ErrBounds, "0x100000000"},
}

var damagedDirectories = []damage{
	{"inode-outside", func(d *damaged) { d.set64(d.dirent("file"), 1<<60) }, erofs.ErrBounds, "inode"},
	{"inode-largest", func(d *damaged) { d.set64(d.dirent("file"), 1<<64-1) }, erofs.ErrBounds, "inode"},
	{"inode-of-another", func(d *damaged) { d.set64(d.dirent("twin"), uint64(d.inode("file")/32)) }, erofs.ErrOverlap, "twice"},
	{"inode-within-another", func(d *damaged) {
		at := d.inode("block1") + 64 + 32
		copy(d.image[at:], d.image[d.inode("file"):][:64+32])
		d.set64(d.dirent("file"), uint64(at/32))
	}, erofs.ErrOverlap, "twice"},
	{"type-of-entry", func(d *damaged) { d.image[d.dirent("file")+10] = 2 }, erofs.ErrDirectory, "of type 2"},
	{"dot", func(d *damaged) { d.set64(d.dirent("."), 1) }, erofs.ErrDirectory, `"."`},
	{"dot-dot", func(d *damaged) {
		at, _ := d.entry(d.inode("dir"), "..")
		d.set64(at, uint64(d.inode("dir")/32))
	}, erofs.ErrDirectory, `".."`},
	{"no-dot", func(d *damaged) {
		at, _ := d.entry(d.inode("empty"), ".")
		d.image[at+24] = '-'
		d.image[at+25], d.image[at+26] = '.', 'x'
	}, erofs.ErrDirectory, "inode"},
	{"loop", func(d *damaged) {
		at, _ := d.entry(d.inode("dir"), "inner")
		d.set64(at, uint64(d.root()/32))
		d.image[at+10] = 2
		d.set32(d.inode("dir")+atNlink, 3)
	}, erofs.ErrDirectory, `".."`},
	{"loop-of-root", func(d *damaged) {
		d.set64(d.dirent("dir"), uint64(d.root()/32))
	}, erofs.ErrOverlap, "twice"},
	{"directory-twice", func(d *damaged) { d.set64(d.dirent("empty"), uint64(d.inode("dir")/32)) }, erofs.ErrOverlap, "twice"},
	{"order", func(d *damaged) { d.replace("filehard", "zilehard") }, erofs.ErrDirectory, `"hard" after "zile"`},
	{"same-name", func(d *damaged) { d.replace("block1block2", "block1block1") }, erofs.ErrDirectory, `"block1" after "block1"`},
	{"slash", func(d *damaged) { d.replace("filehard", "fi/ehard") }, tree.ErrName, `"fi/e"`},
	{"zero-in-name", func(d *damaged) { d.replace("filehard", "fi\x00ehard") }, tree.ErrName, `"fi\x00e"`},
	{"names-at-zero", func(d *damaged) { d.set16(d.dirent(".")+8, 0) }, erofs.ErrDirectory, "names at 0"},
	{"names-odd", func(d *damaged) { d.set16(d.dirent(".")+8, 13) }, erofs.ErrDirectory, "names at 13"},
	{"names-outside", func(d *damaged) { d.set16(d.dirent(".")+8, 12*500) }, erofs.ErrDirectory, "names at 6000"},
	{"name-backwards", func(d *damaged) { d.set16(d.dirent("file")+8, 12) }, erofs.ErrDirectory, "a name at"},
	{"name-outside", func(d *damaged) { d.set16(d.dirent("file")+8, 4000) }, erofs.ErrDirectory, "a name at"},
	{"subdirectories", func(d *damaged) { d.set32(d.inode("dir")+atNlink, 3) }, erofs.ErrDirectory, "2 directories in it, not 3"},
	{"no-entries", func(d *damaged) { d.set64(d.inode("dir")+atSize, 0) }, erofs.ErrDirectory, "is missing"},
	{"half-an-entry", func(d *damaged) { d.set64(d.inode("dir")+atSize, 11) }, erofs.ErrDirectory, "11 bytes"},
}

var damagedXattrs = []damage{
	{"filter", func(d *damaged) { d.set32(d.inode("own")+64, 1<<32-1) }, erofs.ErrXattr, "hides"},
	{"shared-count", func(d *damaged) { d.image[d.inode("own")+64+4] = 200 }, erofs.ErrXattr, "200 shared"},
	{"count", func(d *damaged) { d.set16(d.inode("own")+atXattrs, 0xffff) }, erofs.ErrBounds, "inode"},
	{"name-length", func(d *damaged) { d.image[d.inode("own")+64+12] = 100 }, erofs.ErrXattr, "are left"},
	{"prefix", func(d *damaged) { d.image[d.inode("own")+64+13] = 7 }, erofs.ErrXattr, "prefix 7"},
	{"reference", func(d *damaged) { d.set32(d.inode("share1")+64+12, 1<<32-1) }, erofs.ErrBounds, "inode"},
	{"twice", func(d *damaged) {
		d.replace("two2", "one2")
		d.set32(d.inode("own")+64, 0)
	}, erofs.ErrXattr, `"user.one" is there twice`},
	{"overlay", func(d *damaged) {
		at := d.inode("object")
		d.set32(at+64, 0)
		i := bytes.Index(d.image[at:], []byte("overlay.metacopy"))
		copy(d.image[at+i:], "overlay.metacupy")
	}, erofs.ErrXattr, `"trusted.overlay.metacupy"`},
	{"digests-differ", func(d *damaged) {
		at := d.inode("object")
		i := bytes.Index(d.image[at:], []byte("metacopy"))
		d.image[at+i+len("metacopy")+4] ^= 1
	}, erofs.ErrObject, "redirect"},
	{"redirect", func(d *damaged) {
		at := d.inode("loose")
		i := bytes.Index(d.image[at:], []byte("overlay.redirect/"))
		d.image[at+i+len("overlay.redirect")] = '.'
	}, erofs.ErrObject, "redirect"},
	{"redirect-of-a-device", func(d *damaged) {
		at := d.inode("loose")
		d.set16(at+atMode, 0o020644)
		d.set16(at, 1)
		d.set32(at+atUnion, 3)
		d.set64(at+atSize, 0)
		d.image[d.dirent("loose")+10] = 3
	}, erofs.ErrXattr, "object of a file"},
}

// TestReadWhiteout: in V0 and V1 nothing but stubs is a whiteout that a mount
// would act on.
func TestReadWhiteout(t *testing.T) {
	for _, f := range []erofs.Format{erofs.V0, erofs.V1} {
		m := newMaker()
		m.special("dir/null", tree.CharDevice, 0x12345678, mtime(9, 0))
		image := writeImage(t, check(t, m.t), f, fsverity.SHA256)
		at := bytes.Index(image, []byte{0x78, 0x56, 0x34, 0x12})
		copy(image[at:], make([]byte, 4))
		if _, _, err := erofs.Read(bytes.NewReader(image), int64(len(image))); !errors.Is(err, erofs.ErrWhiteout) {
			t.Errorf("%s: error %v, want %v", f, err, erofs.ErrWhiteout)
		}
	}
}

// TestReadMixedAlgorithms: a tree has digests of one algorithm.
func TestReadMixedAlgorithms(t *testing.T) {
	m := newMaker()
	m.external("a", 100, 1)
	long := tree.New(fsverity.SHA512)
	long.Link(tree.Root, []byte("a"), long.NewUnverified(tree.Meta{MtimeSec: 2}, 100, make([]byte, 64)))
	long.Link(tree.Root, []byte("b"), long.NewUnverified(tree.Meta{MtimeSec: 2}, 100, make([]byte, 64)))
	image := writeImage(t, check(t, long), erofs.V2, fsverity.SHA512)
	d := damaged{t, image}
	// The redirect is shared; a second one is put behind it, for the second
	// file, whose reference is the next after this.
	i := bytes.Index(image, []byte("overlay.redirect/"))
	start := (i - 4) / 4
	size := 4 + len("overlay.redirect") + 130
	next := start*4 + (size+3)/4*4
	short := "overlay.redirect/00/" + strings.Repeat("0", 62)
	copy(image[next:], append([]byte{16, 4, 66, 0}, short...))
	at := d.inode("b")
	for j := at + 64 + 12; j < at+64+12+8; j += 4 {
		if binary.LittleEndian.Uint32(image[j:]) == uint32(start) {
			d.set32(j, uint32(next/4))
		}
	}
	_, _, err := erofs.Read(bytes.NewReader(image), int64(len(image)))
	if !errors.Is(err, erofs.ErrObject) || !strings.Contains(err.Error(), "others are of") {
		t.Errorf("error %v", err)
	}
}

// TestReadStub: what V0 and V1 add to the root is like the root in owner, and
// what is not is no stub.
func TestReadStub(t *testing.T) {
	for _, f := range []erofs.Format{erofs.V0, erofs.V1} {
		image := writeImage(t, check(t, newMaker().t), f, fsverity.SHA256)
		d := damaged{t, image}
		at := d.root()
		for at+32 < len(image) && d.get16(at+atMode) != 0o020644 {
			at += 32
		}
		const atUID = 0x18 // of a compact inode
		d.set16(at+atUID, 1)
		if _, _, err := erofs.Read(bytes.NewReader(image), int64(len(image))); !errors.Is(err, erofs.ErrWhiteout) {
			t.Errorf("%s: error %v, want %v", f, err, erofs.ErrWhiteout)
		}
	}
}

// TestReadDirectoryWithObject: only files have objects.
func TestReadDirectoryWithObject(t *testing.T) {
	m := newMaker()
	m.dir("d", m.xattrs("trusted.0verlay.metacopy", ""))
	d := damaged{t, writeImage(t, check(t, m.t), erofs.V2, fsverity.SHA256)}
	d.replace("0verlay.metacopy", "overlay.metacopy")
	d.set32(d.inode("d")+64, 0) // the filter of names
	_, _, err := erofs.Read(bytes.NewReader(d.image), int64(len(d.image)))
	if !errors.Is(err, erofs.ErrXattr) || !strings.Contains(err.Error(), "a directory with the object of a file") {
		t.Errorf("error %v", err)
	}
}
