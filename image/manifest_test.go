// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/image"
)

const (
	sumA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	sumB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	// sumEmpty is of {}, the content of OCI's empty descriptor.
	sumEmpty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
)

// spell replaces the short names that keep the texts of these tests readable.
func spell(text string) string {
	return strings.NewReplacer(
		"$manifest", "application/vnd.oci.image.manifest.v1+json",
		"$index", "application/vnd.oci.image.index.v1+json",
		"$config", "application/vnd.oci.image.config.v1+json",
		"$layer", "application/vnd.oci.image.layer.v1.tar+gzip",
		"$docker", "application/vnd.docker.distribution.manifest.v2+json",
		"$list", "application/vnd.docker.distribution.manifest.list.v2+json",
		"$A", sumA, "$B", sumB, "$E", sumEmpty,
	).Replace(text)
}

// ociManifest is shaped as go-containerregistry writes it.
const ociManifest = `{"schemaVersion":2,"mediaType":"$manifest","config":{"mediaType":"$config","size":3,"digest":"$A"},` +
	`"layers":[{"mediaType":"$layer","size":7,"digest":"$B","annotations":{"composefs.layer.erofs.v1.fsverity-sha512-12":"00"}}]}`

// ociIndex is shaped as buildx writes it.
const ociIndex = `{
  "schemaVersion": 2,
  "mediaType": "$index",
  "manifests": [
    {
      "mediaType": "$manifest",
      "digest": "$A",
      "size": 424,
      "platform": {
        "architecture": "arm",
        "os": "linux",
        "variant": "v7"
      }
    },
    {
      "mediaType": "$manifest",
      "digest": "$B",
      "size": 566,
      "annotations": {
        "vnd.docker.reference.digest": "$A",
        "vnd.docker.reference.type": "attestation-manifest"
      },
      "platform": {
        "architecture": "unknown",
        "os": "unknown"
      }
    }
  ]
}`

func hash(t testing.TB, s string) v1.Hash {
	t.Helper()
	h, err := v1.NewHash(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestParseManifest: every field that the view has.
func TestParseManifest(t *testing.T) {
	got, err := image.ParseManifest([]byte(spell(`{"schemaVersion":2,"mediaType":"$manifest","artifactType":"a/b",
		"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"$E","size":2,"data":"e30=","artifactType":"c/d","unknown":[1]},
		"layers":[{"mediaType":"$layer","digest":"$B","size":7,"urls":["https://example.com/x"],"annotations":{"k":"v"}}],
		"subject":{"mediaType":"$manifest","digest":"$A","size":0},"annotations":{"x":"y"}}`)), "")
	want := &image.Manifest{
		Kind: image.OCIManifest,
		Config: v1.Descriptor{
			MediaType: types.OCIEmptyJSON, Digest: hash(t, sumEmpty), Size: 2, Data: []byte("{}"), ArtifactType: "c/d",
		},
		Layers: []v1.Descriptor{{
			MediaType: types.OCILayer, Digest: hash(t, sumB), Size: 7,
			URLs: []string{"https://example.com/x"}, Annotations: map[string]string{"k": "v"},
		}},
		Annotations:  map[string]string{"x": "y"},
		ArtifactType: "a/b",
		Subject:      &v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: hash(t, sumA)},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}

	index, err := image.ParseManifest([]byte(spell(ociIndex)), "")
	if err != nil || index.Kind != image.OCIIndex || len(index.Manifests) != 2 {
		t.Fatalf("got %+v, %v", index, err)
	}
	if p := index.Manifests[0].Platform; p == nil || p.String() != "linux/arm/v7" {
		t.Errorf("platform %v", p)
	}
	if a := index.Manifests[1].Annotations; a["vnd.docker.reference.digest"] != sumA {
		t.Errorf("annotations %v", a)
	}
}

// TestParseManifestKind: the media type tells, and it is the field's, that of
// where the manifest was found, or that which goes with the fields.
func TestParseManifestKind(t *testing.T) {
	const (
		imageFields = `"config":{"mediaType":"$config","size":3,"digest":"$A"},"layers":[]`
		indexFields = `"manifests":null,"config":null`
	)
	for _, tc := range []struct {
		name, field, outer, fields string
		want                       image.Kind
	}{
		{"OCI manifest by its field", "$manifest", "", imageFields, image.OCIManifest},
		{"OCI index by its field", "$index", "", indexFields, image.OCIIndex},
		{"Docker manifest by its field", "$docker", "", imageFields, image.DockerManifest},
		{"Docker list by its field", "$list", "", indexFields, image.DockerList},
		{"field and outer agree", "$manifest", "$manifest", imageFields, image.OCIManifest},
		{"outer with a parameter", "$manifest", "$manifest; charset=utf-8", imageFields, image.OCIManifest},
		{"Docker manifest by the outer", "", "$docker", imageFields, image.DockerManifest},
		{"OCI index by the outer", "", "$index", indexFields, image.OCIIndex},
		{"OCI manifest by its fields", "", "", imageFields, image.OCIManifest},
		{"OCI index by its fields", "", "", `"manifests":[]`, image.OCIIndex},
		{"layers null", "$manifest", "", `"config":{"mediaType":"$config","size":3,"digest":"$A"},"layers":null`, image.OCIManifest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			field := ""
			if tc.field != "" {
				field = `"mediaType":"` + tc.field + `",`
			}
			raw := spell(`{"schemaVersion":2,` + field + tc.fields + `}`)
			got, err := image.ParseManifest([]byte(raw), types.MediaType(spell(tc.outer)))
			if err != nil || got.Kind != tc.want {
				t.Errorf("got %+v, %v, want %s", got, err, tc.want)
			}
		})
	}
}

