// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/cfs-label/cfs-label/composefs/erofs/internal/disk"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

func (t *xattrTable) countUse(it item) {
	switch it & itemKind {
	case itemMetacopy:
		t.objects.add(it.id(), useMetacopy)
	case itemRedirect:
		t.objects.add(it.id(), useRedirect)
	default:
		t.attrs[it.id()].uses++
	}
}

// isShared reports whether more than one inode has the xattr.
func (t *xattrTable) isShared(it item) bool {
	switch it & itemKind {
	case itemMetacopy:
		return t.objects.many(it.id(), useMetacopy)
	case itemRedirect:
		return t.objects.many(it.id(), useRedirect)
	default:
		return t.attrs[it.id()].uses > 1
	}
}

func (t *xattrTable) collectShared() {
	for i := range t.attrs {
		if it := itemPlain | item(i); t.isShared(it) {
			t.shared = append(t.shared, it)
		}
	}
	for object := range t.objects.distinct() {
		for _, kind := range []item{itemMetacopy, itemRedirect} {
			if it := kind | item(object); t.isShared(it) {
				t.shared = append(t.shared, it)
			}
		}
	}
	slices.SortFunc(t.shared, t.compareShared)
}

func (t *xattrTable) compareShared(a, b item) int {
	if t.im.sharedDescending {
		a, b = b, a
	}
	return t.compare(a, b)
}

// reference returns how an inode names a shared xattr: its offset in words.
func (t *xattrTable) reference(it item) uint32 {
	i, ok := slices.BinarySearchFunc(t.shared, it, t.compareShared)
	if !ok {
		panic("erofs: internal error: a shared xattr is not in the table")
	}
	at := t.im.sharedAt[i]
	if t.im.xattrBlock {
		at -= t.im.inodesEnd / disk.BlockSize * disk.BlockSize
	}
	return uint32(at / disk.XattrWord)
}

// objectUses counts how many inodes name each object, where objects with equal
// digests are one.
type objectUses struct {
	same []uint32 // object -> the first with an equal digest
	uses []uint8  // by that: 0, 1 or many, twice
}

// What an inode can have of an object: positions in objectUses.uses.
const (
	useMetacopy = 0
	useRedirect = 2

	useMany = 2
	useMask = 3
)

func newObjectUses(c *tree.Checked, alg fsverity.Algorithm) objectUses {
	n := c.Objects()
	u := objectUses{same: make([]uint32, n), uses: make([]uint8, n)}
	if n == 0 {
		return u
	}
	// A hash table without a hash: digests are as good as random.
	slots := make([]uint32, 1<<bits.Len(uint(n+n/2))) // object + 1
	mask := uint32(len(slots) - 1)
	for object := range uint32(n) {
		sum := c.Sum(object, alg)
		i := binary.LittleEndian.Uint32(sum) & mask
		for slots[i] != 0 && !bytes.Equal(c.Sum(slots[i]-1, alg), sum) {
			i = (i + 1) & mask
		}
		if slots[i] == 0 {
			slots[i] = object + 1
		}
		u.same[object] = slots[i] - 1
	}
	return u
}

func (u *objectUses) add(object uint32, what int) {
	if n := &u.uses[u.same[object]]; *n>>what&useMask < useMany {
		*n += 1 << what
	}
}

func (u *objectUses) many(object uint32, what int) bool {
	return u.uses[u.same[object]]>>what&useMask >= useMany
}

// distinct yields one object of those with equal digests.
func (u *objectUses) distinct() func(yield func(uint32) bool) {
	return func(yield func(uint32) bool) {
		for object, same := range u.same {
			if uint32(object) == same && !yield(same) {
				return
			}
		}
	}
}
