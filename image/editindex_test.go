// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/image"
)

const sumC = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

// TestEditIndexMovesChildren: a child's digest and size change, an attestation
// follows it, and all else stays.
func TestEditIndexMovesChildren(t *testing.T) {
	edits := []image.ChildEdit{
		{Position: 1, Annotations: []image.KV{{Key: "vnd.docker.reference.digest", Value: sumC}, {Key: "n", Value: "v"}}},
		{Position: 0, Change: &image.DescriptorChange{Digest: hash(t, sumC), Size: 5000}, Annotations: []image.KV{{Key: "n", Value: "v"}}},
	}
	got, changes, err := image.EditIndex([]byte(spell(ociIndex)), edits)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(spell(ociIndex), sumA, sumC)
	want = strings.Replace(want, "424", "5000", 1)
	want = strings.Replace(want, "\"v7\"\n      }", "\"v7\"\n      },\n      \"annotations\": {\n        \"n\": \"v\"\n      }", 1)
	want = strings.Replace(want, "\"attestation-manifest\"", "\"attestation-manifest\",\n        \"n\": \"v\"", 1)
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	places := map[string]int{}
	for _, c := range changes {
		places[c.Place]++
	}
	if want := map[string]int{"manifests[0]": 2, "manifests[0].annotations": 1, "manifests[1].annotations": 2}; !reflect.DeepEqual(places, want) {
		t.Errorf("got %v, want %v", places, want)
	}
	again, changes, err := image.EditIndex(got, edits)
	if err != nil || len(changes) > 0 || &again[0] != &got[0] {
		t.Errorf("the second edit changes %v, %v", changes, err)
	}
}

// TestEditIndexStale: stale annotations of a child go, those of others stay.
func TestEditIndexStale(t *testing.T) {
	raw := spell(`{"schemaVersion":2,"manifests":[{"mediaType":"m","size":1,"digest":"$A","annotations":{"composefs.x":"1"}},` +
		`{"mediaType":"m","size":1,"digest":"$A","annotations":{"composefs.x":"1"}}]}`)
	got, _, err := image.EditIndex([]byte(raw), []image.ChildEdit{{Position: 1, StaleAnnotations: image.StaleAnnotation}})
	i := strings.LastIndex(raw, `"composefs.x":"1"`)
	if want := raw[:i] + raw[i+len(`"composefs.x":"1"`):]; err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

// TestAppendManifest: a descriptor comes last and looks like the others; but
// for white space its text is as given.
func TestAppendManifest(t *testing.T) {
	descriptor := spell(`{"mediaType": "m","size":1,"digest":"$A"}`)
	squeezed := strings.Replace(descriptor, ": ", ":", 1)
	first := spell(`{"mediaType":"m","digest":"$B","size":2}`)
	indented := func(at string) string {
		return spell("{\n" + at + "  \"mediaType\": \"m\",\n" + at + "  \"size\": 1,\n" + at + "  \"digest\": \"$A\"\n" + at + "}")
	}
	for _, tc := range []struct{ name, raw, want string }{
		{"compact", `{"schemaVersion":2,"manifests":[` + first + `],"x":1}`, `{"schemaVersion":2,"manifests":[` + first + `,` + squeezed + `],"x":1}`},
		{"spaces", `{"schemaVersion": 2, "manifests": [` + first + `]}`, `{"schemaVersion": 2, "manifests": [` + first + `, ` + squeezed + `]}`},
		{"compact, none", `{"schemaVersion":2,"manifests":[]}`, `{"schemaVersion":2,"manifests":[` + squeezed + `]}`},
		{"null", `{"schemaVersion":2,"manifests":null}`, `{"schemaVersion":2,"manifests":[` + squeezed + `]}`},
		{"indented, none", "{\n  \"schemaVersion\": 2,\n  \"manifests\": []\n}\n", "{\n  \"schemaVersion\": 2,\n  \"manifests\": [\n    " + indented("    ") + "\n  ]\n}\n"},
		{"indented", "{\n  \"manifests\": [\n    " + first + "\n  ],\n  \"schemaVersion\": 2\n}", "{\n  \"manifests\": [\n    " + first + ",\n    " + indented("    ") + "\n  ],\n  \"schemaVersion\": 2\n}"},
		{
			"CRLF", "{\r\n  \"manifests\": [\r\n    " + first + "\r\n  ],\r\n  \"schemaVersion\": 2\r\n}",
			"{\r\n  \"manifests\": [\r\n    " + first + ",\r\n    " + strings.ReplaceAll(indented("    "), "\n", "\r\n") + "\r\n  ],\r\n  \"schemaVersion\": 2\r\n}",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, changes, err := image.AppendManifest([]byte(tc.raw), []byte(" "+descriptor+"\n"))
			if err != nil || string(got) != tc.want {
				t.Errorf("got  %q, %v\nwant %q", got, err, tc.want)
			}
			if len(changes) != 1 || changes[0].New != sumA || changes[0].Action != image.Added || !strings.HasPrefix(changes[0].Place, "manifests[") {
				t.Errorf("changes: %v", changes)
			}
		})
	}
}

