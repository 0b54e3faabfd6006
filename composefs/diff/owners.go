// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"slices"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// findShift finds out whether owners are those of another user namespace: then
// nearly all paths have others, and each number another one of its own. What
// chown -R did below a directory leaves the rest as it was, and what it did to
// all makes one owner of several.
func (r *Result) findShift(g *general) {
	n := 0
	users, groups := numbers{}, numbers{}
	for i := range r.Differences {
		d := &r.Differences[i]
		if d.Aspects&Owner == 0 {
			continue
		}
		n++
		a, b := r.metas(d)
		users[[2]uint32{a.UID, b.UID}] = true
		groups[[2]uint32{a.GID, b.GID}] = true
	}
	if n == 0 || 100*n < 99*r.both {
		return
	}
	user, isUser := users.shift()
	group, isGroup := groups.shift() // a namespace moves groups as well
	g.shift, g.shifted = [2]int64{user, group}, isUser && isGroup
}

// numbers are what users or groups of one side are on the other.
type numbers map[[2]uint32]bool

// shift returns by how much all numbers differ. root may differ by another:
// rootless builders map it to the user, and the others elsewhere. Two numbers
// never become one.
func (n numbers) shift() (by int64, ok bool) {
	var known [2]map[uint32]bool
	known[A], known[B] = map[uint32]bool{}, map[uint32]bool{}
	var roots, others []int64
	for pair := range n {
		a, b := pair[A], pair[B]
		if a == b || known[A][a] || known[B][b] {
			return 0, false
		}
		known[A][a], known[B][b] = true, true
		shifts := &others
		if a == 0 || b == 0 {
			shifts = &roots
		}
		*shifts = append(*shifts, int64(b)-int64(a))
	}
	if len(slices.Compact(others)) > 1 || len(roots) > 1 {
		return 0, false
	}
	return append(others, roots...)[0], true
}

func isRoot(m tree.Meta) bool { return m.UID == 0 && m.GID == 0 }

func (c *classifier) ownerCause(d *Difference) causeID {
	a, b := c.metas(d)
	switch {
	case c.shifted:
		return ownersShifted
	case isRoot(a), isRoot(b):
		return ownedByRoot
	}
	return ownerDiffers
}
