// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// sum is the digest of the text.
func sum(alg fsverity.Algorithm, text string) fsverity.Digest { return fsverity.Sum(alg, []byte(text)) }

// sumHex is the SHA-256 digest of the text in hexadecimal.
func sumHex(text string) string { return sum(fsverity.SHA256, text).String() }

// entry is one of a SHA-256 artifact: the digest of the role's name, and a
// signature if that is not "".
func entry(role image.Role, signature string) image.ArtifactEntry {
	e := image.ArtifactEntry{Role: role, Digest: sum(fsverity.SHA256, role.String())}
	if signature != "" {
		e.Signature = []byte(signature)
	}
	return e
}

func artifactOf(t testing.TB, entries ...image.ArtifactEntry) *image.Artifact {
	t.Helper()
	return &image.Artifact{
		Subject: v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: hash(t, sumA), Size: 424},
		Entries: entries,
	}
}

// digests and signed are artifacts without and with signatures.
func digests(t testing.TB) *image.Artifact {
	t.Helper()
	a := artifactOf(t, entry(image.RoleManifest, ""), entry(image.RoleConfig, ""), entry(image.RoleMerged, ""))
	a.Annotations = []image.KV{{Key: "z", Value: "<1>"}, {Key: "a", Value: "2"}}
	return a
}

func signed(t testing.TB) *image.Artifact {
	t.Helper()
	return artifactOf(t, entry(image.RoleManifest, "S1"), entry(image.RoleConfig, "S2"),
		entry(image.RoleMerged, ""), entry(image.RoleMergedBootable, "S1"))
}

// blobsOf serves the blobs by digest.
func blobsOf(blobs []image.Blob) func(v1.Descriptor) ([]byte, error) {
	return func(d v1.Descriptor) ([]byte, error) {
		for _, b := range blobs {
			if b.Descriptor.Digest == d.Digest {
				return b.Content, nil
			}
		}
		return nil, fmt.Errorf("no blob %s", d.Digest)
	}
}

const artifactHead = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.composefs.metadata.v1",` +
	`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"$E","size":2},"layers":[`

const artifactTail = `],"subject":{"mediaType":"$manifest","digest":"$A","size":424}`

// TestArtifactMarshal: one layer for each digest in the order of the roles,
// whatever that of the entries; a layer without a signature is OCI's empty
// descriptor; each blob comes once.
func TestArtifactMarshal(t *testing.T) {
	layer := func(content, key, role string) string {
		mediaType := "application/vnd.composefs.signature.v1+pkcs7"
		if content == "{}" {
			mediaType = "application/vnd.oci.empty.v1+json"
		}
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":2,"annotations":{"composefs.%s.fsverity-sha256-12":%q}}`,
			mediaType, image.Describe([]byte(content)).Digest, key, sumHex(role))
	}
	for name, tc := range map[string]struct {
		artifact *image.Artifact
		layers   []string
		tail     string
		blobs    []string
	}{
		"digests": {
			digests(t),
			[]string{layer("{}", "manifest", "manifest"), layer("{}", "config", "config"), layer("{}", "merged.erofs.v1", "merged")},
			`,"annotations":{"z":"<1>","a":"2"}}`,
			[]string{"{}"},
		},
		"signed, one signature twice": {
			signed(t),
			[]string{
				layer("S1", "manifest", "manifest"), layer("S2", "config", "config"),
				layer("{}", "merged.erofs.v1", "merged"), layer("S1", "merged.bootable.erofs.v1", "merged.bootable"),
			},
			`}`,
			[]string{"{}", "S1", "S2"},
		},
	} {
		want := spell(artifactHead) + strings.Join(tc.layers, ",") + spell(artifactTail) + tc.tail
		for range 2 {
			got, blobs, err := tc.artifact.Marshal()
			if err != nil || string(got) != want {
				t.Errorf("%s: got  %s, %v\nwant %s", name, got, err, want)
			}
			var contents []string
			for _, b := range blobs {
				contents = append(contents, string(b.Content))
				if c := image.Describe(b.Content); b.Descriptor.Digest != c.Digest || b.Descriptor.Size != c.Size || b.Descriptor.MediaType == "" {
					t.Errorf("%s: %+v is not the descriptor of %q", name, b.Descriptor, b.Content)
				}
			}
			if !slices.Equal(contents, tc.blobs) {
				t.Errorf("%s: blobs %q, want %q", name, contents, tc.blobs)
			}
			slices.Reverse(tc.artifact.Entries)
		}
	}
}

