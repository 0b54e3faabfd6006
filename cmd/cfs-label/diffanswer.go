// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/cfs-label/cfs-label/composefs/diff"

// diffAnswer is the answer of diff. In paths, names and values a backslash is
// \\, and bytes that are no printable text are escapes of Go's strings.
type diffAnswer struct {
	A           string             `json:"a"`
	B           string             `json:"b"`
	Equal       bool               `json:"equal"`
	Paths       int                `json:"paths"`
	NotCompared int                `json:"notCompared"`
	Causes      []causeAnswer      `json:"causes"`
	Differences []differenceAnswer `json:"differences"`
}

// causeAnswer is why paths differ. Count is of paths; Below of what is below
// those; Follow of directories among them whose mtime merely follows.
type causeAnswer struct {
	ID       string       `json:"id"`
	Count    int          `json:"count"`
	Below    int          `json:"below,omitempty"`
	Follow   int          `json:"follow,omitempty"`
	Sentence string       `json:"sentence"`
	Remedy   string       `json:"remedy"`
	Also     []alsoAnswer `json:"also,omitempty"`
	Paths    []string     `json:"paths"`
}

type alsoAnswer struct {
	ID    string `json:"id"`
	Count int    `json:"count"`
}

// differenceAnswer is a path that differs. A path that one side does not have
// has no details, but a type.
type differenceAnswer struct {
	Path    string         `json:"path"`
	Cause   string         `json:"cause"`
	Aspects []string       `json:"aspects"`
	OnlyIn  string         `json:"onlyIn,omitempty"`
	Type    string         `json:"type,omitempty"`
	Below   int            `json:"below,omitempty"`
	Details []detailAnswer `json:"details,omitempty"`
}

// detailAnswer is what both sides have; null is an attribute that is not there.
type detailAnswer struct {
	Aspect string  `json:"aspect"`
	Name   string  `json:"name,omitempty"`
	A      *string `json:"a"`
	B      *string `json:"b"`
}

func newDiffAnswer(args []string, r *diff.Result) diffAnswer {
	a := diffAnswer{
		A: args[0], B: args[1], Equal: r.Equal() && r.NotCompared == 0, Paths: r.Paths, NotCompared: r.NotCompared,
		Causes: []causeAnswer{}, Differences: []differenceAnswer{},
	}
	for i := range r.Differences {
		d := &r.Differences[i]
		answer := differenceAnswer{
			Path: escaped(r.Path(d)), Cause: r.Causes[d.Cause].ID, Aspects: d.Aspects.Names(), Below: d.Below,
		}
		if d.Aspects == diff.Missing {
			answer.OnlyIn, answer.Type = d.OnlyIn.String(), d.Kind().String()
		}
		for _, v := range r.Details(d) {
			answer.Details = append(answer.Details, detailAnswer{v.Aspect, escaped(v.Name), detailValue(v, diff.A), detailValue(v, diff.B)})
		}
		a.Differences = append(a.Differences, answer)
	}
	for _, c := range r.Causes {
		answer := causeAnswer{
			ID: c.ID, Count: len(c.Differences), Below: c.Below, Follow: c.Follow, Sentence: c.Sentence, Remedy: c.Remedy,
		}
		for _, also := range c.Also {
			answer.Also = append(answer.Also, alsoAnswer{also.ID, also.Count})
		}
		for _, at := range c.Differences {
			answer.Paths = append(answer.Paths, a.Differences[at].Path)
		}
		a.Causes = append(a.Causes, answer)
	}
	return a
}

func detailValue(v diff.Detail, s diff.Side) *string {
	if !v.Has[s] {
		return nil
	}
	value := escaped(v.Values[s])
	return &value
}
