// SPDX-License-Identifier: Apache-2.0

package fsverity

import (
	"hash"
	"io"
)

// Hasher computes the digest of one stream whose length need not be known. It
// implements hash.Hash: Sum does not change the state, so a caller may go on
// writing.
type Hasher struct {
	blocks blocks
	tree   *merkle
}

var _ hash.Hash = (*Hasher)(nil)

// New returns a Hasher. It panics if alg is none of the constants.
func New(alg Algorithm) *Hasher {
	return &Hasher{tree: newMerkle(alg)}
}

// Write adds p to the stream. It never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	return h.blocks.write(p, h.tree.addBlock)
}

// Sum appends the digest of what was written to b.
func (h *Hasher) Sum(b []byte) []byte {
	return h.tree.appendDigest(b, h.blocks.size, h.blocks.tail())
}

// Digest returns the digest of what was written.
func (h *Hasher) Digest() Digest {
	d := Digest{alg: h.tree.alg}
	h.Sum(d.sum[:0])
	return d
}

// Reset makes the Hasher as good as new.
func (h *Hasher) Reset() {
	h.blocks.reset()
	h.tree.reset()
}

// Size returns the length of a digest, in bytes.
func (h *Hasher) Size() int { return h.tree.alg.Size() }

// BlockSize returns 4096: writes of a multiple of it are the fastest.
func (h *Hasher) BlockSize() int { return BlockSize }

// Sum returns the digest of data.
func Sum(alg Algorithm, data []byte) Digest {
	h := New(alg)
	_, _ = h.Write(data) // never fails
	return h.Digest()
}

// SumReader returns the digests of all that r gives, one for each algorithm in
// their order. Its error is r's.
func SumReader(r io.Reader, algs ...Algorithm) ([]Digest, error) {
	digests := make([]Digest, 0, len(algs))
	b := NewBatch(algs, func(_ int, sums []byte) {
		for _, alg := range algs {
			d := Digest{alg: alg}
			copy(d.sum[:], sums[:alg.Size()])
			sums = sums[alg.Size():]
			digests = append(digests, d)
		}
	})
	b.Begin(0)
	if _, err := io.Copy(b, r); err != nil {
		return nil, err
	}
	b.End()
	b.Flush()
	return digests, nil
}

// blocks cuts a stream into blocks.
type blocks struct {
	size uint64 // bytes written
	buf  [BlockSize]byte
}

func (s *blocks) reset() { s.size = 0 }

// tail returns what was written after the last whole block.
func (s *blocks) tail() []byte { return s.buf[:s.size%BlockSize] }

// write calls add for each block that p completes, straight from p where it
// holds the whole block.
func (s *blocks) write(p []byte, add func(block []byte)) (int, error) {
	n := len(p)
	if used := int(s.size % BlockSize); used > 0 {
		c := copy(s.buf[used:], p)
		s.size += uint64(c)
		p = p[c:]
		if used+c < BlockSize {
			return n, nil
		}
		add(s.buf[:])
	}
	for ; len(p) >= BlockSize; p = p[BlockSize:] {
		add(p[:BlockSize])
		s.size += BlockSize
	}
	s.size += uint64(copy(s.buf[:], p))
	return n, nil
}
