// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/lint"
)

// lintFormat is the form of the answer of lint.
type lintFormat string

const (
	lintText  lintFormat = "text"
	lintJSON  lintFormat = "json"
	lintSARIF lintFormat = "sarif"
)

func (f *lintFormat) String() string { return string(*f) }

func (f *lintFormat) Type() string { return "text|json|sarif" }

func (f *lintFormat) Set(s string) error {
	switch lintFormat(s) {
	case lintText, lintJSON, lintSARIF:
		*f = lintFormat(s)
		return nil
	}
	return errors.New("use text, json or sarif")
}

// lintResults are the findings that count.
type lintResults struct {
	reference string
	images    []cfslabel.Linted
}

// results leaves out what is to be ignored.
func (l *linter) results(found []cfslabel.Linted) *lintResults {
	isIgnored := func(id string) bool { return slices.Contains(l.ignore.values, id) }
	ignored := 0
	for i := range found {
		r := found[i].Report
		before := len(r.Findings)
		r.Findings = slices.DeleteFunc(r.Findings, func(f lint.Finding) bool { return isIgnored(f.Rule) })
		ignored += before - len(r.Findings)
		maps.DeleteFunc(r.More, func(id string, _ int) bool { return isIgnored(id) })
	}
	if ignored > 0 {
		l.detail("%d findings of rules that are ignored", ignored)
	}
	return &lintResults{images: found}
}

// count returns how many findings there are of the rules for which is holds.
func (r *lintResults) count(is func(*lint.Rule) bool) int {
	n := 0
	of := func(id string, found int) {
		if rule, ok := lint.Lookup(id); ok && is(rule) {
			n += found
		}
	}
	for _, img := range r.images {
		for _, f := range img.Findings {
			of(f.Rule, 1)
		}
		for id, more := range img.More {
			of(id, more)
		}
	}
	return n
}

// of returns how many findings there are of the severity.
func (r *lintResults) of(s lint.Severity) int {
	return r.count(func(rule *lint.Rule) bool { return rule.Severity == s })
}

// pathText shows a path that may be no text.
func pathText(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	quoted := strconv.Quote(path)
	return quoted[1 : len(quoted)-1]
}

// pathsMax is how many paths of a rule are printed.
const pathsMax = 10

// answerFindings prints the findings by rule.
func (l *linter) answerFindings(r *lintResults) error {
	var b strings.Builder
	for _, img := range r.images {
		if len(r.images) > 1 {
			fmt.Fprintf(&b, "%s %s\n", clean(cmp.Or(img.Platform, "image")), img.Manifest)
		}
		for rest := img.Findings; len(rest) > 0; {
			rule, _ := lint.Lookup(rest[0].Rule)
			n := slices.IndexFunc(rest, func(f lint.Finding) bool { return f.Rule != rule.ID })
			if n < 0 {
				n = len(rest)
			}
			l.printRule(&b, &img, rule, rest[:n])
			rest = rest[n:]
		}
		for _, refusal := range []struct {
			effect lint.Effect
			text   string
		}{
			{lint.Refused, "hosts refuse it: it has no digest"},
			{lint.Unbootable, "hosts refuse to boot it"},
		} {
			if img.Has(refusal.effect) {
				fmt.Fprintln(&b, refusal.text)
			}
		}
	}
	_, err := fmt.Fprint(l.stdout, b.String())
	return err
}

// printRule prints the findings of one rule, and what to do about them.
func (l *linter) printRule(b *strings.Builder, img *cfslabel.Linted, rule *lint.Rule, findings []lint.Finding) {
	fmt.Fprintf(b, "%s %s: %s\n", rule.Severity, rule.ID, rule.Summary)
	shown := findings
	if !l.all {
		shown = findings[:min(len(findings), pathsMax)]
	}
	for _, f := range shown {
		layer := ""
		if f.Layer != lint.NoLayer {
			layer = fmt.Sprintf(" (layer %d of %d)", f.Layer+1, len(img.Layers))
		}
		where := pathText(f.Path) + layer
		if where != "" {
			where += ": "
		}
		fmt.Fprintf(b, "  %s\n", clean(strings.TrimLeft(where, " ")+f.Message))
	}
	if more := len(findings) - len(shown); more > 0 {
		fmt.Fprintf(b, "  … and %d more (--all)\n", more)
	}
	if more := img.More[rule.ID]; more > 0 {
		fmt.Fprintf(b, "  … and %d more that were not kept\n", more)
	}
	fmt.Fprintf(b, "  remedy: %s\n  %s\n", rule.Remedy, rule.HelpURI())
}