// TestArtifactSubject: of the subject's descriptor, what is about the content
// is written, and nothing else.
func TestArtifactSubject(t *testing.T) {
	bare, full := digests(t), digests(t)
	full.Subject.Annotations = map[string]string{"a": "b"}
	full.Subject.Data = []byte("x")
	full.Subject.Platform = &v1.Platform{OS: "linux"}
	full.Subject.ArtifactType = "a/b"
	want, _, err := bare.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := full.Marshal(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

// TestArtifactMarshalErrors: what breaks a rule of the specification is not
// written.
func TestArtifactMarshalErrors(t *testing.T) {
	manifest, config, merged := entry(image.RoleManifest, ""), entry(image.RoleConfig, ""), entry(image.RoleMerged, "")
	with := func(change func(*image.Artifact)) *image.Artifact {
		a := digests(t)
		change(a)
		return a
	}
	noBytes := image.ArtifactEntry{Role: image.RoleMerged, Digest: merged.Digest, Signature: []byte{}}
	for name, tc := range map[string]struct {
		artifact *image.Artifact
		message  string
	}{
		"nothing":          {artifactOf(t), "merged: there is none in EROFS format V1"},
		"no merged digest": {artifactOf(t, manifest, config, entry(image.RoleMergedBootable, "")), "merged: there is none"},
		"a role twice":     {artifactOf(t, merged, merged), "merged: there are two"},
		"two algorithms": {
			artifactOf(t, merged, image.ArtifactEntry{Role: image.RoleConfig, Digest: sum(fsverity.SHA512, "")}),
			"config: it is in sha512 and others are in sha256",
		},
		"no digest":                  {artifactOf(t, merged, image.ArtifactEntry{Role: image.RoleConfig}), "config: it has no digest"},
		"no digest at all":           {artifactOf(t, image.ArtifactEntry{Role: image.RoleMerged}), "merged: it has no digest"},
		"no role":                    {artifactOf(t, merged, image.ArtifactEntry{Digest: merged.Digest}), "Role(0): no such role"},
		"manifest not signed":        {artifactOf(t, manifest, entry(image.RoleConfig, "S"), entry(image.RoleMerged, "S")), "manifest: it has no signature"},
		"config not signed":          {artifactOf(t, entry(image.RoleManifest, "S"), config, entry(image.RoleMerged, "S")), "config: it has no signature"},
		"neither there":              {artifactOf(t, entry(image.RoleMerged, "S")), "it has no signature"},
		"a signature of no bytes":    {artifactOf(t, noBytes), "no bytes"},
		"a signature too large":      {artifactOf(t, entry(image.RoleMerged, strings.Repeat("S", image.MaxSignatureSize+1))), "16129 bytes, of at most 16128"},
		"no subject":                 {with(func(a *image.Artifact) { a.Subject = v1.Descriptor{} }), "subject: a required field is missing: mediaType"},
		"a subject with no digest":   {with(func(a *image.Artifact) { a.Subject.Digest = v1.Hash{} }), "subject: invalid edit: not a digest"},
		"a subject of no size":       {with(func(a *image.Artifact) { a.Subject.Size = -1 }), "subject: invalid edit: not a size"},
		"a subject not in UTF-8":     {with(func(a *image.Artifact) { a.Subject.MediaType = "\xff" }), `media type "\xff"`},
		"an annotation twice":        {with(func(a *image.Artifact) { a.Annotations = append(a.Annotations, a.Annotations[0]) }), "set twice"},
		"an annotation not in UTF-8": {with(func(a *image.Artifact) { a.Annotations[0].Value = "\xff" }), "not valid Unicode"},
		"too large": {
			with(func(a *image.Artifact) { a.Annotations[0].Value = strings.Repeat("x", image.MaxManifestSize) }), "too large",
		},
	} {
		got, blobs, err := tc.artifact.Marshal()
		if !errors.Is(err, image.ErrEdit) || !strings.Contains(err.Error(), tc.message) || got != nil || blobs != nil {
			t.Errorf("%s: got %v, want %q", name, err, tc.message)
		}
	}
}

// TestArtifactRoundTrip: what is written is read again as it was.
func TestArtifactRoundTrip(t *testing.T) {
	sha512 := artifactOf(t, image.ArtifactEntry{Role: image.RoleMerged, Digest: sum(fsverity.SHA512, "")})
	largest := artifactOf(t, entry(image.RoleManifest, strings.Repeat("S", image.MaxSignatureSize)), entry(image.RoleConfig, "{}"), entry(image.RoleMerged, ""))
	for name, a := range map[string]*image.Artifact{"digests": digests(t), "signed": signed(t), "SHA-512": sha512, "largest": largest} {
		raw, blobs, err := a.Marshal()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := image.ParseArtifact(raw, blobsOf(blobs))
		if err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%s: got  %+v, %v\nwant %+v", name, got, err, a)
		}
	}
	if alg := sha512.Algorithm(); alg != fsverity.SHA512 || (&image.Artifact{}).Algorithm() != 0 {
		t.Errorf("the algorithm is %s", alg)
	}
	if digests(t).IsSigned() || !signed(t).IsSigned() {
		t.Error("who is signed is not told")
	}
}
