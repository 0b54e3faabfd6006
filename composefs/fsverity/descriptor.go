// SPDX-License-Identifier: Apache-2.0

package fsverity

import "encoding/binary"

// descriptorSize is the size of a descriptor, in bytes.
const descriptorSize = 256

const (
	descriptorVersion = 1
	rootHashMax       = 64
	saltMax           = 32
)

// descriptor is what a file's digest is the hash of (struct
// fsverity_descriptor, linux/include/uapi/linux/fsverity.h).
type descriptor struct {
	Version       uint8  // 0x00 version: 1
	HashAlgorithm uint8  // 0x01 hash_algorithm
	LogBlockSize  uint8  // 0x02 log_blocksize
	SaltSize      uint8  // 0x03 salt_size: 0
	_             uint32 // 0x04 reserved
	DataSize      uint64 // 0x08 data_size, in bytes

	RootHash [rootHashMax]byte // 0x10 root_hash, zero-padded; all zero for an empty file

	Salt [saltMax]byte // 0x50 salt: none

	_ [144]byte // 0x70 reserved
}

func (d *descriptor) appendTo(b []byte) []byte {
	b = append(b, d.Version, d.HashAlgorithm, d.LogBlockSize, d.SaltSize, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, d.DataSize)
	b = append(b, d.RootHash[:]...)
	b = append(b, d.Salt[:]...)
	return append(b, make([]byte, 144)...)
}
