// SPDX-License-Identifier: Apache-2.0

package stackgen

import "strings"

// A fault makes a stack that every reader must refuse. It adds to the last
// layer, behind whatever is there.
type fault struct {
	name  string
	apply func(g *generator, layer *Layer)
}

// Faults returns the names of the faults.
func Faults() []string {
	names := make([]string, len(faults))
	for i, f := range faults {
		names[i] = f.name
	}
	return names
}

// GenerateFault returns the stack of a seed with a fault of the given name.
func GenerateFault(seed uint64, name string) (stack Stack, ok bool) {
	for _, f := range faults {
		if f.name != name {
			continue
		}
		stack = generate(newGenerator(seed), noFault)
		stack.Seed = seed
		newFaultGenerator(seed).inject(&stack, f)
		return stack, true
	}
	return Stack{}, false
}

var faults = []fault{
	{"missing parent", func(g *generator, _ *Layer) { g.file("absent-parent/x") }},
	{"whiteout in a missing parent", func(g *generator, _ *Layer) { g.mark("absent-parent/.wh.x") }},
	{"file as parent", func(g *generator, _ *Layer) { g.file("usr/a-file"); g.file("usr/a-file/x") }},
	{"symlink as parent", func(g *generator, _ *Layer) { g.addLink("usr/a-link", "/etc"); g.file("usr/a-link/x") }},
	{"dot-dot in the path", func(g *generator, _ *Layer) { g.addRaw(TypeRegular, "usr/../x", "") }},
	{"dot-dot in front", func(g *generator, _ *Layer) { g.addRaw(TypeRegular, "../x", "") }},
	{"empty path", func(g *generator, _ *Layer) { g.addRaw(TypeRegular, "", "") }},
	{"root that is a file", func(g *generator, _ *Layer) { g.addRaw(TypeRegular, "./", "") }},

	{"no usr", func(g *generator, _ *Layer) { g.mark(".wh.usr") }},
	{"usr is a file", func(g *generator, _ *Layer) { g.file("usr") }},
	{"usr is a symlink", func(g *generator, _ *Layer) { g.addLink("usr", "etc") }},
	{"run is a symlink", func(g *generator, _ *Layer) { g.addLink("run", "var") }},
	{"run is a file", func(g *generator, _ *Layer) { g.file("run") }},

	{"hard link to nothing", func(g *generator, _ *Layer) { g.addRaw(TypeLink, "usr/x", "usr/absent") }},
	{"hard link to an absent directory", func(g *generator, _ *Layer) { g.addRaw(TypeLink, "usr/x", "absent/x") }},
	{"hard link to a directory", func(g *generator, _ *Layer) { g.addRaw(TypeLink, "x", "usr") }},
	{"hard link to the root", func(g *generator, _ *Layer) { g.addRaw(TypeLink, "x", "/") }},
	{"hard link to the empty name", func(g *generator, _ *Layer) { g.addRaw(TypeLink, "x", "") }},
	{"hard link by dot-dot", func(g *generator, _ *Layer) { g.file("x"); g.addRaw(TypeLink, "y", "usr/../x") }},
	{"hard link to a whiteout device", func(g *generator, _ *Layer) {
		g.addRaw(TypeChar, "usr/a-device", "")
		g.addRaw(TypeLink, "usr/x", "usr/a-device")
	}},
	{"hard link through a symlink", func(g *generator, _ *Layer) {
		g.file("usr/a-target")
		g.addLink("a-link", "usr")
		g.addRaw(TypeLink, "x", "a-link/a-target")
	}},
	{"hard link to what was removed", func(g *generator, _ *Layer) {
		g.file("usr/a-target")
		g.mark("usr/.wh.a-target")
		g.addRaw(TypeLink, "x", "usr/a-target")
	}},

	{"unknown entry type", func(g *generator, _ *Layer) {
		g.addRaw(pick(g, byte('V'), 'M', 'D', 'A', 'Z', 'X', '8', '9', 'N'), "usr/x", "")
	}},
	{"GNU sparse", func(g *generator, _ *Layer) { g.addRaw(typeGNUSparse, "usr/x", ""); g.last().Format = GNU }},
	{"PAX sparse 1.0", func(g *generator, _ *Layer) {
		g.addRecord("GNU.sparse.major", "1")
		g.last().Records = append(g.last().Records, Record{"GNU.sparse.minor", "0"}, Record{"GNU.sparse.realsize", "100"})
		g.addBytes(pad([]byte("1\n0\n100\n"))) // the map, which is the content
		g.addBytes(pad(make([]byte, 100)))
	}},
	{"PAX sparse 0.1", func(g *generator, _ *Layer) { g.addRecord("GNU.sparse.map", "0,10,20,10") }},
	{"V7 device", func(g *generator, _ *Layer) { g.addRaw(TypeChar, "usr/x", ""); g.last().Format = V7 }},

	{"base-256 device number", func(g *generator, _ *Layer) {
		g.addRaw(TypeChar, "usr/x", "")
		g.last().Numbers, g.last().Base256Device = Base256, true
	}},

	{"wrong checksum", func(g *generator, _ *Layer) { g.file("usr/x"); g.last().BadChecksum = true }},
	{"number that is none", func(g *generator, _ *Layer) { g.addPatched(fieldSize, "12x") }},
	{"duplicate PAX header", func(g *generator, _ *Layer) {
		g.addRecord("comment", "second")
		g.last().Before = extended(typeExtended, []Record{{"comment", "first"}})
	}},
	{"duplicate long name", func(g *generator, _ *Layer) {
		g.addRaw(TypeRegular, "usr/"+strings.Repeat("n", 150), "")
		g.last().Format = GNU
		g.last().Before = appendLong(nil, typeLongName, "usr/other")
	}},
	{"PAX header without an entry", func(g *generator, layer *Layer) {
		g.addBytes(extended(typeExtended, []Record{{"path", "usr/x"}}))
		layer.End = EndTwoBlocks
	}},
	{"malformed PAX record", func(g *generator, _ *Layer) {
		g.addRaw(TypeRegular, "usr/x", "")
		g.last().Before = appendExtendedBody(nil, typeExtended, []byte(pick(g,
			"12 path\n", "99 a=b\n", "6 a=b!", "3 a=b\n", "0 a=b\n", "7 path\n", "4 \n\n")))
	}},
	{"PAX number that is none", func(g *generator, _ *Layer) {
		g.addRecord(pick(g, "uid", "gid", "mtime"), pick(g, "-1", "abc", "", "0x10", "99999999999999999999", "1e3"))
	}},

	{"ends within a header", func(_ *generator, layer *Layer) { layer.End = EndInHeader }},
	{"ends after one zero block", func(_ *generator, layer *Layer) { layer.End = EndOneBlock }},
	{"ends after an entry without content", func(g *generator, layer *Layer) {
		g.addRaw(TypeRegular, "usr/x", "")
		layer.End = EndNone
	}},
	{"ends within a file", func(g *generator, _ *Layer) {
		g.file("usr/x")
		g.last().Data = Data{Size: pick(g, 60, 600, 5000), Seed: 1}
		g.last().CutData = true
	}},
	{"gzip checksum", func(_ *generator, layer *Layer) {
		layer.Compression = Compression{Codec: Gzip, Level: 6, Parts: 1, Damage: DamageChecksum}
	}},
	{"gzip truncated", func(_ *generator, layer *Layer) {
		layer.Compression = Compression{Codec: Gzip, Level: 6, Parts: 1, Damage: DamageTruncated}
	}},
	{"zstd truncated", func(_ *generator, layer *Layer) {
		layer.Compression = Compression{Codec: Zstd, Level: 2, Parts: 1, Damage: DamageTruncated}
	}},
	{"wrong media type", func(g *generator, layer *Layer) {
		layer.Compression = Compression{Codec: pick(g, Plain, Gzip, Zstd), Level: 2, Parts: 1, Damage: DamageMediaType}
	}},
}

