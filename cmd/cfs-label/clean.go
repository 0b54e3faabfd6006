// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// clean returns text in one line and without what could control a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case controls(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// controls reports whether a character could do something to a terminal, or to
// the order in which it shows others.
func controls(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }

// cleanJSON returns JSON that says the same, with escapes for what could control
// a terminal. Line feeds stand between values, and stay.
func cleanJSON(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || !controls(r):
			b.WriteRune(r)
		case r > 0xffff: // two escapes (RFC 8259, section 7)
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