// summary tells how many findings there are, and what was not looked at.
func (l *linter) summary(r *lintResults) {
	for _, img := range r.images {
		for _, s := range img.Skipped {
			of := ""
			if len(r.images) > 1 {
				of = cmp.Or(img.Platform, img.Manifest.String()) + ": "
			}
			l.say("%snot looked at, as %s: %s", of, s.Why, l.listed(s.Rules))
		}
	}
	l.say("%s, %s, %s", counted(r.of(lint.Error), "error"), counted(r.of(lint.Warning), "warning"), counted(r.of(lint.Note), "note"))
}

// namedMax is how many rules are named without --verbose.
const namedMax = 6

// listed names rules, or says how many there are.
func (l *linter) listed(ids []string) string {
	if len(ids) > namedMax && !l.verbose {
		return fmt.Sprintf("%d rules (-v names them)", len(ids))
	}
	return strings.Join(ids, ", ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// findingAnswer is one finding.
type findingAnswer struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	Path     string `json:"path,omitempty"`
	Layer    string `json:"layer,omitempty"`
	Message  string `json:"message"`
	Count    int    `json:"count,omitempty"`
	Help     string `json:"help"`
}

// skippedRules are rules that were not looked at.
type skippedRules struct {
	Why   string   `json:"why"`
	Rules []string `json:"rules"`
}

// lintedAnswer is what was found in one image.
type lintedAnswer struct {
	Platform   string          `json:"platform,omitempty"`
	Manifest   string          `json:"manifest,omitempty"`
	Refused    bool            `json:"refused"`
	Unbootable bool            `json:"unbootable"`
	Findings   []findingAnswer `json:"findings"`
	More       map[string]int  `json:"more,omitempty"`
	Skipped    []skippedRules  `json:"skipped,omitempty"`
}

// lintAnswer is the answer of lint.
type lintAnswer struct {
	Reference string         `json:"reference"`
	Errors    int            `json:"errors"`
	Warnings  int            `json:"warnings"`
	Notes     int            `json:"notes"`
	Images    []lintedAnswer `json:"images"`
}

func newLintAnswer(r *lintResults) lintAnswer {
	a := lintAnswer{
		Reference: r.reference,
		Errors:    r.of(lint.Error), Warnings: r.of(lint.Warning), Notes: r.of(lint.Note),
	}
	for _, img := range r.images {
		one := lintedAnswer{
			Platform: img.Platform, More: img.More, Findings: []findingAnswer{},
			Refused: img.Has(lint.Refused), Unbootable: img.Has(lint.Unbootable),
		}
		if img.Manifest.Hex != "" {
			one.Manifest = img.Manifest.String()
		}
		for _, f := range img.Findings {
			rule, _ := lint.Lookup(f.Rule)
			one.Findings = append(one.Findings, findingAnswer{
				Rule: f.Rule, Severity: rule.Severity.String(), Path: pathText(f.Path), Layer: layerOf(&img, f),
				Message: f.Message, Count: f.Count, Help: rule.HelpURI(),
			})
		}
		for _, s := range img.Skipped {
			one.Skipped = append(one.Skipped, skippedRules(s))
		}
		a.Images = append(a.Images, one)
	}
	return a
}

// layerOf returns the digest of the layer that a finding is of.
func layerOf(img *cfslabel.Linted, f lint.Finding) string {
	if f.Layer < 0 || f.Layer >= len(img.Layers) {
		return ""
	}
	return img.Layers[f.Layer].String()
}
