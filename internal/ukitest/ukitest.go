// SPDX-License-Identifier: Apache-2.0

// Package ukitest makes unified kernel images for tests: PE files of sections and
// nothing else, which no firmware starts.
package ukitest

import "encoding/binary"

// Section is a section of a PE file.
type Section struct{ Name, Content string }

// Sizes of what stands in front of the sections' content, in bytes (Microsoft,
// "PE Format").
const (
	dosHeader      = 0x40
	peHeader       = 24
	optionalHeader = 240
	sectionHeader  = 40
)

// CommandLine is a UKI with that kernel command line.
func CommandLine(text string) []byte {
	return Make(Section{".osrel", "ID=test\n"}, Section{".cmdline", text}, Section{".linux", "a kernel"})
}

// Make makes a PE file of sections.
func Make(sections ...Section) []byte {
	le := binary.LittleEndian
	var b []byte
	b = append(b, "MZ"...)
	b = append(b, make([]byte, dosHeader-6)...)
	b = le.AppendUint32(b, dosHeader) // where the PE header is
	b = append(b, "PE\x00\x00"...)
	b = le.AppendUint16(b, 0x8664) // x86-64
	b = le.AppendUint16(b, uint16(len(sections)))
	b = append(b, make([]byte, 12)...)
	b = le.AppendUint16(b, optionalHeader)
	b = le.AppendUint16(b, 0x22) // executable
	optional := make([]byte, optionalHeader)
	le.PutUint16(optional, 0x20b)     // PE32+
	le.PutUint32(optional[0x6c:], 16) // data directories, which are empty
	b = append(b, optional...)
	at := dosHeader + peHeader + optionalHeader + sectionHeader*len(sections)
	var content []byte
	for _, s := range sections {
		name := [8]byte{}
		copy(name[:], s.Name)
		b = append(b, name[:]...)
		size := uint32(len(s.Content))
		for _, n := range []uint32{size, 0x1000, size, uint32(at + len(content)), 0, 0, 0, 0x40000040} {
			b = le.AppendUint32(b, n)
		}
		content = append(content, s.Content...)
	}
	return append(b, content...)
}
