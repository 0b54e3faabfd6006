// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// The repository and the tag of every image.
const (
	sourceRepo = "team/image"
	sourceTag  = "v1"
)

// object is a manifest or an index.
type object struct {
	desc v1.Descriptor
	raw  []byte
}

// original is an image, or an index of images, before it is sealed.
type original struct {
	top      object
	below    []object // what has to be pushed before top, in that order
	blobs    map[string][]byte
	layers   map[string]bool // digests
	configs  map[string]bool // digests
	referrer *object         // what already refers to the top
}

// shape is what an original is to be like.
type shape struct {
	index    bool // several platforms, with an attestation of buildx
	docker   bool // media types of Docker's
	referrer bool // something refers to it already
}

// newOriginal makes an image. Its bytes follow from rng alone.
func newOriginal(t *testing.T, rng *rand.Rand, s shape) *original {
	t.Helper()
	o := &original{blobs: map[string][]byte{}, layers: map[string]bool{}, configs: map[string]bool{}}
	if s.index {
		o.addIndex(t, rng)
	} else {
		o.top = o.addImage(t, rng, s.docker, "amd64", o.addLayers(t, rng, s.docker))
	}
	if s.referrer {
		o.addReferrer(t)
	}
	return o
}

func (o *original) add(content []byte, mediaType types.MediaType) v1.Descriptor {
	d := describe(content, mediaType)
	o.blobs[d.Digest.String()] = content
	return d
}

func describe(content []byte, mediaType types.MediaType) v1.Descriptor {
	sum := sha256.Sum256(content)
	return v1.Descriptor{
		MediaType: mediaType,
		Digest:    v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])},
		Size:      int64(len(content)),
	}
}

// layer is a layer in an image.
type layer struct {
	desc   v1.Descriptor
	diffID v1.Hash
}

func (o *original) addLayers(t *testing.T, rng *rand.Rand, docker bool) []layer {
	t.Helper()
	list := make([]layer, 2+rng.IntN(3))
	for i := range list {
		archive := newArchive(t, rng, i)
		content, mediaType := compress(t, rng, archive, docker)
		list[i] = layer{o.add(content, mediaType), describe(archive, "").Digest}
		o.layers[list[i].desc.Digest.String()] = true
	}
	return list
}

