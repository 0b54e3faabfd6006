// SPDX-License-Identifier: Apache-2.0

package dumpfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// TestLimits reads a dump under limits that just suffice, and under each limit
// one lower.
func TestLimits(t *testing.T) {
	const dump = "/ 0 40755 2 0 0 0 0.0 - - - user.a=\n" +
		"/f 0 100644 1 0 0 0 0.0 - - - user.a= user.b=\n" +
		"\n" +
		"/g 0 @120000 - - - - 0.0 /f - -\n"
	enough := limits{line: 45, text: len(dump), entries: 3, xattrs: 3}
	if _, err := read(strings.NewReader(dump), fsverity.SHA256, enough); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		low  func(*limits)
		line int
	}{
		{"line", func(l *limits) { l.line-- }, 2},
		{"text", func(l *limits) { l.text-- }, 4},
		{"entries", func(l *limits) { l.entries-- }, 4},
		{"xattrs", func(l *limits) { l.xattrs-- }, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			low := enough
			tc.low(&low)
			_, err := read(strings.NewReader(dump), fsverity.SHA256, low)
			var pe *ParseError
			if !errors.As(err, &pe) || pe.Line != tc.line || !errors.Is(err, ErrLimit) {
				t.Errorf("%v, want ErrLimit on line %d", err, tc.line)
			}
		})
	}
}

// TestLineMax reads a line of exactly the longest length, with and without a
// newline behind it, and one that is a byte longer.
func TestLineMax(t *testing.T) {
	const root = "/ 0 40755 2 0 0 0 0.0 - - -"
	var b strings.Builder
	b.WriteString(root)
	for i := 0; LineMax-b.Len() > 4*XattrValueMax; i++ {
		fmt.Fprintf(&b, " user.%d=%s", i, strings.Repeat(`\x00`, XattrValueMax-10))
	}
	fmt.Fprintf(&b, " user.e=")
	b.WriteString(strings.Repeat("x", min(XattrValueMax, LineMax-b.Len())))
	for i := 0; b.Len() < LineMax; i++ {
		prefix := fmt.Sprintf(" user.f%d=", i)
		b.WriteString(prefix)
		b.WriteString(strings.Repeat("x", min(XattrValueMax, LineMax-b.Len())))
	}
	line := b.String()
	if len(line) != LineMax {
		t.Fatalf("the test's line has %d bytes, want %d", len(line), LineMax)
	}
	for _, text := range []string{line, line + "\n"} {
		if _, err := Read(strings.NewReader(text), fsverity.SHA512); err != nil {
			t.Errorf("the longest line: %v", err)
		}
	}
	if _, err := Read(strings.NewReader(line+"x"), fsverity.SHA512); !errors.Is(err, ErrLimit) {
		t.Errorf("a longer line: %v, want ErrLimit", err)
	}
}
