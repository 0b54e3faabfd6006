// SPDX-License-Identifier: Apache-2.0

package stackgen

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// How many of a hundred stacks carry a fault.
const (
	faultPercent = 8
	noFault      = 0
)

// A generator makes one stack.
type generator struct {
	r        *rand.Rand
	root     *node // what all layers so far give
	contents []Data
	layer    *Layer // the one being filled

	sameMtime bool
	baseMtime int64
	formats   []Format
	dotSlash  bool // names start with "./", as of tar -C dir .

	boot *bootGenerator // nil: nothing is made to be booted
}

func newGenerator(seed uint64) *generator {
	const stream = 0x636673 // any constant; the seed alone makes the difference
	return &generator{r: rand.New(rand.NewPCG(seed, stream)), root: newDirectory()}
}

// Generate returns the stack of a seed.
func Generate(seed uint64) Stack {
	stack := generate(newGenerator(seed), faultPercent)
	stack.Seed = seed
	return stack
}

// generate makes a stack, with a fault in so many of a hundred.
func generate(g *generator, faults float64) Stack {
	g.sameMtime = g.chance(25)
	g.baseMtime = pick(g, int64(0), 1, 1700000000, int64(g.r.Uint32()))
	g.formats = pick(g,
		[]Format{PAX}, []Format{PAX}, []Format{GNU}, []Format{USTAR}, []Format{V7},
		[]Format{V7, USTAR, GNU, PAX}, []Format{V7, USTAR, GNU, PAX}, []Format{GNU, PAX})
	g.dotSlash = g.chance(25)

	var stack Stack
	count := g.between(1, 6)
	for i := range count {
		layer := g.makeLayer(i)
		if g.boot != nil && i+1 == count {
			g.layer = &layer
			g.repairBoot()
		}
		if layer.End == EndNone && !layer.endsWithContent() {
			layer.End = EndTwoBlocks // the reference wants something behind an empty entry
		}
		stack.Layers = append(stack.Layers, layer)
	}
	if g.chance(4) {
		again := stack.Layers[len(stack.Layers)-1]
		again.Same = true
		again.Compression = g.compression()
		stack.Layers = append(stack.Layers, again)
	}
	if g.chance(faults) {
		g.injectFault(&stack)
	}
	return stack
}

// makeLayer returns the i-th layer.
func (g *generator) makeLayer(i int) Layer {
	layer := Layer{Compression: g.compression(), End: g.end()}
	g.layer = &layer
	if i > 0 && g.chance(5) {
		return layer // one without entries
	}
	if g.chance(40) {
		g.add(g.entry(TypeDirectory, pick(g, "./", ".", "/", "./.")))
	}
	if i == 0 {
		g.skeleton()
	}
	for range pick(g, 1, 3, 5, 8, 12, 20, 20, 35, 60) {
		g.step()
	}
	if g.chance(3) {
		g.bigDirectory()
	}
	if g.chance(3) {
		g.deepDirectory()
	}
	if g.root.lookup("usr").isDirectory() {
		return layer
	}
	g.directory("usr")
	return layer
}

// skeleton makes the directories that most images have.
func (g *generator) skeleton() {
	g.directory("usr")
	for _, name := range []string{"etc", "var", "usr/bin", "usr/share"} {
		if g.chance(70) {
			g.directory(name)
		}
	}
	if g.chance(60) {
		g.directory("run")
		if g.chance(50) {
			g.file("run/" + g.name())
		}
	}
	if g.chance(15) {
		for range g.between(1, 20) {
			g.hexRootEntry()
		}
	}
	if g.boot != nil {
		g.bootSkeleton()
	}
}

