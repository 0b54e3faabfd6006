// SPDX-License-Identifier: Apache-2.0

package lint_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/lint"
)

var update = flag.Bool("update", false, "write the rules into docs/lint.md anew")

// TestRules: every rule says all that a user needs, in the form that the others
// have, and the worst come first.
func TestRules(t *testing.T) {
	id := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$|^socket$`)
	seen := map[string]bool{}
	before := lint.Error
	for _, r := range lint.Rules() {
		if !id.MatchString(r.ID) || seen[r.ID] {
			t.Errorf("%q is no id, or that of two rules", r.ID)
		}
		seen[r.ID] = true
		if _, err := lint.ParseSeverity(r.ID); err == nil {
			t.Errorf("%q is a severity", r.ID)
		}
		if r.Severity < before {
			t.Errorf("%s: %s behind %s", r.ID, r.Severity, before)
		}
		before = r.Severity
		if r.Effect != lint.Accepted && r.Severity != lint.Error {
			t.Errorf("%s: hosts refuse it, and it is no error", r.ID)
		}
		if r.Summary == "" || strings.HasSuffix(r.Summary, ".") || !strings.HasSuffix(r.Cause, ".") || r.Remedy == "" || r.Example == "" {
			t.Errorf("%s: a text is missing, or ends as it should not", r.ID)
		}
		if got, ok := lint.Lookup(r.ID); !ok || *got != r {
			t.Errorf("%s is not to be found", r.ID)
		}
		if !strings.HasSuffix(r.HelpURI(), "/docs/lint.md#"+r.ID) {
			t.Errorf("%s is explained at %s", r.ID, r.HelpURI())
		}
	}
	if _, ok := lint.Lookup("nonsense"); ok {
		t.Error("there is a rule nonsense")
	}
}

// TestSeverity: names of severities are read as they are written, and no others.
func TestSeverity(t *testing.T) {
	for _, s := range []lint.Severity{lint.Error, lint.Warning, lint.Note} {
		if got, err := lint.ParseSeverity(s.String()); err != nil || got != s {
			t.Errorf("%s is read as %s: %v", s, got, err)
		}
	}
	for _, name := range []string{"", "Error", "fatal"} {
		if got, err := lint.ParseSeverity(name); err == nil {
			t.Errorf("%q is read as %s", name, got)
		}
	}
}

// chapters returns what docs/lint.md has to say of the rules.
func chapters() string {
	effects := map[lint.Effect]string{
		lint.Accepted: "", lint.Refused: ": hosts refuse the image", lint.Unbootable: ": hosts refuse to boot it, or cannot",
	}
	var b strings.Builder
	for _, r := range lint.Rules() {
		fmt.Fprintf(&b, "\n### %s\n\n%s%s. %s.\n\n", r.ID, strings.ToUpper(r.Severity.String()[:1])+r.Severity.String()[1:], effects[r.Effect], r.Summary)
		fmt.Fprintf(&b, "- Cause: %s\n- Remedy: %s\n- Example: %s\n", r.Cause, r.Remedy, r.Example)
	}
	return b.String()
}

// TestDocs: docs/lint.md has a chapter for every rule, with what the rule says,
// and for nothing else.
func TestDocs(t *testing.T) {
	const page, mark = "../docs/lint.md", "\n## The rules\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, after, ok := strings.Cut(string(text), mark)
	if !ok {
		t.Fatalf("%s has no %q", page, mark)
	}
	if *update {
		if err := os.WriteFile(page, []byte(before+mark+chapters()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(chapters(), "\n"), strings.Split(after, "\n")); diff != "" {
		t.Errorf("%s is not what the rules say: go test ./lint -update writes it (-rules +page):\n%s", page, diff)
	}
}
