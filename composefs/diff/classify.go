// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"
	"cmp"
	"math/bits"
	"slices"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Cause is why paths differ.
type Cause struct {
	ID string
	// Sentence says what is so, with how many paths, and Remedy what to do.
	Sentence string
	Remedy   string
	// Differences are those of Result that have this cause, in their order.
	Differences []int
	// Below is how many paths are below those, and differ with them.
	Below int
	// Follow is how many of Differences are directories of which only the mtime
	// differs, because something in them has this cause.
	Follow int
	// Also is what else differs on these paths, most often first.
	Also []Also
}

// Also is a cause that some paths of another one have, too.
type Also struct {
	ID    string
	Count int // paths
}

// sides is a set of sides.
type sides uint8

// only returns the side that is alone in the set.
func (s sides) only() (Side, bool) { return Side(s >> 1), s == 1 || s == 2 }

func (s Side) set() sides { return 1 << s }

// causes is a set of causes, by their numbers.
type causes uint64

func (c causeID) set() causes { return 1 << c }

// first returns the cause that comes before the others.
func (c causes) first() causeID { return causeID(bits.TrailingZeros64(uint64(c))) }

// classifier gives every difference its cause.
type classifier struct {
	*Result
	general
	counted [causeCount]counted
}

// counted is what is known of one cause.
type counted struct {
	differences   []int
	below, follow int
	sides         sides // on which side what the cause names is
	also          [causeCount]int
}

// classify gives every difference its cause, and puts those that explain most
// first.
func (r *Result) classify() {
	c := classifier{Result: r, general: r.findGeneral()}
	sets := make([]causes, len(r.Differences))
	for i := range r.Differences {
		sets[i] = c.causesOf(&r.Differences[i])
	}
	for i := range r.Differences {
		d := &r.Differences[i]
		id := sets[i].first()
		follows := id == directoryMtime && d.explained >= 0
		if follows {
			id = sets[d.explained].first()
			c.counted[id].follow++
		}
		n := &c.counted[id]
		n.differences = append(n.differences, i)
		n.below += d.Below
		if follows {
			continue
		}
		n.sides |= c.sidesOf(d, id)
		for rest := sets[i] &^ id.set(); rest != 0; rest &= rest - 1 {
			n.also[rest.first()]++
		}
	}
	c.finish()
}

// finish makes the causes of what was counted.
func (c *classifier) finish() {
	var order []causeID
	for id := range causeCount {
		if len(c.counted[id].differences) > 0 {
			order = append(order, id)
		}
	}
	slices.SortStableFunc(order, func(a, b causeID) int { return -cmp.Compare(c.counted[a].explains(), c.counted[b].explains()) })
	for at, id := range order {
		n := &c.counted[id]
		for _, i := range n.differences {
			c.Differences[i].Cause = at
		}
		cause := Cause{
			ID: causeTable[id].id, Sentence: causeTable[id].sentence(c, n), Remedy: causeTable[id].remedy,
			Differences: n.differences, Below: n.below, Follow: n.follow,
		}
		for id, count := range n.also {
			if count > 0 {
				cause.Also = append(cause.Also, Also{causeTable[id].id, count})
			}
		}
		slices.SortStableFunc(cause.Also, func(a, b Also) int { return -cmp.Compare(a.Count, b.Count) })
		c.Causes = append(c.Causes, cause)
	}
}

// explains returns how many paths differ for this cause.
func (n *counted) explains() int { return len(n.differences) + n.below }

