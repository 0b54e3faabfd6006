// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/image"
)

// platform is plain with another architecture or system.
func platform(os, architecture string) handmade {
	h := plain
	h.config = strings.NewReplacer(`"linux"`, `"`+os+`"`, `"amd64"`, `"`+architecture+`"`).Replace(h.config)
	return h
}

// attestation is what BuildKit puts beside an image: a manifest whose layer is a
// statement.
var attestation = handmade{
	config:   `{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":["DIFFID"]}}`,
	manifest: `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"CONFIGDIGEST","size":CONFIGSIZE},"layers":[{"mediaType":"application/vnd.in-toto+json","digest":"LAYERDIGEST","size":LAYERSIZE,"annotations":{"in-toto.io/predicate-type":"https://slsa.dev/provenance/v0.2"}}]}`,
}

// family is an index with everything: images that share a layer, an index in the
// index, a system that is none of ours, attestations, and odd JSON.
type family struct {
	amd, arm, windows, att, inner v1.Descriptor
	innerText, text               string
}

func pushFamily(t *testing.T, s *store, name string) family {
	t.Helper()
	repo, _, _ := strings.Cut(name, ":")
	f := family{
		amd:     s.push(t, repo+":amd", plain),
		arm:     s.push(t, repo+":arm", platform("linux", "arm64")),
		windows: s.push(t, repo+":win", platform("windows", "amd64")),
		att:     s.push(t, repo+":att", attestation),
	}
	f.innerText = fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":%q,"size":%d,"digest":%q,"platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]}`,
		f.arm.MediaType, f.arm.Size, f.arm.Digest)
	f.inner = s.putText(t, repo+":inner", types.OCIImageIndex, f.innerText)
	f.text = fmt.Sprintf(`{ "schemaVersion": 2, "x": 1.0,
  "manifests": [
    {"digest": %q, "size": %d, "mediaType": %q, "platform": {"os": "linux", "architecture": "amd64"}, "y": [ ]},
    {"mediaType": %q, "size": %d, "digest": %q},
    {"mediaType": %q, "size": %d, "digest": %q, "platform": {"architecture": "amd64", "os": "windows"}},
    {"mediaType": %q, "size": %d, "digest": %q, "annotations": {"vnd.docker.reference.digest": %q, "vnd.docker.reference.type": "attestation-manifest"}, "platform": {"architecture": "unknown", "os": "unknown"}}
  ], "annotations": {"a": "b"} }
