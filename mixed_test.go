// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
)

// TestMixedMediaTypes: an OCI manifest that uses Docker's media types is
// refused, as hosts do.
func TestMixedMediaTypes(t *testing.T) {
	for oci, docker := range map[string]string{
		"application/vnd.oci.image.config.v1+json":    "application/vnd.docker.container.image.v1+json",
		"application/vnd.oci.image.layer.v1.tar+gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
	} {
		s := newStore(t)
		h := plain
		h.manifest = strings.Replace(h.manifest, oci, docker, 1)
		s.push(t, "a:v1", h)
		_, err := cfslabel.Compute(t.Context(), s.open(t, "a:v1"), cfslabel.Options{})
		if !errors.Is(err, cfslabel.ErrMixed) || !strings.Contains(err.Error(), docker) {
			t.Errorf("%s: %v", docker, err)
		}
	}
}

// TestArtifactTypeOfImage: the config's media type says whether it is an image,
// whatever else the manifest calls itself.
func TestArtifactTypeOfImage(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:plain", plain)
	h := plain
	h.manifest = strings.Replace(h.manifest, `{"schemaVersion":2,`, `{"schemaVersion":2,"artifactType":"application/x.y",`, 1)
	s.push(t, "a:typed", h)
	want := computeOne(t, s.open(t, "a:plain"))
	if got := computeOne(t, s.open(t, "a:typed")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func computeOne(t *testing.T, ref *remote.Ref) string {
	t.Helper()
	images, err := cfslabel.Compute(t.Context(), ref, cfslabel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return images[0].Digests[0].Digest.String()
}

// TestHostileIndex: indexes that name each other over and over are read once
// each, and there is an end to how many are read at all.
func TestHostileIndex(t *testing.T) {
	s := newStore(t)
	d := s.push(t, "a:v1", plain)
	ref := s.open(t, "a:top")
	for range 6 {
		entry := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, d.MediaType, d.Digest, d.Size)
		d = pushIndex(t, ref, strings.Repeat(entry+",", 29)+entry)
	}
	images, err := cfslabel.Compute(t.Context(), ref, cfslabel.Options{})
	if err != nil || len(images) != 1 {
		t.Errorf("%d images, %v", len(images), err)
	}
	if n := s.count("GET", "/manifests/"); n > 10 {
		t.Errorf("%d manifests were read", n)
	}

	var entries []string
	for i := range 1001 {
		data := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[],"annotations":{"n":"%d"}}`, types.OCIImageIndex, i)
		d := v1.Descriptor{MediaType: types.OCIImageIndex, Digest: digestOf(data), Size: int64(len(data))}
		if err := ref.Repo.PushManifest(t.Context(), d, data); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, d.MediaType, d.Digest, d.Size))
	}
	pushIndex(t, ref, strings.Join(entries, ","))
	if _, err := cfslabel.Compute(t.Context(), ref, cfslabel.Options{}); !errors.Is(err, cfslabel.ErrTooMany) {
		t.Errorf("1001 manifests: %v", err)
	}
}

func pushIndex(t *testing.T, ref *remote.Ref, manifests string) v1.Descriptor {
	t.Helper()
	data := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, types.OCIImageIndex, manifests)
	d := v1.Descriptor{MediaType: types.OCIImageIndex, Digest: digestOf(data), Size: int64(len(data))}
	if err := ref.Repo.Tag(t.Context(), ref.Tag, d, data, ""); err != nil {
		t.Fatal(err)
	}
	return d
}
