// SPDX-License-Identifier: Apache-2.0

package fsverity

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"strings"
)

const (
	// BlockBits is the base-2 logarithm of BlockSize.
	BlockBits = 12
	// BlockSize is the size of a Merkle tree block, in bytes. It is the only
	// block size that composefs uses.
	BlockSize = 1 << BlockBits
	// MaxSize is the size of the longest digest, in bytes.
	MaxSize = sha512.Size
)

// Algorithm is a hash algorithm of fs-verity. Its value is the number that
// the kernel gives it (FS_VERITY_HASH_ALG_*, linux/include/uapi/linux/fsverity.h).
type Algorithm uint8

// The algorithms that composefs uses.
const (
	SHA256 Algorithm = 1
	SHA512 Algorithm = 2
)

// ParseAlgorithm returns the algorithm of that name: sha256 or sha512.
func ParseAlgorithm(name string) (Algorithm, error) {
	for _, a := range []Algorithm{SHA256, SHA512} {
		if a.String() == name {
			return a, nil
		}
	}
	return 0, fmt.Errorf("fsverity: unknown algorithm %q: use sha512 or sha256", name)
}

// String returns the algorithm's name in the kernel and in commands: sha256
// or sha512.
func (a Algorithm) String() string {
	switch a {
	case SHA256:
		return "sha256"
	case SHA512:
		return "sha512"
	}
	return fmt.Sprintf("Algorithm(%d)", uint8(a))
}

// Label returns how the composefs sealing specification names the algorithm
// together with the block size: fsverity-sha512-12.
func (a Algorithm) Label() string {
	return fmt.Sprintf("fsverity-%s-%d", a, BlockBits)
}

// Size returns the length of a digest, in bytes. It panics for a value that
// is none of the constants.
func (a Algorithm) Size() int {
	switch a {
	case SHA256:
		return sha256.Size
	case SHA512:
		return sha512.Size
	}
	panic("fsverity: invalid " + a.String())
}

// Join returns the names of the algorithms with commas between them.
func Join(algs []Algorithm) string {
	names := make([]string, len(algs))
	for i, a := range algs {
		names[i] = a.String()
	}
	return strings.Join(names, ",")
}
