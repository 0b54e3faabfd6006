// SPDX-License-Identifier: Apache-2.0

package dumpfile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// FuzzRead holds Read to these laws: it does not panic; what it refuses it
// refuses with a ParseError; what it accepts passes Check, and when it is
// written and read again it is the same tree, with the same dump.
func FuzzRead(f *testing.F) {
	for _, v := range vectors(f) {
		if len(v.dump) < 8<<10 {
			f.Add([]byte(v.dump), true)
		}
	}
	f.Add([]byte(everyKindDump), false)
	for _, line := range []string{
		"/a 0 @120000 - - - - 0.0 /b - -",
		`/\x66 2 100644 1 0 0 0 -1.5 - \x2d\x20 - user.a\x3d=\\ b=`,
		"/a/b 0 40755 2 0 0 0 0.0 - - -\n/a/b/../c 0 40755 2 0 0 0 0.0 - - -",
		"/w 0 20000 1 0 0 0 0.0 - - -\n/v 0 @120000 - - - - 0.0 /w - -",
		"/f 5 100644 1 0 0 0 0.0 - - -\n\n/g 0 @1 - - - - - /f\r",
	} {
		f.Add([]byte(root+line), false)
	}
	f.Fuzz(func(t *testing.T, dump []byte, long bool) {
		alg := fsverity.SHA256
		if long {
			alg = fsverity.SHA512
		}
		tr, err := dumpfile.Read(bytes.NewReader(dump), alg)
		if err != nil {
			var pe *dumpfile.ParseError
			if !errors.As(err, &pe) || pe.Line < 1 {
				t.Fatalf("%v is no ParseError", err)
			}
			return
		}
		checkRoundTrip(t, check(t, tr), alg)
	})
}

// FuzzWrite builds a tree as the input says and holds Write and Read to the
// law that the same tree comes back.
func FuzzWrite(f *testing.F) {
	for seed := range 8 {
		b := make([]byte, 1024)
		x := uint32(seed + 1)
		for i := range b {
			x ^= x << 13 // xorshift, Marsaglia 2003
			x ^= x >> 17
			x ^= x << 5
			b[i] = byte(x)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		b := builder{in: input}
		checkRoundTrip(t, check(t, b.build()), fsverity.SHA256)
	})
}

func checkRoundTrip(t *testing.T, c *tree.Checked, alg fsverity.Algorithm) {
	t.Helper()
	dump := writeChecked(t, c, alg)
	tr, err := dumpfile.Read(strings.NewReader(dump), alg)
	if err != nil {
		t.Fatalf("%v\n%s", err, dump)
	}
	again := check(t, tr)
	compare(t, c, again, alg)
	if got := writeChecked(t, again, alg); got != dump {
		t.Fatalf("the dump changes from\n%s\nto\n%s", dump, got)
	}
}

// builder makes a tree that keeps to the limits of Read, as its input says.
type builder struct {
	in   []byte
	t    *tree.Tree
	dirs []tree.Ino
	rest []tree.Ino // files that may have several names
}

func (b *builder) build() *tree.Tree {
	b.t = tree.New(fsverity.SHA256)
	b.t.SetMeta(tree.Root, b.meta())
	b.dirs = []tree.Ino{tree.Root}
	for len(b.in) > 0 {
		dir := b.dirs[int(b.byte())%len(b.dirs)]
		name := b.name()
		if _, ok := b.t.Lookup(dir, name); ok {
			continue // a directory would be lost, or keep one name less
		}
		b.t.Link(dir, name, b.inode())
	}
	return b.t
}

func (b *builder) byte() byte {
	if len(b.in) == 0 {
		return 0
	}
	c := b.in[0]
	b.in = b.in[1:]
	return c
}

// number returns small, middling and extreme numbers, none above most.
func (b *builder) number(most uint64) uint64 {
	switch c := b.byte(); {
	case c < 128:
		return min(uint64(c), most)
	case c < 144:
		return most
	}
	var n [8]byte
	for i := range n {
		n[i] = b.byte()
	}
	n64 := binary.LittleEndian.Uint64(n[:])
	if most < math.MaxUint64 {
		n64 %= most + 1
	}
	return n64
}

// bytes returns up to most bytes, short strings mostly.
func (b *builder) bytes(most int) []byte {
	n := int(b.byte())
	if n >= 250 {
		return bytes.Repeat([]byte{b.byte()}, most)
	}
	n = min(n%16, most, len(b.in))
	s := bytes.Clone(b.in[:n])
	b.in = b.in[n:]
	return s
}

// noNUL returns s without NULs; they have no place in names and targets.
func noNUL(s []byte) []byte { return bytes.ReplaceAll(s, []byte{0}, []byte{'-'}) }

func (b *builder) name() []byte {
	name := bytes.ReplaceAll(noNUL(b.bytes(tree.NameMax)), []byte{'/'}, []byte{'='})
	switch string(name) {
	case "", ".", "..":
		return append(name, ' ')
	}
	return name
}

func (b *builder) meta() tree.Meta {
	m := tree.Meta{
		Mode:      uint32(b.number(0o7777)),
		UID:       uint32(b.number(math.MaxUint32)),
		GID:       uint32(b.number(math.MaxUint32)),
		MtimeSec:  int64(b.number(math.MaxUint64)),
		MtimeNsec: uint32(b.number(1e9 - 1)),
	}
	var xattrs []tree.Xattr
	for range b.byte() % 4 {
		xattrs = append(xattrs, tree.Xattr{
			Name:  string(noNUL(b.bytes(dumpfile.XattrNameMax))),
			Value: string(b.bytes(dumpfile.XattrValueMax)),
		})
	}
	m.Xattrs = b.t.Xattrs(xattrs...)
	return m
}

func (b *builder) inode() tree.Ino {
	choice := b.byte() % 12
	if choice < 2 && len(b.rest) > 0 {
		return b.rest[int(b.byte())%len(b.rest)]
	}
	m := b.meta()
	if choice < 4 {
		dir := b.t.NewDirectory(m)
		b.dirs = append(b.dirs, dir)
		return dir
	}
	ino := b.file(choice, m)
	if b.t.Kind(ino) != tree.CharDevice || b.t.Rdev(ino) != 0 {
		b.rest = append(b.rest, ino)
	}
	return ino
}

func (b *builder) file(choice byte, m tree.Meta) tree.Ino {
	var sum [32]byte
	copy(sum[:], b.bytes(len(sum)))
	size := b.number(math.MaxUint64)
	switch choice {
	case 4:
		return b.t.NewExternal(m, size, sum[:])
	case 5:
		return b.t.NewUnverified(m, size, sum[:])
	case 6:
		return b.t.NewSparse(m, max(size, 1)) // an empty one is an inline file
	case 7:
		return b.t.NewSymlink(m, append(noNUL(b.bytes(dumpfile.SymlinkMax-1)), '-'))
	case 8:
		kinds := [...]tree.Kind{tree.FIFO, tree.Socket}
		return b.t.NewSpecial(kinds[size%2], m, 0)
	case 9:
		return b.t.NewSpecial(tree.BlockDevice, m, b.number(math.MaxUint32))
	case 10:
		return b.t.NewSpecial(tree.CharDevice, m, b.number(math.MaxUint32))
	}
	return b.t.NewInline(m, b.bytes(dumpfile.InlineMax))
}
