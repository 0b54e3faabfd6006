// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/image"
)

// label is what most edits here set.
var label = []image.KV{{Key: image.LabelKey, Value: "ab12"}}

// TestEditConfigPlacesLabels: a new label comes last and looks like those
// beside it; objects that are missing, null or empty are made or filled; all
// else stays. In the texts, L stands for the label's key.
func TestEditConfigPlacesLabels(t *testing.T) {
	for _, tc := range []struct{ name, raw, want string }{
		{
			"compact",
			`{"os":"linux","config":{"Env":["A=B"],"Labels":{"a":"1"}},"x":1}`,
			`{"os":"linux","config":{"Env":["A=B"],"Labels":{"a":"1","L":"ab12"}},"x":1}`,
		},
		{
			"spaces after commas and colons",
			`{"config": {"Labels": {"a": "1"}}, "x": 1}`,
			`{"config": {"Labels": {"a": "1", "L": "ab12"}}, "x": 1}`,
		},
		{
			"one line with inner spaces",
			`{ "config": { "Labels": { "a": "1" } } }`,
			`{ "config": { "Labels": { "a": "1", "L": "ab12" } } }`,
		},
		{
			"one line with inner spaces, no labels",
			`{ "config": { "User": "u" } }`,
			`{ "config": { "User": "u", "Labels": { "L": "ab12" } } }`,
		},
		{
			"indented, one label",
			"{\n  \"config\": {\n    \"Labels\": {\n      \"a\": \"1\"\n    }\n  }\n}\n",
			"{\n  \"config\": {\n    \"Labels\": {\n      \"a\": \"1\",\n      \"L\": \"ab12\"\n    }\n  }\n}\n",
		},
		{
			"indented, two labels",
			"{\n \"config\": {\n  \"Labels\": {\n   \"a\": \"1\",\n   \"b\": \"2\"\n  }\n }\n}",
			"{\n \"config\": {\n  \"Labels\": {\n   \"a\": \"1\",\n   \"b\": \"2\",\n   \"L\": \"ab12\"\n  }\n }\n}",
		},
		{
			"indented, no Labels",
			"{\n  \"config\": {\n    \"User\": \"u\"\n  },\n  \"x\": 1\n}\n",
			"{\n  \"config\": {\n    \"User\": \"u\",\n    \"Labels\": {\n      \"L\": \"ab12\"\n    }\n  },\n  \"x\": 1\n}\n",
		},
		{
			"indented, Labels null",
			"{\n    \"config\": {\n        \"Labels\": null,\n        \"User\": \"u\"\n    }\n}",
			"{\n    \"config\": {\n        \"Labels\": {\n            \"L\": \"ab12\"\n        },\n        \"User\": \"u\"\n    }\n}",
		},
		{
			"indented, Labels empty",
			"{\n  \"config\": {\n    \"Labels\": {}\n  }\n}",
			"{\n  \"config\": {\n    \"Labels\": {\n      \"L\": \"ab12\"\n    }\n  }\n}",
		},
		{
			"indented, no config",
			"{\n  \"os\": \"linux\"\n}\n",
			"{\n  \"os\": \"linux\",\n  \"config\": {\n    \"Labels\": {\n      \"L\": \"ab12\"\n    }\n  }\n}\n",
		},
		{
			"tabs and CRLF",
			"{\r\n\t\"config\": {\r\n\t\t\"Labels\": {}\r\n\t}\r\n}\r\n",
			"{\r\n\t\"config\": {\r\n\t\t\"Labels\": {\r\n\t\t\t\"L\": \"ab12\"\r\n\t\t}\r\n\t}\r\n}\r\n",
		},
		{
			"tabs and CRLF, no config",
			"{\r\n\t\"os\": \"linux\"\r\n}",
			"{\r\n\t\"os\": \"linux\",\r\n\t\"config\": {\r\n\t\t\"Labels\": {\r\n\t\t\t\"L\": \"ab12\"\r\n\t\t}\r\n\t}\r\n}",
		},
		{
			"lines without indentation",
			"{\n\"config\": {\n\"Labels\": {\n}\n}\n}",
			"{\n\"config\": {\n\"Labels\": {\n\"L\": \"ab12\"\n}\n}\n}",
		},
		{"config null", `{"config":null,"os":"linux"}`, `{"config":{"Labels":{"L":"ab12"}},"os":"linux"}`},
		{"config empty", `{"config":{}}`, `{"config":{"Labels":{"L":"ab12"}}}`},
		{"Labels null", `{"config":{"Labels":null}}`, `{"config":{"Labels":{"L":"ab12"}}}`},
		{"Labels empty with a space", `{"config":{"Labels":{ }}}`, `{"config":{"Labels":{"L":"ab12"}}}`},
		{"nothing at all", ` {} `, ` {"config":{"Labels":{"L":"ab12"}}} `},
		{"an older label", `{"config":{"Labels":{"L":"old","a":"1"}}}`, `{"config":{"Labels":{"L":"ab12","a":"1"}}}`},
		{
			"keys with escapes",
			`{"\u0063onfig":{"L\u0061bels":{"containers.composefs.fsverit\u0079":"old"}}}`,
			`{"\u0063onfig":{"L\u0061bels":{"containers.composefs.fsverit\u0079":"ab12"}}}`,
		},
		{
			"keys in another case are other keys",
			`{"Config":{"labels":{"L":"x"}},"config":{"labels":{"L":"x"},"LABELS":null}}`,
			`{"Config":{"labels":{"L":"x"}},"config":{"labels":{"L":"x"},"LABELS":null,"Labels":{"L":"ab12"}}}`,
		},
		{
			"numbers, escapes and unknown fields stay",
			`{"size":1.50e+02,"n":-0,"s":"\u003c\/\u00e9","config":{"Labels":{}},"config ":[{},[ ]]}`,
			`{"size":1.50e+02,"n":-0,"s":"\u003c\/\u00e9","config":{"Labels":{"L":"ab12"}},"config ":[{},[ ]]}`,
		},
		{
			"Docker",
			`{"architecture":"amd64","config":{"Cmd":["sh"],"Labels":null},"container_config":{"Labels":{"x":"y"}},"rootfs":{"type":"layers","diff_ids":[]}}`,
			`{"architecture":"amd64","config":{"Cmd":["sh"],"Labels":{"L":"ab12"}},"container_config":{"Labels":{"x":"y"}},"rootfs":{"type":"layers","diff_ids":[]}}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spell := func(s string) string { return strings.ReplaceAll(s, `"L"`, `"`+image.LabelKey+`"`) }
			got, changes, err := image.EditConfig([]byte(spell(tc.raw)), label, image.StaleLabel)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != spell(tc.want) {
				t.Errorf("got  %s\nwant %s", got, spell(tc.want))
			}
			if len(changes) != 1 || changes[0].Key != image.LabelKey || changes[0].Place != "config.Labels" || changes[0].New != "ab12" {
				t.Errorf("changes: %v", changes)
			}
			unchangedTwice(t, got, label)
		})
	}
}

// unchangedTwice checks that a second edit gives the very same bytes.
func unchangedTwice(t *testing.T, raw []byte, set []image.KV) {
	t.Helper()
	again, changes, err := image.EditConfig(raw, set, image.StaleLabel)
	if err != nil || len(changes) > 0 || &again[0] != &raw[0] || len(again) != len(raw) {
		t.Errorf("the second edit changes %v to %s, %v", changes, again, err)
	}
}

// TestEditConfigRemovesStale: inherited labels go, with the comma that goes
// with them, and are reported; others stay.
func TestEditConfigRemovesStale(t *testing.T) {
	for _, tc := range []struct {
		name, raw, want string
		set             []image.KV
		removed         []string
	}{
		{"the first", `{"S1": "x", "a": "1", "b": "2"}`, `{"a": "1", "b": "2"}`, nil, []string{"1"}},
		{"the first two", `{"S1": "x",  "S2": "x", "a": "1"}`, `{"a": "1"}`, nil, []string{"1", "2"}},
		{"one between", `{"a": "1" , "S1": "x", "b": "2"}`, `{"a": "1", "b": "2"}`, nil, []string{"1"}},
		{"two between", `{"a": "1", "S1": "x", "S2": "x", "b": "2" }`, `{"a": "1", "b": "2" }`, nil, []string{"1", "2"}},
		{"the last", "{\n \"a\": \"1\",\n \"S1\": \"x\"\n}", "{\n \"a\": \"1\"\n}", nil, []string{"1"}},
		{"every other", `{"S1":"x","a":"1","S2":"x","b":"2","S3":"x"}`, `{"a":"1","b":"2"}`, nil, []string{"1", "2", "3"}},
		{"all", "{\n \"S1\": \"x\",\n \"S2\": \"x\"\n}", "{}", nil, []string{"1", "2"}},
		{"all, and one comes", "{\n \"S1\": \"x\",\n \"S2\": \"x\"\n}", "{\n \"n\": \"v\"\n}", []image.KV{{Key: "n", Value: "v"}}, []string{"1", "2"}},
		{"the only one, and one comes", `{ "S1" : "x" }`, `{ "n" : "v" }`, []image.KV{{Key: "n", Value: "v"}}, []string{"1"}},
		{"the last, and two come", `{"a":"1","S1":"x"}`, `{"a":"1","n":"v","m":"w"}`, []image.KV{{Key: "n", Value: "v"}, {Key: "m", Value: "w"}}, []string{"1"}},
		{"the first, and another is replaced", `{"S1":"x","a":"1"}`, `{"a":"2"}`, []image.KV{{Key: "a", Value: "2"}}, []string{"1"}},
		{"none that is set", `{"S1":"x","S2":"x"}`, `{"S1":"x"}`, []image.KV{{Key: "containers.composefs.1", Value: "x"}}, []string{"2"}},
		{"none", `{"containers.composefs":"","Containers.composefs.x":""}`, `{"containers.composefs":"","Containers.composefs.x":""}`, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spell := func(s string) string {
				return `{"config":{"Labels":` + strings.ReplaceAll(s, `"S`, `"containers.composefs.`) + `}}`
			}
			got, changes, err := image.EditConfig([]byte(spell(tc.raw)), tc.set, image.StaleLabel)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != spell(tc.want) {
				t.Errorf("got  %s\nwant %s", got, spell(tc.want))
			}
			var removed []string
			for _, c := range changes {
				if c.Action == image.Removed {
					removed = append(removed, strings.TrimPrefix(c.Key, "containers.composefs."))
				}
			}
			if !reflect.DeepEqual(removed, tc.removed) {
				t.Errorf("removed %v, want %v", removed, tc.removed)
			}
			unchangedTwice(t, got, tc.set)
		})
	}
}

// TestEditConfigReports every change with what was and what is.
func TestEditConfigReports(t *testing.T) {
	raw := `{"config":{"Labels":{"keep":"1","containers.composefs.x":"\u0061","L":"old"}}}`
	_, got, err := image.EditConfig([]byte(raw), []image.KV{{Key: "L", Value: "new"}, {Key: "keep", Value: "1"}, {Key: "m", Value: "n"}}, image.StaleLabel)
	want := []image.Change{
		{Action: image.Removed, Place: "config.Labels", Key: "containers.composefs.x", Old: "a"},
		{Action: image.Replaced, Place: "config.Labels", Key: "L", Old: "old", New: "new"},
		{Action: image.Added, Place: "config.Labels", Key: "m", New: "n"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v\nwant %v", got, err, want)
	}
	lines := []string{
		`removed config.Labels["containers.composefs.x"]: "a"`,
		`replaced config.Labels.L: "old" by "new"`,
		`added config.Labels.m: "n"`,
	}
	for i, c := range got {
		if c.String() != lines[i] {
			t.Errorf("got %s, want %s", c, lines[i])
		}
	}
	if s := (image.Change{Key: "\x1b[2J", New: "\u202e"}).String(); strings.ContainsAny(s, "\x1b\u202e") {
		t.Errorf("a terminal would act on %q", s)
	}
}

// TestEditConfigValues: a value is written so that it is read again as it was
// given.
func TestEditConfigValues(t *testing.T) {
	set := []image.KV{{Key: "<&>", Value: "\"\\\n\u2028é😀"}, {Key: "", Value: ""}}
	got, _, err := image.EditConfig([]byte(`{}`), set, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"<&>":"\"\\\n\u2028é😀"`; !strings.Contains(string(got), want) {
		t.Errorf("%s does not hold %s", got, want)
	}
	config, err := image.ParseConfig(got)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{set[0].Key: set[0].Value, "": ""}; !reflect.DeepEqual(config.Labels, want) {
		t.Errorf("got %v", config.Labels)
	}
	unchangedTwice(t, got, set)
}

// TestEditConfigLeaves what needs no change: the very same bytes come back,
// whatever their shape.
func TestEditConfigLeaves(t *testing.T) {
	for _, raw := range []string{`{}`, ` {"config":null}`, `{"config":{"Labels":null}}`, `{"config":{"Labels":{ }}}`, "{\"config\":{ }}\n"} {
		unchangedTwice(t, []byte(raw), nil)
	}
	unchangedTwice(t, []byte(`{"config":{"Labels":{"a":"\u0062"}}}`), []image.KV{{Key: "a", Value: "b"}})
}

// TestEditConfigErrors: what cannot be edited is named with its place.
func TestEditConfigErrors(t *testing.T) {
	sameKey := slices.Concat(label[:1], label)
	for _, tc := range []struct {
		name, raw string
		set       []image.KV
		err       error
		message   string
	}{
		{"an array", `[]`, label, image.ErrType, "image: config: wrong type of JSON value: an array instead of an object"},
		{"config is a string", `{"config":"x"}`, label, image.ErrType, "image: config: config: wrong type of JSON value: a string"},
		{"Labels is an array", `{"config":{"Labels":[]}}`, label, image.ErrType, "config.Labels: wrong type"},
		{"a label is a number", `{"config":{"Labels":{"a.b":1}}}`, label, image.ErrType, `config.Labels["a.b"]: wrong type of JSON value: a number instead of a string`},
		{"a label is null", `{"config":{"Labels":{"a":null}}}`, label, image.ErrType, "null instead of a string"},
		{"a duplicate far away", `{"config":{},"history":[{"a":1,"a":2}]}`, label, image.ErrDuplicateKey, `history[0]: at byte`},
		{"two Labels", `{"config":{"Labels":{},"Labels":{}}}`, label, image.ErrDuplicateKey, `config: config: at byte 23: "Labels"`},
		{"not JSON", `{"config":`, label, image.ErrSyntax, "config"},
		{"too large", `{"a":"` + strings.Repeat("x", image.MaxConfigSize) + `"}`, label, image.ErrTooLarge, "of at most 8388608"},
		{"too large afterwards", `{"a":"` + strings.Repeat("x", image.MaxConfigSize-20) + `"}`, label, image.ErrTooLarge, "edited config"},
		{"a key set twice", `{}`, sameKey, image.ErrEdit, "set twice"},
		{"a value that is not UTF-8", `{}`, []image.KV{{Key: "a", Value: "\xff"}}, image.ErrEncoding, `"a"`},
		{"a key that is not UTF-8", `{}`, []image.KV{{Key: "\xff"}}, image.ErrEdit, `"\xff"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, changes, err := image.EditConfig([]byte(tc.raw), tc.set, nil)
			if !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.message) {
				t.Errorf("got %v, want %v with %q", err, tc.err, tc.message)
			}
			if got != nil || changes != nil {
				t.Error("something comes with the error")
			}
		})
	}
}

// TestParseConfig reads what matters, by the exact names of the fields.
func TestParseConfig(t *testing.T) {
	const sum = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	c, err := image.ParseConfig([]byte(`{"OS":"x","os":"linux","architecture":"arm","variant":"v7","os.version":"1","config":{"Labels":{"a":"b"}},
		"rootfs":{"type":"layers","diff_ids":["` + sum + `"]},"history":null}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.OS != "linux" || c.Architecture != "arm" || c.Variant != "v7" || c.OSVersion != "1" || c.Labels["a"] != "b" ||
		len(c.DiffIDs) != 1 || c.DiffIDs[0].String() != sum {
		t.Errorf("got %+v", c)
	}
	if c, err := image.ParseConfig([]byte(`{"os":null,"config":null,"rootfs":{"diff_ids":null}}`)); err != nil || !reflect.DeepEqual(c, &image.Config{}) {
		t.Errorf("null is not nothing: %+v, %v", c, err)
	}
	for raw, want := range map[string]error{
		`{"os":1}`:                               image.ErrType,
		`{"rootfs":[]}`:                          image.ErrType,
		`{"rootfs":{"diff_ids":{}}}`:             image.ErrType,
		`{"rootfs":{"diff_ids":[null]}}`:         image.ErrType,
		`{"rootfs":{"diff_ids":["sha256:00"]}}`:  image.ErrDigest,
		`{"rootfs":{"diff_ids":["md5:00"]}}`:     image.ErrDigest,
		`{"rootfs":{"diff_ids":["../../etc"]}}`:  image.ErrDigest,
		`{"config":{"Labels":{"a":["b"]}}}`:      image.ErrType,
		`{"os":"linux","os":"windows"}`:          image.ErrDuplicateKey,
		`{"os":"linux"}{"os":"windows"}`:         image.ErrTrailing,
		"\ufeff" + `{"os":"linux"}`:              image.ErrSyntax,
		`{"a":` + strings.Repeat(`[`, 100) + `}`: image.ErrSyntax,
	} {
		if c, err := image.ParseConfig([]byte(raw)); !errors.Is(err, want) || c != nil {
			t.Errorf("%s: got %v, %v, want %v", raw, c, err, want)
		}
	}
}

// TestLabels: null and nothing are the same on the way to the labels and at its
// end; what is no object of strings is an error.
func TestLabels(t *testing.T) {
	for raw, want := range map[string]map[string]string{
		`{}`:                                  nil,
		`{"config":null}`:                     nil,
		`{"config":{"Labels":null}}`:          nil,
		`{"config":{"Labels":{}}}`:            {},
		`{"config":{"labels":{"k":"v"}}}`:     nil,
		`{"config":{"Labels":{"\u006b":""}}}`: {"k": ""},
	} {
		got, err := image.ParseConfig([]byte(raw))
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		} else if !reflect.DeepEqual(got.Labels, want) {
			t.Errorf("%s: got %v, want %v", raw, got.Labels, want)
		}
	}
	for _, raw := range []string{`{"config":1}`, `{"config":{"Labels":1}}`, `{"config":{"Labels":{"k":1}}}`, `[]`, ``} {
		if got, err := image.ParseConfig([]byte(raw)); err == nil || got != nil {
			t.Errorf("%s: got %v without an error", raw, got)
		}
	}
}
