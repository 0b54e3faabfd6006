// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/image"
)

// dockerNames spells Docker's media types as ^name, and OCI's in their place.
var (
	dockerNames = strings.NewReplacer(
		"^manifest", "application/vnd.docker.distribution.manifest.v2+json",
		"^index", "application/vnd.docker.distribution.manifest.list.v2+json",
		"^config", "application/vnd.docker.container.image.v1+json",
		"^foreign", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
		"^gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip",
		"^zstd", "application/vnd.docker.image.rootfs.diff.tar.zstd",
		"^tar", "application/vnd.docker.image.rootfs.diff.tar",
	)
	ociNames = strings.NewReplacer(
		"^manifest", "application/vnd.oci.image.manifest.v1+json",
		"^index", "application/vnd.oci.image.index.v1+json",
		"^config", "application/vnd.oci.image.config.v1+json",
		"^foreign", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"^gzip", "application/vnd.oci.image.layer.v1.tar+gzip",
		"^zstd", "application/vnd.oci.image.layer.v1.tar+zstd",
		"^tar", "application/vnd.oci.image.layer.v1.tar",
	)
)

// dockerManifest is shaped as docker push writes it, with what else may be in
// there; ^ marks what is converted.
const dockerManifest = `{
   "schemaVersion": 2,
   "mediaType": "^manifest",
   "config": {
      "mediaType": "^config",
      "size": 2, "data" : "e30=",
      "digest": "$E"
   },
   "layers": [
      {"mediaType": "^foreign", "size": 1, "digest": "$A", "urls": ["https://example.com/^"]},
      {"size": 7, "digest": "$B", "mediaType": "^gzip"},
      {"mediaType": "^zstd", "size": 7, "digest": "$B"},
      {"mediaType": "^tar", "size": 7, "digest": "$B"},
      {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 7, "digest": "$B"},
      {"mediaType": "application/vnd.example.layer", "size": 7, "digest": "$B", "x": 1.50e+02}
   ],
   "x": {"mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
}
`

// dockerList is a list of Docker's: only its own media type is its own.
const dockerList = `{"schemaVersion":2,"mediaType":"^index","manifests":[` +
	`{"mediaType":"$docker","size":1,"digest":"$A","platform":{"architecture":"amd64","os":"linux"}}]}`

// TestToOCI: media types that Docker and OCI both have become OCI's, and every
// other byte stays. A second time, nothing changes.
func TestToOCI(t *testing.T) {
	for _, tc := range []struct {
		name, raw string
		changes   int
	}{
		{"a manifest", dockerManifest, 6},
		{"a list", dockerList, 1},
		{"no media type of its own", strings.Replace(dockerManifest, `   "mediaType": "^manifest",`+"\n", "", 1), 5},
		{"a media type that is null", strings.Replace(dockerManifest, `"^manifest"`, "null", 1), 5},
		{"Docker's manifest with OCI's config and no layers", `{"mediaType":"^manifest","schemaVersion":2,"layers":null,"config":{"digest":"$A","mediaType":"$config","size":3}}`, 1},
		{"an OCI manifest", ociManifest, 0},
		{"an OCI manifest with Docker's layers", strings.Replace(ociManifest, "$layer", "application/vnd.docker.image.rootfs.diff.tar.gzip", 1), 0},
		{"an OCI manifest with Docker's config", strings.Replace(ociManifest, "$config", "application/vnd.docker.container.image.v1+json", 1), 0},
		{"an OCI index", ociIndex, 0},
		{"an index with no media type", `{"schemaVersion":2,"manifests":[{"mediaType":"$docker","size":1,"digest":"$A"}]}`, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raw := []byte(dockerNames.Replace(spell(tc.raw)))
			got, changes, err := image.ToOCI(raw)
			if want := ociNames.Replace(spell(tc.raw)); err != nil || string(got) != want {
				t.Errorf("got  %s, %v\nwant %s", got, err, want)
			}
			for _, c := range changes {
				if c.Action != image.Replaced || c.Key != "mediaType" || !strings.Contains(c.Old, "docker") || !strings.Contains(c.New, "oci") {
					t.Errorf("change %s", c)
				}
			}
			if len(changes) != tc.changes {
				t.Errorf("%d changes, want %d: %v", len(changes), tc.changes, changes)
			}
			again, changes, err := image.ToOCI(got)
			if err != nil || len(changes) > 0 || &again[0] != &got[0] {
				t.Errorf("the second time changes %v, %v", changes, err)
			}
		})
	}
}

