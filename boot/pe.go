// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Limits of what is read of a PE file. Real ones are far below them.
const (
	// headerMax is where the section table must end, in bytes from the
	// beginning of the file.
	headerMax = 1 << 20
	// commandLineMax is the longest section .cmdline, in bytes: the kernel
	// takes 2048 to 4096, by its architecture.
	commandLineMax = 64 << 10
	// commandLinesMax is what all of them may have together, in bytes, and
	// commandLineCount how many there may be: one for each profile.
	commandLinesMax  = 1 << 20
	commandLineCount = 1 << 10
)

// What can be wrong with a file.
var (
	// ErrNotPE says that the file is of another kind.
	ErrNotPE = errors.New("not an EFI executable (PE)")
	// ErrMalformed says that firmware could not start the file, or that nobody
	// can tell what its command line is.
	ErrMalformed = errors.New("a damaged EFI executable (PE); build it again")
)

// Base is the profile of what is in front of all profiles.
const Base = -1

// CommandLine is the text of a section .cmdline.
type CommandLine struct {
	// Profile counts the sections .profile in front of it from 0, and is Base
	// without one. A profile that has no command line takes that of Base; Base
	// itself is booted only if there are no profiles.
	Profile int
	// Text is as the section has it, up to the first NUL, where the boot stub
	// stops reading.
	Text string
}

