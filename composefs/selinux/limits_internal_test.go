// SPDX-License-Identifier: Apache-2.0

package selinux

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func policyOf(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := Parse(func(name string) ([]byte, bool, error) { return []byte(text), name == "file_contexts", nil })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestWorkIsBounded: expressions that make too much work end in an error, not
// in no match.
func TestWorkIsBounded(t *testing.T) {
	p := policyOf(t, "/(a*)*b x\n")
	path := []byte("/" + strings.Repeat("a", 1000))
	p.allow, p.work = 1_000_000, 1_000_000+workPerPath-1
	if _, _, err := p.Lookup(path, Regular); !errors.Is(err, errWork) {
		t.Errorf("error %v, want %v", err, errWork)
	}
	p.work = 0
	if _, ok, err := p.Lookup(path, Regular); ok || err != nil {
		t.Errorf("%t, %v, want no match", ok, err)
	}
	// Paths alone count, as somebody has to look at them.
	p = policyOf(t, "")
	p.work = p.allow
	if _, _, err := p.Lookup(make([]byte, workPerPath+1), Regular); !errors.Is(err, errWork) {
		t.Errorf("a long path: error %v, want %v", err, errWork)
	}
}

// TestStemsAreWork: looking for the directories that entries begin with counts
// for as much as it takes, and is not done for paths longer than any of them.
func TestStemsAreWork(t *testing.T) {
	path := []byte(strings.Repeat("/a", 1000))
	for pattern, want := range map[string]uint64{
		"/a.b":                            2000 + 1,
		strings.Repeat("/a", 500) + "/b.": 2000 + 501*501, // the sum of 1, 3, … 1001
	} {
		p := policyOf(t, pattern+" x\n")
		if _, _, err := p.Lookup(path, Regular); err != nil {
			t.Fatal(err)
		}
		if p.work < want || p.work > want+10_000 {
			t.Errorf("%.20s: work %d, want about %d", pattern, p.work, want)
		}
	}
}

// TestMatchIsWork: an expression counts for its instructions times the bytes
// that it goes over.
func TestMatchIsWork(t *testing.T) {
	for _, pattern := range []string{"/(a|b)*c", "/(a|b)*(?!x)c"} {
		p := policyOf(t, pattern+" x\n")
		path := []byte("/" + strings.Repeat("a", 50) + "c")
		if label, _, err := p.Lookup(path, Regular); label != "x" || err != nil {
			t.Fatalf("%s: %q, %v", pattern, label, err)
		}
		if want := uint64(p.rules[0].cost * (len(path) + 1)); p.work < want || p.work > want+1000 {
			t.Errorf("%s: work %d, want about %d", pattern, p.work, want)
		}
	}
}

// TestCompiledIsBounded: expressions that take too much memory end in an error.
// One that is there already is not counted again.
func TestCompiledIsBounded(t *testing.T) {
	p := policyOf(t, "/a.b x\n/c.d y\n")
	p.compiled = maxCompiled - p.rules[0].cost
	for range 2 {
		if label, _, err := p.Lookup([]byte("/a-b"), Regular); label != "x" || err != nil {
			t.Errorf("%q, %v", label, err)
		}
	}
	if _, _, err := p.Lookup([]byte("/c-d"), Regular); !errors.Is(err, errCompiled) {
		t.Errorf("error %v, want %v", err, errCompiled)
	}
}

// TestBacktrackingIsBounded: an expression that backtracks without end is an
// error that names the pattern and the path, not no match.
func TestBacktrackingIsBounded(t *testing.T) {
	p := policyOf(t, "/(?!x)(a*)*b x\n")
	for _, r := range p.rules {
		if r.slow.MatchTimeout != slowTime {
			t.Errorf("a match may take %v, want %v", r.slow.MatchTimeout, slowTime)
		}
		r.slow.MatchTimeout = time.Millisecond
	}
	path := []byte("/" + strings.Repeat("a", 64) + "bc")
	_, _, err := p.Lookup(path, Regular)
	if !errors.Is(err, errSlow) || !strings.Contains(err.Error(), `"/(?!x)(a*)*b" on path "/aaa`) {
		t.Errorf("error %v, want %v", err, errSlow)
	}
	// All paths together have a bound, too.
	p.slow = 100*slowTime + 1
	if _, _, err := p.Lookup([]byte("/b"), Regular); !errors.Is(err, errSlow) {
		t.Errorf("error %v, want %v", err, errSlow)
	}
}

// TestFilters: what is compared before an expression is tried is what the
// pattern begins with, and the longest text in it.
func TestFilters(t *testing.T) {
	for pattern, want := range map[string]struct {
		shape            shape
		prefix, contains string
	}{
		`/usr/bin/a\.b`:              {exact, "/usr/bin/a.b", ""},
		`/usr/(lib)/[x]`:             {exact, "/usr/lib/x", ""},
		`/usr/a(/.*)?`:               {subtree, "/usr/a", ""},
		`/usr/a((/(.*))?)`:           {general, "/usr/a", ""},
		`/usr/a(/.+)?`:               {general, "/usr/a", ""},
		`/usr/a(/.*)?x`:              {general, "/usr/a", "x"},
		`(?s)/usr/a(/.*)?`:           {general, "/usr/a", ""},
		`/usr/(.*/)?lib/foo\.so.*`:   {general, "/usr/", "lib/foo.so"},
		`/usr/(a|b)/c`:               {general, "/usr/", "/c"},
		`.*/foo`:                     {general, "", "/foo"},
		`/a(bcd)+e?`:                 {general, "/a", "bcd"},
		`(?i)/ab`:                    {general, "/", ""},
		`/a)|(/b`:                    {general, "", ""},
		`(/a|/b)`:                    {general, "", ""},
		`/a\b`:                       {general, "/a", ""},
		`/lib(?:/x86)/(.*/)?[^/]*so`: {general, "/lib/x86/", "so"},
		`/usr/(?!a)b.*c(?=d).*`:      {general, "/usr/", "b"},
		`/usr/(?!abc).*`:             {general, "/usr/", ""},
		`/(?<=abc).*(?>def)g?`:       {general, "/", "def"},
		`/a(/(?!)x)?`:                {general, "/a", ""},
		`/a)|(?!b)(/c`:               {general, "", ""},
		`/a\ez`:                      {exact, "/a\x1bz", ""},
		`/(a)\1b*`:                   {general, "/a", ""},
	} {
		r, err := newRule(pattern, 0, "x")
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		if r.shape != want.shape || string(r.prefix) != want.prefix || string(r.contains) != want.contains {
			t.Errorf("%s: shape %d, %q, %q, want %v", pattern, r.shape, r.prefix, r.contains, want)
		}
	}
}