// newArchive is a layer of a few files, some of them in all layers.
func newArchive(t *testing.T, rng *rand.Rand, number int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, dir := range []string{"usr/", "usr/bin/", "etc/"} {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}))
	}
	names := []string{"etc/same", fmt.Sprintf("usr/bin/of-layer-%d", number), fmt.Sprintf("etc/also-%d", number)}
	for _, name := range names {
		content := make([]byte, rng.IntN(40<<10))
		for i := range content {
			content[i] = "composefs"[rng.IntN(9)]
		}
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}))
		_, err := w.Write(content)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func compress(t *testing.T, rng *rand.Rand, archive []byte, docker bool) ([]byte, types.MediaType) {
	t.Helper()
	if !docker && rng.IntN(2) == 0 {
		w, err := zstd.NewWriter(nil)
		must(t, err)
		content := w.EncodeAll(archive, nil)
		must(t, w.Close())
		return content, types.OCILayerZStd
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(archive)
	must(t, err)
	must(t, w.Close())
	if docker {
		return b.Bytes(), types.DockerLayer
	}
	return b.Bytes(), types.OCILayer
}

// addImage makes config and manifest. Both have fields that no library knows.
func (o *original) addImage(t *testing.T, rng *rand.Rand, docker bool, arch string, list []layer) object {
	t.Helper()
	var diffIDs []string
	var layers []v1.Descriptor
	for _, l := range list {
		diffIDs = append(diffIDs, l.diffID.String())
		layers = append(layers, l.desc)
	}
	mediaType, configType := types.OCIManifestSchema1, types.OCIConfigJSON
	if docker {
		mediaType, configType = types.DockerManifestSchema2, types.DockerConfigJSON
	}
	config := map[string]any{
		"architecture": arch, "os": "linux", "x-unknown": rng.IntN(1000),
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	}
	if rng.IntN(2) == 0 {
		config["config"] = map[string]any{"Labels": map[string]string{"org.example": "stays"}}
	}
	d := o.add(text(t, config), configType)
	o.configs[d.Digest.String()] = true
	manifest := map[string]any{"schemaVersion": 2, "mediaType": mediaType, "config": d, "layers": layers, "x-unknown": "stays"}
	if !docker {
		manifest["annotations"] = map[string]string{"org.example.made": fmt.Sprint(rng.Uint64())}
	}
	raw := text(t, manifest)
	return object{describe(raw, mediaType), raw}
}

// addIndex makes an index of two images that share a layer, and what buildx
// says about the first.
func (o *original) addIndex(t *testing.T, rng *rand.Rand) {
	t.Helper()
	shared := o.addLayers(t, rng, false)
	entries := make([]v1.Descriptor, 0, 3)
	for _, arch := range []string{"amd64", "arm64"} {
		own := o.addLayers(t, rng, false)
		img := o.addImage(t, rng, false, arch, append(shared[:1:1], own...))
		o.below = append(o.below, img)
		img.desc.Platform = &v1.Platform{OS: "linux", Architecture: arch}
		entries = append(entries, img.desc)
	}
	about := o.addAttestation(t)
	about.desc.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	about.desc.Annotations = map[string]string{
		"vnd.docker.reference.type": "attestation-manifest",
		attestedKey:                 entries[0].Digest.String(),
	}
	o.below = append(o.below, about)
	raw := text(t, map[string]any{
		"schemaVersion": 2, "mediaType": types.OCIImageIndex,
		"manifests": append(entries, about.desc), "x-unknown": rng.IntN(1000),
	})
	o.top = object{describe(raw, types.OCIImageIndex), raw}
}

func (o *original) addAttestation(t *testing.T) object {
	t.Helper()
	raw := text(t, map[string]any{
		"schemaVersion": 2, "mediaType": types.OCIManifestSchema1,
		"config": o.add([]byte(`{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":[]}}`), types.OCIConfigJSON),
		"layers": []v1.Descriptor{o.add([]byte(`{"_type":"https://in-toto.io/Statement/v0.1"}`), "application/vnd.in-toto+json")},
	})
	return object{describe(raw, types.OCIManifestSchema1), raw}
}

// addReferrer makes a manifest that refers to the top.
func (o *original) addReferrer(t *testing.T) {
	t.Helper()
	subject := v1.Descriptor{MediaType: o.top.desc.MediaType, Digest: o.top.desc.Digest, Size: o.top.desc.Size}
	raw := text(t, map[string]any{
		"schemaVersion": 2, "mediaType": types.OCIManifestSchema1, "artifactType": "application/spdx+json",
		"config":  o.add([]byte(`{}`), "application/vnd.oci.empty.v1+json"),
		"layers":  []v1.Descriptor{o.add([]byte(`{"spdxVersion":"SPDX-2.3"}`), "application/spdx+json")},
		"subject": subject,
	})
	o.referrer = &object{describe(raw, types.OCIManifestSchema1), raw}
	o.referrer.desc.ArtifactType = "application/spdx+json"
}

// load puts the original into a registry.
func (o *original) load(t *testing.T, b *backing, hasAPI bool) {
	t.Helper()
	for digest, content := range o.blobs {
		b.blobs.put(sourceRepo, digest, content)
	}
	for _, obj := range o.below {
		b.putManifest(t, sourceRepo, obj.desc.Digest.String(), obj)
	}
	b.putManifest(t, sourceRepo, sourceTag, o.top)
	if o.referrer == nil {
		return
	}
	b.putManifest(t, sourceRepo, o.referrer.desc.Digest.String(), *o.referrer)
	if !hasAPI {
		raw := text(t, map[string]any{
			"schemaVersion": 2, "mediaType": types.OCIImageIndex, "manifests": []v1.Descriptor{o.referrer.desc},
		})
		b.putManifest(t, sourceRepo, fallbackTag(o.top.desc.Digest), object{describe(raw, types.OCIImageIndex), raw})
	}
}

// putManifest stores a manifest or an index.
func (b *backing) putManifest(t *testing.T, repo, ident string, obj object) {
	t.Helper()
	header := http.Header{"Content-Type": {string(obj.desc.MediaType)}}
	if a := b.ask(http.MethodPut, manifestPath(repo, ident), header, obj.raw); a.status != http.StatusCreated {
		t.Fatalf("put %s: %d %s", ident, a.status, a.body)
	}
}

// fallbackTag returns the tag that stands in for the referrers API.
func fallbackTag(subject v1.Hash) string { return subject.Algorithm + "-" + subject.Hex }

func manifestPath(repo, ident string) string { return "/v2/" + repo + "/manifests/" + ident }

// text returns v as indented JSON, which no program would write again by chance.
func text(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	must(t, err)
	return append(b, '\n')
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
