// SPDX-License-Identifier: Apache-2.0

package selinux_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/selinux"
)

// labels has what a policy says of paths. A path is KIND PATH.
var labels = []struct {
	rule  string
	files map[string]string
	want  map[string]string
}{
	{
		rule:  "the last entry that matches holds, wherever it is found",
		files: map[string]string{"file_contexts": "/a exact1\n/a(/.*)? below\n/a exact2\n/.* all\n/b(/.*)? b\n/b/c/.* general\n/b/c/d exact\n"},
		want:  map[string]string{"- /a": "all", "- /a/x": "all", "- /b": "b", "- /bx": "all", "- /b/c": "b", "- /b/c/x": "general", "- /b/c/d": "exact"},
	},
	{
		rule:  "an entry with a type is for that type",
		files: map[string]string{"file_contexts": "/.* all\n/a -- f\n/a -d d\n/a -l l\n/a -b b\n/a -c c\n/a -p p\n/a -s s\n"},
		want:  map[string]string{"- /a": "f", "d /a": "d", "l /a": "l", "b /a": "b", "c /a": "c", "p /a": "p", "s /a": "s", "d /b": "all"},
	},
	{
		rule:  "<<none>> and no entry are no label",
		files: map[string]string{"file_contexts": "/a(/.*)? x\n/a/b <<none>>\n"},
		want:  map[string]string{"- /a/b": "", "- /a/c": "x", "- /b": ""},
	},
	{
		rule:  "(/.*)? is not below a NUL, as a dot is none",
		files: map[string]string{"file_contexts": "/a(/.*)? x\n/b(/(?s).*)? y\n"},
		want:  map[string]string{"- /a/b\x00c": "", "- /b/b\x00c": "y", "- /a/\x01\n": "x"},
	},
	{
		rule:  ".local and .homedirs count after file_contexts",
		files: map[string]string{"file_contexts.homedirs": "/b h\n", "file_contexts.local": "/[ab] l\n", "file_contexts": "/.* all\n"},
		want:  map[string]string{"- /a": "l", "- /b": "h", "- /c": "all"},
	},
	{
		rule:  "a pattern that ends the group itself counts as it is put together, the type's letter included",
		files: map[string]string{"file_contexts": "/a)\\ -d x\n/b)c\\ -- y\n/d)(e -l z\n/f)(?i -d f\n"},
		want:  map[string]string{"d /a": "", "d /a)": "x", "- /a)": "", "- /b": "", "- /bc)": "y", "l /d": "", "l /de": "z", "d /f": "f", "d /fd": ""},
	},
	{
		rule:  "a pattern in a longer one",
		files: map[string]string{"file_contexts": "/x/(.*/)?lib(/.*)? a\n/y/lib[^/]*\\.so(\\.[^/]*)* -- b\n/z/(a|b)(/.*)? c\n/w/+(x)+ d\n"},
		want:  map[string]string{"- /x/lib": "a", "- /x/a/lib/b": "a", "- /x/alib": "", "- /y/libx.so": "b", "- /y/libx.so.1.2": "b", "- /y/libx/so": "", "d /y/libx.so": "", "- /z/b/c": "c", "- /w//xx": "d"},
	},
}

// TestLookup: a path gets the label that the rules say.
func TestLookup(t *testing.T) {
	for _, tc := range labels {
		p, err := parseFiles(tc.files)
		if err != nil {
			t.Errorf("%s: %v", tc.rule, err)
			continue
		}
		for file, want := range tc.want {
			label, ok, err := p.Lookup([]byte(file[2:]), selinux.Kind(file[0]))
			if label != want || ok != (want != "") || err != nil {
				t.Errorf("%s: %q is %q, %t, %v, want %q", tc.rule, file, label, ok, err, want)
			}
		}
	}
}

