// SPDX-License-Identifier: Apache-2.0

package tree

// index is a hash table of numbers, with open addressing and linear probing.
// It holds nothing but them, 4 bytes each: a Go map from name to inode would
// take ten times that. Nothing is ever removed.
type index struct {
	slots []uint32 // number + 1; 0 is free
	n     int
}

// probe calls match for each number that may have the hash, until it returns
// true.
func (x *index) probe(hash uint32, match func(id uint32) bool) {
	if len(x.slots) == 0 {
		return
	}
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; x.slots[i] != 0; i = (i + 1) & mask {
		if match(x.slots[i] - 1) {
			return
		}
	}
}

// add adds a number with its hash; hashOf tells those of the numbers that are
// there already.
func (x *index) add(id, hash uint32, hashOf func(id uint32) uint32) {
	if 4*(x.n+1) > 3*len(x.slots) {
		old := x.slots
		x.slots = make([]uint32, max(64, 2*len(old)))
		for _, slot := range old {
			if slot != 0 {
				x.put(slot, hashOf(slot-1))
			}
		}
	}
	x.put(id+1, hash)
	x.n++
}

func (x *index) put(slot, hash uint32) {
	mask := uint32(len(x.slots) - 1)
	i := hash & mask
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = slot
}