// causesOf returns all causes that a difference may have.
func (c *classifier) causesOf(d *Difference) causes {
	if d.place == placeRoot && !c.rootIsUsr {
		return rootMetadata.set()
	}
	var set causes
	switch {
	case d.Aspects&(Missing|Type|Content|Target|Rdev) == 0:
	case d.place == placeBuilder:
		set = builderFiles.set()
	case d.Aspects == Missing && d.place == placeEmptied && c.isEmptied(d):
		set = notTransformed.set()
	case d.kind == tree.Regular && bytes.HasSuffix(d.name, []byte(".pyc")), string(d.name) == "__pycache__":
		set = compiledPython.set()
	}
	for _, a := range []struct {
		aspect Aspects
		cause  causeID
	}{
		{Missing, onlyIn + causeID(d.OnlyIn)},
		{Type, typeDiffers},
		{Content, contentDiffers},
		{Target, targetDiffers},
		{Rdev, rdevDiffers},
		{Storage, storageDiffers},
		{Links, hardLinks},
	} {
		if d.Aspects&a.aspect != 0 {
			set |= a.cause.set()
		}
	}
	if set&(builderFiles.set()|notTransformed.set()|compiledPython.set()) != 0 {
		set &^= onlyInA.set() | onlyInB.set() | contentDiffers.set()
	}
	if d.Aspects&Type != 0 {
		return set // of two things, nothing else is to be compared
	}
	return set | c.causesOfMeta(d)
}

// isEmptied reports whether the side that has not the path has nothing else in
// /run, /boot or /sysroot either, as it is where hosts empty them.
func (c *classifier) isEmptied(d *Difference) bool {
	in := c.dirs[d.dir]
	if in.parent != 0 {
		return false // both sides have a directory there
	}
	other := c.trees[1-d.OnlyIn]
	dir, ok := other.Lookup(tree.Root, in.name)
	return ok && other.Len(dir) == 0
}

func (c *classifier) causesOfMeta(d *Difference) causes {
	var set causes
	if d.Aspects&Owner != 0 {
		set |= c.ownerCause(d).set()
	}
	if d.Aspects&Mode != 0 {
		id, _ := modeCause(c.metas(d))
		if d.kind == tree.Symlink && id == umaskMode {
			id = modeDiffers // no umask applies to symlinks
		}
		set |= id.set()
	}
	if d.Aspects&Xattrs != 0 {
		kinds := c.kindsOf(d)
		for _, k := range xattrCauses {
			if of := kinds.sides(k.kind); of != 0 && (k.any || (of == 3) == k.both) {
				set |= k.cause.set()
			}
		}
	}
	if d.Aspects&Mtime != 0 {
		set |= c.mtimeCause(d).set()
	}
	return set
}

// xattrCauses gives the causes of kinds of xattrs that one side has, or both.
var xattrCauses = []struct {
	kind  xattrKinds
	both  bool // both sides have it, with two values
	any   bool
	cause causeID
}{
	{kind: xattrCapability, any: true, cause: capabilityLost},
	{kind: xattrSELinux, both: true, cause: selinuxLabel},
	{kind: xattrSELinux, cause: selinuxLost},
	{kind: xattrDropped, any: true, cause: xattrsDropped},
	{kind: xattrUser, any: true, cause: userXattrs},
	{kind: xattrOther, any: true, cause: xattrsDiffer},
}

func (r *Result) kindsOf(d *Difference) xattrKinds {
	a, b := r.metas(d)
	return r.xattrKinds(a.Xattrs, b.Xattrs)
}

func (r *Result) metas(d *Difference) (a, b tree.Meta) {
	return r.trees[A].Meta(d.inos[A]), r.trees[B].Meta(d.inos[B])
}

// sidesOf returns on which side what the cause names is.
func (c *classifier) sidesOf(d *Difference, id causeID) sides {
	if d.Aspects == Missing {
		return d.OnlyIn.set()
	}
	a, b := c.metas(d)
	for _, k := range xattrCauses {
		if k.cause == id {
			return c.kindsOf(d).sides(k.kind)
		}
	}
	switch id {
	case umaskMode, setIDLost:
		_, side := modeCause(a, b)
		return side.set()
	case ownedByRoot:
		if isRoot(a) {
			return A.set()
		}
		return B.set()
	case nanoseconds, roundedSeconds:
		kind, side := mtimeClass(a, b)
		if kind == mtimeOther {
			side, _ = mtimeStep(a, b)
		}
		return side.set()
	case hardLinks:
		// The side where one inode stands for several on the other.
		return c.linkSides(d)
	default:
		return 0
	}
}

// linkSides returns the sides on which the path shares its inode with another
// that differs.
func (r *Result) linkSides(d *Difference) sides {
	var of sides
	for s := A; s <= B; s++ {
		if len(r.links[s][d.inos[s]]) > 1 {
			of |= s.set()
		}
	}
	return of
}
