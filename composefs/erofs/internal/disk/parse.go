// SPDX-License-Identifier: Apache-2.0

package disk

import "encoding/binary"

var le = binary.LittleEndian

// ParseHeader is the inverse of AppendTo. It takes HeaderSize bytes.
func ParseHeader(b []byte) Header {
	return Header{
		Magic:            le.Uint32(b[0x00:]),
		Version:          le.Uint32(b[0x04:]),
		Flags:            le.Uint32(b[0x08:]),
		ComposefsVersion: le.Uint32(b[0x0c:]),
	}
}

// ParseSuperblock is the inverse of AppendTo. It takes SuperblockSize bytes.
func ParseSuperblock(b []byte) Superblock {
	return Superblock{
		Magic:           le.Uint32(b[0x00:]),
		FeatureCompat:   le.Uint32(b[0x08:]),
		BlockBits:       b[0x0c],
		RootNID:         le.Uint16(b[0x0e:]),
		Inodes:          le.Uint64(b[0x10:]),
		BuildTimeSec:    le.Uint64(b[0x18:]),
		BuildTimeNsec:   le.Uint32(b[0x20:]),
		Blocks:          le.Uint32(b[0x24:]),
		MetaBlock:       le.Uint32(b[0x28:]),
		XattrBlock:      le.Uint32(b[0x2c:]),
		FeatureIncompat: le.Uint32(b[0x50:]),
	}
}

// ParseFormat returns i_format, with which both kinds of inodes begin.
func ParseFormat(b []byte) uint16 { return le.Uint16(b) }

// ParseCompactInode is the inverse of AppendTo. It takes CompactInodeSize
// bytes.
func ParseCompactInode(b []byte) CompactInode {
	return CompactInode{
		Format:     le.Uint16(b[0x00:]),
		XattrCount: le.Uint16(b[0x02:]),
		Mode:       le.Uint16(b[0x04:]),
		Nlink:      le.Uint16(b[0x06:]),
		Size:       le.Uint32(b[0x08:]),
		Union:      le.Uint32(b[0x10:]),
		Ino:        le.Uint32(b[0x14:]),
		UID:        le.Uint16(b[0x18:]),
		GID:        le.Uint16(b[0x1a:]),
	}
}

// ParseExtendedInode is the inverse of AppendTo. It takes ExtendedInodeSize
// bytes.
func ParseExtendedInode(b []byte) ExtendedInode {
	return ExtendedInode{
		Format:     le.Uint16(b[0x00:]),
		XattrCount: le.Uint16(b[0x02:]),
		Mode:       le.Uint16(b[0x04:]),
		Size:       le.Uint64(b[0x08:]),
		Union:      le.Uint32(b[0x10:]),
		Ino:        le.Uint32(b[0x14:]),
		UID:        le.Uint32(b[0x18:]),
		GID:        le.Uint32(b[0x1c:]),
		MtimeSec:   le.Uint64(b[0x20:]),
		MtimeNsec:  le.Uint32(b[0x28:]),
		Nlink:      le.Uint32(b[0x2c:]),
	}
}

// ParseXattrHeader is the inverse of AppendTo. It takes XattrHeaderSize bytes.
func ParseXattrHeader(b []byte) XattrHeader {
	return XattrHeader{NameFilter: le.Uint32(b), SharedCount: b[4]}
}

// ParseXattrEntry is the inverse of AppendTo. It takes XattrEntrySize bytes.
func ParseXattrEntry(b []byte) XattrEntry {
	return XattrEntry{NameLen: b[0], NameIndex: b[1], ValueSize: le.Uint16(b[2:])}
}

// ParseDirent is the inverse of AppendTo. It takes DirentSize bytes.
func ParseDirent(b []byte) Dirent {
	return Dirent{NID: le.Uint64(b), NameOffset: le.Uint16(b[0x08:]), FileType: b[0x0a]}
}
