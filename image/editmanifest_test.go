// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// manifestOf returns a compact manifest with those annotations, which may be
// none.
func manifestOf(onConfig, onManifest string) string {
	annotations := func(text string) string {
		if text == "" {
			return ""
		}
		return `,"annotations":` + text
	}
	return spell(`{"schemaVersion":2,"mediaType":"$manifest","config":{"mediaType":"$config","size":3,"digest":"$A"` +
		annotations(onConfig) + `},"layers":[]` + annotations(onManifest) + `}`)
}

func edited(t *testing.T, raw string, edit image.ManifestEdit) (string, []image.Change) {
	t.Helper()
	got, changes, err := image.EditManifest([]byte(raw), edit)
	if err != nil {
		t.Fatal(err)
	}
	again, more, err := image.EditManifest(got, edit)
	if err != nil || len(more) > 0 || &again[0] != &got[0] || len(again) != len(got) {
		t.Errorf("the second edit changes %v to %s, %v", more, again, err)
	}
	return string(got), changes
}

// TestEditManifestSeals: config and annotations change, and nothing else does.
func TestEditManifestSeals(t *testing.T) {
	edit := image.ManifestEdit{
		Config:           &image.DescriptorChange{Digest: hash(t, sumB), Size: 4567},
		StaleAnnotations: image.StaleAnnotation,
	}
	merged, config := fsverity.Sum(fsverity.SHA256, []byte("m")), fsverity.Sum(fsverity.SHA256, []byte("c"))
	for role, d := range map[image.Role]fsverity.Digest{image.RoleMerged: merged, image.RoleConfig: config} {
		if err := edit.SetDigest(role, d); err != nil {
			t.Fatal(err)
		}
	}
	if err := edit.SetDigest(image.RoleManifest, merged); !errors.Is(err, image.ErrEdit) {
		t.Errorf("a manifest carries its own digest: %v", err)
	}
	got, changes := edited(t, spell(ociManifest), edit)
	want := spell(`{"schemaVersion":2,"mediaType":"$manifest","config":{"mediaType":"$config","size":4567,"digest":"$B",` +
		`"annotations":{"composefs.config.fsverity-sha256-12":"` + config.String() + `"}},` +
		`"layers":[{"mediaType":"$layer","size":7,"digest":"$B","annotations":{"composefs.layer.erofs.v1.fsverity-sha512-12":"00"}}],` +
		`"annotations":{"composefs.merged.erofs.v1.fsverity-sha256-12":"` + merged.String() + `"}}`)
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var lines []string
	for _, c := range changes {
		lines = append(lines, c.Action.String()+" "+c.Place+" "+c.Key)
	}
	if want := []string{
		"replaced config digest", "replaced config size",
		"added config.annotations composefs.config.fsverity-sha256-12",
		"added annotations composefs.merged.erofs.v1.fsverity-sha256-12",
	}; !reflect.DeepEqual(lines, want) {
		t.Errorf("got %v, want %v", lines, want)
	}
}

// TestEditManifestKeepsLayout: what is added to an indented manifest is
// indented; subject and unknown fields stay.
func TestEditManifestKeepsLayout(t *testing.T) {
	raw := "{\n\t\"layers\": [],\n\t\"x\": [1.0, 2],\n\t\"subject\": {\"mediaType\": \"m\", \"digest\": \"$B\", \"size\": 1},\n\t\"config\": {\n\t\t\"digest\": \"$A\",\n\t\t\"size\": 1,\n\t\t\"mediaType\": \"c\"\n\t},\n\t\"schemaVersion\": 2\n}\n"
	want := "{\n\t\"layers\": [],\n\t\"x\": [1.0, 2],\n\t\"subject\": {\"mediaType\": \"m\", \"digest\": \"$B\", \"size\": 1},\n\t\"config\": {\n\t\t\"digest\": \"$A\",\n\t\t\"size\": 22,\n\t\t\"mediaType\": \"c\",\n\t\t\"annotations\": {\n\t\t\t\"a\": \"b\"\n\t\t}\n\t},\n\t\"schemaVersion\": 2,\n\t\"annotations\": {\n\t\t\"c\": \"d\",\n\t\t\"e\": \"f\"\n\t}\n}\n"
	got, _ := edited(t, spell(raw), image.ManifestEdit{
		Config:            &image.DescriptorChange{Digest: hash(t, sumA), Size: 22},
		ConfigAnnotations: []image.KV{{Key: "a", Value: "b"}},
		Annotations:       []image.KV{{Key: "c", Value: "d"}, {Key: "e", Value: "f"}},
	})
	if got != spell(want) {
		t.Errorf("got  %q\nwant %q", got, spell(want))
	}
}

