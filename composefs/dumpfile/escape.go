// SPDX-License-Identifier: Apache-2.0

package dumpfile

import (
	"bytes"
	"fmt"
)

const hexDigits = "0123456789abcdef"

// appendField appends one of the fields path, payload and content.
func appendField(dst, field []byte) []byte {
	switch string(field) {
	case "":
		return append(dst, none...)
	case none:
		return append(dst, loneDash...)
	}
	for _, c := range field {
		dst = appendByte(dst, c)
	}
	return dst
}

// appendXattr appends the name or the value of an attribute.
func appendXattr(dst []byte, s string) []byte {
	for i := range len(s) {
		if s[i] == '=' {
			dst = appendHex(dst, '=')
		} else {
			dst = appendByte(dst, s[i])
		}
	}
	return dst
}

func appendByte(dst []byte, c byte) []byte {
	switch c {
	case '\\':
		return append(dst, `\\`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	if c < '!' || c > '~' {
		return appendHex(dst, c)
	}
	return append(dst, c)
}

func appendHex(dst []byte, c byte) []byte {
	return append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
}

// unescape returns the bytes that the field stands for, which are the field's
// own where it has no escapes. What is not an escape stands for itself, even if
// a writer would have escaped it. The error wraps ErrEscape.
func unescape(field []byte) ([]byte, error) {
	at := bytes.IndexByte(field, '\\')
	if at < 0 {
		return field, nil
	}
	out := make([]byte, 0, len(field))
	for at >= 0 {
		out = append(out, field[:at]...)
		c, n := decodeEscape(field[at:])
		if n == 0 {
			return nil, fmt.Errorf("%w: %s", ErrEscape, quote(field[at:min(at+4, len(field))]))
		}
		out = append(out, c)
		field = field[at+n:]
		at = bytes.IndexByte(field, '\\')
	}
	return append(out, field...), nil
}

// decodeEscape returns the byte that the escape at the beginning of b, which
// begins with a backslash, stands for, and the escape's length: 0 if it is
// none.
func decodeEscape(b []byte) (c byte, n int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case '\\':
		return '\\', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'x':
		if len(b) < 4 {
			return 0, 0
		}
		hi, okHi := hexValue(b[2])
		lo, okLo := hexValue(b[3])
		if okHi && okLo {
			return hi<<4 | lo, 4
		}
	}
	return 0, 0
}

func hexValue(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
