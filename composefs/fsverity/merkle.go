// SPDX-License-Identifier: Apache-2.0

package fsverity

// merkle is a Merkle tree under construction. It keeps the one unfinished
// block of each level, so a file's length costs nothing: 4 KiB a level, and
// each level holds 64 or 128 times what the one below it does.
type merkle struct {
	alg    Algorithm
	kernel kernel
	levels [][]byte // unfinished block of each level above the data, lowest first

	// Scratch space of appendDigest, here so that it is allocated once.
	block [BlockSize]byte
	hash  [MaxSize]byte
}

func newMerkle(alg Algorithm) *merkle {
	return &merkle{alg: alg, kernel: kernelFor(alg)}
}

func (m *merkle) reset() {
	for i := range m.levels {
		m.levels[i] = m.levels[i][:0]
	}
}

// addBlock adds the next data block, which is BlockSize bytes long.
func (m *merkle) addBlock(block []byte) {
	for level := 0; ; level++ {
		if level == len(m.levels) {
			m.levels = append(m.levels, make([]byte, 0, BlockSize))
		}
		m.levels[level] = m.kernel.appendSum(m.levels[level], block)
		if len(m.levels[level]) < BlockSize {
			return
		}
		// The block is full: its hash goes one level up, where block is no
		// longer needed once hashed.
		block = m.levels[level]
		m.levels[level] = m.levels[level][:0]
	}
}

// appendDigest appends the digest of a file of size bytes of which all whole
// blocks were added and tail, shorter than a block, is the rest. Blocks may be
// added after it as before.
func (m *merkle) appendDigest(dst []byte, size uint64, tail []byte) []byte {
	d := descriptor{
		Version:       descriptorVersion,
		HashAlgorithm: uint8(m.alg),
		LogBlockSize:  BlockBits,
		DataSize:      size,
	}
	copy(d.RootHash[:], m.root(tail))
	return m.kernel.appendSum(dst, d.appendTo(m.block[:0]))
}

// root returns the root hash, valid until the next call: none for an empty
// file.
func (m *merkle) root(tail []byte) []byte {
	carry := m.hash[:0]
	if len(tail) > 0 {
		carry = m.sumPadded(tail, nil)
	}
	top := len(m.levels)
	for top > 0 && len(m.levels[top-1]) == 0 {
		top--
	}
	for level, pending := range m.levels[:top] {
		if level == top-1 && len(pending) == m.alg.Size() && len(carry) == 0 {
			return append(carry, pending...)
		}
		if len(pending)+len(carry) > 0 {
			carry = m.sumPadded(pending, carry)
		}
	}
	return carry
}

// sumPadded returns the hash of the block that a and b begin and zeros fill.
func (m *merkle) sumPadded(a, b []byte) []byte {
	n := copy(m.block[:], a)
	n += copy(m.block[n:], b)
	clear(m.block[n:])
	return m.kernel.appendSum(m.hash[:0], m.block[:])
}
