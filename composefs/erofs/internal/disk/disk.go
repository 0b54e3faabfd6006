// SPDX-License-Identifier: Apache-2.0

// Package disk is the on-disk format of a composefs image: an EROFS file system
// (linux/fs/erofs/erofs_fs.h) behind a composefs header
// (composefs/libcomposefs/lcfs-erofs.h). All numbers are little-endian.
package disk

import "encoding/binary"

// Sizes and offsets, in bytes.
const (
	BlockBits = 12
	BlockSize = 1 << BlockBits

	SuperblockOffset = 1024 // EROFS_SUPER_OFFSET
	SlotSize         = 32   // unit of inode numbers; inodes begin at a multiple of it
	XattrWord        = 4    // unit of xattr references and counts

	HeaderSize        = 32
	SuperblockSize    = 128
	CompactInodeSize  = 32
	ExtendedInodeSize = 64
	XattrHeaderSize   = 12 // of an inode's xattrs
	XattrEntrySize    = 4  // before an xattr's name and value
	DirentSize        = 12
	ChunkIndexSize    = 4
)

// Magic numbers and flags.
const (
	HeaderMagic     = 0xd078629a // LCFS_EROFS_MAGIC
	HeaderVersion   = 1          // LCFS_EROFS_VERSION
	HeaderHasACL    = 1 << 0     // LCFS_EROFS_FLAGS_HAS_ACL
	SuperblockMagic = 0xe0f5e1e2 // EROFS_SUPER_MAGIC_V1

	CompatMtime       = 1 << 1 // EROFS_FEATURE_COMPAT_MTIME
	CompatXattrFilter = 1 << 2 // EROFS_FEATURE_COMPAT_XATTR_FILTER
)

// An inode's format is one of the layouts, with FormatExtended for an extended
// one (i_format, EROFS_I_VERSION_BIT and EROFS_I_DATALAYOUT_BITS).
const (
	FormatExtended = 1

	FlatPlain  = 0 << 1 // EROFS_INODE_FLAT_PLAIN: data in blocks
	FlatInline = 2 << 1 // EROFS_INODE_FLAT_INLINE: the last bytes behind the inode
	ChunkBased = 4 << 1 // EROFS_INODE_CHUNK_BASED: indexes of chunks behind the inode
)

// Chunks of files whose content is elsewhere.
const (
	ChunkBitsMask = 0x1f       // EROFS_CHUNK_FORMAT_BLKBITS_MASK
	NullChunk     = 0xffffffff // EROFS_NULL_ADDR: a chunk that is not in the image
)

// File types of directory entries (linux/include/linux/fs_types.h, FT_*).
const (
	TypeRegular     = 1
	TypeDirectory   = 2
	TypeCharDevice  = 3
	TypeBlockDevice = 4
	TypeFIFO        = 5
	TypeSocket      = 6
	TypeSymlink     = 7
)

// Indexes of xattr name prefixes (EROFS_XATTR_INDEX_*).
const (
	PrefixNone       = 0
	PrefixUser       = 1
	PrefixACLAccess  = 2
	PrefixACLDefault = 3
	PrefixTrusted    = 4
	PrefixLustre     = 5
	PrefixSecurity   = 6
)

// Prefixes are the name prefixes by their indexes.
var Prefixes = [...]string{
	PrefixNone:       "",
	PrefixUser:       "user.",
	PrefixACLAccess:  "system.posix_acl_access",
	PrefixACLDefault: "system.posix_acl_default",
	PrefixTrusted:    "trusted.",
	PrefixLustre:     "lustre.",
	PrefixSecurity:   "security.",
}

// XattrFilterSeed is added to the prefix index to seed the xxh32 of a name's
// rest, whose low five bits pick the bit of the filter
// (EROFS_XATTR_FILTER_SEED).
const XattrFilterSeed = 0x25bbe08f

// Header stands at the beginning of the image (struct lcfs_erofs_header_s).
type Header struct {
	Magic            uint32 // 0x00 magic
	Version          uint32 // 0x04 version
	Flags            uint32 // 0x08 flags
	ComposefsVersion uint32 // 0x0c composefs_version

	_ [16]byte // 0x10 unused
}

// AppendTo appends the header as it is on disk.
func (h *Header) AppendTo(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, h.Magic)
	b = le.AppendUint32(b, h.Version)
	b = le.AppendUint32(b, h.Flags)
	b = le.AppendUint32(b, h.ComposefsVersion)
	return append(b, make([]byte, 16)...)
}

// Superblock is struct erofs_super_block. What composefs leaves zero is not
// named.
type Superblock struct {
	Magic         uint32 // 0x00 magic
	_             uint32 // 0x04 checksum: none
	FeatureCompat uint32 // 0x08 feature_compat
	BlockBits     uint8  // 0x0c blkszbits
	_             uint8  // 0x0d sb_extslots
	RootNID       uint16 // 0x0e root_nid

	Inodes        uint64 // 0x10 inos: number of inodes
	BuildTimeSec  uint64 // 0x18 build_time: mtime of compact inodes, in seconds
	BuildTimeNsec uint32 // 0x20 build_time_nsec
	Blocks        uint32 // 0x24 blocks
	MetaBlock     uint32 // 0x28 meta_blkaddr: 0
	XattrBlock    uint32 // 0x2c xattr_blkaddr: where references of shared xattrs count from

	_ [16]byte // 0x30 uuid
	_ [16]byte // 0x40 volume_name

	FeatureIncompat uint32 // 0x50 feature_incompat: 0
	_               [44]byte
}

