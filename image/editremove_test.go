// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/image"
)

func placeOf(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// TestEditIndexRemove: a descriptor goes with the comma and the white space
// that go with it, and is reported with its digest. In the texts, 1 to 3 stand
// for descriptors.
func TestEditIndexRemove(t *testing.T) {
	sums := []string{sumA, sumB, sumC}
	descriptor := func(i int) string {
		return "{\"digest\":\"" + sums[i] + "\", \"size\":0,\n\"mediaType\":\"m\"}"
	}
	descriptors := strings.NewReplacer("1", descriptor(0), "2", descriptor(1), "3", descriptor(2))
	for _, tc := range []struct {
		name, before, after string
		remove              []int
	}{
		{"the first", `[1,2,3]`, `[2,3]`, []int{0}},
		{"one between", `[1,2,3]`, `[1,3]`, []int{1}},
		{"the last", `[1,2,3]`, `[1,2]`, []int{2}},
		{"the only one", `[1]`, `[]`, []int{0}},
		{"the only one, indented", "[\n    1\n  ]", `[]`, []int{0}},
		{"all", "[ 1, 2 , 3]", `[]`, []int{2, 0, 1}},
		{"the first, indented", "[\n    1,\n    2\n  ]", "[\n    2\n  ]", []int{0}},
		{"one between, indented", "[\r\n\t1,\r\n\t2,\r\n\t3\r\n]", "[\r\n\t1,\r\n\t3\r\n]", []int{1}},
		{"the last, indented", "[\n    1,\n    2\n  ]", "[\n    1\n  ]", []int{1}},
		{"the last two", `[ 1, 2, 3 ]`, `[ 1 ]`, []int{1, 2}},
		{"the first two", `[ 1, 2, 3 ]`, `[ 3 ]`, []int{1, 0}},
		{"the first and the last", `[1, 2, 3]`, `[2]`, []int{0, 2}},
		{"none", `[ 1 ]`, `[ 1 ]`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := func(list string) string {
				return `{"x":[1.50e+02],"schemaVersion":2,"manifests" : ` + descriptors.Replace(list) + ",\"y\":0}\n"
			}
			var edits []image.ChildEdit
			var want []image.Change
			for _, i := range tc.remove {
				edits = append(edits, image.ChildEdit{Position: i, Remove: true})
				want = append(want, image.Change{Action: image.Removed, Place: placeOf("manifests", i), Key: "digest", Old: sums[i]})
			}
			got, changes, err := image.EditIndex([]byte(text(tc.before)), edits)
			if err != nil || string(got) != text(tc.after) {
				t.Errorf("got  %q, %v\nwant %q", got, err, text(tc.after))
			}
			if !reflect.DeepEqual(changes, want) {
				t.Errorf("got %v, want %v", changes, want)
			}
		})
	}
}

// TestEditIndexRemovesBesides: what is removed and what is edited do not get in
// each other's way, and positions are those before the edit.
func TestEditIndexRemovesBesides(t *testing.T) {
	raw := []byte(spell(`{"schemaVersion":2,"manifests":[{"mediaType":"m","size":1,"digest":"$A","annotations":{"a":"1"}},` +
		`{"mediaType":"m","size":1,"digest":"$E"}, {"mediaType":"m","size":1,"digest":"$A"}]}`))
	got, changes, err := image.EditIndex(raw, []image.ChildEdit{
		{Position: 2, Change: &image.DescriptorChange{Digest: hash(t, sumB), Size: 22}},
		{Position: 1, Remove: true},
		{Position: 0, Annotations: []image.KV{{Key: "b", Value: "2"}}},
	})
	want := spell(`{"schemaVersion":2,"manifests":[{"mediaType":"m","size":1,"digest":"$A","annotations":{"a":"1","b":"2"}}, ` +
		`{"mediaType":"m","size":22,"digest":"$B"}]}`)
	if err != nil || string(got) != want || len(changes) != 4 {
		t.Errorf("got  %s, %v, %v\nwant %s", got, changes, err, want)
	}
}

// TestEditIndexRemoveAlone: what is removed cannot be edited as well.
func TestEditIndexRemoveAlone(t *testing.T) {
	for _, edit := range []image.ChildEdit{
		{Change: image.Describe(nil)},
		{Annotations: []image.KV{{Key: "a"}}},
		{StaleAnnotations: image.StaleAnnotation},
	} {
		edit.Remove = true
		_, _, err := image.EditIndex([]byte(spell(ociIndex)), []image.ChildEdit{edit})
		if !errors.Is(err, image.ErrEdit) || !strings.Contains(err.Error(), "manifests[0] is removed and edited") {
			t.Errorf("%+v: got %v", edit, err)
		}
	}
	twice := []image.ChildEdit{{Position: 1, Remove: true}, {Position: 1, Remove: true}}
	if _, _, err := image.EditIndex([]byte(spell(ociIndex)), twice); !errors.Is(err, image.ErrEdit) {
		t.Errorf("one removed twice: %v", err)
	}
	behind := []image.ChildEdit{{Position: 2, Remove: true}}
	if _, _, err := image.EditIndex([]byte(spell(ociIndex)), behind); !errors.Is(err, image.ErrEdit) {
		t.Errorf("one removed that is not there: %v", err)
	}
}