// injectFault applies a fault of any kind.
func (g *generator) injectFault(stack *Stack) { g.inject(stack, pick(g, faults...)) }

func (g *generator) inject(stack *Stack, f fault) {
	layer := &stack.Layers[len(stack.Layers)-1]
	layer.Same = false
	g.layer = layer
	stack.Fault = f.name
	f.apply(g, layer)
}

// addRaw adds an entry with nothing special but type, name and link.
func (g *generator) addRaw(typ byte, name, link string) {
	g.add(Entry{Type: typ, Name: name, Link: link, Mode: 0o644, Format: USTAR})
}

// addLink adds a symlink.
func (g *generator) addLink(name, target string) { g.addRaw(TypeSymlink, name, target) }

// addRecord adds a file with a PAX record.
func (g *generator) addRecord(key, value string) {
	g.addRaw(TypeRegular, "usr/x", "")
	g.last().Format = PAX
	g.last().Records = []Record{{key, value}}
}

// addBytes adds blocks that are no entry.
func (g *generator) addBytes(b []byte) { g.add(Entry{Raw: b}) }

// addPatched adds a file whose header has text in a field, and a checksum that
// agrees.
func (g *generator) addPatched(f field, text string) {
	block := header{name: "usr/x", typ: TypeRegular, mode: 0o644, format: USTAR}.appendTo(nil)
	clear(block[f.offset : f.offset+f.size])
	putString(block, f, text)
	putChecksum(block, false)
	g.addBytes(block)
}

// newFaultGenerator returns a generator for the parts of a fault alone.
func newFaultGenerator(seed uint64) *generator {
	g := newGenerator(seed ^ 0xfa17)
	g.formats = []Format{PAX}
	return g
}