// AppendTo appends the superblock as it is on disk.
func (s *Superblock) AppendTo(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, s.Magic)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, s.FeatureCompat)
	b = append(b, s.BlockBits, 0)
	b = le.AppendUint16(b, s.RootNID)
	b = le.AppendUint64(b, s.Inodes)
	b = le.AppendUint64(b, s.BuildTimeSec)
	b = le.AppendUint32(b, s.BuildTimeNsec)
	b = le.AppendUint32(b, s.Blocks)
	b = le.AppendUint32(b, s.MetaBlock)
	b = le.AppendUint32(b, s.XattrBlock)
	b = append(b, make([]byte, 32)...)
	b = le.AppendUint32(b, s.FeatureIncompat)
	return append(b, make([]byte, 44)...)
}

// CompactInode is struct erofs_inode_compact. Its mtime is the superblock's.
type CompactInode struct {
	Format     uint16 // 0x00 i_format
	XattrCount uint16 // 0x02 i_xattr_icount: 0, or 1 + words after the xattr header
	Mode       uint16 // 0x04 i_mode
	Nlink      uint16 // 0x06 i_nlink
	Size       uint32 // 0x08 i_size, in bytes
	_          uint32 // 0x0c i_reserved

	Union uint32  // 0x10 i_u: block address, device number or chunk format
	Ino   uint32  // 0x14 i_ino: for 32-bit stat only
	UID   uint16  // 0x18 i_uid
	GID   uint16  // 0x1a i_gid
	_     [4]byte // 0x1c i_reserved2
}

// AppendTo appends the inode as it is on disk.
func (i *CompactInode) AppendTo(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint16(b, i.Format)
	b = le.AppendUint16(b, i.XattrCount)
	b = le.AppendUint16(b, i.Mode)
	b = le.AppendUint16(b, i.Nlink)
	b = le.AppendUint32(b, i.Size)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, i.Union)
	b = le.AppendUint32(b, i.Ino)
	b = le.AppendUint16(b, i.UID)
	b = le.AppendUint16(b, i.GID)
	return append(b, 0, 0, 0, 0)
}

// ExtendedInode is struct erofs_inode_extended.
type ExtendedInode struct {
	Format     uint16 // 0x00 i_format
	XattrCount uint16 // 0x02 i_xattr_icount
	Mode       uint16 // 0x04 i_mode
	_          uint16 // 0x06 i_reserved
	Size       uint64 // 0x08 i_size, in bytes

	Union uint32 // 0x10 i_u
	Ino   uint32 // 0x14 i_ino
	UID   uint32 // 0x18 i_uid
	GID   uint32 // 0x1c i_gid

	MtimeSec  uint64 // 0x20 i_mtime, in seconds
	MtimeNsec uint32 // 0x28 i_mtime_nsec
	Nlink     uint32 // 0x2c i_nlink

	_ [16]byte // 0x30 i_reserved2
}

// AppendTo appends the inode as it is on disk.
func (i *ExtendedInode) AppendTo(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint16(b, i.Format)
	b = le.AppendUint16(b, i.XattrCount)
	b = le.AppendUint16(b, i.Mode)
	b = append(b, 0, 0)
	b = le.AppendUint64(b, i.Size)
	b = le.AppendUint32(b, i.Union)
	b = le.AppendUint32(b, i.Ino)
	b = le.AppendUint32(b, i.UID)
	b = le.AppendUint32(b, i.GID)
	b = le.AppendUint64(b, i.MtimeSec)
	b = le.AppendUint32(b, i.MtimeNsec)
	b = le.AppendUint32(b, i.Nlink)
	return append(b, make([]byte, 16)...)
}

// XattrHeader stands before an inode's xattrs (struct
// erofs_xattr_ibody_header); references of shared ones follow it, then those
// that the inode has alone.
type XattrHeader struct {
	NameFilter  uint32  // 0x00 h_name_filter: a clear bit for each name that may be there
	SharedCount uint8   // 0x04 h_shared_count
	_           [7]byte // 0x05 h_reserved2
}

// AppendTo appends the header as it is on disk.
func (h *XattrHeader) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, h.NameFilter)
	return append(b, h.SharedCount, 0, 0, 0, 0, 0, 0, 0)
}

// XattrEntry stands before an xattr's name, without its prefix, and value
// (struct erofs_xattr_entry).
type XattrEntry struct {
	NameLen   uint8  // 0x00 e_name_len
	NameIndex uint8  // 0x01 e_name_index: one of the prefixes
	ValueSize uint16 // 0x02 e_value_size, in bytes
}

// AppendTo appends the entry as it is on disk.
func (e XattrEntry) AppendTo(b []byte) []byte {
	b = append(b, e.NameLen, e.NameIndex)
	return binary.LittleEndian.AppendUint16(b, e.ValueSize)
}

// Dirent stands at the beginning of a directory block, once for each entry
// (struct erofs_dirent); the names follow the last.
type Dirent struct {
	NID        uint64 // 0x00 nid: offset of the inode, in slots
	NameOffset uint16 // 0x08 nameoff: offset of the name in this block, in bytes
	FileType   uint8  // 0x0a file_type
	_          uint8  // 0x0b reserved
}

// AppendTo appends the entry as it is on disk.
func (d Dirent) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, d.NID)
	b = binary.LittleEndian.AppendUint16(b, d.NameOffset)
	return append(b, d.FileType, 0)
}
