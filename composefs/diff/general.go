// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// general is what only all differences together tell.
type general struct {
	rootIsUsr bool // on both sides the root has what /usr has

	shifted bool     // owners differ by shift
	shift   [2]int64 // of uid and gid, from A to B

	rounded [2]bool // mtimes of the side are rounded to seconds, not cut
	stepped [2]bool // neither side has fractions; the side rounded, the other cut

	touched bool // directories all over the tree differ in mtime alone

	// Of one side, nearly all mtimes that differ are the same.
	hasOneMtime bool
	oneMtime    mtime
	oneSide     Side
}

type mtime struct {
	sec  int64
	nsec uint32
}

func mtimeOf(m tree.Meta) mtime { return mtime{m.MtimeSec, m.MtimeNsec} }

func (r *Result) findGeneral() general {
	g := general{rootIsUsr: r.rootLikeUsr(A) && r.rootLikeUsr(B)}
	r.findShift(&g)
	r.findRounded(&g)
	r.findOneMtime(&g)
	r.findTouched(&g)
	return g
}

// rootLikeUsr reports whether the root has the metadata of /usr.
func (r *Result) rootLikeUsr(s Side) bool {
	usr, ok := r.trees[s].Lookup(tree.Root, []byte("usr"))
	return ok && r.trees[s].Meta(usr) == r.trees[s].Meta(tree.Root)
}

// modeCause returns why modes differ, and which side has less.
func modeCause(a, b tree.Meta) (causeID, Side) {
	const setID, groupAndOthers = 0o6000, 0o077
	changed := (a.Mode ^ b.Mode) & permBits
	side := B
	switch {
	case changed&b.Mode == 0:
	case changed&a.Mode == 0:
		side = A
	default:
		return modeDiffers, A
	}
	switch {
	case changed&^setID == 0:
		return setIDLost, side
	case changed&^groupAndOthers == 0:
		return umaskMode, side
	}
	return modeDiffers, side
}

// mtimeKind is how two mtimes differ.
type mtimeKind uint8

const (
	mtimeOther mtimeKind = iota
	mtimeCut             // one has no fraction, the seconds are the same
	mtimeUp              // one is the other, rounded up to seconds
)

// mtimeClass returns how two mtimes differ, and which side has no fraction.
func mtimeClass(a, b tree.Meta) (mtimeKind, Side) {
	const half = 5e8 // nanoseconds
	for s, m := range [][2]tree.Meta{A: {a, b}, B: {b, a}} {
		whole, exact := m[0], m[1]
		switch {
		case whole.MtimeNsec != 0 || exact.MtimeNsec == 0:
		case whole.MtimeSec == exact.MtimeSec:
			return mtimeCut, Side(s)
		case whole.MtimeSec-1 == exact.MtimeSec && exact.MtimeNsec >= half:
			return mtimeUp, Side(s)
		}
	}
	return mtimeOther, A
}

// mtimeStep reports whether two mtimes of whole seconds are next to each other,
// and which side has the later one.
func mtimeStep(a, b tree.Meta) (Side, bool) {
	whole := a.MtimeNsec == 0 && b.MtimeNsec == 0
	switch {
	case whole && a.MtimeSec-1 == b.MtimeSec:
		return A, true
	case whole && b.MtimeSec-1 == a.MtimeSec:
		return B, true
	}
	return A, false
}

// findRounded: who rounds takes about half of the fractions up. A few that are
// up are touched files. Where one side rounded and the other cut, neither has
// fractions, and what one took up is a second later there: nine in ten of the
// mtimes that differ, as touched files can be a second later, too.
func (r *Result) findRounded(g *general) {
	const least = 10 // paths that are a second later
	var cut, up, step [2]int
	total := 0
	for i := range r.Differences {
		d := &r.Differences[i]
		if d.Aspects&Mtime == 0 {
			continue
		}
		total++
		switch kind, side := mtimeClass(r.metas(d)); kind {
		case mtimeCut:
			cut[side]++
		case mtimeUp:
			up[side]++
		case mtimeOther:
			if later, ok := mtimeStep(r.metas(d)); ok {
				step[later]++
			}
		}
	}
	for s := A; s <= B; s++ {
		g.rounded[s] = 4*up[s] >= cut[s]
		g.stepped[s] = step[s] >= least && 10*step[s] >= 9*total
	}
}

