// SPDX-License-Identifier: Apache-2.0

package pkcs7

import (
	"encoding/binary"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// formattedMagic begins the bytes that are signed, so that a signature of a
// file is good for nothing else.
const formattedMagic = "FSVerity"

// FormattedDigest returns the bytes that a signature of d signs: struct
// fsverity_formatted_digest of linux/include/uapi/linux/fsverity.h. These are
// 44 bytes for SHA-256, 76 for SHA-512.
func FormattedDigest(d fsverity.Digest) []byte {
	sum := d.Bytes()
	b := []byte(formattedMagic)                                      // 0x00 magic
	b = binary.LittleEndian.AppendUint16(b, uint16(d.Algorithm()))   // 0x08 digest_algorithm
	b = binary.LittleEndian.AppendUint16(b, uint16(len(sum)&0xffff)) // 0x0a digest_size: of digest, in bytes
	return append(b, sum...)                                         // 0x0c digest
}
