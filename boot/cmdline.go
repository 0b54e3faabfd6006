// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"iter"
	"strings"
)

// Argument is one of a kernel command line.
type Argument struct {
	Name  string
	Value string // without the quotes that the kernel takes off
	// HasValue tells name= from name alone.
	HasValue bool
	// Raw is the argument as it is written.
	Raw string
}

// Arguments yields the arguments of a kernel command line, split and unquoted
// as the kernel does it (linux/lib/cmdline.c, next_arg): white space between
// double quotes does not split, a quote cannot be escaped, and quotes are taken
// off only where they begin the argument or its value; those behind only if
// they end the argument.
//
// White space is every control character, too: the boot stub makes spaces of
// them (systemd/src/boot/util.c, mangle_stub_cmdline).
func Arguments(line string) iter.Seq[Argument] {
	return func(yield func(Argument) bool) {
		for {
			line = strings.TrimLeftFunc(line, isSpace)
			if line == "" {
				return
			}
			end := argumentEnd(line)
			if !yield(parseArgument(line[:end])) {
				return
			}
			line = line[end:]
		}
	}
}

func isSpace(r rune) bool { return r <= ' ' || r == 0x7f }

// argumentEnd returns the length of the argument at the beginning of the line.
func argumentEnd(line string) int {
	quoted := false
	for i := range len(line) {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case isSpace(rune(c)) && !quoted:
			return i
		}
	}
	return len(line)
}

func parseArgument(raw string) Argument {
	rest, quoted := strings.CutPrefix(raw, `"`)
	// A = in front is part of the name: a name has one character at least.
	name, value, hasValue := rest, "", false
	if i := strings.IndexByte(rest[min(1, len(rest)):], '='); i >= 0 {
		name, value, hasValue = rest[:i+1], rest[i+2:], true
	}
	// One quote goes from the end, though two were opened.
	last := &name
	if hasValue {
		last = &value
		var opened bool
		value, opened = strings.CutPrefix(value, `"`)
		quoted = quoted || opened
	}
	if quoted {
		*last = strings.TrimSuffix(*last, `"`)
	}
	return Argument{name, value, hasValue, raw}
}