// TestParseManifestErrors: what is wrong is named with its place.
func TestParseManifestErrors(t *testing.T) {
	descriptor := func(fields string) string {
		return `{"schemaVersion":2,"config":{"mediaType":"$config","size":3,"digest":"$A"},"layers":[{` + fields + `}]}`
	}
	for _, tc := range []struct {
		name, raw, outer string
		err              error
		message          string
	}{
		{"media types differ", ociManifest, "$docker", image.ErrMediaType, "it calls itself"},
		{"an index served as a manifest", ociIndex, "$manifest", image.ErrMediaType, "it calls itself"},
		{"schema 1 by its field", `{"schemaVersion":1,"name":"x","fsLayers":[]}`, "", image.ErrSchema1, "push the image again"},
		{"schema 1 by its media type", `{"mediaType":"application/vnd.docker.distribution.manifest.v1+prettyjws"}`, "", image.ErrSchema1, "schema 1"},
		{"schema 1 by the outer", `{}`, "application/vnd.docker.distribution.manifest.v1+json", image.ErrSchema1, "schema 1"},
		{"schema 3", `{"schemaVersion":3,"manifests":[]}`, "", image.ErrUnknownKind, `schemaVersion: neither`},
		{"no schema", `{"manifests":[]}`, "", image.ErrMissing, "schemaVersion"},
		{"unknown media type", `{"schemaVersion":2,"mediaType":"text/html"}`, "", image.ErrUnknownKind, `"text/html"`},
		{"unknown outer media type", `{"schemaVersion":2,"manifests":[]}`, "application/json", image.ErrUnknownKind, `"application/json"`},
		{"no field that tells", `{"schemaVersion":2}`, "", image.ErrUnknownKind, "neither"},
		{"both kinds", `{"schemaVersion":2,"manifests":[],"layers":[]}`, "", image.ErrAmbiguous, "both"},
		{"layers in an index", `{"schemaVersion":2,"mediaType":"$index","manifests":[],"layers":[]}`, "", image.ErrAmbiguous, "both"},
		{"manifests in a manifest", `{"schemaVersion":2,"mediaType":"$manifest","manifests":[]}`, "", image.ErrAmbiguous, "both"},
		{"no config", `{"schemaVersion":2,"layers":[]}`, "", image.ErrMissing, "image: manifest: a required field is missing: config"},
		{"no layers", `{"schemaVersion":2,"config":{"mediaType":"$config","size":3,"digest":"$A"}}`, "", image.ErrMissing, "layers"},
		{"no manifests", `{"schemaVersion":2,"mediaType":"$index"}`, "", image.ErrMissing, "manifests"},
		{"no media type", descriptor(`"size":1,"digest":"$A"`), "", image.ErrMissing, "layers[0]: a required field is missing: mediaType"},
		{"no digest", descriptor(`"mediaType":"x","size":1`), "", image.ErrMissing, "digest"},
		{"no size", descriptor(`"mediaType":"x","digest":"$A"`), "", image.ErrMissing, "size"},
		{"fields in another case", descriptor(`"MediaType":"x","Size":1,"Digest":"$A"`), "", image.ErrMissing, "mediaType"},
		{"bad digest", descriptor(`"mediaType":"x","size":1,"digest":"sha256:AA"`), "", image.ErrDigest, `layers[0].digest: not a digest: "sha256:AA"`},
		{"negative size", descriptor(`"mediaType":"x","size":-1,"digest":"$A"`), "", image.ErrSize, `layers[0].size: not a size in bytes: "-1" is negative`},
		{"fractional size", descriptor(`"mediaType":"x","size":1.0,"digest":"$A"`), "", image.ErrSize, "1.0"},
		{"huge size", descriptor(`"mediaType":"x","size":9223372036854775808,"digest":"$A"`), "", image.ErrSize, "63 bits"},
		{"size as a string", descriptor(`"mediaType":"x","size":"1","digest":"$A"`), "", image.ErrType, "a string instead of a number"},
		{"data that is not base64", descriptor(`"mediaType":"x","size":2,"digest":"$E","data":"{}"`), "", image.ErrData, "layers[0].data"},
		{"data of another size", descriptor(`"mediaType":"x","size":3,"digest":"$E","data":"e30="`), "", image.ErrData, "2 bytes, not 3"},
		{"data of another digest", descriptor(`"mediaType":"x","size":2,"digest":"$A","data":"e30="`), "", image.ErrData, "its digest is"},
		{"bad annotation", descriptor(`"mediaType":"x","size":1,"digest":"$A","annotations":{"a":true}`), "", image.ErrType, "layers[0].annotations.a: wrong type of JSON value: a boolean"},
		{"bad urls", descriptor(`"mediaType":"x","size":1,"digest":"$A","urls":[1]`), "", image.ErrType, "layers[0].urls[0]"},
		{"bad platform", descriptor(`"mediaType":"x","size":1,"digest":"$A","platform":[]`), "", image.ErrType, "layers[0].platform"},
		{"bad subject", `{"schemaVersion":2,"manifests":[],"subject":{}}`, "", image.ErrMissing, "image: index: subject"},
		{"bad annotations", `{"schemaVersion":2,"manifests":[],"annotations":[]}`, "", image.ErrType, "image: index: annotations"},
		{"a layer that is no object", `{"schemaVersion":2,"config":{"mediaType":"$config","size":3,"digest":"$A"},"layers":[1]}`, "", image.ErrType, "layers[0]"},
		{"layers that are no array", `{"schemaVersion":2,"config":{"mediaType":"$config","size":3,"digest":"$A"},"layers":{}}`, "", image.ErrType, "layers"},
		{"no object", `[]`, "", image.ErrType, "an array instead of an object"},
		{"duplicate", `{"schemaVersion":2,"manifests":[],"annotations":{"a":"1","a":"2"}}`, "", image.ErrDuplicateKey, `image: manifest: annotations: at byte 57: "a"`},
		{"trailing", spell(ociManifest) + "{}", "", image.ErrTrailing, "more text"},
		{"too large", strings.Repeat(" ", image.MaxManifestSize) + "{}", "", image.ErrTooLarge, "of at most 4194304"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := image.ParseManifest([]byte(spell(tc.raw)), types.MediaType(spell(tc.outer)))
			var e *image.Error
			if !errors.Is(err, tc.err) || !errors.As(err, &e) || !strings.Contains(err.Error(), tc.message) {
				t.Errorf("got %v, want %v with %q", err, tc.err, tc.message)
			}
			if got != nil {
				t.Error("something comes with the error")
			}
		})
	}
}
