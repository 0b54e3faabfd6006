// SPDX-License-Identifier: Apache-2.0

package boot_test

import "encoding/binary"

// peFile is a PE file that a test makes.
type peFile struct {
	dos      string // magic of the DOS header; MZ if empty
	magic    string // of the PE header; PE and two NULs if empty
	stub     int    // bytes between DOS and PE header
	optional int    // size of the optional header, in bytes
	sections []peSection
}

// peSection is a section. Its content is put behind the headers, unless at says
// otherwise.
type peSection struct {
	name    string
	content string
	at      uint32  // place in the file, if not 0
	virtual *uint32 // bytes in memory, if not as many as the content has
	raw     *uint32 // bytes in the file, if not as many as the content has
}

func uki(sections ...peSection) peFile { return peFile{stub: 64, optional: 240, sections: sections} }

func cmdline(text string) peSection { return peSection{name: ".cmdline", content: text} }

func profile(text string) peSection { return peSection{name: ".profile", content: text} }

// sized gives a section sizes that its content does not have.
func sized(s peSection, virtual, raw uint32) peSection {
	s.virtual, s.raw = &virtual, &raw
	return s
}

func placed(s peSection, at uint32) peSection {
	s.at = at
	return s
}

// headers returns the size of all headers, in bytes.
func (p peFile) headers() int { return 0x40 + p.stub + 24 + p.optional + 40*len(p.sections) }

func (p peFile) bytes() []byte {
	le := binary.LittleEndian
	either := func(text, usual string) string {
		if text == "" {
			return usual
		}
		return text
	}
	b := append([]byte(either(p.dos, "MZ")), make([]byte, 0x3a)...)
	b = le.AppendUint32(b, uint32(0x40+p.stub))
	b = append(b, make([]byte, p.stub)...)
	b = append(b, either(p.magic, "PE\x00\x00")...)
	b = le.AppendUint16(b, 0x8664) // machine
	b = le.AppendUint16(b, uint16(len(p.sections)))
	b = append(b, make([]byte, 12)...)
	b = le.AppendUint16(b, uint16(p.optional))
	b = le.AppendUint16(b, 0x22) // characteristics
	optional := make([]byte, max(p.optional, 0x70))
	le.PutUint16(optional, 0x20b)     // magic of PE32+
	le.PutUint32(optional[0x6c:], 16) // data directories, which are empty
	b = append(b, optional[:p.optional]...)

	var content []byte
	for _, s := range p.sections {
		at, virtual, raw := s.at, uint32(len(s.content)), uint32(len(s.content))
		if at == 0 {
			at = uint32(p.headers() + len(content))
			content = append(content, s.content...)
		}
		if s.virtual != nil {
			virtual, raw = *s.virtual, *s.raw
		}
		b = append(b, s.name...)
		b = append(b, make([]byte, 8-len(s.name))...)
		for _, n := range []uint32{virtual, 0x1000, raw, at, 0, 0, 0, 0x40000040} {
			b = le.AppendUint32(b, n)
		}
	}
	return append(b, content...)
}
