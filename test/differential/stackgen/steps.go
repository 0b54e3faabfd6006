// SPDX-License-Identifier: Apache-2.0

package stackgen

import (
	"fmt"
	"strings"
)

// replaceDirectory puts a file where a directory was.
func (g *generator) replaceDirectory() {
	path := pick(g, g.directories()...)
	if path == "" || path == "usr" || path == "run" {
		return
	}
	g.special(TypeSymlink, path)
}

// whiteout removes what lower layers, or this one, have at the path.
func (g *generator) whiteout(path string) {
	directory, name := splitPath(path)
	if g.chance(20) {
		// A whole directory, if there is one that can be missed.
		if d := pick(g, g.directories()...); d != "" && d != "usr" {
			directory, name = splitPath(d)
			path = d
		}
	}
	g.mark(join(directory, ".wh."+name))
	g.root.remove(path)
}

// opaque empties a directory.
func (g *generator) opaque(path string) {
	if path == "" && !g.chance(20) {
		return
	}
	g.mark(join(path, ".wh..wh..opq"))
	if directory := g.root.lookup(path); directory.isDirectory() {
		clear(directory.children)
	}
}

// oddWhiteout adds leftovers of aufs, and names that are almost whiteouts.
func (g *generator) oddWhiteout() {
	g.mark(join(pick(g, g.directories()...), pick(g,
		".wh.", ".wh..", ".wh...", ".wh..wh.", ".wh..wh.plnk", ".wh..wh.aufs", ".wh..wh..opq.x", ".wh..wh..op", ".wh..wh.orph", ".wh.\xff")))
}

// mark adds an entry whose name is all that counts.
func (g *generator) mark(name string) {
	typ := pick(g, byte(TypeRegular), TypeRegular, TypeRegular, TypeRegular, TypeOldRegular, TypeChar, TypeSymlink, TypeDirectory)
	e := g.entry(typ, g.spell(name, false))
	if e.hasContent() && g.chance(10) {
		e.Data = g.data()
	}
	if typ == TypeSymlink {
		e.Link = "x"
	}
	g.add(e)
}

// relistParents adds the directories above a path, as builders do.
func (g *generator) relistParents() {
	path := pick(g, g.directories()...)
	for i := range path {
		if path[i] == '/' {
			g.directory(path[:i])
		}
	}
	g.directory(path)
}

// hexRootEntry adds something to the root with a name that V0 and V1 images use
// there themselves.
func (g *generator) hexRootEntry() {
	name := fmt.Sprintf("%02x", g.r.IntN(256))
	if g.root.lookup(name).isDirectory() {
		return
	}
	switch g.r.IntN(4) {
	case 0:
		g.file(name)
	case 1:
		g.directory(name)
	case 2:
		g.special(TypeChar, name)
	default:
		g.whiteoutDevice(name)
		e := g.last()
		e.Mode, e.UID, e.GID = pick(g, uint64(0o644), 0, 0o600, 0o020644), 0, 0
	}
}

// whiteoutDevice adds a character device 0,0, which overlayfs would take for a
// whiteout: here it is data.
func (g *generator) whiteoutDevice(path string) {
	e := g.entry(TypeChar, g.spell(path, false))
	e.Major, e.Minor = 0, 0
	g.add(e)
	g.root.put(path, &e)
}

// strayBlock adds an entry behind a block that is no header of it: a zero
// block, or PAX records for the whole archive.
func (g *generator) strayBlock() {
	g.file(g.newPath())
	e := g.last()
	block := make([]byte, blockSize)
	if g.chance(50) {
		block = extended(typeGlobal, []Record{
			{"comment", "0123456789abcdef"}, {"mtime", "1234"}, {"uid", "99"}, xattr("security.capability", "global"),
		})
	}
	// The reference forgets records that a global header follows; what the
	// entry is called must then be in its own header.
	if len(e.Name) <= fieldName.size && !e.AllPAX && g.chance(50) {
		e.Inside = block
		return
	}
	e.Before = block
}

// again adds a file that is there once more.
func (g *generator) again() {
	path := g.existing()
	g.file(path)
	g.add(*g.last())
	g.last().Data = g.data()
}

// bigDirectory adds a directory that takes several blocks.
func (g *generator) bigDirectory() {
	path := join(pick(g, g.directories()...), "big")
	if !g.root.lookup(path).isDirectory() {
		g.directory(path)
	}
	long := g.chance(30)
	for i := range g.between(100, 600) {
		name := fmt.Sprintf("%d%s", i, g.letters(g.between(0, 20)))
		if long {
			name += strings.Repeat("n", g.between(0, 200))
		}
		e := g.entry(TypeRegular, path+"/"+name)
		e.Data = Data{Size: g.between(0, 100), Seed: 1}
		e.Xattrs = nil
		g.add(e)
		g.root.put(path+"/"+name, g.last())
	}
}

// deepDirectory adds a long chain of directories.
func (g *generator) deepDirectory() {
	path := pick(g, g.directories()...)
	for range g.between(15, 60) {
		path = join(path, g.letters(g.between(1, 6)))
		g.directory(path)
	}
	g.file(join(path, "bottom"))
}