// TestEditManifestStale: inherited annotations of manifest and config
// descriptor go. A signature goes with its digest: it stays if and only if the
// digest is there and stays as it is.
func TestEditManifestStale(t *testing.T) {
	const (
		key = "composefs.merged.erofs.v1.fsverity-sha512-12"
		sig = key + ".sig"
	)
	digest := func(v string) []image.KV { return []image.KV{{Key: key, Value: v}} }
	for _, tc := range []struct {
		name, before, after string
		set                 []image.KV
		stale               func(string) bool
	}{
		{"inherited", `{"KEY":"d","a":"b"}`, `{"a":"b"}`, nil, image.StaleAnnotation},
		{"inherited with a signature", `{"KEY":"d","SIG":"s"}`, `{}`, nil, image.StaleAnnotation},
		{"the same digest keeps its signature", `{"KEY":"d","SIG":"s"}`, `{"KEY":"d","SIG":"s"}`, digest("d"), image.StaleAnnotation},
		{"whatever their order", `{"SIG":"s","KEY":"d"}`, `{"SIG":"s","KEY":"d"}`, digest("d"), image.StaleAnnotation},
		{"another digest loses it", `{"KEY":"d","SIG":"s"}`, `{"KEY":"e"}`, digest("e"), image.StaleAnnotation},
		{"even if nothing is stale", `{"KEY":"d","SIG":"s"}`, `{"KEY":"e"}`, digest("e"), nil},
		{"a digest that stays keeps it", `{"KEY":"d","SIG":"s"}`, `{"KEY":"d","SIG":"s"}`, nil, func(k string) bool { return k == sig }},
		{"a new digest has none", `{"SIG":"s"}`, `{"KEY":"d"}`, digest("d"), image.StaleAnnotation},
		{"a signature without a digest is stale", `{"SIG":"s"}`, `{}`, nil, image.StaleAnnotation},
		{"or left alone", `{"SIG":"s"}`, `{"SIG":"s"}`, nil, nil},
		{"a new signature is set", `{"KEY":"d","SIG":"s"}`, `{"KEY":"e","SIG":"t"}`, append(digest("e"), image.KV{Key: sig, Value: "t"}), image.StaleAnnotation},
		{"layers' digests stay", `{"composefs.layer.x":"d","composefs.layer.x.sig":"s"}`, `{"composefs.layer.x":"d","composefs.layer.x.sig":"s"}`, nil, image.StaleAnnotation},
		{"others' signatures stay", `{"x":"d","x.sig":"s"}`, `{"x":"e","x.sig":"s"}`, []image.KV{{Key: "x", Value: "e"}}, image.StaleAnnotation},
	} {
		t.Run(tc.name, func(t *testing.T) {
			keys := strings.NewReplacer("KEY", key, "SIG", sig)
			before, after := keys.Replace(tc.before), keys.Replace(tc.after)
			got, _ := edited(t, manifestOf("", before), image.ManifestEdit{Annotations: tc.set, StaleAnnotations: tc.stale})
			if want := manifestOf("", after); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			got, _ = edited(t, manifestOf(before, ""), image.ManifestEdit{ConfigAnnotations: tc.set, StaleAnnotations: tc.stale})
			if want := manifestOf(after, ""); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// TestEditManifestData: content that a descriptor embeds follows the digest, or
// goes if it is not at hand or too large.
func TestEditManifestData(t *testing.T) {
	raw := func(c *image.DescriptorChange, data string) string {
		if data != "" {
			data = `"data":"` + data + `",`
		}
		return fmt.Sprintf(`{"schemaVersion":2,"config":{"digest":%q,%s"size":%d,"mediaType":"m"},"layers":[]}`, c.Digest, data, c.Size)
	}
	base64Of := base64.StdEncoding.EncodeToString
	small, other := image.Describe([]byte("{}")), image.Describe([]byte(`{"a":1}`))
	full, large := image.Describe(bytes.Repeat([]byte("x"), image.MaxDataSize)), image.Describe(bytes.Repeat([]byte("x"), image.MaxDataSize+1))
	bare := func(c *image.DescriptorChange) *image.DescriptorChange {
		return &image.DescriptorChange{Digest: c.Digest, Size: c.Size}
	}
	for _, tc := range []struct {
		name, before, after string
		change              *image.DescriptorChange
	}{
		{"follows", raw(small, "e30="), raw(other, base64Of(other.Content)), other},
		{"follows up to the limit", raw(small, "e30="), raw(full, base64Of(full.Content)), full},
		{"goes beyond the limit", raw(small, "e30="), raw(large, ""), large},
		{"goes without content", raw(small, "e30="), raw(other, ""), bare(other)},
		{"stays with the digest", raw(small, "e30="), raw(small, "e30="), small},
		{"stays with the digest, without content", raw(small, "e30="), raw(small, "e30="), bare(small)},
		{"stays beyond the limit with the digest", raw(large, base64Of(large.Content)), raw(large, base64Of(large.Content)), large},
		{"does not come", raw(small, ""), raw(other, ""), other},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, _ := edited(t, tc.before, image.ManifestEdit{Config: tc.change}); got != tc.after {
				t.Errorf("got  %s\nwant %s", got, tc.after)
			}
		})
	}
}

// TestEditManifestDocker: Docker's manifests get another config, but no
// annotations; stale ones still go.
func TestEditManifestDocker(t *testing.T) {
	raw := strings.Replace(manifestOf(`{"composefs.x":"y"}`, ""), "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json", 1)
	got, _ := edited(t, raw, image.ManifestEdit{
		Config:           &image.DescriptorChange{Digest: hash(t, sumB), Size: 3},
		StaleAnnotations: image.StaleAnnotation,
	})
	want := strings.ReplaceAll(strings.Replace(raw, `{"composefs.x":"y"}`, `{}`, 1), sumA, sumB)
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	kv := []image.KV{{Key: "a", Value: "b"}}
	for _, edit := range []image.ManifestEdit{{Annotations: kv}, {ConfigAnnotations: kv}} {
		if _, _, err := image.EditManifest([]byte(raw), edit); !errors.Is(err, image.ErrNoAnnotations) || !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("got %v", err)
		}
	}
}

// TestEditManifestErrors: bad manifests and bad edits are told apart.
func TestEditManifestErrors(t *testing.T) {
	twice := []image.KV{{Key: "a", Value: "1"}, {Key: "a", Value: "1"}}
	wrong := image.Describe([]byte("{}"))
	wrong.Size++
	for _, tc := range []struct {
		name, raw string
		edit      image.ManifestEdit
		err       error
		message   string
	}{
		{"an index", spell(ociIndex), image.ManifestEdit{}, image.ErrWrongKind, "image: index: the edit does not fit the document: an OCI image index"},
		{"annotations are an array", manifestOf("", `[]`), image.ManifestEdit{}, image.ErrType, "annotations"},
		{"a duplicate in a layer", strings.Replace(spell(ociManifest), `"size":7`, `"size":7,"size":8`, 1), image.ManifestEdit{}, image.ErrDuplicateKey, `layers[0]: at byte`},
		{"set twice", manifestOf("", ""), image.ManifestEdit{Annotations: twice}, image.ErrEdit, "set twice"},
		{"set twice on the config", manifestOf("", ""), image.ManifestEdit{ConfigAnnotations: twice}, image.ErrEdit, "set twice"},
		{"no digest", manifestOf("", ""), image.ManifestEdit{Config: &image.DescriptorChange{}}, image.ErrDigest, "invalid edit"},
		{"bad digest", manifestOf("", ""), image.ManifestEdit{Config: &image.DescriptorChange{Digest: v1.Hash{Algorithm: "sha256", Hex: `"`}}}, image.ErrDigest, "invalid edit"},
		{"negative size", manifestOf("", ""), image.ManifestEdit{Config: &image.DescriptorChange{Digest: hash(t, sumA), Size: -1}}, image.ErrSize, "-1"},
		{"other content", manifestOf("", ""), image.ManifestEdit{Config: wrong}, image.ErrEdit, "2 bytes, not 3"},
		{"too large afterwards", manifestOf("", ""), image.ManifestEdit{Annotations: []image.KV{{Key: "a", Value: strings.Repeat("x", image.MaxManifestSize)}}}, image.ErrTooLarge, "edited manifest"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, changes, err := image.EditManifest([]byte(tc.raw), tc.edit)
			if !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.message) {
				t.Errorf("got %v, want %v with %q", err, tc.err, tc.message)
			}
			if got != nil || changes != nil {
				t.Error("something comes with the error")
			}
		})
	}
}
