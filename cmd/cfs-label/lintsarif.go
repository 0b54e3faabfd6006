// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/cmd/cfs-label/internal/sarif"
	"github.com/cfs-label/cfs-label/lint"
)

// lintHome is where the program comes from.
const lintHome = "https://github.com/cfs-label/cfs-label"

// newLintLog returns the findings as a SARIF log.
func newLintLog(r *lintResults) sarif.Log {
	run := sarif.Run{
		Tool: sarif.Tool{Driver: sarif.Driver{
			Name: "cfs-label", Version: programVersion(), InformationURI: lintHome,
		}},
		ColumnKind: "unicodeCodePoints",
		Results:    []sarif.Result{},
	}
	index := map[string]int{}
	for i, rule := range lint.Rules() {
		index[rule.ID] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarif.Rule{
			ID:                   rule.ID,
			ShortDescription:     sarif.Message{Text: rule.Summary},
			FullDescription:      sarif.Message{Text: rule.Cause},
			Help:                 sarif.Message{Text: rule.Cause + "\n\n" + rule.Remedy},
			HelpURI:              rule.HelpURI(),
			DefaultConfiguration: sarif.Configuration{Level: rule.Severity.String()},
		})
	}
	seen := map[string]int{}
	for _, img := range r.images {
		for _, f := range img.Findings {
			sum := fingerprint(&img, f)
			seen[sum]++
			result := newLintResult(r, &img, f, index[f.Rule])
			result.PartialFingerprints = map[string]string{"primaryLocationLineHash": fmt.Sprintf("%s:%d", sum, seen[sum])}
			run.Results = append(run.Results, result)
		}
	}
	// Of several images the worst come first: they are what is kept.
	slices.SortStableFunc(run.Results, func(a, b sarif.Result) int { return cmp.Compare(a.RuleIndex, b.RuleIndex) })
	left := len(run.Results) - sarif.ResultsMax
	run.Results = run.Results[:min(len(run.Results), sarif.ResultsMax)]
	run.Invocations = []sarif.Invocation{{ExecutionSuccessful: true, ToolExecutionNotifications: lintNotifications(r, left)}}
	return sarif.Log{Schema: sarif.Schema, Version: sarif.Version, Runs: []sarif.Run{run}}
}

// lintNotifications tell what is not among the results. left is how many there
// were too many, if it is above 0.
func lintNotifications(r *lintResults, left int) []sarif.Notification {
	var list []sarif.Notification
	tell := func(level, format string, args ...any) {
		list = append(list, sarif.Notification{Level: level, Message: sarif.Message{Text: fmt.Sprintf(format, args...)}})
	}
	if left > 0 {
		tell("warning", "%d results were left out", left)
	}
	for _, img := range r.images {
		for _, id := range slices.Sorted(maps.Keys(img.More)) {
			tell("warning", "%s: %d more findings were not kept", id, img.More[id])
		}
		for _, s := range img.Skipped {
			tell("note", "not looked at, as %s: %s", s.Why, strings.Join(s.Rules, ", "))
		}
	}
	return list
}

func newLintResult(r *lintResults, img *cfslabel.Linted, f lint.Finding, index int) sarif.Result {
	rule, _ := lint.Lookup(f.Rule)
	name := r.reference
	if img.Platform != "" && len(r.images) > 1 {
		name += " (" + img.Platform + ")"
	}
	path := pathText(f.Path)
	text := f.Message
	if path != "" {
		text = path + ": " + text
	}
	if len(r.images) > 1 {
		text = img.Platform + ": " + text
	}
	return sarif.Result{
		RuleID: f.Rule, RuleIndex: index, Level: rule.Severity.String(), Message: sarif.Message{Text: text},
		Locations: []sarif.Location{{
			PhysicalLocation: sarif.PhysicalLocation{
				ArtifactLocation: sarif.ArtifactLocation{URI: fileURI(cmp.Or(strings.TrimLeft(f.Path, "/"), r.reference))},
				Region:           sarif.Region{StartLine: 1},
			},
			LogicalLocations: []sarif.LogicalLocation{{FullyQualifiedName: name + "!" + path}},
		}},
	}
}

// fingerprint tells a finding from others in the next run, too: messages have
// digests and numbers in them, which change with every build.
func fingerprint(img *cfslabel.Linted, f lint.Finding) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{f.Rule, img.Platform, f.Path}, "\x00")))
	return fmt.Sprintf("%x", sum[:16])
}

// fileURI returns a path as a relative URI.
func fileURI(path string) string { return (&url.URL{Path: path}).String() }