// step makes one change of the tree, by one entry or a few.
func (g *generator) step() {
	if g.boot != nil && g.chance(50) {
		g.bootStep()
		return
	}
	switch n := g.r.IntN(1000); {
	case n < 160:
		g.directory(g.newPath())
	case n < 200:
		g.directory(pick(g, g.directories()...)) // again, with another stat
	case n < 460:
		g.file(g.newPath())
	case n < 520:
		g.file(g.existing()) // in place of what is there
	case n < 540:
		g.replaceDirectory()
	case n < 560:
		g.directory(g.existing()) // a file becomes a directory
	case n < 660:
		g.special(TypeSymlink, g.newPath())
	case n < 740:
		g.hardLink()
	case n < 790:
		g.special(pick(g, byte(TypeChar), TypeBlock, TypeFIFO), g.newPath())
	case n < 800:
		g.whiteoutDevice(g.newPath())
	case n < 870:
		g.whiteout(g.existing())
	case n < 890:
		g.whiteout(g.newPath())
	case n < 915:
		g.opaque(pick(g, g.directories()...))
	case n < 935:
		g.oddWhiteout()
	case n < 955:
		g.relistParents()
	case n < 965:
		g.hexRootEntry()
	case n < 985:
		g.strayBlock()
	default:
		g.again()
	}
}

// directories returns the directories that there are, the root but rarely.
func (g *generator) directories() []string {
	all := g.root.paths(true)
	if len(all) > 1 && g.chance(90) {
		return all[1:]
	}
	return all
}

// newPath returns a path in a directory that is there; the name most often is
// not.
func (g *generator) newPath() string {
	all := g.root.paths(true)
	for {
		path := join(pick(g, all...), g.name())
		// Files in the way of /usr and /run are for the faults.
		if path != "usr" && path != "run" && !isWhiteout(path) {
			return path
		}
	}
}

// existing returns the path of something that is no directory, or a new one.
func (g *generator) existing() string {
	if files := g.root.paths(false); len(files) > 0 {
		return pick(g, files...)
	}
	return g.newPath()
}

func isWhiteout(path string) bool {
	_, name := splitPath(path)
	return strings.HasPrefix(name, ".wh.")
}

// add appends an entry to the layer.
func (g *generator) add(e Entry) { g.layer.Entries = append(g.layer.Entries, e) }

// last returns the entry that was added last.
func (g *generator) last() *Entry { return &g.layer.Entries[len(g.layer.Entries)-1] }

// entry returns an entry with everything random but its type and its name,
// which is taken as it is.
func (g *generator) entry(typ byte, name string) Entry {
	e := Entry{
		Type: typ, Name: name,
		Mode: g.mode(typ), UID: g.id(), GID: g.id(), Mtime: g.mtime(),
		Format:  pick(g, g.formats...),
		Numbers: pick(g, OctalNUL, OctalNUL, OctalNUL, OctalSpace, OctalBlank, OctalFull, Base256),
	}
	if typ == TypeChar || typ == TypeBlock {
		e.Major, e.Minor = g.device()
		if e.Format == V7 {
			e.Format = USTAR // V7 has no device numbers
		}
	}
	if e.Format == PAX {
		g.addRecords(&e)
	}
	if e.Format != V7 && g.chance(12) || strings.HasPrefix(name, "usr") && g.chance(10) {
		e.Xattrs = g.xattrs()
	}
	if !e.hasContent() && g.chance(3) {
		e.Claim = pick(g, uint64(1), 64, 65, 512, 513, 5000)
	}
	return e
}

// addRecords gives an entry what only PAX has.
func (g *generator) addRecords(e *Entry) {
	e.LongFirst = g.chance(50)
	e.AllPAX = g.chance(15)
	if e.Mtime >= 0 && !g.sameMtime && g.chance(40) {
		e.Fraction = g.fraction()
	}
	if g.chance(3) {
		// Readers take what has no length for the end of the records.
		e.RecordTail = pick(g, "\x00", "\x00\x00\x00\x00", "xx a=b\n", " a=b\n", "no-space", "-5 a=b\n", "5.0 a=b\n")
	}
	if e.AllPAX && g.chance(10) {
		e.Records = append(e.Records, Record{"path", "overridden"}) // a later one wins
	}
	if g.chance(5) {
		e.Records = append(e.Records, pick(g,
			Record{"comment", "a remark"}, Record{"atime", "1.5"}, Record{"ctime", "-7"},
			Record{"uname", "someone"}, Record{"gname", ""}, Record{"hdrcharset", "BINARY"},
			Record{"SCHILY.dev", "7"}, Record{"VENDOR.x", "\x00\n="},
			Record{"mtime", "5.25"}, Record{"uid", "12"}, Record{"uid", "+12"},
			xattr("user.twice", "first"), xattr("user.twice", "second")))
	}
}

