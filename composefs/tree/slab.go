// SPDX-License-Identifier: Apache-2.0

package tree

import "encoding/binary"

// slab is a growing array whose elements never move, so that growing needs no
// second copy of it.
type slab[T any] struct {
	chunks [][]T
	n      uint32
}

const (
	slabBits = 12
	slabSize = 1 << slabBits // elements of a chunk
)

func (s *slab[T]) len() uint32 { return s.n }

func (s *slab[T]) at(i uint32) *T {
	return &s.chunks[i>>slabBits][i&(slabSize-1)]
}

func (s *slab[T]) add(v T) uint32 {
	i := s.n
	if int(i>>slabBits) == len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, 0, slabSize))
	}
	chunk := &s.chunks[i>>slabBits]
	*chunk = append(*chunk, v)
	s.n++
	return i
}

// sumTable holds digests of one length.
type sumTable struct {
	stride int // bytes
	chunks [][]byte
	n      uint32
}

func (s *sumTable) at(i uint32) []byte {
	off := int(i&(slabSize-1)) * s.stride
	return s.chunks[i>>slabBits][off : off+s.stride : off+s.stride]
}

func (s *sumTable) add(sum []byte) uint32 {
	i := s.n
	if int(i>>slabBits) == len(s.chunks) {
		s.chunks = append(s.chunks, make([]byte, 0, slabSize*s.stride))
	}
	chunk := &s.chunks[i>>slabBits]
	*chunk = append(*chunk, sum...)
	s.n++
	return i
}

// arena holds byte strings behind 32-bit references: which chunk, and where
// in it.
type arena struct {
	chunks [][]byte
}

const (
	arenaBits = 20
	arenaSize = 1 << arenaBits // bytes of a chunk; a longer string gets one of its own
	arenaMax  = 1 << (32 - arenaBits)
)

func (a *arena) add(b []byte) uint32 {
	need := len(b) + binary.MaxVarintLen64
	last := len(a.chunks) - 1
	if last < 0 || cap(a.chunks[last])-len(a.chunks[last]) < need {
		a.chunks = append(a.chunks, make([]byte, 0, max(need, arenaSize)))
		last++
		if last == arenaMax {
			panic("tree: more than 4 GiB of names")
		}
	}
	off := len(a.chunks[last])
	chunk := binary.AppendUvarint(a.chunks[last], uint64(len(b)))
	a.chunks[last] = append(chunk, b...)
	return uint32(last)<<arenaBits | uint32(off)
}

func (a *arena) at(ref uint32) []byte {
	chunk := a.chunks[ref>>arenaBits][ref&(arenaSize-1):]
	n, w := binary.Uvarint(chunk)
	end := w + int(n)
	return chunk[w:end:end]
}
