// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"encoding/binary"
	"slices"
	"testing"
)

func header(magic uint16, fields ...uint32) []byte {
	b := append(binary.LittleEndian.AppendUint16(nil, magic), "\r\n"...)
	for _, f := range fields {
		b = binary.LittleEndian.AppendUint32(b, f)
	}
	return b
}

// TestParsePyc: what the header of compiled Python says of its source depends on
// the version, which its magic number tells; one that goes by a hash says nothing
// of times.
func TestParsePyc(t *testing.T) {
	timed := func(mtime uint32) *pycSource { return &pycSource{mtime: mtime} }
	sized := func(mtime, size uint32) *pycSource { return &pycSource{mtime, size, true} }
	for _, c := range []struct {
		name string
		head []byte
		want *pycSource
	}{
		{"3.12", header(3531, 0, 5, 7), sized(5, 7)},
		{"3.12, unchecked hash", header(3531, 1, 5, 7), nil},
		{"3.12, checked hash", header(3531, 3, 5, 7), nil},
		{"the first of PEP 552", header(3392, 0, 5, 7), sized(5, 7)},
		{"the last before", header(3391, 0, 5, 7), sized(0, 5)},
		{"the first with a size", header(3210, 5, 7), sized(5, 7)},
		{"the last without", header(3209, 5, 7), timed(5)},
		{"3.0", header(3000, 5), timed(5)},
		{"not CPython", header(2999, 5, 6, 7), nil},
		{"the last below 2", header(20120, 0, 5, 7), sized(5, 7)},
		{"2.7", header(62211, 5), timed(5)},
		{"the first of 1.5", header(20121, 5), timed(5)},
		{"cut off, 3.12", header(3531, 0, 5), nil},
		{"cut off, 3.3", header(3210, 5), nil},
		{"cut off, 2.7", header(62211), nil},
		{"nothing", nil, nil},
		{"another kind", []byte("\xcb\x0d\n\n\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), nil},
	} {
		got, ok := parsePyc(c.head)
		if ok != (c.want != nil) || ok && got != *c.want {
			t.Errorf("%s: %+v %v, want %+v", c.name, got, ok, c.want)
		}
	}
}

// TestSourceName: compiled Python in __pycache__ is of a source in the directory
// above, as importlib.util.source_from_cache has it; elsewhere of one beside it.
func TestSourceName(t *testing.T) {
	for _, c := range []struct {
		dir, name string
		want      string
		above     bool
	}{
		{cacheDir, "x.cpython-312.pyc", "x.py", true},
		{cacheDir, "x.cpython-312.opt-1.pyc", "x.py", true},
		{cacheDir, "x.cpython-312.opt-2.pyc", "x.py", true},
		{cacheDir, "x.cpython-312.other.pyc", "", false},
		{cacheDir, "x.cpython-312-pytest-8.1.0.pyc", "", false},
		{cacheDir, "x.pyc", "", false},
		{cacheDir, ".cpython-312.pyc", "", false},
		{cacheDir, "x.cpython-312.py", "", false},
		{"p", "x.pyc", "x.py", false},
		{"p", "x.cpython-312.pyc", "x.cpython-312.py", false},
		{"p", ".pyc", "", false},
		{"p", "x.pyo", "", false},
	} {
		got, above, ok := sourceName(c.dir, c.name)
		if got != c.want || above != c.above || ok != (c.want != "") {
			t.Errorf("%s/%s: %q %v %v, want %q %v", c.dir, c.name, got, above, ok, c.want, c.above)
		}
	}
}

// TestHead: the beginning is kept, in whatever pieces it comes.
func TestHead(t *testing.T) {
	data := []byte("0123456789abcdefghij")
	for size := 1; size <= len(data); size++ {
		var h Head
		for piece := range slices.Chunk(data, size) {
			if n, err := h.Write(piece); n != len(piece) || err != nil {
				t.Fatalf("pieces of %d: %d, %v", size, n, err)
			}
		}
		if got := string(h.Bytes()); got != "0123456789abcdef" {
			t.Errorf("pieces of %d: kept %q", size, got)
		}
	}
	var short Head
	_, _ = short.Write([]byte("ab"))
	if got := string(short.Bytes()); got != "ab" {
		t.Errorf("kept %q", got)
	}
}

// FuzzPyc: no header makes it fail, and what is said fits into the header.
func FuzzPyc(f *testing.F) {
	f.Add(header(3531, 0, 5, 7), "__pycache__", "x.cpython-312.pyc")
	f.Add(header(62211, 5), "p", "x.pyc")
	f.Fuzz(func(t *testing.T, head []byte, dir, name string) {
		if s, ok := parsePyc(head); ok && (len(head) < 8 || s.hasSize && len(head) < 12) {
			t.Errorf("%x says %+v", head, s)
		}
		if source, _, ok := sourceName(dir, name); ok && len(source) <= len(pySuffix) {
			t.Errorf("%q in %q is of %q", name, dir, source)
		}
	})
}
