// SPDX-License-Identifier: Apache-2.0

package tarscan_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/layers/internal/tarscan"
)

// errAny stands for errors that have no name.
var errAny = errors.New("any error")

// TestEnd: where an archive may end. Two blocks of zeros end it and all behind
// them is ignored; a single one is skipped; without them it must end behind
// content, a global header or nothing at all.
func TestEnd(t *testing.T) {
	full, bare := entry('0', "abc", nil), entry('0', "", nil)
	global, pax := entry('g', record("a", "b"), nil), entry('x', record("a", "b"), nil)
	for _, c := range []struct {
		rule    string
		archive []byte
		entries int
		err     error
	}{
		{"nothing", nil, 0, nil},
		{"two zero blocks", zeros(2), 0, nil},
		{"many zero blocks", join(full, zeros(20)), 1, nil},
		{"part of a zero block behind the end", join(full, zeros(2), make([]byte, 100)), 1, nil},
		{"junk behind the end", join(full, zeros(2), []byte("junk")), 1, nil},
		{"entries behind the end", join(full, zeros(2), full, full), 1, nil},
		{"a single zero block between entries", join(full, zeros(1), full, zeros(1), full, zeros(2)), 3, nil},
		{"a single zero block at the beginning", join(zeros(1), full, zeros(2)), 1, nil},
		{"a single zero block before the entry of a header", join(pax, zeros(1), full, zeros(2)), 1, nil},
		{"no zero blocks", full, 1, nil},
		{"a global header at the end", join(bare, global), 1, nil},
		{"an extended header, then a global one", join(full, pax, global), 1, nil},

		{"one zero block", join(full, zeros(1)), 1, io.ErrUnexpectedEOF},
		{"one zero block and a half", join(full, zeros(1), make([]byte, 100)), 1, io.ErrUnexpectedEOF},
		{"only one zero block", zeros(1), 0, io.ErrUnexpectedEOF},
		{"part of a header", join(full, full[:300]), 1, io.ErrUnexpectedEOF},
		{"a header without its content", full[:512], 1, io.ErrUnexpectedEOF},
		{"part of the content", full[:514], 1, io.ErrUnexpectedEOF},
		{"content without its padding", full[:515], 1, io.ErrUnexpectedEOF},
		{"all but a byte of the padding", full[:1023], 1, io.ErrUnexpectedEOF},
		{"part of an extended header", pax[:515], 0, io.ErrUnexpectedEOF},
		{"an extended header", pax, 0, io.ErrUnexpectedEOF},
		{"an extended header, then zeros", join(pax, zeros(2)), 0, tarscan.ErrOrphan},
		{"a long name, then zeros", join(entry('L', "x", nil), zeros(2)), 0, tarscan.ErrOrphan},
		{"part of a global header", join(full, global[:513]), 1, io.ErrUnexpectedEOF},
		{"no zero blocks behind an entry without content", join(full, bare), 2, tarscan.ErrNoEnd},
	} {
		r, err := scan(c.archive)
		if len(r.entries) != c.entries || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %d entries, error %v; want %d, %v", c.rule, len(r.entries), err, c.entries, c.err)
		}
	}
}

// TestExtensionLimits: the extension headers of one entry hold 1 MiB at most
// together, and there is one of each type.
func TestExtensionLimits(t *testing.T) {
	const mib = 1 << 20
	filler := func(n int) string {
		text := fmt.Sprintf("%d comment=", n)
		return text + strings.Repeat("x", n-len(text)-1) + "\n"
	}
	x := func(n int) []byte { return entry('x', filler(n), nil) }
	l, k := entry('L', "abcd", nil), entry('K', "ab", nil)
	end := join(block(nil), zeros(2))
	for _, c := range []struct {
		rule    string
		archive []byte
		err     error
	}{
		{"1 MiB in one", join(x(mib), end), nil},
		{"one byte more", join(x(mib+1), end), tarscan.ErrTooLong},
		{"1 MiB in three", join(l, x(mib-6), k, end), nil},
		{"one byte more in three", join(l, x(mib-5), k, end), tarscan.ErrTooLong},
		{"1 MiB for each entry", join(x(mib), block(nil), x(mib), end), nil},
		{"a global header of 1 MiB", join(entry('g', filler(mib), nil), end), nil},
		{"a larger global header", join(entry('g', filler(mib+1), nil), end), tarscan.ErrTooLong},
		{"a global header adds nothing", join(x(mib), entry('g', filler(mib), nil), x(mib), end), nil},
		{"a size that is too large to come", entry('x', "", fields{"size": "77777777777"}), tarscan.ErrTooLong},
		{"a size near 64 bits", join(l, entry('x', "", fields{"size": "\x80\x00\x00\x00\xff\xff\xff\xff\xff\xff\xfe\x00"})), tarscan.ErrTooLong},
		{"two PAX headers", join(x(100), x(100), end), tarscan.ErrDuplicate},
		{"two empty PAX headers", join(entry('x', "", nil), entry('x', "", nil), end), tarscan.ErrDuplicate},
		{"two long names", join(l, k, l, end), tarscan.ErrDuplicate},
		{"two long targets", join(k, k, end), tarscan.ErrDuplicate},
		{"one each for two entries", join(l, k, x(100), block(nil), l, k, x(100), end), nil},
	} {
		if _, err := scan(c.archive); !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: error %v, want %v", c.rule, err, c.err)
		}
	}
}

