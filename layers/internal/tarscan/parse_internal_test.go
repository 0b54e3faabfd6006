// SPDX-License-Identifier: Apache-2.0

package tarscan

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParseOctal: digits in base 8 up to the first NUL, white space around them
// and a plus sign in front allowed; nothing at all is 0.
func TestParseOctal(t *testing.T) {
	for _, c := range []struct {
		field string
		want  uint64
		ok    bool
	}{
		{"0000644\x00", 0o644, true},
		{"0000644 ", 0o644, true},
		{"    644\x00", 0o644, true},
		{"00000644", 0o644, true},
		{"7", 7, true},
		{"", 0, true},
		{"        ", 0, true},
		{"\x00\x00\x00\x00", 0, true},
		{" \t\n\v\f\r7\r\f\v\n\t ", 7, true},
		{"12\x0034", 0o12, true},
		{"\x00777", 0, true},
		{"12\x00z", 0o12, true},
		{"+7", 7, true},
		{" +7 ", 7, true},
		{"1777777777777777777777", 1<<64 - 1, true},

		{"2000000000000000000000", 0, false}, // more than 64 bits
		{"8", 0, false},
		{"1 1", 0, false},
		{"+", 0, false},
		{"++1", 0, false},
		{"+ 1", 0, false},
		{"-1", 0, false},
		{"0o7", 0, false},
		{"1_1", 0, false},
		{"z", 0, false},
		{"\xa01", 0, false},     // a space of Latin-1, which is none
		{"\u00851", 0, false},   // a space of Unicode, which is none
		{"1\x1c", 0, false},     // a control character that is no space
		{"\x80\x00", 0, false},  // base 256 is not octal
		{"\xff\xff1", 0, false}, // nor is this
	} {
		got, err := parseOctal([]byte(c.field))
		if (err == nil) != c.ok || got != c.want {
			t.Errorf("parseOctal(%q) = %d, %v; want %d, success %v", c.field, got, err, c.want, c.ok)
		}
		if err != nil && !errors.Is(err, errNumber) {
			t.Errorf("parseOctal(%q): %v is not errNumber", c.field, err)
		}
	}
}

// TestParseNumeric: with the first bit set, the bytes are a number in base 256
// of which the last 64 bits count; the second bit is no sign of its own.
func TestParseNumeric(t *testing.T) {
	for _, c := range []struct {
		field string
		want  int64
	}{
		{"0000644\x00", 0o644},
		{"\x80\x00\x00\x00\x00\x00\x00\x07", 7},
		{"\x80\x00\x00\x00\x00\x00\x02\x01", 513},
		{"\x81\x00\x00\x00\x00\x00\x00\x00", 1 << 56},
		{"\xc0\x00\x00\x00\x00\x00\x00\x00", 1 << 62},
		// In eight bytes the mark is a bit of the number: it is cut off, and a
		// negative number comes out as a large one.
		{"\xff\xff\xff\xff\xff\xff\xff\xff", 1<<63 - 1},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfb", -5},
		{"\x80\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xfb", -5},
		{"\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02", 2}, // the 65th bit is lost
		{"\x80", 0},
	} {
		got, err := parseNumeric([]byte(c.field))
		if err != nil || int64(got) != c.want {
			t.Errorf("parseNumeric(%q) = %d, %v; want %d", c.field, int64(got), err, c.want)
		}
	}
	if _, err := parseNumeric([]byte("\x7f\x00")); err == nil {
		t.Error("without the first bit set a byte is taken for a digit")
	}
}

// TestParseFraction: up to nine characters are a number of nanoseconds, padded
// on the right; what is no number is none.
func TestParseFraction(t *testing.T) {
	for frac, want := range map[string]uint32{
		"": 0, "5": 500_000_000, "05": 50_000_000, "000000001": 1, "123456789": 123_456_789,
		"1234567899": 123_456_789, "123456789x": 123_456_789, "999999999": 999_999_999,
		"x": 0, "12345678x": 0, "-5": 0, "+": 0, " 5": 0, "5 ": 0, ".5": 0,
		"+5": 50_000_000, "+23456789": 23_456_789,
	} {
		if got := parseFraction([]byte(frac)); got != want {
			t.Errorf("parseFraction(%q) = %d, want %d", frac, got, want)
		}
	}
}