// TestEditMediaType: a descriptor's media type becomes the new one where that
// is given and another; it is spelled as it was else.
func TestEditMediaType(t *testing.T) {
	raw := []byte(spell(`{"schemaVersion":2,"mediaType":"$list","manifests":[{"mediaType":"a\/b","size":1,"digest":"$A"}]}`))
	for _, tc := range []struct {
		name      string
		mediaType types.MediaType
		want      string
	}{
		{"none given", "", `"a\/b"`},
		{"the same", "a/b", `"a\/b"`},
		{"another", "c/d", `"c/d"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			edits := []image.ChildEdit{{Change: &image.DescriptorChange{Digest: hash(t, sumA), Size: 1, MediaType: tc.mediaType}}}
			got, changes, err := image.EditIndex(raw, edits)
			if want := strings.Replace(string(raw), `"a\/b"`, tc.want, 1); err != nil || string(got) != want {
				t.Errorf("got  %s, %v\nwant %s", got, err, want)
			}
			var want []image.Change
			if tc.mediaType == "c/d" {
				want = []image.Change{{Action: image.Replaced, Place: "manifests[0]", Key: "mediaType", Old: "a/b", New: "c/d"}}
			}
			if !reflect.DeepEqual(changes, want) {
				t.Errorf("got %v, want %v", changes, want)
			}
		})
	}
	bad := []image.ChildEdit{{Change: &image.DescriptorChange{Digest: hash(t, sumA), MediaType: "\xff"}}}
	if _, _, err := image.EditIndex(raw, bad); !errors.Is(err, image.ErrEdit) || !errors.Is(err, image.ErrEncoding) {
		t.Errorf("got %v", err)
	}
}

// FuzzEditIndex: but for the descriptor that is removed and the one whose media
// type changes, the index says what it said, and the text of the others stays.
func FuzzEditIndex(f *testing.F) {
	for _, seed := range []string{
		spell(ociIndex), spell(ociIndex[:len(ociIndex)-1] + "\n, \"x\":1.0}\n"), `{"schemaVersion":2,"manifests":null}`,
		spell("{\"manifests\" : [ {\"mediaType\":\"m\",\"size\":0,\"digest\":\"$A\"}\r\n],\"schemaVersion\":2}"),
	} {
		f.Add([]byte(seed), 0, 1, "m")
		f.Add([]byte(seed), 1, 0, "\u2028")
	}
	f.Fuzz(func(t *testing.T, raw []byte, removed, changed int, mediaType string) {
		m, err := image.ParseManifest(raw, "")
		if err != nil || !m.Kind.IsIndex() || removed < 0 || removed >= len(m.Manifests) {
			return
		}
		edits := []image.ChildEdit{{Position: removed, Remove: true}}
		want := model(t, raw)
		list, _ := want["manifests"].([]any)
		if changed >= 0 && changed < len(list) && changed != removed && mediaType != "" {
			d := m.Manifests[changed]
			edits = append(edits, image.ChildEdit{Position: changed, Change: &image.DescriptorChange{
				Digest: d.Digest, Size: d.Size, MediaType: types.MediaType(mediaType),
			}})
			element(t, want, placeOf("manifests", changed))["mediaType"] = mediaType
		}
		want["manifests"] = slices.Delete(list, removed, removed+1)
		got, changes, err := image.EditIndex(raw, edits)
		if err != nil {
			isUnknown := len(edits) > 1 && errors.Is(err, image.ErrDigest) && !isKnown(m.Manifests[changed].Digest)
			if !errors.Is(err, image.ErrEncoding) && !isUnknown {
				t.Fatalf("the edit is fine: %v", err)
			}
			return
		}
		if len(changes) == 0 || bytes.Equal(raw, got) {
			t.Fatalf("nothing was removed from %q", raw)
		}
		if says := model(t, got); !reflect.DeepEqual(says, want) {
			t.Fatalf("%q became %q, which says\n%v, not\n%v", raw, got, says, want)
		}
		within{"manifests": nil}.same(t, string(raw), string(got))
		texts := slices.Delete(elements(t, raw), removed, removed+1)
		for i, text := range elements(t, got) {
			if isChanged := len(edits) > 1 && i == changed-position(removed < changed); !isChanged && !bytes.Equal(text, texts[i]) {
				t.Fatalf("%s became %s", texts[i], text)
			}
		}
	})
}

// isKnown reports whether the digest is of an algorithm that can be computed.
func isKnown(d v1.Hash) bool {
	_, err := v1.NewHash(d.String())
	return err == nil
}

// elements returns the text of an index's descriptors.
func elements(t *testing.T, raw []byte) []json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	if err := json.Unmarshal(m["manifests"], &list); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return list
}

// position returns by how many places a descriptor moves up.
func position(isBehind bool) int {
	if isBehind {
		return 1
	}
	return 0
}
