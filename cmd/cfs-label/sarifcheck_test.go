// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// shape is what an object of SARIF may have: each property, and the shape of its
// value; nil is text, a number or a truth. A name with ! must be there.
type shape map[string]shape

// sarifShape is the part of the schema of SARIF 2.1.0 (sections 3.13 to 3.58 of
// the standard) that the program uses, with what GitHub demands besides
// (docs.github.com, "SARIF support for code scanning"). An array has the shape of
// its elements.
var sarifShape = shape{
	"!$schema": nil, "!version": nil,
	"!runs": {
		"!tool": {"!driver": {
			"!name": nil, "version": nil, "informationUri": nil,
			"!rules": {
				"!id": nil, "!shortDescription": {"!text": nil}, "!fullDescription": {"!text": nil}, "!help": {"!text": nil},
				"helpUri": nil, "defaultConfiguration": {"level": nil},
			},
		}},
		"invocations": {"!executionSuccessful": nil, "toolExecutionNotifications": {"level": nil, "!message": {"!text": nil}}},
		"columnKind":  nil,
		"!results": {
			"!ruleId": nil, "ruleIndex": nil, "level": nil, "!message": {"!text": nil},
			"!locations": {
				"!physicalLocation": {"!artifactLocation": {"!uri": nil}, "!region": {"!startLine": nil}},
				"logicalLocations":  {"fullyQualifiedName": nil},
			},
			"!partialFingerprints": {"!primaryLocationLineHash": nil},
		},
	},
}

// check returns what of the value breaks the shape.
func (s shape) check(at string, value any) (faults []string) {
	switch value := value.(type) {
	case []any:
		for i, element := range value {
			faults = append(faults, s.check(fmt.Sprintf("%s[%d]", at, i), element)...)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			inner, ok := s["!"+key]
			if !ok {
				inner, ok = s[key]
			}
			if !ok {
				faults = append(faults, at+" has "+key)
				continue
			}
			faults = append(faults, inner.check(at+"."+key, value[key])...)
		}
		for key := range s {
			if name, needed := strings.CutPrefix(key, "!"); needed && value[name] == nil {
				faults = append(faults, at+" has no "+name)
			}
		}
	default:
		if s != nil || value == "" {
			faults = append(faults, fmt.Sprintf("%s is %v", at, value))
		}
	}
	return faults
}

// sarifLog is what is compared.
type sarifLog struct {
	Version string
	Runs    []struct {
		Tool struct {
			Driver struct {
				Rules []struct {
					ID                   string
					HelpURI              string `json:"helpUri"`
					DefaultConfiguration struct{ Level string }
				}
			}
		}
		Invocations json.RawMessage
		Results     []json.RawMessage
	}
}

// checkSARIF returns what is wrong with a SARIF log, and what it tells of the run.
func checkSARIF(data []byte) (told string, faults []string) {
	var log sarifLog
	var all any
	if err := json.Unmarshal(data, &all); err != nil {
		return "", []string{err.Error()}
	}
	faults = sarifShape.check("", all)
	if err := json.Unmarshal(data, &log); err != nil {
		return "", append(faults, err.Error())
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if log.Version != "2.1.0" || len(log.Runs) != 1 {
		fault("version %s, %d runs", log.Version, len(log.Runs))
		return "", faults
	}
	levels := []string{"error", "warning", "note"}
	rules := log.Runs[0].Tool.Driver.Rules
	for i, r := range rules {
		if u, err := url.Parse(r.HelpURI); err != nil || !u.IsAbs() || !slices.Contains(levels, r.DefaultConfiguration.Level) {
			fault("rule %d: %+v", i, r)
		}
	}
	for i, raw := range log.Runs[0].Results {
		var r struct {
			RuleID    string
			RuleIndex int
			Level     string
			Locations []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI string }
					Region           struct{ StartLine int }
				}
			}
		}
		if err := json.Unmarshal(raw, &r); err != nil || len(r.Locations) != 1 || r.RuleIndex >= len(rules) {
			fault("result %d: %v %s", i, err, raw)
			continue
		}
		at := r.Locations[0].PhysicalLocation
		u, err := url.Parse(at.ArtifactLocation.URI)
		if err != nil || u.IsAbs() || strings.HasPrefix(u.Path, "/") || at.Region.StartLine < 1 {
			fault("result %d is at %+v: %v", i, at, err)
		}
		if rule := rules[r.RuleIndex]; rule.ID != r.RuleID || r.Level != rule.DefaultConfiguration.Level {
			fault("result %d: %s %s has the rule %+v", i, r.RuleID, r.Level, rule)
		}
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(map[string]any{"invocations": log.Runs[0].Invocations, "results": log.Runs[0].Results}); err != nil {
		fault("%v", err)
	}
	return text.String(), faults
}

// cmdSarif checks that the last output is a SARIF log, and prints what it tells of
// the run; the rules, which are always all, are left out.
func cmdSarif(ts *testscript.TestScript, args []string) {
	want(ts, args, 0, 0, "sarif")
	told, faults := checkSARIF([]byte(ts.ReadFile("stdout")))
	if len(faults) > 0 {
		ts.Fatalf("%s", strings.Join(faults, "\n"))
	}
	_, err := fmt.Fprint(ts.Stdout(), told)
	ts.Check(err)
}