// TestParsePAX: "LENGTH KEY=VALUE\n", the length in decimal and of the whole
// record. What follows a length that cannot be read is ignored; a record that
// is not as it should be behind a readable length is an error.
func TestParsePAX(t *testing.T) {
	n := func(v uint64) *uint64 { return &v }
	for _, c := range []struct {
		rule, data string
		want       *pax // nil: an error
	}{
		{"nothing", "", &pax{}},
		{"one record", "9 uid=12\n", &pax{uid: n(12)}},
		{"the last counts", "8 uid=1\n8 uid=2\n", &pax{uid: n(2)}},
		{"a length that does not count its own zeros", "009 uid=1\n", nil},
		{"zeros in the length", "010 uid=1\n", &pax{uid: n(1)}},
		{"a plus in the length", "+9 gid=2\n", &pax{gid: n(2)}},
		{"no space", "junk", &pax{}},
		{"no length", " uid=1\n", &pax{}},
		{"no digits", "x uid=1\n", &pax{}},
		{"a negative length", "-8 uid=1\n", &pax{}},
		{"a length of more than 64 bits", "18446744073709551616 uid=1\n", &pax{}},
		{"junk behind a record", "8 uid=1\njunk", &pax{uid: n(1)}},
		{"zeros behind a record", "8 uid=1\n\x00\x00", &pax{uid: n(1)}},
		{"a length that is too long", "9 uid=1\n", nil},
		{"a length that is too short", "7 uid=1\n", nil},
		{"a length of zero", "0 uid=1\n", nil},
		{"a length up to the space", "2 \n", nil},
		{"no newline", "8 uid=1x", nil},
		{"no equals sign", "8 uid:1\n", nil},
		{"a key that is no UTF-8", "9 \xff=abc\n", nil},
		{"an unknown key", "8 abc=1\n", &pax{}},
		{"an empty key", "5 =1\n", &pax{}},
		{"a newline in a value", "12 path=a\nb\n", &pax{path: []byte("a\nb")}},
		{"an equals sign in a value", "12 path=a=b\n", &pax{path: []byte("a=b")}},
		{"an empty path", "8 path=\n", &pax{path: []byte{}}},
		{"an empty linkpath", "13 linkpath=\n", &pax{linkpath: []byte{}}},
		{"an empty number", "7 uid=\n", nil},
		{"a negative number", "9 uid=-1\n", nil},
		{"a plus sign", "9 uid=+1\n", &pax{uid: n(1)}},
		{"a number of more than 64 bits", "29 uid=18446744073709551616\n", nil},
		{"the largest number", "29 size=18446744073709551615\n", &pax{size: n(1<<64 - 1)}},
		{"a space in a number", "9 uid= 1\n", nil},
	} {
		got, err := parsePAX([]byte(c.data))
		if c.want == nil {
			if !errors.Is(err, ErrPAX) {
				t.Errorf("%s: parsePAX(%q): error %v, want ErrPAX", c.rule, c.data, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: parsePAX(%q): %v", c.rule, c.data, err)
		} else if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(pax{})); diff != "" {
			t.Errorf("%s: parsePAX(%q): -want +got:\n%s", c.rule, c.data, diff)
		}
	}
}

// TestPAXSparse: the three ways in which GNU tar says that a file is sparse, and
// what only looks like them.
func TestPAXSparse(t *testing.T) {
	for _, c := range []struct {
		rule    string
		records []string // name and value by turns
		want    bool
	}{
		{"0.0: an offset and its length", []string{"offset", "0", "numbytes", "1"}, true},
		{"an offset alone", []string{"offset", "0"}, false},
		{"a length alone", []string{"numbytes", "1"}, false},
		{"a length before its offset", []string{"numbytes", "1", "offset", "0"}, false},
		{"0.1: a map", []string{"map", "0,1"}, true},
		{"an empty map", []string{"map", ""}, true},
		{"1.0: a version", []string{"major", "1", "minor", "0"}, true},
		{"1.0 the other way round", []string{"minor", "0", "major", "1"}, true},
		{"half a version", []string{"major", "1"}, false},
		{"another version", []string{"major", "0", "minor", "1"}, false},
		{"a version that changes before it is complete", []string{"major", "0", "major", "1", "minor", "0"}, true},
		{"a version that changes afterwards", []string{"major", "1", "minor", "0", "major", "0"}, true},
		{"a version that becomes 1.0 too late", []string{"major", "0", "minor", "0", "major", "1"}, false},
		{"sizes and a name", []string{"size", "1", "realsize", "1", "name", "x", "numblocks", "x"}, false},
	} {
		p := &pax{}
		for i := 0; i < len(c.records); i += 2 {
			if err := p.add("GNU.sparse."+c.records[i], []byte(c.records[i+1])); err != nil {
				t.Errorf("%s: %v", c.rule, err)
			}
		}
		if p.sparse() != c.want {
			t.Errorf("%s: sparse = %v, want %v", c.rule, p.sparse(), c.want)
		}
	}
	for _, key := range []string{"major", "minor", "size", "realsize", "offset", "numbytes"} {
		if err := (&pax{}).add("GNU.sparse."+key, []byte("x")); !errors.Is(err, ErrPAX) {
			t.Errorf("GNU.sparse.%s=x: error %v, want ErrPAX", key, err)
		}
	}
}
