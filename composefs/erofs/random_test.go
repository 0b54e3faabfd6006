// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// generator makes a random tree that a dump can hold, as cfsctl reads dumps.
// The seed alone decides what comes out.
type generator struct {
	*maker
	r     *rand.Rand
	dirs  []string   // with a slash at the end
	files []tree.Ino // that may have several names

	// What is common to the tree, so that some of its trees are uniform.
	times  int // how many different mtimes there are
	xattr  int // one of so many inodes has xattrs
	values int // how many different values there are
}

func randomTree(seed uint64) *tree.Tree {
	r := rand.New(rand.NewPCG(seed, 1))
	g := &generator{
		maker: newMaker(), r: r, dirs: []string{""},
		times: 1 + r.IntN(4), xattr: 1 + r.IntN(5), values: 1 + r.IntN(12),
	}
	g.root(g.meta())
	for range 1 << r.IntN(10) {
		g.add()
	}
	return g.t
}

// pick returns one of the values.
func pick[T any](g *generator, values ...T) T { return values[g.r.IntN(len(values))] }

// text returns n random bytes of the alphabet.
func (g *generator) text(n int, alphabet string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[g.r.IntN(len(alphabet))]
	}
	return string(b)
}

// length returns a length up to most: mostly short, often near most.
func (g *generator) length(most int) int {
	switch g.r.IntN(8) {
	case 0:
		return g.r.IntN(most + 1)
	case 1:
		return most - g.r.IntN(min(most, 8)+1)
	}
	return g.r.IntN(min(most, 32) + 1)
}

func (g *generator) name() string {
	switch g.r.IntN(8) {
	case 0:
		return fmt.Sprintf("%02x", g.r.IntN(256)) // of a stub
	case 1:
		return g.text(1+g.length(254), "\x01\xff\x80 a-.!=\\") + "x"
	}
	return g.text(1+g.length(254), "abc0.-") + "_"
}

func (g *generator) meta() mod {
	xattrs := func(*tree.Meta) {}
	if g.r.IntN(g.xattr) == 0 {
		xattrs = g.randomXattrs()
	}
	m := tree.Meta{
		Mode:      pick[uint32](g, 0o644, 0o644, 0o755, 0o7777, uint32(g.r.IntN(0o10000))),
		UID:       pick[uint32](g, 0, 0, 0, 1000, 65535, 65536, math.MaxUint32),
		GID:       pick[uint32](g, 0, 0, 0, 1000, 65535, 65536, math.MaxUint32),
		MtimeSec:  int64(g.r.IntN(g.times)),
		MtimeNsec: pick[uint32](g, 0, 0, 0, 1, 999999999) * uint32(min(g.times-1, 1)),
	}
	return func(to *tree.Meta) {
		*to = m
		xattrs(to)
	}
}

func (g *generator) randomXattrs() mod {
	var pairs []string
	for range 1 + g.r.IntN(6) {
		prefix := pick(g, "user.", "user.", "trusted.", "security.", "lustre.", "system.", "", "trusted.overlay.",
			"trusted.overlay.overlay.", "user.overlay.", "system.posix_acl_access", "system.posix_acl_default")
		rest := pick(g, "a", "b", "selinux", "opaque", "whiteout", "whiteouts", "metacopy", "redirect", g.text(1+g.length(100), "abc.\xff"))
		value := strings.Repeat(fmt.Sprint(g.r.IntN(g.values)), g.r.IntN(3))
		if g.r.IntN(10) == 0 {
			value = g.text(g.length(5000), "v\x00=\\ ")
		}
		pairs = append(pairs, prefix+rest, value)
	}
	return g.xattrs(pairs...)
}

// size returns a size of a file elsewhere: any power of two and its
// neighbours, or the few sizes at which indexes move.
func (g *generator) size() uint64 {
	switch g.r.IntN(4) {
	case 0:
		return uint64(g.r.IntN(10000))
	case 1:
		return chunkMax * uint64(indexesMax-10+g.r.IntN(12))
	}
	return uint64(1)<<g.r.IntN(64) - 1 + uint64(g.r.IntN(3))
}

func (g *generator) add() {
	path := pick(g, g.dirs...) + g.name()
	if g.has(path) {
		return
	}
	switch n := g.r.IntN(20); {
	case n < 3:
		g.dir(path, g.meta())
		g.dirs = append(g.dirs, path+"/")
	case n < 5 && len(g.files) > 0:
		g.put(path, pick(g, g.files...))
	case n == 5:
		g.whiteout(path, g.meta())
	case n == 6:
		g.whiteout(path, func(m *tree.Meta) { // perhaps like a stub
			root := g.t.Meta(tree.Root)
			*m = tree.Meta{Mode: 0o644, UID: root.UID, GID: root.GID, MtimeSec: root.MtimeSec, MtimeNsec: root.MtimeNsec}
		})
	default:
		g.files = append(g.files, g.file(path, n))
	}
}

func (g *generator) has(path string) bool {
	slash := strings.LastIndexByte(path, '/')
	dir := tree.Root
	for name := range strings.SplitSeq(path[:slash+1], "/") {
		if name != "" {
			dir, _ = g.t.Lookup(dir, []byte(name))
		}
	}
	_, ok := g.t.Lookup(dir, []byte(path[slash+1:]))
	return ok
}

func (g *generator) file(path string, kind int) tree.Ino {
	switch kind {
	case 7, 8, 9:
		return g.external(path, g.size(), g.r.IntN(40), g.meta())
	case 10:
		return g.unverified(path, g.size(), g.r.IntN(40), g.meta())
	case 11:
		return g.sparse(path, max(g.size(), 1), g.meta())
	case 12, 13, 14:
		return g.symlink(path, g.text(1+g.length(1023), "t/. \xff"), g.meta())
	case 15:
		kinds := pick(g, tree.BlockDevice, tree.CharDevice)
		return g.special(path, kinds, 1+uint64(g.r.Uint32N(math.MaxUint32)), g.meta())
	case 16:
		return g.special(path, pick(g, tree.FIFO, tree.Socket), 0, g.meta())
	}
	return g.inline(path, g.text(g.length(512), "\x00abc\n-"), g.meta())
}
