// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

func inspect(t *testing.T, s *store, name string) []cfslabel.Inspected {
	t.Helper()
	found, err := cfslabel.Inspect(t.Context(), s.open(t, name), cfslabel.InspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return found.Objects
}

// TestInspectIndex: all that an index lists is shown in its order, whatever its
// platform, and what it is; images are read, but no layer.
func TestInspectIndex(t *testing.T) {
	s := newStore(t)
	f := pushFamily(t, s, "a:v1")
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside, Options: only("linux/arm64")})
	layers := s.count(http.MethodGet, "/blobs/"+layerDigest)
	var got []string
	for _, o := range inspect(t, s, "a:v1") {
		got = append(got, fmt.Sprintf("%d %s %s %s %q %v %d", o.Depth, o.Kind, o.Digest, o.Platform, o.About, o.IsSealed(), len(o.Artifacts)))
	}
	want := []string{
		fmt.Sprintf("0 index %s  \"\" false 0", digestOf([]byte(f.text))),
		fmt.Sprintf("1 image %s linux/amd64 \"\" false 0", f.amd.Digest),
		fmt.Sprintf("1 index %s  \"\" false 0", f.inner.Digest),
		fmt.Sprintf("2 image %s linux/arm64/v8 \"\" true 1", f.arm.Digest),
		fmt.Sprintf("1 image %s windows/amd64 \"\" false 0", f.windows.Digest),
		fmt.Sprintf("1 attestation %s unknown/unknown %q false 0", f.att.Digest, f.amd.Digest),
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if s.count(http.MethodGet, "/blobs/"+layerDigest) > layers {
		t.Error("a layer was read")
	}
}

// TestInspectImage: what an image says of itself is shown as it is, signatures as
// being there, also one without its digest; of others' labels and annotations
// there is nothing.
func TestInspectImage(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", odd)
	o := inspect(t, s, "a:v1")[0]
	if want := []image.KV{{Key: "containers.composefs.other", Value: "inherited"}}; !slices.Equal(o.Labels, want) {
		t.Errorf("labels %v", o.Labels)
	}
	want := []cfslabel.InspectedAnnotation{
		{Where: "manifest", Key: "composefs.layer.0.erofs.v1.fsverity-sha512-12", Value: "stays"},
		{Where: "manifest", Key: "composefs.merged.bootable.erofs.v1.fsverity-sha512-12", Value: "00"},
		{Where: "manifest", Key: "composefs.merged.erofs.v1.fsverity-sha512-12", Value: "00", Signed: true},
		{Where: "config", Key: "composefs.config.fsverity-sha256-12", Value: "00"},
	}
	if !slices.Equal(o.Annotations, want) {
		t.Errorf("annotations %+v", o.Annotations)
	}
	h := plain
	h.manifest = strings.Replace(h.manifest, `{`, `{"annotations":{"x":"y","io.github.cfs-label.input":"sha256:1","composefs.merged.erofs.v1.fsverity-sha512-12.sig":"00","composefs.layer.x":"00"},`, 1)
	s.push(t, "a:v2", h)
	o = inspect(t, s, "a:v2")[0]
	alone := []cfslabel.InspectedAnnotation{{Where: "manifest", Key: "composefs.layer.x", Value: "00"}, {Where: "manifest", Key: "composefs.merged.erofs.v1.fsverity-sha512-12", Signed: true}}
	if !slices.Equal(o.Annotations, alone) || o.Input != "sha256:1" || o.IsSealed() {
		t.Errorf("got %+v", o)
	}
}