// TestToOCITakesAnnotations: after the conversion, what Docker's manifest does
// not take fits.
func TestToOCITakesAnnotations(t *testing.T) {
	edit := image.ManifestEdit{Annotations: []image.KV{{Key: "a", Value: "b"}}}
	raw := []byte(dockerNames.Replace(spell(dockerManifest)))
	if _, _, err := image.EditManifest(raw, edit); !errors.Is(err, image.ErrNoAnnotations) {
		t.Fatalf("got %v", err)
	}
	converted, _, err := image.ToOCI(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := image.EditManifest(converted, edit); err != nil {
		t.Error(err)
	}
}

// TestToOCIErrors: what is no manifest is an error, as when it is read.
func TestToOCIErrors(t *testing.T) {
	for raw, want := range map[string]error{
		``:                                      image.ErrSyntax,
		`{"schemaVersion":1,"fsLayers":[]}`:     image.ErrSchema1,
		`{"schemaVersion":2}`:                   image.ErrUnknownKind,
		`{"schemaVersion":2,"schemaVersion":2}`: image.ErrDuplicateKey,
	} {
		if got, changes, err := image.ToOCI([]byte(raw)); !errors.Is(err, want) || got != nil || changes != nil {
			t.Errorf("%s: got %v, want %v", raw, err, want)
		}
	}
}

// FuzzToOCI: what is converted parses and says what was said before, but for
// the media types that Docker and OCI both have. A second time, nothing
// changes.
func FuzzToOCI(f *testing.F) {
	for _, seed := range []string{
		dockerManifest, dockerList, ociManifest, ociIndex,
		strings.Replace(dockerManifest, `"^manifest"`, "null", 1), strings.ReplaceAll(dockerManifest, "/", `\/`),
	} {
		f.Add([]byte(dockerNames.Replace(spell(seed))))
	}
	toOCI := map[string]string{}
	for _, name := range []string{"^manifest", "^index", "^config", "^foreign", "^gzip", "^zstd", "^tar"} {
		toOCI[dockerNames.Replace(name)] = ociNames.Replace(name)
	}
	for _, name := range []string{".foreign.diff.tar.zstd", ".foreign.diff.tar"} {
		oci := strings.NewReplacer(".foreign.diff.", "", "tar.zstd", "tar+zstd").Replace(name)
		toOCI["application/vnd.docker.image.rootfs"+name] = "application/vnd.oci.image.layer.nondistributable.v1." + oci
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, changes, err := image.ToOCI(raw)
		if err != nil {
			return
		}
		checkEdit(t, raw, got, changes, image.ToOCI)
		if _, err := image.ParseManifest(got, ""); err != nil {
			t.Fatalf("%q became %q: %v", raw, got, err)
		}
		want := model(t, raw)
		for _, c := range changes {
			if c.New != toOCI[c.Old] {
				t.Fatalf("%q became %q", c.Old, c.New)
			}
			o := want
			switch {
			case c.Place == "config":
				o = child(want, "config", false)
			case c.Place != "":
				o = element(t, want, c.Place)
			}
			if o["mediaType"] != c.Old {
				t.Fatalf("%s said %v, not %q", c.Place, o["mediaType"], c.Old)
			}
			o["mediaType"] = c.New
		}
		if says := model(t, got); !reflect.DeepEqual(says, want) {
			t.Fatalf("%q became %q", raw, got)
		}
		mediaType := within{"mediaType": nil}
		within{"mediaType": nil, "config": mediaType.same, "layers": nil}.same(t, string(raw), string(got))
	})
}

// element returns the object in the array of m that the place names, as in
// layers[2].
func element(t *testing.T, m map[string]any, place string) map[string]any {
	t.Helper()
	for key, list := range m {
		list, _ := list.([]any)
		for i, e := range list {
			if place == placeOf(key, i) {
				if o, ok := e.(map[string]any); ok {
					return o
				}
			}
		}
	}
	t.Fatalf("there is no %s", place)
	return nil
}
