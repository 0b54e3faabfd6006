// SPDX-License-Identifier: Apache-2.0

package tarscan

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// BlockSize is the size of a header, and what entries are padded to, in bytes.
const BlockSize = 512

// The types of entries (POSIX.1-1988 ustar, GNU and PAX extensions).
const (
	TypeRegular     = '0'
	TypeRegularOld  = '\x00'
	TypeLink        = '1'
	TypeSymlink     = '2'
	TypeChar        = '3'
	TypeBlock       = '4'
	TypeDirectory   = '5'
	TypeFIFO        = '6'
	TypeContiguous  = '7'
	typeGNULongName = 'L'
	typeGNULongLink = 'K'
	typeGNUSparse   = 'S'
	typePAX         = 'x'
	typePAXGlobal   = 'g'
)

// header is one block, which all the dialects lay out alike up to the prefix.
type header []byte

func (h header) name() []byte     { return cString(h[:100]) }
func (h header) mode() []byte     { return h[100:108] }
func (h header) uid() []byte      { return h[108:116] }
func (h header) gid() []byte      { return h[116:124] }
func (h header) size() []byte     { return h[124:136] }
func (h header) mtime() []byte    { return h[136:148] }
func (h header) checksum() []byte { return h[148:156] }
func (h header) typeflag() byte   { return h[156] }
func (h header) linkname() []byte { return cString(h[157:257]) }
func (h header) magic() string    { return string(h[257:265]) } // magic and version
func (h header) devmajor() []byte { return h[329:337] }
func (h header) devminor() []byte { return h[337:345] }
func (h header) prefix() []byte   { return cString(h[345:500]) }

const (
	magicUSTAR = "ustar\x0000"
	magicGNU   = "ustar  \x00"
)

// hasExtensions reports whether the dialect has more than V7's entry types and
// fields.
func (h header) hasExtensions() bool { return h.magic() == magicUSTAR || h.magic() == magicGNU }

func (h header) isZero() bool {
	for _, b := range h {
		if b != 0 {
			return false
		}
	}
	return true
}

func (h header) verify() error {
	want, err := parseOctal(h.checksum())
	if err != nil {
		return fmt.Errorf("header checksum: %w", err)
	}
	var sum uint64
	for i, b := range h {
		if i >= 148 && i < 156 {
			b = ' '
		}
		sum += uint64(b)
	}
	if sum != want {
		return fmt.Errorf("header checksum is %d, and says %d: the layer is damaged", sum, want)
	}
	return nil
}

// cString returns what is before the first NUL.
func cString(b []byte) []byte {
	before, _, _ := bytes.Cut(b, []byte{0})
	return before
}

var errNumber = errors.New("not an octal number")

// parseOctal reads digits with white space around them; nothing is 0.
func parseOctal(b []byte) (uint64, error) {
	digits := bytes.Trim(cString(b), " \t\n\v\f\r")
	if len(digits) == 0 {
		return 0, nil
	}
	n, err := parseUint(digits, 8)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", b, errNumber)
	}
	return n, nil
}

// parseNumeric reads octal digits or, where the first bit is set, GNU's base
// 256, of which the last 64 bits count: this is how negative times come in.
func parseNumeric(b []byte) (uint64, error) {
	if b[0]&0x80 == 0 {
		return parseOctal(b)
	}
	n := uint64(b[0] & 0x7f)
	for _, c := range b[1:] {
		n = n<<8 | uint64(c)
	}
	return n, nil
}

// parseUint reads an unsigned number, which may have a plus sign.
func parseUint(b []byte, base int) (uint64, error) {
	if len(b) > 1 && b[0] == '+' {
		b = b[1:]
	}
	if len(b) == 0 || b[0] == '+' || bytes.IndexByte(b, '_') >= 0 {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(string(b), base, 64)
}

// fields reads many fields and keeps the first error.
type fields struct{ err error }

func (f *fields) numeric(name string, b []byte) uint64 {
	n, err := parseNumeric(b)
	return f.keep(name, n, err)
}

func (f *fields) octal(name string, b []byte) uint64 {
	n, err := parseOctal(b)
	return f.keep(name, n, err)
}

func (f *fields) keep(name string, n uint64, err error) uint64 {
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("%s: %w", name, err)
	}
	return n
}