// TestRefused: headers that end the scan.
func TestRefused(t *testing.T) {
	badSum := block(nil)
	badSum[148] ^= 1
	signed := block(fields{"name": "\xff\xff"})
	sum := 0
	for i, c := range signed {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int(int8(c))
	}
	copy(signed[148:156], fmt.Sprintf("%06o\x00 ", sum))
	pax := func(records string) []byte { return join(entry('x', records, nil), block(nil)) }
	for _, c := range []struct {
		rule    string
		archive []byte
		err     error
	}{
		{"a wrong checksum", badSum, errAny},
		{"a checksum of signed bytes", signed, errAny},
		{"a checksum that is no number", append(badSum[:148:148], []byte(strings.Repeat("z", 364))...), errAny},
		{"no tar archive", []byte(strings.Repeat("text ", 300)), errAny},
		{"a sparse file of GNU's", entry('S', "", fields{"magic": gnu}), tarscan.ErrSparse},
		{"its type in V7", entry('S', "", fields{"magic": v7}), tarscan.ErrSparse},
		{"a sparse file of PAX", pax(record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0")), tarscan.ErrSparse},
		{"a size that is no number", block(fields{"size": "9"}), errAny},
		{"a size of more than 2^64-512", block(fields{"size": "\x80\x00\x00\x00\xff\xff\xff\xff\xff\xff\xfe\x01"}), tarscan.ErrSize},
		{"a size of more than 63 bits", block(fields{"size": "\x80\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00"}), tarscan.ErrSize},
		{"a PAX size of more than 63 bits", pax(record("size", "9223372036854775808")), tarscan.ErrSize},
		// The reference, as it is built for release, overflows here, and takes
		// anything but a file for empty. No image needs that.
		{"a PAX size that overflows, of a directory", join(entry('x', record("size", "18446744073709551615"), nil), block(fields{"type": "5"})), tarscan.ErrSize},
		{"a mode that is no number", block(fields{"mode": "z"}), errAny},
		{"an mtime that is no number, though PAX has one", join(entry('x', record("mtime", "1"), nil), block(fields{"mtime": "z"})), errAny},
		{"a device number in base 256, of a file", block(fields{"major": "\x80\x00\x00\x00\x00\x00\x00\x01"}), errAny},
		{"PAX: a negative mtime", pax(record("mtime", "-1")), tarscan.ErrPAX},
		{"PAX: an mtime of a fraction only", pax(record("mtime", ".5")), tarscan.ErrPAX},
		{"PAX: an mtime that is no UTF-8", pax(record("mtime", "1.\xff")), tarscan.ErrPAX},
		{"PAX: a character across the ninth byte of a fraction", pax(record("mtime", "1.12345678é")), tarscan.ErrPAX},
	} {
		r, err := scan(join(c.archive, zeros(2)))
		if err == nil || !errors.Is(c.err, errAny) && !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.rule, err, c.err)
		}
		if len(r.entries) != 0 {
			t.Errorf("%s: an entry was found: %s", c.rule, r.events)
		}
	}
	// Only the first fraction is looked at, and only its ninth byte.
	mustScan(t, join(pax(record("mtime", "1.5")+record("mtime", "2.12345678é")), zeros(2)))
	mustScan(t, join(pax(record("mtime", "1.1234567é")), zeros(2)))
	mustScan(t, join(pax(record("mtime", "1.123456789é")), zeros(2)))
}