// CommandLines returns the command lines of the UKI or addon that r gives, in
// the order of its section table. An executable that is neither has none. Its
// errors are ErrNotPE, ErrMalformed and r's. It reads no further than it needs
// to.
func CommandLines(r io.Reader) ([]CommandLine, error) {
	var s Scanner
	buf := make([]byte, 32<<10)
	for !s.Done() {
		n, err := r.Read(buf)
		_, _ = s.Write(buf[:n]) // never fails
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return s.CommandLines()
}

// Scanner finds the command lines of a file that is written to it. The zero
// Scanner is ready.
type Scanner struct {
	head     []byte // the file's beginning, until its headers are complete
	parsed   bool
	pos      int64 // bytes written
	end      int64 // where the last of the sections ends, in bytes
	sections []section
	err      error
}

// section is one that is kept.
type section struct {
	profile int
	offset  int64 // in the file
	data    []byte
}

// Write takes the next piece of the file. It never fails: what is wrong with
// the file, CommandLines says.
func (s *Scanner) Write(p []byte) (int, error) {
	switch {
	case s.Done():
	case s.parsed:
		s.collect(p)
	default:
		s.head = append(s.head, p...)
		if s.parse() {
			s.parsed = true
			head := s.head
			s.head = nil
			s.collect(head)
		}
	}
	return len(p), nil
}

// collect takes what p has of the sections, and counts it.
func (s *Scanner) collect(p []byte) {
	for _, c := range s.sections {
		from := max(c.offset, s.pos)
		to := min(c.offset+int64(len(c.data)), s.pos+int64(len(p)))
		if from < to {
			copy(c.data[from-c.offset:], p[from-s.pos:to-s.pos])
		}
	}
	s.pos += int64(len(p))
}

// Done reports whether what is still to come makes no difference.
func (s *Scanner) Done() bool { return s.err != nil || s.parsed && s.pos >= s.end }

// CommandLines returns the command lines, once the file was written as far as
// there is any of it.
func (s *Scanner) CommandLines() ([]CommandLine, error) {
	switch {
	case s.err != nil:
		return nil, s.err
	case !s.parsed:
		return nil, s.incomplete()
	case !s.Done():
		return nil, fmt.Errorf("%w: a section .cmdline reaches beyond the end of the file", ErrMalformed)
	}
	var lines []CommandLine
	for _, c := range s.sections {
		lines = append(lines, CommandLine{c.profile, text(c.data)})
	}
	return lines, nil
}

// incomplete says what a file is whose headers are not all there.
func (s *Scanner) incomplete() error {
	if len(s.head) < dosHeaderSize || !isDOS(s.head) {
		return ErrNotPE
	}
	if at := peOffset(s.head); int64(len(s.head)) < at+int64(len(peMagic)) {
		return ErrNotPE // a DOS executable
	}
	return fmt.Errorf("%w: its headers are cut off", ErrMalformed)
}

// The layout of a PE file, as far as it matters here
// (https://learn.microsoft.com/windows/win32/debug/pe-format). All numbers are
// little endian.
const (
	dosMagic = "MZ"
	peMagic  = "PE\x00\x00"

	dosHeaderSize  = 0x40
	dosPEOffset    = 0x3c // e_lfanew: where the PE header is
	peHeaderSize   = 0x18 // magic and COFF header
	coffSections   = 0x06 // NumberOfSections
	coffOptional   = 0x14 // SizeOfOptionalHeader: what is between COFF header and section table
	sectionSize    = 0x28
	sectionName    = 0x08 // size of Name, padded with NULs
	sectionVirtual = 0x08 // VirtualSize: bytes in memory
	sectionRaw     = 0x10 // SizeOfRawData: bytes in the file
	sectionOffset  = 0x14 // PointerToRawData
)

func isDOS(head []byte) bool { return string(head[:len(dosMagic)]) == dosMagic }

func peOffset(head []byte) int64 { return int64(binary.LittleEndian.Uint32(head[dosPEOffset:])) }

// parse reads the headers, and reports whether they are complete.
func (s *Scanner) parse() bool {
	if len(s.head) < dosHeaderSize {
		return false
	}
	if !isDOS(s.head) {
		s.fail(ErrNotPE)
		return false
	}
	at := peOffset(s.head)
	if at < dosHeaderSize {
		s.fail(fmt.Errorf("%w: its PE header is inside of its DOS header", ErrMalformed))
		return false
	}
	if !s.has(at + peHeaderSize) {
		return false
	}
	pe := s.head[at:]
	if string(pe[:len(peMagic)]) != peMagic {
		s.fail(ErrNotPE)
		return false
	}
	count := int64(binary.LittleEndian.Uint16(pe[coffSections:]))
	table := at + peHeaderSize + int64(binary.LittleEndian.Uint16(pe[coffOptional:]))
	if !s.has(table + count*sectionSize) {
		return false
	}
	if err := s.locate(s.head[table:][:count*sectionSize]); err != nil {
		s.fail(err)
		return false
	}
	return true
}

// has reports whether so many bytes have come. More than headerMax never do.
func (s *Scanner) has(size int64) bool {
	if size > headerMax {
		s.fail(fmt.Errorf("%w: its headers have over %d bytes", ErrMalformed, headerMax))
		return false
	}
	return int64(len(s.head)) >= size
}

func (s *Scanner) fail(err error) { s.err, s.head, s.sections = err, nil, nil }

// locate finds the sections to be kept: the first .cmdline of each profile, as
// the boot stub does; of one that has no size it takes no other instead.
func (s *Scanner) locate(table []byte) error {
	profile, found, total := Base, false, int64(0)
	for ; len(table) > 0; table = table[sectionSize:] {
		switch sectionNameOf(table) {
		case ".profile":
			profile++
			found = false
		case ".cmdline":
			if found {
				continue
			}
			found = true
			field := func(at int) int64 { return int64(binary.LittleEndian.Uint32(table[at:])) }
			// What memory has beyond the file's part is zero, and ends the text.
			size := min(field(sectionVirtual), field(sectionRaw))
			total += size
			if size > commandLineMax || total > commandLinesMax || len(s.sections) == commandLineCount {
				return fmt.Errorf("%w: its command lines have over %d bytes, or %d together, or are more than %d",
					ErrMalformed, commandLineMax, commandLinesMax, commandLineCount)
			}
			s.sections = append(s.sections, section{profile, field(sectionOffset), make([]byte, size)})
			if size > 0 {
				s.end = max(s.end, field(sectionOffset)+size)
			}
		}
	}
	return nil
}

// sectionNameOf returns the name of the section whose header begins there. It
// may take all of its field, and has no NUL at the end then.
func sectionNameOf(header []byte) string { return text(header[:sectionName]) }

// text returns what is in front of the first NUL.
func text(b []byte) string {
	before, _, _ := bytes.Cut(b, []byte{0})
	return string(before)
}
