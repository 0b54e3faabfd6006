// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"
	"slices"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// permBits are those of a mode that an image has; the type is compared apart.
const permBits = 0o7777

// compare returns what differs between two inodes, but for links, and whether
// their content could not be compared.
func (r *Result) compare(inos [2]tree.Ino) (aspects Aspects, notCompared bool) {
	a, b := r.trees[A], r.trees[B]
	ma, mb := a.Meta(inos[A]), b.Meta(inos[B])
	if (ma.Mode^mb.Mode)&permBits != 0 {
		aspects |= Mode
	}
	if ma.UID != mb.UID || ma.GID != mb.GID {
		aspects |= Owner
	}
	if ma.MtimeSec != mb.MtimeSec || ma.MtimeNsec != mb.MtimeNsec {
		aspects |= Mtime
	}
	if r.xattrKinds(ma.Xattrs, mb.Xattrs) != 0 {
		aspects |= Xattrs
	}
	kind := a.Kind(inos[A])
	if kind != b.Kind(inos[B]) {
		return aspects | Type, false
	}
	switch kind {
	case tree.Regular:
		content, notCompared := r.compareContent(inos)
		return aspects | content, notCompared
	case tree.Symlink:
		if !bytes.Equal(a.Data(inos[A]), b.Data(inos[B])) {
			aspects |= Target
		}
	case tree.BlockDevice, tree.CharDevice:
		if a.Rdev(inos[A]) != b.Rdev(inos[B]) {
			aspects |= Rdev
		}
	case tree.Directory, tree.FIFO, tree.Socket:
	}
	return aspects, false
}

// compareContent compares two regular files.
func (r *Result) compareContent(inos [2]tree.Ino) (aspects Aspects, notCompared bool) {
	a, b := r.trees[A], r.trees[B]
	if a.Storage(inos[A]) != b.Storage(inos[B]) {
		aspects |= Storage
	}
	if a.Size(inos[A]) != b.Size(inos[B]) {
		return aspects | Content, false
	}
	objectA, isA := a.Object(inos[A])
	objectB, isB := b.Object(inos[B])
	switch {
	case isA && isB && r.alg == 0:
		return aspects, true
	case isA && isB:
		if !bytes.Equal(a.Sum(objectA, r.alg), b.Sum(objectB, r.alg)) {
			aspects |= Content
		}
	case isA:
		aspects |= r.compareHeld(A, objectA, inos[B])
	case isB:
		aspects |= r.compareHeld(B, objectB, inos[A])
	case !r.sameData(inos):
		aspects |= Content
	}
	return aspects, false
}

// compareHeld compares an object of side s with a file of the other that has
// none. A sparse file is not looked at: it may have any size.
func (r *Result) compareHeld(s Side, object uint32, ino tree.Ino) Aspects {
	other := r.trees[s.other()]
	if other.Storage(ino) != tree.Inline {
		return Content
	}
	alg := r.trees[s].Algorithms()[0]
	sum, ok := r.held[s.other()][ino]
	if !ok {
		sum = fsverity.Sum(alg, other.Data(ino))
		if other.Nlink(ino) > 1 {
			r.held[s.other()][ino] = sum
		}
	}
	if !bytes.Equal(sum.Bytes(), r.trees[s].Sum(object, alg)) {
		return Content
	}
	return 0
}

// sameData compares content that both images hold. Two inodes with many names
// in common are compared once: an image may hold much under each.
func (r *Result) sameData(inos [2]tree.Ino) bool {
	a, b := r.trees[A], r.trees[B]
	if a.Nlink(inos[A]) == 1 || b.Nlink(inos[B]) == 1 {
		return bytes.Equal(a.Data(inos[A]), b.Data(inos[B]))
	}
	same, ok := r.same[inos]
	if !ok {
		same = bytes.Equal(a.Data(inos[A]), b.Data(inos[B]))
		r.same[inos] = same
	}
	return same
}

// linkable returns Links if the inodes could be one: the same but for what
// belongs to the inode as a whole.
func (r *Result) linkable(inos [2]tree.Ino) Aspects {
	const other = Type | Content | Target | Rdev
	if aspects, _ := r.compare(inos); aspects&other != 0 {
		return 0
	}
	return Links
}

// findSplit returns the inodes of each side whose names have several inodes on
// the other. A name whose content is another does not count: who wrote it anew
// gave it an inode of its own.
func (r *Result) findSplit() [2]map[tree.Ino]bool {
	var split [2]map[tree.Ino]bool
	var other [2]map[tree.Ino]tree.Ino
	for s := A; s <= B; s++ {
		split[s], other[s] = map[tree.Ino]bool{}, map[tree.Ino]tree.Ino{}
	}
	type dirs = [2]tree.Ino
	var list []pair
	for stack := []dirs{{tree.Root, tree.Root}}; len(stack) > 0; {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		list = r.pairs(list, top)
		for i := range list {
			p := &list[i]
			if !p.has[A] || !p.has[B] {
				continue
			}
			kinds := []tree.Kind{r.trees[A].Kind(p.inos[A]), r.trees[B].Kind(p.inos[B])}
			if slices.Contains(kinds, tree.Directory) {
				if kinds[A] == kinds[B] {
					stack = append(stack, p.inos)
				}
				continue
			}
			if r.trees[A].Nlink(p.inos[A]) == 1 && r.trees[B].Nlink(p.inos[B]) == 1 || r.linkable(p.inos) == 0 {
				continue
			}
			for s := A; s <= B; s++ {
				mine, theirs := p.inos[s], p.inos[s.other()]
				if known, ok := other[s][mine]; ok && known != theirs {
					split[s][mine] = true
				}
				other[s][mine] = theirs
			}
		}
	}
	return split
}
