// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// A text is a JSON value with the place of everything in it. It is read here by
// other means than the program's own, whose edits it judges.
type text struct {
	start, end int // bytes of the value
	null       bool
	object     bool
	members    []textMember
	elements   []*text
}

type textMember struct {
	key   string
	start int // of the key; it ends with its value
	value *text
}

// textReader reads texts out of a document.
type textReader struct {
	data    []byte
	decoder *json.Decoder
}

// token returns the next token and where it begins.
func (r *textReader) token() (start int, token json.Token, err error) {
	start = int(r.decoder.InputOffset())
	for start < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[start]) >= 0 {
		start++
	}
	token, err = r.decoder.Token()
	return start, token, err
}

func (r *textReader) read() (*text, error) {
	start, token, err := r.token()
	if err != nil {
		return nil, err
	}
	v := &text{start: start, null: token == nil, object: token == json.Delim('{')}
	for (v.object || token == json.Delim('[')) && r.decoder.More() {
		m := textMember{}
		if v.object {
			var key json.Token
			if m.start, key, err = r.token(); err != nil {
				return nil, err
			}
			m.key = key.(string)
		}
		if m.value, err = r.read(); err != nil {
			return nil, err
		}
		if v.object {
			v.members = append(v.members, m)
		} else {
			v.elements = append(v.elements, m.value)
		}
	}
	if _, composite := token.(json.Delim); composite {
		if _, _, err := r.token(); err != nil { // its end
			return nil, err
		}
	}
	v.end = int(r.decoder.InputOffset())
	return v, nil
}

// A fate is what becomes of a member when a text is cut.
type fate uint8

const (
	stays fate = iota
	// blanked: its value is somebody's to change, it itself has to be there.
	blanked
	// cut: it may be there or not.
	cut
	// cutIfEmpty: it may be there or not if it is null, or everything in it is
	// cut.
	cutIfEmpty
)

// outside returns a document without the parts that a seal may change, and
// every other byte of it: two documents that differ by a seal alone have the
// same.
func outside(data []byte, rule func(path string) fate) (string, error) {
	r := &textReader{data, json.NewDecoder(bytes.NewReader(data))}
	r.decoder.UseNumber()
	v, err := r.read()
	if err != nil {
		return "", err
	}
	c := &cutter{data: data, rule: rule}
	c.walk(v, "")
	slices.SortFunc(c.cuts, func(a, b textCut) int { return b.start - a.start })
	for _, k := range c.cuts {
		data = slices.Concat(data[:k.start], []byte(k.with), data[k.end:])
	}
	return string(data), nil
}

type textCut struct {
	start, end int
	with       string
}

// cutter collects what is cut out of a text.
type cutter struct {
	data []byte
	rule func(path string) fate
	cuts []textCut
}

// goes reports whether a member is cut. Paths are written as in
// config.annotations/KEY: a dot between fields, * for an element, and / before
// the key of a map.
func (c *cutter) goes(p string, v *text) bool {
	switch c.rule(p) {
	case cut:
		return true
	case cutIfEmpty:
		return v.null || v.object && !slices.ContainsFunc(v.members, func(m textMember) bool { return !c.goes(c.join(p, m.key), m.value) })
	default:
		return false
	}
}

// keyed are the objects whose keys are not fields.
var keyed = []string{"config.Labels", "annotations", "config.annotations", "manifests.*.annotations"}

func (c *cutter) join(p, key string) string {
	switch {
	case slices.Contains(keyed, p):
		return p + "/" + key
	case p == "":
		return key
	}
	return p + "." + key
}

func (c *cutter) walk(v *text, p string) {
	for _, e := range v.elements {
		c.walk(e, p+".*")
	}
	kept := -1
	for i, m := range v.members {
		path := c.join(p, m.key)
		if !c.goes(path, m.value) {
			if kept < 0 && i > 0 { // what is cut goes up to the first that stays
				c.cuts = append(c.cuts, textCut{start: v.members[0].start, end: m.start})
			}
			kept = i
			if c.rule(path) == blanked {
				c.cuts = append(c.cuts, textCut{m.value.start, m.value.end, "…"})
			} else {
				c.walk(m.value, path)
			}
			continue
		}
		if kept >= 0 { // else with the comma before it
			c.cuts = append(c.cuts, textCut{start: v.members[i-1].end(), end: m.value.end})
		}
	}
}

func (m textMember) end() int { return m.value.end }

// configRule, manifestRule and indexRule are what a seal may change.
func configRule(path string) fate {
	switch {
	case path == "config", path == "config.Labels":
		return cutIfEmpty
	case strings.HasPrefix(path, "config.Labels/containers.composefs."):
		return cut
	}
	return stays
}

func manifestRule(path string) fate {
	_, key, _ := strings.Cut(path, "annotations/")
	switch {
	case path == "config.digest", path == "config.size":
		return blanked
	case path == "annotations", path == "config.annotations":
		return cutIfEmpty
	case path == "config.data", path == "annotations/io.github.cfs-label.input",
		strings.HasPrefix(key, "composefs.") && !strings.HasPrefix(key, "composefs.layer."):
		return cut
	}
	return stays
}

func indexRule(path string) fate {
	switch path {
	case "manifests.*.digest", "manifests.*.size", "manifests.*.annotations/vnd.docker.reference.digest":
		return blanked
	case "manifests.*.data":
		return cut
	}
	return stays
}

// TestOutside: the checker sees every change but a seal's.
func TestOutside(t *testing.T) {
	const manifest = `{ "config":{"digest":"a","size":1,"x":[1, 2]}, "layers":[],` + "\t" + `"subject":null }` + "\n"
	tests := []struct {
		name, now string
		same      bool
	}{
		{"nothing", manifest, true},
		{"digest and size", strings.NewReplacer(`"a"`, `"bc"`, `"size":1`, `"size":22`).Replace(manifest), true},
		{"annotations", strings.Replace(manifest, `null }`, `null,"annotations":{"composefs.merged.x":"1"} }`, 1), true},
		{"annotations first", strings.Replace(manifest, `{ `, `{ "annotations":{"composefs.merged.x":"1"},`, 1), true},
		{"empty annotations", strings.Replace(manifest, `null }`, `null,"annotations":{ } }`, 1), true},
		{"annotations of the config", strings.Replace(manifest, `2]}`, `2], "annotations" : {"composefs.config.x" :"1"}}`, 1), true},
		{"somebody else's annotation", strings.Replace(manifest, `null }`, `null,"annotations":{"composefs":"1"} }`, 1), false},
		{"white space in a list", strings.Replace(manifest, `[1, 2]`, `[1,2]`, 1), false},
		{"white space between fields", strings.Replace(manifest, "\t", " ", 1), false},
		{"white space at the end", strings.TrimSpace(manifest), false},
		{"a number's spelling", strings.Replace(manifest, `[1,`, `[1.0,`, 1), false},
		{"a field gone", strings.Replace(manifest, `"layers":[],`, ``, 1), false},
		{"no digest", strings.Replace(manifest, `"digest":"a",`, ``, 1), false},
		{"a subject", strings.Replace(manifest, `null`, `{}`, 1), false},
	}
	before, err := outside([]byte(manifest), manifestRule)
	must(t, err)
	for _, test := range tests {
		after, err := outside([]byte(test.now), manifestRule)
		must(t, err)
		if (after == before) != test.same {
			t.Errorf("%s: got\n%s\nfor\n%s\nsame: want %t", test.name, after, before, test.same)
		}
	}
}