// findTouched: where this many directories differ in mtime alone, and nothing
// in them tells why, those that builders mount over differ for the same reason.
func (r *Result) findTouched(g *general) {
	const least = 10 // directories
	n := 0
	for i := range r.Differences {
		d := &r.Differences[i]
		if d.kind == tree.Directory && d.Aspects == Mtime && d.explained < 0 && d.place == placeAny {
			n++
		}
	}
	g.touched = n >= least
}

// findOneMtime: one mtime of nine in ten paths that differ in it, and not of
// directories alone, was set by a builder, or by a touch of all files.
func (r *Result) findOneMtime(g *general) {
	const least = 10 // paths
	type counts struct{ dirs, all int }
	var by [2]map[mtime]*counts
	total := 0
	for s := A; s <= B; s++ {
		by[s] = map[mtime]*counts{}
	}
	for i := range r.Differences {
		d := &r.Differences[i]
		if d.Aspects&Mtime == 0 {
			continue
		}
		a, b := r.metas(d)
		if kind, _ := mtimeClass(a, b); kind != mtimeOther {
			continue
		}
		total++
		for s, m := range []mtime{A: mtimeOf(a), B: mtimeOf(b)} {
			n := by[s][m]
			if n == nil {
				n = &counts{}
				by[s][m] = n
			}
			n.all++
			if d.kind == tree.Directory {
				n.dirs++
			}
		}
	}
	for _, s := range []Side{B, A} { // B is more often the one that was made anew
		for m, n := range by[s] {
			if n.all >= least && 10*n.all >= 9*total && n.dirs < n.all && !g.hasOneMtime {
				g.hasOneMtime, g.oneMtime, g.oneSide = true, m, s
			}
		}
	}
}

func (c *classifier) mtimeCause(d *Difference) causeID {
	a, b := c.metas(d)
	kind, side := mtimeClass(a, b)
	switch {
	case kind != mtimeOther && c.rounded[side]:
		return roundedSeconds
	case kind == mtimeCut:
		return nanoseconds
	case c.hasOneMtime && [2]mtime{mtimeOf(a), mtimeOf(b)}[c.oneSide] == c.oneMtime:
		return oneMtime
	case d.place == placeEmpty && c.takesUsr(d):
		return notTransformed
	case c.isStepped(a, b):
		return roundedSeconds
	case d.place == placeBuilder && (!c.touched || d.kind != tree.Directory):
		return builderFiles
	case d.kind == tree.Directory:
		return directoryMtime
	}
	return fileMtime
}

// isStepped reports whether the mtimes are one, rounded up and cut.
func (c *classifier) isStepped(a, b tree.Meta) bool {
	later, ok := mtimeStep(a, b)
	return ok && c.stepped[later]
}

// takesUsr reports whether a directory that hosts empty has the mtime of /usr,
// as they give it one, on one side alone. Where /usr has another mtime on each
// side, it was touched, and all that was touched with it can have the same one.
func (c *classifier) takesUsr(d *Difference) bool {
	var usrs [2]mtime
	for s := A; s <= B; s++ {
		usr, ok := c.trees[s].Lookup(tree.Root, []byte("usr"))
		if !ok {
			return false
		}
		usrs[s] = mtimeOf(c.trees[s].Meta(usr))
	}
	a, b := c.metas(d)
	return usrs[A] == usrs[B] && (mtimeOf(a) == usrs[A]) != (mtimeOf(b) == usrs[B])
}