// TestInspectBeside: artifacts, those that cannot be understood with the reason,
// cosign's tags with what is in them, bundles, and what else refers to an image.
func TestInspectBeside(t *testing.T) {
	s := newStore(t)
	d := s.push(t, "a:v1", plain)
	good, broken := s.artifactOf(t, d), s.artifactOf(t, d)
	forge(good)
	goodDigest := s.putArtifact(t, d.Digest, good)
	raw, _, err := broken.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	refer := func(text, artifactType string) v1.Hash {
		r := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf([]byte(text)), Size: int64(len(text)), ArtifactType: artifactType}
		if err := s.openBy(t, "a:v1", s.inside()).Repo.PushReferrer(t.Context(), d.Digest, r, []byte(text), nil); err != nil {
			t.Fatal(err)
		}
		return r.Digest
	}
	brokenDigest := refer(strings.Replace(string(raw), minimal, "00", 1), image.ArtifactType)
	elsewhere := refer(strings.Replace(string(raw), `"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:`+d.Digest.Hex,
		`"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:`+hexOf("a"), 1), image.ArtifactType)
	const bundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
	bundleDigest := refer(strings.Replace(string(raw), image.ArtifactType, bundle, 1), bundle)
	sbom := refer(strings.Replace(string(raw), image.ArtifactType, "text/spdx", 1), "text/spdx")
	_, manifest := plain.texts()
	s.putText(t, "a:sha256-"+d.Digest.Hex+".sig", types.OCIManifestSchema1, string(manifest))

	o := inspect(t, s, "a:v1")[0]
	var got []string
	for _, a := range o.Artifacts {
		got = append(got, fmt.Sprintf("artifact %s %v %d", a.Digest, a.Err != nil, len(a.Entries)))
	}
	for _, r := range o.Referrers {
		got = append(got, fmt.Sprintf("referrer %s %s %v", r.Digest, r.Type, r.IsBundle()))
	}
	for _, tag := range o.Tags {
		got = append(got, fmt.Sprintf("tag %s %s", tag.Tag, tag))
	}
	want := []string{
		fmt.Sprintf("artifact %s false 3", goodDigest),
		fmt.Sprintf("artifact %s true 0", brokenDigest),
		fmt.Sprintf("artifact %s true 0", elsewhere),
		fmt.Sprintf("referrer %s %s true", bundleDigest, bundle),
		fmt.Sprintf("referrer %s text/spdx false", sbom),
		fmt.Sprintf("tag sha256-%s.sig 1 signature", d.Digest.Hex),
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, a := range o.Artifacts {
		if a.Err == nil && (a.Algorithm != fsverity.SHA512 || a.Input != minimalInput || !a.Entries[2].Signed) {
			t.Errorf("got %+v", a)
		}
	}
}

