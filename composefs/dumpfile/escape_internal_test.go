// SPDX-License-Identifier: Apache-2.0

package dumpfile

import (
	"bytes"
	"errors"
	"testing"
)

// TestEscape has each rule of the format; the text of a field must also read
// back.
func TestEscape(t *testing.T) {
	for _, tc := range []struct{ in, field, xattr string }{
		{"a", "a", "a"},
		{`\`, `\\`, `\\`},
		{"\n", `\n`, `\n`},
		{"\r", `\r`, `\r`},
		{"\t", `\t`, `\t`},
		{"\x00", `\x00`, `\x00`},
		{" ", `\x20`, `\x20`},
		{"\x1f!~\x7f", `\x1f!~\x7f`, `\x1f!~\x7f`},
		{"\x80\xff", `\x80\xff`, `\x80\xff`},
		{"é", `\xc3\xa9`, `\xc3\xa9`},
		{"a=b", "a=b", `a\x3db`},
		{"-", `\x2d`, "-"},
		{"--", "--", "--"},
		{"a-", "a-", "a-"},
		{"", "-", ""},
		{`\x41`, `\\x41`, `\\x41`},
	} {
		field := appendField(nil, []byte(tc.in))
		if string(field) != tc.field {
			t.Errorf("field %q = %s, want %s", tc.in, field, tc.field)
		}
		xattr := appendXattr(nil, tc.in)
		if string(xattr) != tc.xattr {
			t.Errorf("attribute %q = %s, want %s", tc.in, xattr, tc.xattr)
		}
		if tc.in != "" { // "-" is no escape: the parser of a line knows it
			checkUnescape(t, string(field), tc.in)
		}
		checkUnescape(t, string(xattr), tc.in)
	}
}

func checkUnescape(t *testing.T, field, want string) {
	t.Helper()
	got, err := unescape([]byte(field))
	if err != nil || string(got) != want {
		t.Errorf("unescape(%s) = %q, %v, want %q", field, got, err, want)
	}
}

func TestUnescapeAllBytes(t *testing.T) {
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	got, err := unescape(appendField(nil, all))
	if err != nil || !bytes.Equal(got, all) {
		t.Errorf("read back as %q, %v", got, err)
	}
}

// TestUnescapeOtherSpellings has what no writer makes and readers take.
func TestUnescapeOtherSpellings(t *testing.T) {
	checkUnescape(t, `\x4A\x4a`, "JJ")
	checkUnescape(t, `\x61b\x63`, "abc")
	checkUnescape(t, "\t\x01\xe9", "\t\x01\xe9")
	checkUnescape(t, `\x5cn`, `\n`)
}

func TestUnescapeErrors(t *testing.T) {
	for _, field := range []string{`\`, `a\`, `\\\`, `\x`, `\x4`, `\xg0`, `\x0g`, `\x-1`, `\x+1`, `\N`, `\0`, `\a`, `\ `, `\é`} {
		if got, err := unescape([]byte(field)); !errors.Is(err, ErrEscape) {
			t.Errorf("unescape(%s) = %q, %v, want ErrEscape", field, got, err)
		}
	}
}
