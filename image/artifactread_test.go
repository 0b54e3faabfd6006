// SPDX-License-Identifier: Apache-2.0

package image_test

import (
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

// noBlob is for artifacts without signatures.
func noBlob(d v1.Descriptor) ([]byte, error) { return nil, fmt.Errorf("asked for %s", d.Digest) }

// emptyLayer is a layer that has the annotations and no content.
func emptyLayer(annotations string) string {
	return `{"mediaType":"application/vnd.oci.empty.v1+json","digest":"$E","size":2,"annotations":{` + annotations + `}}`
}

// digestOf is the annotation of a digest in SHA-256.
func digestOf(key, text string) string {
	return fmt.Sprintf(`"composefs.%s.fsverity-sha256-12":%q`, key, sumHex(text))
}

// artifactText is an artifact's manifest with those layers.
func artifactText(layers ...string) string {
	return spell(artifactHead + strings.Join(layers, ",") + artifactTail + "}")
}

// TestParseArtifactOfOthers: another's layout, fields, annotations and layers
// do not matter, and a signature may be embedded.
func TestParseArtifactOfOthers(t *testing.T) {
	raw := spell(`{
  "annotations": {"b": "1", "a": "2"},
  "x": [1.0],
  "artifactType": "application/vnd.composefs.metadata.v1",
  "subject": {"size": 424, "digest": "$A", "mediaType": "$manifest", "annotations": {"c": "d"}, "data": null},
  "layers": [
    {"mediaType": "application/vnd.composefs.signature.v1+pkcs7", "digest": "` + image.Describe([]byte("S")).Digest.String() + `", "size": 1, "data": "` + base64.StdEncoding.EncodeToString([]byte("S")) + `",
     "annotations": {"x": "y", ` + digestOf("manifest", "manifest") + `}},
    {"mediaType": "application/vnd.composefs.signature.v1+pkcs7", "digest": "` + image.Describe([]byte("T")).Digest.String() + `", "size": 1, "annotations": {` + digestOf("config", "config") + `}},
    {"mediaType": "application/vnd.composefs.signature.v1+pkcs7", "digest": "$B", "size": 1, "annotations": {` + digestOf("layer.erofs.v1", "") + `}},
    {"mediaType": "text/plain", "digest": "$B", "size": 99999999},
    ` + emptyLayer(`"composefs.merged.erofs.v2.fsverity-sha256-12": "x", "composefs.merged.erofs.v1.fsverity-sha512-16": "x"`) + `,
    ` + emptyLayer(digestOf("merged.erofs.v1", "merged")) + `,
    ` + emptyLayer(`"composefs.future.fsverity-sha256-12": "x"`) + `
  ],
  "config": {"mediaType": "application/vnd.example+json", "digest": "$B", "size": 7},
  "schemaVersion": 2
}`)
	got, err := image.ParseArtifact([]byte(raw), blobsOf([]image.Blob{{Descriptor: v1.Descriptor{Digest: image.Describe([]byte("T")).Digest}, Content: []byte("T")}}))
	want := artifactOf(t, entry(image.RoleManifest, "S"), entry(image.RoleConfig, "T"), entry(image.RoleMerged, ""))
	want.Annotations = []image.KV{{Key: "b", Value: "1"}, {Key: "a", Value: "2"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

// TestParseArtifactErrors: what breaks a rule is an error that names the place.
func TestParseArtifactErrors(t *testing.T) {
	merged, config := emptyLayer(digestOf("merged.erofs.v1", "m")), emptyLayer(digestOf("config", "c"))
	good := artifactText(config, merged)
	if _, err := image.ParseArtifact([]byte(good), noBlob); err != nil {
		t.Fatal(err)
	}
	replaced := func(old, text string) string { return strings.Replace(good, spell(old), spell(text), 1) }
	sha512 := emptyLayer(`"composefs.merged.erofs.v1.fsverity-sha512-12":"` + sum(fsverity.SHA512, "").String() + `"`)
	text := func(digest string) string {
		return artifactText(emptyLayer(`"composefs.merged.erofs.v1.fsverity-sha256-12":"` + digest + `"`))
	}
	for _, tc := range []struct {
		name, raw string
		err       error
		message   string
	}{
		{"no JSON", `{`, image.ErrSyntax, "manifest"},
		{"an index", spell(ociIndex), image.ErrNotArtifact, "it is an OCI image index"},
		{"Docker's", replaced("$manifest", "$docker"), image.ErrNotArtifact, "it is a Docker image manifest"},
		{"an image", spell(ociManifest), image.ErrNotArtifact, `its artifactType is "", not "application/vnd.composefs.metadata.v1"`},
		{"another artifact", replaced("metadata.v1", "metadata.v2"), image.ErrNotArtifact, `metadata.v2`},
		{"no subject", replaced(`"subject"`, `"object"`), image.ErrMissing, "image: artifact: a required field is missing: subject"},
		{"a subject with no media type", replaced(`"subject":{"mediaType":"$manifest"`, `"subject":{"mediaType":""`), image.ErrArtifact, "subject: a required field is missing: mediaType"},
		{"no layers", artifactText(), image.ErrArtifact, "merged: there is none"},
		{"layers of a format to come", artifactText(emptyLayer(digestOf("merged.erofs.v2", "m"))), image.ErrArtifact, "merged: there is none in EROFS format V1"},
		{"too many layers", artifactText(strings.Split(strings.Repeat(merged+" ", image.MaxArtifactLayers)+merged, " ")...), image.ErrTooLarge, "1025 layers, of at most 1024"},
		{"wrong order", artifactText(merged, config), image.ErrArtifact, "image: artifact: layers[1]: against the rules of composefs artifacts (have it written anew): the digest of role config comes behind that of merged"},
		{"a role twice", artifactText(merged, merged), image.ErrArtifact, "layers[1]"},
		{"two digests in a layer", artifactText(emptyLayer(digestOf("config", "c") + "," + digestOf("merged.erofs.v1", "m"))), image.ErrArtifact, "layers[0].annotations: against the rules of composefs artifacts (have it written anew): one layer"},
		{"mixed algorithms", artifactText(config, sha512), image.ErrArtifact, "merged: it is in sha512 and others are in sha256"},
		{"a short digest", text("00"), image.ErrDigest, `layers[0].annotations["composefs.merged.erofs.v1.fsverity-sha256-12"]: not a digest: "00": 64 lowercase`},
		{"no hexadecimal", text(strings.Repeat("x", 64)), image.ErrDigest, "not a digest"},
		{"a digest in capitals", text(strings.ToUpper(sumHex(""))), image.ErrDigest, "lowercase"},
		{"a digest with a prefix", text("sha256:" + sumHex("")), image.ErrDigest, "not a digest"},
		{"no digest", text(""), image.ErrDigest, `""`},
		{"another media type", replaced(`"layers":[{"mediaType":"application/vnd.oci.empty.v1+json"`, `"layers":[{"mediaType":"text/plain"`), image.ErrArtifact, `layers[0]: against the rules of composefs artifacts (have it written anew): media type "text/plain"`},
		{"an empty layer that is not", artifactText(strings.Replace(merged, "$E", "$A", 1)), image.ErrArtifact, "the empty content {}: its digest is"},
		{"an empty layer of another size", artifactText(strings.Replace(merged, `"size":2`, `"size":3`, 1)), image.ErrArtifact, "2 bytes, not 3"},
		{"a duplicate key", replaced(`"schemaVersion":2,`, `"schemaVersion":2,"schemaVersion":2,`), image.ErrDuplicateKey, "schemaVersion"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := image.ParseArtifact([]byte(tc.raw), noBlob)
			var e *image.Error
			if !errors.Is(err, tc.err) || !errors.As(err, &e) || !strings.Contains(err.Error(), tc.message) || got != nil {
				t.Errorf("got %v, want %v with %q", err, tc.err, tc.message)
			}
		})
	}
}

// TestParseArtifactSignatures: a signature is fetched only if its size is one
// that the kernel takes, and is not believed.
func TestParseArtifactSignatures(t *testing.T) {
	layer := func(key string, size int) string {
		return fmt.Sprintf(`{"mediaType":"application/vnd.composefs.signature.v1+pkcs7","digest":%q,"size":%d,"annotations":{%s}}`,
			image.Describe([]byte("S")).Digest, size, digestOf(key, ""))
	}
	whole := func(size int) string {
		return artifactText(layer("manifest", size), layer("config", 1), layer("merged.erofs.v1", 1))
	}
	errGone := errors.New("gone")
	serve := func(content string, err error) func(v1.Descriptor) ([]byte, error) {
		return func(v1.Descriptor) ([]byte, error) { return []byte(content), err }
	}
	for _, tc := range []struct {
		name, raw string
		blob      func(v1.Descriptor) ([]byte, error)
		err       error
		message   string
	}{
		{"the right one", whole(1), serve("S", nil), nil, ""},
		{"other content", whole(1), serve("T", nil), image.ErrArtifact, "layers[0]: against the rules of composefs artifacts (have it written anew): signature sha256:"},
		{"content of another size", whole(2), serve("S", nil), image.ErrArtifact, "it has 1 bytes, not 2"},
		{"too large to be fetched", whole(image.MaxSignatureSize + 1), nil, image.ErrTooLarge, "16129 bytes"},
		{"of no bytes", whole(0), nil, image.ErrSize, "no bytes"},
		{"not to be had", whole(1), serve("", errGone), errGone, "layers[0]"},
		{"config not signed", artifactText(layer("manifest", 1), layer("merged.erofs.v1", 1)), serve("S", nil), image.ErrArtifact, "config: it has no signature"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := image.ParseArtifact([]byte(tc.raw), tc.blob)
			if !errors.Is(err, tc.err) || err != nil && !strings.Contains(err.Error(), tc.message) {
				t.Errorf("got %v, want %v with %q", err, tc.err, tc.message)
			}
			if (got == nil) != (tc.err != nil) {
				t.Errorf("got %+v with %v", got, err)
			}
		})
	}
}

// FuzzParseArtifact: what is read can be written, and what is written is read
// again as the same, with the same bytes.
func FuzzParseArtifact(f *testing.F) {
	for _, a := range []*image.Artifact{digests(f), signed(f)} {
		raw, _, err := a.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, []byte("S1"))
	}
	f.Add([]byte(artifactText(emptyLayer(digestOf("merged.erofs.v1", "m")))), []byte{})
	f.Fuzz(func(t *testing.T, raw, content []byte) {
		blob := func(v1.Descriptor) ([]byte, error) { return content, nil }
		a, err := image.ParseArtifact(raw, blob)
		if err != nil {
			return
		}
		written, blobs, err := a.Marshal()
		if err != nil {
			t.Fatalf("%q is read, but cannot be written: %v", raw, err)
		}
		again, err := image.ParseArtifact(written, blobsOf(blobs))
		if err != nil || !reflect.DeepEqual(again, a) {
			t.Fatalf("%q became %q: %+v, %v, not %+v", raw, written, again, err, a)
		}
	})
}
