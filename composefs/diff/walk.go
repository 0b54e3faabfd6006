// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// pair is a name in a directory of either tree, or both.
type pair struct {
	name []byte
	inos [2]tree.Ino
	has  [2]bool
}

// pairs merges the entries of a directory that both trees have.
func (r *Result) pairs(list []pair, dirs [2]tree.Ino) []pair {
	list = list[:0]
	for name, ino := range r.trees[A].Entries(dirs[A]) {
		list = append(list, pair{name: name, inos: [2]tree.Ino{ino, 0}, has: [2]bool{true, false}})
	}
	n, at := len(list), 0
	sorted := true
	for name, ino := range r.trees[B].Entries(dirs[B]) {
		for at < n && bytes.Compare(list[at].name, name) < 0 {
			at++
		}
		if at < n && bytes.Equal(list[at].name, name) {
			list[at].inos[B], list[at].has[B] = ino, true
			continue
		}
		list = append(list, pair{name: name, inos: [2]tree.Ino{0, ino}, has: [2]bool{false, true}})
		sorted = sorted && at == n
	}
	if !sorted {
		merge(list, n)
	}
	return list
}

// merge puts two sorted parts of a list, of which the first has n pairs, into
// one order.
func merge(list []pair, n int) {
	first := append([]pair(nil), list[:n]...)
	second := append([]pair(nil), list[n:]...)
	for i := range list {
		if len(second) == 0 || len(first) > 0 && bytes.Compare(first[0].name, second[0].name) < 0 {
			list[i], first = first[0], first[1:]
		} else {
			list[i], second = second[0], second[1:]
		}
	}
}

// walker goes through both trees at once.
type walker struct {
	*Result
	split [2]map[tree.Ino]bool // inodes that are several on the other side
}

// level is a directory that both trees have, on the way down.
type level struct {
	dir   uint32
	list  []pair
	next  int
	place place

	entry   int // the directory's own difference, -1 if it has none
	changed int // the first difference that changes the directory itself, or -1
}

// run compares everything, depth first, without recursion.
func (w *walker) run() {
	root := [2]tree.Ino{tree.Root, tree.Root}
	w.Paths = 1
	top := &level{entry: w.compareBoth(&pair{inos: root, has: [2]bool{true, true}}, 0, placeRoot), changed: -1, place: placeRoot}
	top.list = w.pairs(nil, root)
	levels := []*level{top}
	depth := 1
	for depth > 0 {
		l := levels[depth-1]
		if l.next == len(l.list) {
			w.leave(l)
			depth--
			continue
		}
		p := &l.list[l.next]
		l.next++
		below, entry := w.visit(l, p)
		if !below {
			continue
		}
		if depth == len(levels) {
			levels = append(levels, &level{})
		}
		// What it held was left; only the room of the list is used again.
		next := levels[depth]
		w.dirs = append(w.dirs, dirName{l.dir, p.name})
		*next = level{
			dir: uint32(len(w.dirs) - 1), list: w.pairs(next.list, p.inos),
			place: placeOf(l.place, p.name), entry: entry, changed: -1,
		}
		depth++
	}
}

// leave notes why the directory's mtime is another, where something in it says
// so.
func (w *walker) leave(l *level) {
	if l.entry >= 0 && w.Differences[l.entry].Aspects == Mtime {
		w.Differences[l.entry].explained = l.changed
	}
}

// visit compares one name, and reports whether both sides have a directory
// there. It returns the number of the difference, -1 if there is none.
func (w *walker) visit(l *level, p *pair) (below bool, entry int) {
	w.Paths++
	place := placeOf(l.place, p.name)
	switch {
	case !p.has[B]:
		entry = w.missing(l, p, A, place)
	case !p.has[A]:
		entry = w.missing(l, p, B, place)
	default:
		entry = w.compareBoth(p, l.dir, place)
		below = w.trees[A].Kind(p.inos[A]) == tree.Directory && w.trees[B].Kind(p.inos[B]) == tree.Directory
	}
	const changes = Missing | Type | Content | Target | Rdev | Links
	if entry >= 0 && l.changed < 0 && w.Differences[entry].Aspects&changes != 0 {
		l.changed = entry
	}
	return below, entry
}

func (w *walker) missing(l *level, p *pair, onlyIn Side, place place) int {
	d := Difference{
		Aspects: Missing, OnlyIn: onlyIn, Below: w.below(onlyIn, p.inos[onlyIn]),
		inos: p.inos, kind: w.trees[onlyIn].Kind(p.inos[onlyIn]),
		dir: l.dir, name: p.name, place: place, explained: -1,
	}
	w.Paths += d.Below
	w.Differences = append(w.Differences, d)
	return len(w.Differences) - 1
}

// below counts the paths below an inode.
func (w *walker) below(s Side, ino tree.Ino) int {
	t := w.trees[s]
	if t.Kind(ino) != tree.Directory {
		return 0
	}
	n := 0
	for dirs := []tree.Ino{ino}; len(dirs) > 0; {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		for _, child := range t.Entries(dir) {
			n++
			if t.Kind(child) == tree.Directory {
				dirs = append(dirs, child)
			}
		}
	}
	return n
}

// compareBoth compares what both sides have.
func (w *walker) compareBoth(p *pair, dir uint32, place place) int {
	w.both++
	aspects, notCompared := w.compare(p.inos)
	if notCompared {
		w.NotCompared++
	}
	if w.split[A][p.inos[A]] || w.split[B][p.inos[B]] {
		aspects |= Links & w.linkable(p.inos)
	}
	if aspects == 0 {
		return -1
	}
	d := Difference{
		Aspects: aspects, inos: p.inos, kind: w.trees[A].Kind(p.inos[A]),
		dir: dir, name: p.name, place: place, explained: -1,
	}
	if aspects&Type != 0 {
		d.Below = w.below(A, p.inos[A]) + w.below(B, p.inos[B])
		w.Paths += d.Below
	}
	w.Differences = append(w.Differences, d)
	at := len(w.Differences) - 1
	if aspects&Links != 0 {
		for s := A; s <= B; s++ {
			w.links[s][p.inos[s]] = append(w.links[s][p.inos[s]], at)
		}
	}
	return at
}

// place is what is known of paths for where they are.
type place uint8

const (
	placeAny     place = iota
	placeRoot          // the root
	placeUsr           // /usr itself
	placeEtc           // /etc itself
	placeEmpty         // a directory that hosts empty: /run, /boot, /sysroot
	placeEmptied       // below it
	placeBuilder       // what builders and runtimes put in
)

// placeOf returns the place of a name in a directory.
func placeOf(parent place, name []byte) place {
	switch parent {
	case placeRoot:
		switch string(name) {
		case "usr":
			return placeUsr
		case "etc":
			return placeEtc
		case "run", "boot", "sysroot":
			return placeEmpty
		case "proc", "sys", "dev", ".dockerenv":
			return placeBuilder
		}
	case placeEtc:
		switch string(name) {
		case "resolv.conf", "hosts", "hostname":
			return placeBuilder
		}
	case placeEmpty:
		if string(name) == ".containerenv" {
			return placeBuilder
		}
		return placeEmptied
	case placeEmptied, placeBuilder:
		return parent
	case placeAny, placeUsr:
	}
	return placeAny
}
