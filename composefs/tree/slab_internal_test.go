// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// TestInodeSize: an inode takes 48 bytes, a dentry 16, and neither has
// pointers that the garbage collector would have to follow.
func TestInodeSize(t *testing.T) {
	if got := unsafe.Sizeof(inode{}); got != 48 {
		t.Errorf("an inode takes %d bytes", got)
	}
	if got := unsafe.Sizeof(dentry{}); got != 16 {
		t.Errorf("a dentry takes %d bytes", got)
	}
}

// TestSlabDoesNotMove: elements stay where they are while the slab grows.
func TestSlabDoesNotMove(t *testing.T) {
	var s slab[int]
	const n = 3*slabSize + 1
	var at []*int
	for i := range n {
		if got := s.add(i); got != uint32(i) {
			t.Fatalf("add returned %d, want %d", got, i)
		}
		at = append(at, s.at(uint32(i)))
	}
	if s.len() != n {
		t.Errorf("len = %d, want %d", s.len(), n)
	}
	for i, p := range at {
		if p != s.at(uint32(i)) || *p != i {
			t.Fatalf("element %d moved, or is %d", i, *p)
		}
	}
}

// TestArena: strings of any length come back, also those that fill a chunk to
// the last byte, or are longer than one.
func TestArena(t *testing.T) {
	var a arena
	lengths := []int{
		0, 1, 127, 128, 16383, 16384, arenaSize - 11, arenaSize - 10, arenaSize - 9, arenaSize - 1, arenaSize, arenaSize + 1,
		3*arenaSize + 5, 0, 0, 1, 2 * arenaSize, 0, 5,
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		lengths = append(lengths, r.IntN(300))
	}
	refs := make([]uint32, len(lengths))
	want := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8), 7}, lengths[i]/3+1)[:lengths[i]] }
	for i := range lengths {
		refs[i] = a.add(want(i))
	}
	for i, ref := range refs {
		if got := a.at(ref); !bytes.Equal(got, want(i)) || cap(got) != len(got) {
			t.Fatalf("string %d of %d bytes came back with %d, capacity %d", i, lengths[i], len(got), cap(got))
		}
	}
}

// TestIndexFindsAmongCollisions: numbers are found under their hash, also if
// all have the same one.
func TestIndexFindsAmongCollisions(t *testing.T) {
	for _, mask := range []uint32{0, 1, 0xff, 0xffffffff} {
		hashOf := func(id uint32) uint32 { return (id*0x9E3779B1 ^ 0xffff) & mask }
		var x index
		const n = 1000
		for id := range uint32(n) {
			x.add(id, hashOf(id), hashOf)
		}
		for id := range uint32(n + 1) {
			found := false
			x.probe(hashOf(id), func(other uint32) bool {
				found = other == id
				return found
			})
			if found != (id < n) {
				t.Fatalf("mask %#x: number %d found: %t", mask, id, found)
			}
		}
		if len(x.slots) > 4*n {
			t.Errorf("mask %#x: %d slots for %d numbers", mask, len(x.slots), n)
		}
	}
}