`, f.amd.Digest, f.amd.Size, f.amd.MediaType, f.inner.MediaType, f.inner.Size, f.inner.Digest,
		f.windows.MediaType, f.windows.Size, f.windows.Digest, f.att.MediaType, f.att.Size, f.att.Digest, f.amd.Digest)
	s.putText(t, name, types.OCIImageIndex, f.text)
	return f
}

// sealedAs returns the manifest that an image of the sealed has now.
func sealedAs(t *testing.T, sealed *cfslabel.Sealed, was v1.Hash) v1.Hash {
	t.Helper()
	for _, img := range sealed.Images {
		if img.Manifest == was {
			return img.Sealed
		}
	}
	t.Fatalf("%s was not sealed", was)
	return v1.Hash{}
}

// TestLabelIndex: every Linux image is sealed, also one in an index in the index;
// descriptors follow; all else stays, byte for byte; a layer is read once.
func TestLabelIndex(t *testing.T) {
	s := newStore(t)
	f := pushFamily(t, s, "a:v1")
	warnings := &talk{}
	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Options: cfslabel.Options{Warn: warnings.warn}})
	if n := s.count(http.MethodGet, "/blobs/"+layerDigest); n != 1 {
		t.Errorf("the layer was read %d times", n)
	}
	amd, arm := sealedAs(t, sealed, f.amd.Digest), sealedAs(t, sealed, f.arm.Digest)
	inner := s.text(t, "a", digestOf([]byte(s.wantReplaced(t, "a", f.innerText, f.arm, arm))))
	want := s.wantReplaced(t, "a", f.text, f.amd, amd)
	want = s.wantReplaced(t, "a", want, f.inner, digestOf(inner))
	wantText(t, "index", s.text(t, "a", sealed.Digest), want)
	s.wantTag(t, "a:v1", sealed.Digest)
	for _, d := range []v1.Hash{amd, arm} {
		if got := s.labels(t, "a", d)[image.LabelKey]; got != minimal {
			t.Errorf("%s has the label %q", d, got)
		}
	}
	if !slices.Equal(sealed.Passed, []string{"windows/amd64"}) {
		t.Errorf("passed over are %q", sealed.Passed)
	}
	warnings.want(t, "1 attestation still names the digest of before")

	writes := s.count(http.MethodPut, "")
	again := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
	if again.Changed || again.Digest != sealed.Digest || s.count(http.MethodPut, "") != writes {
		t.Errorf("the second run did something: %+v", again)
	}
}

// TestLabelPlatform: with a platform the rest of the index stays as it is.
func TestLabelPlatform(t *testing.T) {
	s := newStore(t)
	f := pushFamily(t, s, "a:v1")
	arm64 := v1.Platform{OS: "linux", Architecture: "arm64"}
	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Options: cfslabel.Options{Platforms: []v1.Platform{arm64}}})
	if len(sealed.Images) != 1 {
		t.Fatalf("sealed are %+v", sealed.Images)
	}
	inner := s.wantReplaced(t, "a", f.innerText, f.arm, sealed.Images[0].Sealed)
	wantText(t, "index", s.text(t, "a", sealed.Digest), s.wantReplaced(t, "a", f.text, f.inner, digestOf([]byte(inner))))
}

// TestAttestations: what becomes of the descriptor of an attestation is chosen;
// the attestation stays.
func TestAttestations(t *testing.T) {
	for choice, want := range map[cfslabel.Attestations]string{
		cfslabel.Relink: `"vnd.docker.reference.digest": "NEW"`,
		cfslabel.Keep:   `"vnd.docker.reference.digest": "OLD"`,
		cfslabel.Drop:   "",
	} {
		s := newStore(t)
		f := pushFamily(t, s, "a:v1")
		sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Attestations: choice})
		text := string(s.text(t, "a", sealed.Digest))
		want = strings.NewReplacer("NEW", sealedAs(t, sealed, f.amd.Digest).String(), "OLD", f.amd.Digest.String()).Replace(want)
		if has := strings.Contains(text, f.att.Digest.String()); has != (choice != cfslabel.Drop) || !strings.Contains(text, want) {
			t.Errorf("%s: the index is %s", choice, text)
		}
	}
}

// TestSkipUnsealable: one image that cannot be sealed fails the run, and nothing
// is pushed; or it is passed over and named, and stays as it is.
func TestSkipUnsealable(t *testing.T) {
	s := newStore(t)
	good := s.push(t, "a:good", plain)
	h := platform("linux", "arm64")
	h.config = strings.Replace(h.config, `"DIFFID"`, `"sha256:`+strings.Repeat("0", 64)+`"`, 1)
	bad := s.push(t, "a:bad", h)
	text := fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":%q,"size":%d,"digest":%q,"platform":{"architecture":"amd64","os":"linux"}},{"mediaType":%q,"size":%d,"digest":%q,"platform":{"architecture":"arm64","os":"linux"}}]}`,
		good.MediaType, good.Size, good.Digest, bad.MediaType, bad.Size, bad.Digest)
	before := s.putText(t, "a:v1", types.OCIImageIndex, text)

	_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{})
	if err == nil || !strings.Contains(err.Error(), "linux/arm64: layer 1 of 1") {
		t.Errorf("got %v", err)
	}
	s.wantTag(t, "a:v1", before.Digest)
	if n := s.count(http.MethodPut, ""); n != 0 {
		t.Errorf("%d things were pushed", n)
	}

	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{SkipUnsealable: true})
	if len(sealed.Images) != 1 || len(sealed.Skipped) != 1 || sealed.Skipped[0].Platform != "linux/arm64" || sealed.Skipped[0].Manifest != bad.Digest {
		t.Fatalf("got %+v", sealed)
	}
	wantText(t, "index", s.text(t, "a", sealed.Digest), s.wantReplaced(t, "a", text, good, sealed.Images[0].Sealed))

	only := []v1.Platform{{OS: "linux", Architecture: "arm64"}}
	_, err = cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{SkipUnsealable: true, Options: cfslabel.Options{Platforms: only}})
	if err == nil || !strings.Contains(err.Error(), "no image in it can be sealed") {
		t.Errorf("got %v", err)
	}
}

// TestSkipIsForImages: a registry that fails is no reason to pass over an image.
func TestSkipIsForImages(t *testing.T) {
	s := newStore(t)
	pushFamily(t, s, "a:v1")
	s.intercept = func(w http.ResponseWriter, req *http.Request) bool {
		if readsLayer(req) {
			http.Error(w, "no", http.StatusForbidden)
			return true
		}
		return false
	}
	_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{SkipUnsealable: true})
	if err == nil {
		t.Error("no error")
	}
}

// TestLabelList: a Docker list is sealed by labels and stays one; converted, it
// has annotations.
func TestLabelList(t *testing.T) {
	s := newStore(t)
	d := s.push(t, "a:amd", docker)
	text := fmt.Sprintf(`{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
  "manifests": [{"mediaType": %q, "size": %d, "digest": %q, "platform": {"architecture": "amd64", "os": "linux"}}]}`, d.MediaType, d.Size, d.Digest)
	s.putText(t, "a:v1", types.DockerManifestList, text)
	s.putText(t, "a:v2", types.DockerManifestList, text)

	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
	wantText(t, "list", s.text(t, "a", sealed.Digest), s.wantReplaced(t, "a", text, d, sealed.Images[0].Sealed))

	sealed = label(t, s.open(t, "a:v2"), cfslabel.LabelOptions{OCI: true})
	want := strings.NewReplacer(string(types.DockerManifestList), string(types.OCIImageIndex),
		string(types.DockerManifestSchema2), string(types.OCIManifestSchema1)).Replace(text)
	wantText(t, "index", s.text(t, "a", sealed.Digest), s.wantReplaced(t, "a", want, d, sealed.Images[0].Sealed))
	manifest := string(s.text(t, "a", sealed.Images[0].Sealed))
	if strings.Contains(manifest, "docker") || !strings.Contains(manifest, `"composefs.merged.erofs.v1.fsverity-sha512-12": "`+minimal+`"`) {
		t.Errorf("the manifest is %s", manifest)
	}

	_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{Write: []cfslabel.Place{cfslabel.InAnnotations}})
	if !errors.Is(err, cfslabel.ErrDocker) {
		t.Errorf("annotations alone: %v", err)
	}
}
