// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// control is what moves the cursor or erases: all that the bars use.
var control = regexp.MustCompile(`^\x1b\[(\d*)([A-Za-z])`)

// screen returns the lines that a terminal shows in the end.
func screen(t *testing.T, seen string) []string {
	t.Helper()
	lines, row, col := []string{""}, 0, 0
	for len(seen) > 0 {
		if m := control.FindStringSubmatch(seen); m != nil {
			seen = seen[len(m[0]):]
			switch m[2] {
			case "A":
				n, _ := strconv.Atoi(m[1]) // none is one
				row = max(0, row-max(1, n))
			case "J":
				lines = append(lines[:row], lines[row][:min(col, len(lines[row]))])
			case "K":
				lines[row] = lines[row][:min(col, len(lines[row]))]
			case "m":
			default:
				t.Fatalf("unknown control sequence %q", m[0])
			}
			continue
		}
		switch c := seen[0]; c {
		case '\r':
			col = 0
		case '\n':
			if row++; row == len(lines) {
				lines = append(lines, "")
			}
		default:
			lines[row] = lines[row][:min(col, len(lines[row]))] + string(c)
			col++
		}
		seen = seen[1:]
	}
	return lines
}

// TestBarsStayInPlace: what is told while bars are shown does not push them apart:
// it comes behind them, and each bar is there once in the end.
func TestBarsStayInPlace(t *testing.T) {
	image := slowImage(t)
	lines := screen(t, onTerminal(t, "cfs-label "+image))
	for _, want := range []string{"1/2 97b2802275bb", "2/2 503e5881b324", "cfs-label: computing digests", "cfs-label: pushing"} {
		n := 0
		for _, line := range lines {
			if strings.Contains(line, want) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%q is there %d times:\n%s", want, n, strings.Join(lines, "\n"))
		}
	}
}
