// SPDX-License-Identifier: Apache-2.0

package fsverity

import (
	"encoding/hex"
	"fmt"
)

// Digest is an fs-verity digest. Digests are equal if and only if == says so.
// The zero Digest has no algorithm and stands for none.
type Digest struct {
	alg Algorithm
	sum [MaxSize]byte
}

// NewDigest returns the digest whose bytes are sum, which must be as long as
// the algorithm's digests are.
func NewDigest(alg Algorithm, sum []byte) (Digest, error) {
	if alg != SHA256 && alg != SHA512 {
		return Digest{}, fmt.Errorf("fsverity: %s is no algorithm", alg)
	}
	if len(sum) != alg.Size() {
		return Digest{}, fmt.Errorf("fsverity: a %s digest has %d bytes, not %d", alg, alg.Size(), len(sum))
	}
	d := Digest{alg: alg}
	copy(d.sum[:], sum)
	return d, nil
}

// ParseDigest returns the digest that the lowercase hexadecimal text gives.
func ParseDigest(alg Algorithm, text string) (Digest, error) {
	for _, c := range text {
		if c >= 'A' && c <= 'F' {
			return Digest{}, fmt.Errorf("fsverity: digest %q is not in lowercase", text)
		}
	}
	sum, err := hex.DecodeString(text)
	if err != nil {
		return Digest{}, fmt.Errorf("fsverity: digest %q: %w", text, err)
	}
	return NewDigest(alg, sum)
}

// Algorithm returns the algorithm that made the digest.
func (d Digest) Algorithm() Algorithm { return d.alg }

// IsZero reports whether d is the zero Digest.
func (d Digest) IsZero() bool { return d == Digest{} }

// Bytes returns the digest's bytes; nil for the zero Digest.
func (d Digest) Bytes() []byte {
	if d.alg == 0 {
		return nil
	}
	return d.sum[:d.alg.Size()]
}

// String returns the digest in lowercase hexadecimal, without a prefix.
func (d Digest) String() string { return hex.EncodeToString(d.Bytes()) }