// TestSubstitute: paths are replaced as a whole and once; .subs_dist beats
// .subs.
func TestSubstitute(t *testing.T) {
	p, err := parseFiles(map[string]string{
		"file_contexts":           "",
		"file_contexts.subs":      "# a comment\n/a /b\n /b\t/c \n",
		"file_contexts.subs_dist": "\n/a /d\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/a": "/d", "/b": "/c", "/d": "/d", "/a/x": "/a/x", "/": "/"} {
		if got := string(p.Substitute([]byte(path))); got != want {
			t.Errorf("%s becomes %s, want %s", path, got, want)
		}
	}
}

// TestType: the first SELINUXTYPE counts, however it is written.
func TestType(t *testing.T) {
	for config, want := range map[string]string{
		"SELINUXTYPE=targeted\n":                         "targeted",
		"SELINUX=disabled\r\n selinuxTYPE = mls \r\n":    "mls",
		"#SELINUXTYPE=a\nSELINUXTYPE=b\nSELINUXTYPE=c\n": "b",
		"SELINUXTYPE=a\n\xff":                            "a",
		"SELINUXTYPE=a # b":                              "a # b",
		"SELINUXTYPE=a=b":                                "a=b",
	} {
		if got, ok, err := selinux.Type([]byte(config)); got != want || !ok || err != nil {
			t.Errorf("%q: %q, %t, %v, want %q", config, got, ok, err, want)
		}
	}
	for _, config := range []string{"", "SELINUX=enforcing\n", "SELINUXTYPE\n", "\u017fELINUXTYPE=a\n"} {
		if got, ok, err := selinux.Type([]byte(config)); ok || err != nil {
			t.Errorf("%q: %q, %v, want none", config, got, err)
		}
	}
	if _, _, err := selinux.Type([]byte("a\n\xff\nSELINUXTYPE=a\n")); err == nil || !strings.Contains(err.Error(), "config: line 2") {
		t.Errorf("not UTF-8: error %v", err)
	}
}

// TestParseErrors: an error says which file and line, and why.
func TestParseErrors(t *testing.T) {
	broken := errors.New("broken")
	if _, err := selinux.Parse(func(string) ([]byte, bool, error) { return nil, false, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v, want the one of open", err)
	}
	for _, tc := range []struct {
		name, text, want string
	}{
		{"file_contexts", "/a x\n/b\n", "selinux: file_contexts: line 2: a pattern without a label"},
		{"file_contexts", "/a -x y\n", `line 1: there is no file type "-x"`},
		{"file_contexts", "/a - y\n", `there is no file type "-"`},
		{"file_contexts", "/a -\n", `there is no file type "-"`},
		{"file_contexts", "/a --\n", "want one label"},
		{"file_contexts", "/a x y\n", "want one label"},
		{"file_contexts", "/a -- x y\n", "want one label"},
		{"file_contexts", "/\xff x\n", "not UTF-8"},
		{"file_contexts.local", "/a( x\n", `selinux: file_contexts.local: line 1: the pattern "/a("`},
		{"file_contexts.homedirs", "/a(?!b x\n", "a ( without its )"},
		{"file_contexts.subs", "/a\n", "selinux: file_contexts.subs: line 1: want two paths"},
		{"file_contexts.subs_dist", "\n/a /b /c\n", "selinux: file_contexts.subs_dist: line 2: want two paths"},
		{"file_contexts", "/(?x)a x\n", "the flag x is not supported here"},
		{"file_contexts", "/(?!x)\\h x\n", `the escape \h beside what only PCRE has`},
	} {
		files := map[string]string{"file_contexts": ""}
		files[tc.name] = tc.text
		if _, err := parseFiles(files); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %q: error %v, want %s", tc.name, tc.text, err, tc.want)
		}
	}
	if _, err := parseFiles(nil); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("without file_contexts: error %v", err)
	}
}

// TestLimits: what a hostile policy could do at length is an error at once.
func TestLimits(t *testing.T) {
	for what, text := range map[string]string{
		"too large":                      strings.Repeat("#", selinux.MaxFile+1),
		"entries":                        strings.Repeat("/a b\n", selinux.MaxRules+1),
		"4096 bytes":                     "/" + strings.Repeat("a", 4096) + " x\n",
		"nesting":                        strings.Repeat("(", 1000) + strings.Repeat(")", 1000) + " x\n",
		"nesting more":                   "/[" + strings.Repeat("[", 1000) + "a" + strings.Repeat("]", 1000) + "] x\n",
		"1000 times":                     "/a{1001} x\n",
		"more than 1000 times":           "/((a{100}){100}){100} x\n",
		"more than 1000 times, or fewer": "/((a{0,100}){0,100}){0,100} x\n",
		"instructions":                   "/(" + strings.Repeat("a", 100) + "){1000} x\n",
		"line 1001: more than 1000 patterns with look-around": strings.Repeat("/a(?!b) x\n", 1001),
		"nesting more than": "/a" + strings.Repeat("*", 1000) + " x\n",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(strings.TrimSuffix(what, " more"), ", or fewer")) {
			t.Errorf("%s: error %.200v", what, err)
		}
	}
	for _, text := range []string{"/a -" + strings.Repeat("x", 1<<20) + " y\n", "/(" + strings.Repeat("x", 1<<20) + " y\n", "/" + strings.Repeat("(", 4000) + " y\n"} {
		if _, err := parse(text); err == nil || len(err.Error()) > 1000 {
			t.Errorf("%.20q: error %.2000v", text, err)
		}
	}
	subs := map[string]string{"file_contexts": ""}
	var b strings.Builder
	for i := range selinux.MaxRules + 1 {
		fmt.Fprintf(&b, "/%d /b\n", i)
	}
	subs["file_contexts.subs"] = b.String()
	if _, err := parseFiles(subs); err == nil || !strings.Contains(err.Error(), "substitutions") {
		t.Errorf("substitutions: error %v", err)
	}
}