// device returns the numbers of a device.
func (g *generator) device() (major, minor uint64) {
	switch n := g.r.IntN(100); {
	case n < 10:
		return 0, 0
	case n < 70:
		return uint64(g.r.IntN(256)), uint64(g.r.IntN(256))
	default:
		return uint64(g.r.IntN(4096)), uint64(g.r.IntN(1 << 20))
	}
}

// spell returns a path as archives write it; all readers take these for the
// same.
func (g *generator) spell(path string, directory bool) string {
	if g.chance(6) {
		path = strings.Replace(path, "/", pick(g, "//", "/./", "///"), 1)
	}
	if directory && g.chance(60) || g.chance(1) {
		path += pick(g, "/", "/", "/", "/", "//", "/.")
	}
	switch {
	case g.dotSlash:
		return "./" + path
	case g.chance(6):
		return pick(g, "/", "./", "././", "//", "/./") + path
	}
	return path
}

// directory adds the directory, new or again.
func (g *generator) directory(path string) {
	if path == "" {
		g.add(g.entry(TypeDirectory, "./"))
		return
	}
	g.add(g.entry(TypeDirectory, g.spell(path, true)))
	g.root.mkdir(path)
}

// file adds a regular file.
func (g *generator) file(path string) {
	e := g.entry(pick(g, byte(TypeRegular), TypeRegular, TypeRegular, TypeOldRegular, TypeContiguous), g.spell(path, false))
	e.Data = g.data()
	if e.AllPAX && g.chance(3) {
		e.Name += "\x00nul" // only a record can say this
		path += "\x00nul"
	}
	g.add(e)
	g.root.put(path, g.last())
}

// special adds a symlink, a device or a FIFO.
func (g *generator) special(typ byte, path string) {
	e := g.entry(typ, g.spell(path, false))
	if typ == TypeSymlink {
		e.Link = g.target()
	}
	g.add(e)
	g.root.put(path, g.last())
}

// hardLink adds a second name for something of this layer or of one before it.
func (g *generator) hardLink() {
	files := slices.DeleteFunc(g.root.paths(false), func(path string) bool { return g.root.lookup(path).whiteout })
	if len(files) == 0 {
		return
	}
	path := g.newPath()
	if g.chance(10) {
		path = pick(g, files...) // perhaps to itself
	}
	e := g.entry(TypeLink, g.spell(path, false))
	target := pick(g, files...)
	e.Link = g.spell(target, false)
	g.add(e)
	g.root.link(path, target)
}

func (g *generator) end() End {
	return pick(g, EndTwoBlocks, EndTwoBlocks, EndTwoBlocks, EndTwoBlocks, EndRecord, EndRecord, EndNone, EndGarbage)
}

func (g *generator) compression() Compression {
	c := Compression{Codec: pick(g, Plain, Gzip, Gzip, Zstd, Zstd), Parts: 1, NonDistributable: g.chance(3)}
	if g.chance(25) {
		c.Parts = g.between(2, 5)
	}
	switch c.Codec {
	case Plain:
	case Gzip:
		c.Level = g.between(0, 9)
	case Zstd:
		c.Level = g.between(1, 4)
		c.Skippable = g.chance(30)
	}
	return c
}

// Clone returns a copy whose layers and entries can be cut.
func (s Stack) Clone() Stack {
	s.Layers = slices.Clone(s.Layers)
	for i := range s.Layers {
		s.Layers[i].Entries = slices.Clone(s.Layers[i].Entries)
	}
	return s
}