// TestReplaceManifest: a descriptor takes another's place, unless it is the
// same but for white space.
func TestReplaceManifest(t *testing.T) {
	raw := []byte(spell(ociIndex))
	descriptor := []byte(spell(`{"mediaType":"m","size":1,"digest":"$B"}`))
	got, changes, err := image.ReplaceManifest(raw, 0, descriptor)
	if err != nil || len(changes) != 1 || changes[0].Old != sumA || changes[0].New != sumB || changes[0].Place != "manifests[0]" {
		t.Fatalf("changes %v, %v", changes, err)
	}
	start, end := bytes.Index(raw, []byte("{\n      \"mediaType\"")), bytes.Index(raw, []byte(",\n    {"))
	want := string(raw[:start]) + spell("{\n      \"mediaType\": \"m\",\n      \"size\": 1,\n      \"digest\": \"$B\"\n    }") + string(raw[end:])
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	again, changes, err := image.ReplaceManifest(got, 0, descriptor)
	if err != nil || len(changes) > 0 || &again[0] != &got[0] {
		t.Errorf("the second edit changes %v, %v", changes, err)
	}
}

// TestIndexErrors: bad indexes, positions and descriptors are told apart.
func TestIndexErrors(t *testing.T) {
	index, manifest := []byte(spell(ociIndex)), []byte(spell(ociManifest))
	child := []byte(spell(`{"mediaType":"m","size":1,"digest":"$A"}`))
	edit := func(raw []byte, edits ...image.ChildEdit) error {
		_, _, err := image.EditIndex(raw, edits)
		return err
	}
	add := func(raw, descriptor []byte) error {
		_, _, err := image.AppendManifest(raw, descriptor)
		return err
	}
	replace := func(raw []byte, i int, descriptor []byte) error {
		_, _, err := image.ReplaceManifest(raw, i, descriptor)
		return err
	}
	large := []byte(spell(`{"mediaType":"` + strings.Repeat("m", image.MaxManifestSize-200) + `","size":1,"digest":"$A"}`))
	list := []byte(strings.Replace(string(index), "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json", 1))
	kv := []image.KV{{Key: "vnd.docker.reference.digest", Value: sumB}}
	for name, tc := range map[string]struct {
		err, want error
		message   string
	}{
		"edit a manifest":             {edit(manifest), image.ErrWrongKind, "an OCI image manifest is no index"},
		"append to a manifest":        {add(manifest, child), image.ErrWrongKind, "no index"},
		"replace in a manifest":       {replace(manifest, 0, child), image.ErrWrongKind, "no index"},
		"edit nothing":                {edit(nil), image.ErrSyntax, "manifest"},
		"edit behind the last":        {edit(index, image.ChildEdit{Position: 2}), image.ErrEdit, "no manifests[2] among 2"},
		"edit before the first":       {edit(index, image.ChildEdit{Position: -1}), image.ErrEdit, "no manifests[-1]"},
		"edit one twice":              {edit(index, image.ChildEdit{}, image.ChildEdit{}), image.ErrEdit, "edited twice"},
		"edit with a bad digest":      {edit(index, image.ChildEdit{Change: &image.DescriptorChange{}}), image.ErrDigest, "invalid edit"},
		"replace behind the last":     {replace(index, 2, child), image.ErrEdit, "no manifests[2]"},
		"append what is no JSON":      {add(index, []byte("{")), image.ErrSyntax, "image: descriptor"},
		"append what has no digest":   {add(index, []byte("{}")), image.ErrMissing, "image: descriptor"},
		"append null":                 {add(index, []byte("null")), image.ErrType, "null instead of an object"},
		"replace by what is no JSON":  {replace(index, 0, []byte("{}{}")), image.ErrTrailing, "image: descriptor"},
		"append too much":             {add(index, large), image.ErrTooLarge, "edited index"},
		"annotate in a Docker list":   {edit(list, image.ChildEdit{Annotations: kv}), image.ErrNoAnnotations, "vnd.docker.reference.digest"},
		"but change what is in there": {edit(list, image.ChildEdit{Position: 1, Annotations: kv}), nil, ""},
	} {
		if !errors.Is(tc.err, tc.want) || tc.err != nil && !strings.Contains(tc.err.Error(), tc.message) {
			t.Errorf("%s: got %v, want %v with %q", name, tc.err, tc.want, tc.message)
		}
	}
}
