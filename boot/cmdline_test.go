// SPDX-License-Identifier: Apache-2.0

package boot_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/boot"
)

// lines are command lines, and what the kernel makes of them.
var lines = []struct {
	line string
	want []boot.Argument
}{
	{"", nil},
	{" \t\n ", nil},
	{"quiet", []boot.Argument{{Name: "quiet", Raw: "quiet"}}},
	{" a=b \n c= ", []boot.Argument{{"a", "b", true, "a=b"}, {"c", "", true, "c="}}},
	{"a=b=c", []boot.Argument{{"a", "b=c", true, "a=b=c"}}},
	{"a\x01b\x7fc\vd\x1fe", []boot.Argument{{Name: "a", Raw: "a"}, {Name: "b", Raw: "b"}, {Name: "c", Raw: "c"}, {Name: "d", Raw: "d"}, {Name: "e", Raw: "e"}}},
	// Quotes keep white space together, wherever they are.
	{`a="b c" d`, []boot.Argument{{"a", "b c", true, `a="b c"`}, {Name: "d", Raw: "d"}}},
	{`"a=b c" d`, []boot.Argument{{"a", "b c", true, `"a=b c"`}, {Name: "d", Raw: "d"}}},
	{`"a b"`, []boot.Argument{{Name: "a b", Raw: `"a b"`}}},
	{"a=\"b\nc\"", []boot.Argument{{"a", "b\nc", true, "a=\"b\nc\""}}},
	// In the middle they stay.
	{`a=b" "c`, []boot.Argument{{"a", `b" "c`, true, `a=b" "c`}}},
	{`a=b"c"`, []boot.Argument{{"a", `b"c"`, true, `a=b"c"`}}},
	{`a="b"c`, []boot.Argument{{"a", `b"c`, true, `a="b"c`}}},
	{`"a=b"c`, []boot.Argument{{"a", `b"c`, true, `"a=b"c`}}},
	{`a"b=c"`, []boot.Argument{{`a"b`, `c"`, true, `a"b=c"`}}},
	// One goes from the end, though two were opened.
	{`"a="b""`, []boot.Argument{{"a", `b"`, true, `"a="b""`}}},
	{`"a="b"`, []boot.Argument{{"a", `b`, true, `"a="b"`}}},
	// One that is not closed reaches to the end.
	{`a="b c d`, []boot.Argument{{"a", "b c d", true, `a="b c d`}}},
	{`a "b c`, []boot.Argument{{Name: "a", Raw: "a"}, {Name: "b c", Raw: `"b c`}}},
	{`a="`, []boot.Argument{{"a", "", true, `a="`}}},
	{`"`, []boot.Argument{{Raw: `"`}}},
	{`""`, []boot.Argument{{Raw: `""`}}},
	// There is no escape.
	{`a="b\" c"`, []boot.Argument{{"a", `b\`, true, `a="b\"`}, {Name: `c"`, Raw: `c"`}}},
	// A name has a character: a = in front belongs to it.
	{"=a", []boot.Argument{{Name: "=a", Raw: "=a"}}},
	{"=a=b", []boot.Argument{{"=a", "b", true, "=a=b"}}},
	{`"=a=b"`, []boot.Argument{{"=a", "b", true, `"=a=b"`}}},
	{"=", []boot.Argument{{Name: "=", Raw: "="}}},
	// All after -- is for init, and has its arguments the same way.
	{"a -- b=c", []boot.Argument{{Name: "a", Raw: "a"}, {Name: "--", Raw: "--"}, {"b", "c", true, "b=c"}}},
	{"a=\xff\u00a0b", []boot.Argument{{"a", "\xff\u00a0b", true, "a=\xff\u00a0b"}}},
}

// TestArguments: each line is split and unquoted as the kernel does it.
func TestArguments(t *testing.T) {
	for _, tt := range lines {
		if diff := cmp.Diff(tt.want, slices.Collect(boot.Arguments(tt.line))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.line, diff)
		}
	}
}

// nextArg does what lib/cmdline.c of Linux 6.18 does, letter by letter, on
// memory as C has it: the shape of our own does not follow it.
func nextArg(args []byte) (name, value string, hasValue bool, rest []byte) {
	at := func(i int) byte {
		if i < len(args) {
			return args[i]
		}
		return 0
	}
	begin, inQuote, quoted := 0, false, false
	if at(0) == '"' {
		begin, inQuote, quoted = 1, true, true
	}
	i, equals := begin, 0
	for ; at(i) != 0; i++ {
		if (at(i) == ' ') && !inQuote {
			break
		}
		if equals == 0 && at(i) == '=' && i > begin {
			equals = i
		}
		if at(i) == '"' {
			inQuote = !inQuote
		}
	}
	cString := func(from int) string {
		to := from
		for to < i && at(to) != 0 {
			to++
		}
		return string(args[from:max(from, to)])
	}
	after := i
	if equals != 0 {
		args[equals] = 0
		valueAt := equals + 1
		if at(valueAt) == '"' {
			valueAt++
			if args[i-1] == '"' {
				args[i-1] = 0
			}
		}
		if quoted && args[i-1] == '"' {
			args[i-1] = 0
		}
		return cString(begin), cString(min(valueAt, i)), true, args[after:]
	}
	if quoted && i > begin && args[i-1] == '"' {
		args[i-1] = 0
	}
	return cString(begin), "", false, args[after:]
}

// FuzzArguments: any line gives what the kernel's own loop gives, and all of it
// but white space is in some argument.
func FuzzArguments(f *testing.F) {
	for _, tt := range lines {
		f.Add(tt.line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		clean := strings.Map(func(r rune) rune {
			if r <= ' ' || r == 0x7f {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(line, "?"))
		rest := []byte(clean)
		for a := range boot.Arguments(clean) {
			for len(rest) > 0 && rest[0] == ' ' {
				rest = rest[1:]
			}
			if !bytes.HasPrefix(rest, []byte(a.Raw)) {
				t.Fatalf("%q: argument %q, left is %q", clean, a.Raw, rest)
			}
			var name, value string
			var hasValue bool
			name, value, hasValue, rest = nextArg(rest)
			if a.Name != name || a.Value != value || a.HasValue != hasValue {
				t.Fatalf("%q: %+v, the kernel has %q %q %t", clean, a, name, value, hasValue)
			}
		}
		if strings.Trim(string(rest), " ") != "" {
			t.Errorf("%q: %q is left", clean, rest)
		}
	})
}
