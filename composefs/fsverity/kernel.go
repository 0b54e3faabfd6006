// SPDX-License-Identifier: Apache-2.0

package fsverity

import (
	"crypto/sha256"
	"crypto/sha512"
)

// kernel hashes blocks that do not depend on each other. It is the seam for
// faster ones: a kernel with more lanes gets as many blocks per call, of one
// file or of several.
type kernel interface {
	// appendSum appends the hash of block to dst. All blocks are BlockSize
	// bytes long, but for descriptors.
	appendSum(dst, block []byte) []byte
}

type stdSHA256 struct{}

func (stdSHA256) appendSum(dst, block []byte) []byte {
	sum := sha256.Sum256(block)
	return append(dst, sum[:]...)
}

type stdSHA512 struct{}

func (stdSHA512) appendSum(dst, block []byte) []byte {
	sum := sha512.Sum512(block)
	return append(dst, sum[:]...)
}

func kernelFor(alg Algorithm) kernel {
	switch alg {
	case SHA256:
		return stdSHA256{}
	case SHA512:
		return stdSHA512{}
	}
	panic("fsverity: invalid " + alg.String())
}
