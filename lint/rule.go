// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"slices"
	"strings"
)

// Severity is how bad a finding is.
type Severity uint8

// The severities, the worst first.
const (
	// Error is what hosts refuse, or what the digest does not hold.
	Error Severity = iota + 1
	// Warning is what hosts take, and what is fragile or most likely a mistake.
	Warning
	// Note is what is good to know.
	Note
)

var severityNames = [...]string{Error: "error", Warning: "warning", Note: "note"}

// String returns the severity's name in commands.
func (s Severity) String() string {
	if s > 0 && int(s) < len(severityNames) {
		return severityNames[s]
	}
	return fmt.Sprintf("Severity(%d)", uint8(s))
}

// ParseSeverity returns the severity of that name.
func ParseSeverity(name string) (Severity, error) {
	if i := slices.Index(severityNames[1:], name); i >= 0 {
		return Severity(i + 1), nil
	}
	return 0, fmt.Errorf("unknown severity %q: use %s", name, strings.Join(severityNames[1:], ", "))
}

// Effect is what hosts do because of a finding.
type Effect uint8

// The effects.
const (
	// Accepted leaves the image one that hosts take.
	Accepted Effect = iota
	// Refused is an image that hosts refuse: it has no digest.
	Refused
	// Unbootable is one that has no bootable digest, or none that hosts could
	// boot by.
	Unbootable
)

// Needs are what a rule looks at, besides the tree.
type Needs uint8

// What there may be, or not.
const (
	// NeedsLayers is the archives of an image's layers.
	NeedsLayers Needs = 1 << iota
	// NeedsContent is the content of files.
	NeedsContent
	// NeedsLabels is what an image says of itself.
	NeedsLabels
	// NeedsWhole is the tree before hosts change it: a dump of an image, or a
	// composefs image, is what came of that.
	NeedsWhole
)

// helpPage is where the rules are explained.
const helpPage = "https://github.com/cfs-label/cfs-label/blob/HEAD/docs/lint.md"

// Rule is one that findings break.
type Rule struct {
	ID       string // in lower case, with dashes
	Severity Severity
	Effect   Effect
	Needs    Needs

	Summary string // a line
	Cause   string // why it matters, and what it comes from
	Remedy  string // what to do
	Example string // what breaks it
}

// HelpURI is where the rule is explained.
func (r *Rule) HelpURI() string { return helpPage + "#" + r.ID }

// Rules returns all rules, the worst first. The order is that of findings.
func Rules() []Rule { return slices.Clone(rules) }

// Lookup returns the rule of that id.
func Lookup(id string) (*Rule, bool) {
	i, ok := position[id]
	if !ok {
		return nil, false
	}
	r := rules[i]
	return &r, true
}

// rules are all rules, in the order of findings.
var rules = slices.Concat(refusals, unbootables, warnings, notes)

// position has the place of each rule among the rules.
var position = func() map[string]int {
	m := map[string]int{}
	for i := range rules {
		m[rules[i].ID] = i
	}
	return m
}()
