// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"debug/pe"
	"testing"
)

// TestWrite: another reader finds each section with its own bytes.
func TestWrite(t *testing.T) {
	want := []section{{".osrel", []byte("ID=test\n")}, {".cmdline", []byte("composefs=00 quiet\n")}, {".linux", make([]byte, 5000)}}
	text, err := write(want)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pe.NewFile(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Sections) != len(want) {
		t.Fatalf("%d sections, want %d", len(f.Sections), len(want))
	}
	for i, s := range f.Sections {
		data, err := s.Data()
		if err != nil || s.Name != want[i].name || !bytes.Equal(data[:s.VirtualSize], want[i].data) || int(s.VirtualSize) != len(want[i].data) {
			t.Errorf("%s: %q of %d bytes, %v", s.Name, data, s.VirtualSize, err)
		}
	}
	if _, err := write(make([]section, maxSections+1)); err == nil {
		t.Error("more sections than fit were written")
	}
}