// TestInspectBroken: a manifest of an index that cannot be read is shown with the
// reason, and the others all the same; what is no image is shown as what it is.
func TestInspectBroken(t *testing.T) {
	s := newStore(t)
	amd, arm, ppc := s.push(t, "a:amd", plain), s.push(t, "a:arm", platform("linux", "arm64")), s.push(t, "a:ppc", platform("linux", "ppc64le"))
	chart := plain
	chart.manifest = strings.Replace(plain.manifest, "application/vnd.oci.image.config.v1+json", "application/vnd.cncf.helm.config.v1+json", 1)
	other := s.push(t, "a:chart", chart)
	s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(amd, ""), listing(arm, on("linux/arm64")), listing(ppc, on("linux/ppc64le")), listing(other, "")))
	config, _ := platform("linux", "ppc64le").texts()
	s.intercept = func(w http.ResponseWriter, req *http.Request) bool {
		gone := strings.HasSuffix(req.URL.Path, arm.Digest.String()) && strings.Contains(req.URL.Path, "/manifests/") ||
			strings.HasSuffix(req.URL.Path, digestOf(config).String())
		if gone {
			w.WriteHeader(http.StatusNotFound)
		}
		return gone
	}
	var got []string
	for _, o := range inspect(t, s, "a:v1")[1:] {
		got = append(got, fmt.Sprintf("%s %s %v %s", o.Kind, o.Platform, o.Err != nil, o.Type))
	}
	const oci = "application/vnd.oci.image.manifest.v1+json"
	want := []string{
		"image linux/amd64 false " + oci, "image linux/arm64 true " + oci, "image linux/ppc64le true " + oci,
		"other  false application/vnd.cncf.helm.config.v1+json",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestInspectMany: of very many referrers the first are shown and the others
// counted.
func TestInspectMany(t *testing.T) {
	s := newStore(t)
	d := s.push(t, "a:v1", plain)
	s.listReferrers(d.Digest, "text/plain", 103)
	if o := inspect(t, s, "a:v1")[0]; len(o.Referrers) != 100 || o.More != 3 {
		t.Errorf("%d, and %d more", len(o.Referrers), o.More)
	}
}

// TestInspectElsewhere: cosign's tags are looked for in the other repository too,
// and shown with its name; the same repository is not looked at twice.
func TestInspectElsewhere(t *testing.T) {
	s := newStore(t)
	d := s.push(t, "a:v1", plain)
	_, manifest := plain.texts()
	tag := "sha256-" + d.Digest.Hex
	s.putText(t, "a:"+tag+".att", types.OCIManifestSchema1, string(manifest))
	s.putText(t, "sigs:"+tag+".sig", types.OCIManifestSchema1, string(manifest))
	for other, want := range map[string][]string{
		"":     {" " + tag + ".att"},
		"a":    {" " + tag + ".att"},
		"sigs": {" " + tag + ".att", s.host + "/sigs " + tag + ".sig"},
	} {
		o := cfslabel.InspectOptions{}
		if other != "" {
			o.Signatures = s.open(t, other+":x").Repo
		}
		found, err := cfslabel.Inspect(t.Context(), s.open(t, "a:v1"), o)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, tag := range found.Objects[0].Tags {
			got = append(got, tag.Repo+" "+tag.Tag)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q", other, got)
		}
	}
}

// TestInspectBudget: of artifacts 64 MiB are read in all, whatever their sizes are
// said to be; the others are counted.
func TestInspectBudget(t *testing.T) {
	s := newStore(t)
	d := s.push(t, "a:v1", plain)
	var entries []string
	for i := range 50 {
		made := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf(fmt.Append(nil, i)), Size: image.MaxManifestSize}
		entries = append(entries, listing(made, fmt.Sprintf(`,"artifactType":%q`, image.ArtifactType)))
	}
	s.listAs(d.Digest, entries)
	if o := inspect(t, s, "a:v1")[0]; len(o.Artifacts) != 15 || o.More != 35 {
		t.Errorf("%d, and %d more", len(o.Artifacts), o.More)
	}
}

// TestInspectLimits: an index that lists too much is refused, also if it lists the
// same again and again.
func TestInspectLimits(t *testing.T) {
	s := newStore(t)
	d := s.push(t, "a:img", plain)
	for name, entries := range map[string][]string{
		"many":      manyListed(1001),
		"many same": slices.Repeat([]string{listing(d, "")}, 4001),
	} {
		s.putText(t, "a:v1", types.OCIImageIndex, indexOf(entries...))
		_, err := cfslabel.Inspect(t.Context(), s.open(t, "a:v1"), cfslabel.InspectOptions{})
		if err == nil || !strings.Contains(err.Error(), "more than 1000 manifests") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	in := d
	for range 10 {
		in = s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(in, "")))
	}
	if _, err := cfslabel.Inspect(t.Context(), s.open(t, "a:v1"), cfslabel.InspectOptions{}); err == nil || !strings.Contains(err.Error(), "nested more than 8") {
		t.Errorf("nested: got %v", err)
	}
}

// manyListed returns so many entries of an index, of what is no image.
func manyListed(n int) []string {
	var entries []string
	for i := range n {
		entries = append(entries, listing(v1.Descriptor{MediaType: "text/plain", Digest: digestOf(fmt.Append(nil, i)), Size: 1}, ""))
	}
	return entries
}
