// SPDX-License-Identifier: Apache-2.0

package stackgen

import (
	"fmt"
)

// blockSize is the size of a tar header, and what all else is padded to, in
// bytes.
const blockSize = 512

// Format is the dialect of a header, which decides its magic and how it says
// what does not fit.
type Format uint8

// The dialects.
const (
	V7    Format = iota // no magic, no way to say more
	USTAR               // a prefix for long names; links by PAX
	GNU                 // entries of type L and K in front
	PAX                 // records in an entry of type x in front
)

// Numbers is how a header writes its numbers.
type Numbers uint8

// The spellings of numbers. All but Base256 fall back to Base256 for a number
// that needs more digits than the field has.
const (
	OctalNUL   Numbers = iota // zeros in front, a NUL behind
	OctalSpace                // zeros in front, a space behind
	OctalBlank                // spaces in front, a NUL behind
	OctalFull                 // zeros in front, nothing behind
	Base256                   // big endian, the top bit set
)

// A field is a part of the header block.
type field struct{ offset, size int }

// The header block. Offsets and sizes in bytes; POSIX.1-1988 (ustar), of which
// V7 knows the part up to linkname.
var (
	fieldName     = field{0, 100}
	fieldMode     = field{100, 8}
	fieldUID      = field{108, 8}
	fieldGID      = field{116, 8}
	fieldSize     = field{124, 12}
	fieldMtime    = field{136, 12}
	fieldChecksum = field{148, 8}
	fieldType     = field{156, 1}
	fieldLink     = field{157, 100}
	fieldMagic    = field{257, 8} // magic and version
	fieldUname    = field{265, 32}
	fieldGname    = field{297, 32}
	fieldMajor    = field{329, 8}
	fieldMinor    = field{337, 8}
	fieldPrefix   = field{345, 155}
)

// Magic and version of the dialects that have them.
const (
	magicUSTAR = "ustar\x0000"
	magicGNU   = "ustar  \x00"
)

// A header is what one block says.
type header struct {
	name, prefix, link string
	typ                byte
	mode, uid, gid     uint64
	size, mtime        uint64 // mtime in two's complement
	major, minor       uint64
	uname, gname       string
	format             Format
	numbers            Numbers
	badChecksum        bool
	base256Device      bool
}

// appendTo appends the block to b.
func (h header) appendTo(b []byte) []byte {
	var block [blockSize]byte
	putString(block[:], fieldName, h.name)
	h.putNumber(block[:], fieldMode, h.mode)
	h.putNumber(block[:], fieldUID, h.uid)
	h.putNumber(block[:], fieldGID, h.gid)
	h.putNumber(block[:], fieldSize, h.size)
	h.putNumber(block[:], fieldMtime, h.mtime)
	block[fieldType.offset] = h.typ
	putString(block[:], fieldLink, h.link)
	if h.format != V7 {
		magic := magicUSTAR
		if h.format == GNU {
			magic = magicGNU
		}
		putString(block[:], fieldMagic, magic)
		putString(block[:], fieldUname, h.uname)
		putString(block[:], fieldGname, h.gname)
		h.putDevice(block[:], fieldMajor, h.major)
		h.putDevice(block[:], fieldMinor, h.minor)
	}
	if h.format == USTAR || h.format == PAX {
		putString(block[:], fieldPrefix, h.prefix)
	}
	putChecksum(block[:], h.badChecksum)
	return append(b, block[:]...)
}

// putString copies s into the field, without a NUL where it fills it.
func putString(block []byte, f field, s string) {
	if len(s) > f.size {
		panic(fmt.Sprintf("stackgen: internal error: %d bytes for a field of %d", len(s), f.size))
	}
	copy(block[f.offset:f.offset+f.size], s)
}

// putNumber writes n into the field as h.numbers says.
func (h header) putNumber(block []byte, f field, n uint64) {
	at := block[f.offset : f.offset+f.size]
	digits := f.size - 1
	if h.numbers == OctalFull {
		digits = f.size
	}
	if h.numbers == Base256 || n>>(3*uint(digits)) != 0 {
		putBase256(at, n)
		return
	}
	switch h.numbers {
	case OctalSpace:
		copy(at, fmt.Sprintf("%0*o ", digits, n))
	case OctalBlank:
		copy(at, fmt.Sprintf("%*o", digits, n))
	case OctalNUL, OctalFull, Base256:
		copy(at, fmt.Sprintf("%0*o", digits, n))
	}
}

// putDevice writes a device number. Only what a fault asks for is in base 256:
// readers want these in octal.
func (h header) putDevice(block []byte, f field, n uint64) {
	if h.numbers == Base256 && !h.base256Device {
		h.numbers = OctalNUL
	}
	h.putNumber(block, f, n)
}

// putBase256 writes n as GNU tar does: the top bit of the field marks it, and a
// negative number has all bits in front set.
func putBase256(at []byte, n uint64) {
	fill := byte(0)
	if int64(n) < 0 {
		fill = 0xff
	}
	for i := len(at) - 1; i >= 0; i-- {
		if len(at)-1-i < 8 {
			at[i] = byte(n)
			n >>= 8
			continue
		}
		at[i] = fill
	}
	at[0] |= 0x80
}

// putChecksum sums the block up, its checksum field taken as spaces.
func putChecksum(block []byte, bad bool) {
	at := block[fieldChecksum.offset : fieldChecksum.offset+fieldChecksum.size]
	copy(at, "        ")
	sum := 0
	for _, c := range block {
		sum += int(c)
	}
	if bad {
		sum++
	}
	copy(at, fmt.Sprintf("%06o\x00 ", sum))
}

// pad appends zeros up to the next block.
func pad(b []byte) []byte {
	return append(b, make([]byte, -len(b)&(blockSize-1))...)
}
