// SPDX-License-Identifier: Apache-2.0

package tarscan_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/layers/internal/tarscan"
)

// recorder writes down what a Scanner finds: the entries, each with all its
// data in one piece.
type recorder struct {
	events  []string
	data    []byte
	entries []tarscan.Entry // without the bytes that they borrow
	content []string
	open    bool

	failEntry, failEnd error
}

func (r *recorder) Entry(e *tarscan.Entry) error {
	if r.open {
		panic("Entry before the EndEntry of the entry before")
	}
	r.open, r.data = true, nil
	r.events = append(r.events, fmt.Sprintf("%c %q -> %q mode=%o %d:%d mtime=%d.%09d size=%d dev=%v,%d:%d xattrs=%q",
		e.Type, e.Path, e.Link, e.Mode, e.UID, e.GID, e.MtimeSec, e.MtimeNsec, e.Size, e.HasDevice, e.DevMajor, e.DevMinor, e.Xattrs))
	kept := *e
	kept.Path, kept.Link = []byte(string(e.Path)), []byte(string(e.Link))
	r.entries = append(r.entries, kept)
	return r.failEntry
}

func (r *recorder) Data(p []byte) {
	if !r.open || len(p) == 0 {
		panic("Data outside of an entry, or without bytes")
	}
	r.data = append(r.data, p...)
}

func (r *recorder) EndEntry() error {
	r.open = false
	r.events = append(r.events, fmt.Sprintf("content of %d bytes: %x", len(r.data), sha256.Sum256(r.data)))
	r.content = append(r.content, string(r.data))
	return r.failEnd
}

// scan feeds the archive in pieces of which split gives the lengths, the last
// for all the rest, and returns what was found and the error.
func scan(archive []byte, split ...int) (*recorder, error) {
	r := &recorder{}
	return r, scanTo(r, archive, split...)
}

func scanTo(r *recorder, archive []byte, split ...int) error {
	s := tarscan.New(r)
	for _, n := range append(split, len(archive)) {
		n = min(n, len(archive))
		_, _ = s.Write(archive[:n])
		archive = archive[n:]
	}
	return s.Close()
}

// outcome is all there is to say of a scan.
func outcome(r *recorder, err error) string {
	return fmt.Sprintf("%s\nerror %v", strings.Join(r.events, "\n"), err)
}

// block makes a header: fields of the ustar dialect by name, and as they are.
// What is not given is an empty regular file "f".
func block(fields map[string]string) []byte {
	offsets := map[string][2]int{
		"name": {0, 100}, "mode": {100, 8}, "uid": {108, 8}, "gid": {116, 8}, "size": {124, 12},
		"mtime": {136, 12}, "type": {156, 1}, "link": {157, 100}, "magic": {257, 8},
		"major": {329, 8}, "minor": {337, 8}, "prefix": {345, 155},
	}
	b := make([]byte, tarscan.BlockSize)
	for name, value := range map[string]string{"name": "f", "type": "0", "magic": "ustar\x0000"} {
		if _, ok := fields[name]; !ok {
			copy(b[offsets[name][0]:], value)
		}
	}
	for name, value := range fields {
		at, ok := offsets[name]
		if !ok || len(value) > at[1] {
			panic("no such field: " + name)
		}
		copy(b[at[0]:], value)
	}
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// entry makes an entry of a type with content.
func entry(typ byte, content string, fields map[string]string) []byte {
	all := map[string]string{"type": string(rune(typ)), "size": fmt.Sprintf("%011o", len(content))}
	maps.Copy(all, fields)
	b := append(block(all), content...)
	return append(b, make([]byte, -len(content)&(tarscan.BlockSize-1))...)
}

// zeros makes so many blocks of zeros.
func zeros(blocks int) []byte { return make([]byte, blocks*tarscan.BlockSize) }

// record makes a record of an extended header.
func record(key, value string) string {
	rest := len(key) + len(value) + 3
	n := rest
	for n != rest+len(fmt.Sprint(n)) {
		n = rest + len(fmt.Sprint(n))
	}
	return fmt.Sprintf("%d %s=%s\n", n, key, value)
}

func join(pieces ...[]byte) []byte {
	var all []byte
	for _, p := range pieces {
		all = append(all, p...)
	}
	return all
}

func mustScan(t *testing.T, archive []byte) *recorder {
	t.Helper()
	r, err := scan(archive)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
