// SPDX-License-Identifier: Apache-2.0

package selinux_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/selinux"
)

// parse reads a policy that has no file but file_contexts.
func parse(text string) (*selinux.Policy, error) {
	return parseFiles(map[string]string{"file_contexts": text})
}

func parseFiles(files map[string]string) (*selinux.Policy, error) {
	return selinux.Parse(func(name string) ([]byte, bool, error) {
		text, ok := files[name]
		return []byte(text), ok, nil
	})
}

func readLines(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// TestPatterns: a pattern matches what cfsctl says that it matches, and what it
// refuses is refused. test/differential keeps the table true.
func TestPatterns(t *testing.T) {
	var probes []string
	for _, line := range readLines(t, "probes.txt") {
		name, err := strconv.Unquote(line)
		if err != nil {
			t.Fatal(err)
		}
		probes = append(probes, name)
	}
	count := map[string]int{}
	for _, line := range readLines(t, "patterns.txt") {
		pattern, verdict, ok := strings.Cut(line, " ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		verdict, want, _ := strings.Cut(verdict, " ")
		count[verdict]++
		p, err := parse("/.* all\n" + pattern + " hit\n")
		if (err == nil) != (verdict == "both") {
			t.Errorf("%s, for %s: error %v", pattern, verdict, err)
		}
		if err != nil {
			if text := err.Error(); !strings.HasPrefix(text, "selinux: file_contexts: line 2: the pattern ") {
				t.Errorf("%s: the error does not say where: %s", pattern, text)
			}
			continue
		}
		if diff := cmp.Diff(want, hits(t, p, probes)); diff != "" {
			t.Errorf("%s (-cfsctl +ours):\n%s", pattern, diff)
		}
	}
	if count["both"] < 200 || count["none"] < 20 || count["host"] < 10 {
		t.Errorf("the table has %v: lines are missing", count)
	}
}

// hits returns the names in /p that get the label hit, as the table has them.
func hits(t *testing.T, p *selinux.Policy, names []string) string {
	t.Helper()
	var found []string
	for _, name := range names {
		kind := selinux.Regular
		if strings.HasPrefix(name, "dir") {
			kind = selinux.Directory
		}
		label, ok, err := p.Lookup([]byte("/p/"+name), kind)
		if err != nil || !ok {
			t.Errorf("%q: %t, %v", name, ok, err)
		}
		if label == "hit" {
			found = append(found, strconv.Quote(name))
		}
	}
	return strings.Join(found, " ")
}
