// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"encoding/json"
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

var (
	beside = []cfslabel.Place{cfslabel.InArtifact}
	both   = []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256}
)

// referrers returns the artifacts of our type that refer to a digest.
func (s *store) referrers(t *testing.T, repo string, d v1.Hash) []v1.Descriptor {
	t.Helper()
	list, err := s.openBy(t, repo+":x", s.inside()).Repo.Referrers(t.Context(), d, image.ArtifactType)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestArtifact: the image stays what it is; beside it are the digests of
// manifest, config and tree, an artifact for each algorithm.
func TestArtifact(t *testing.T) {
	s := newStore(t)
	before := s.push(t, "a:v1", odd)
	o := cfslabel.LabelOptions{Write: beside, Options: cfslabel.Options{Algorithms: both}}
	sealed := label(t, s.open(t, "a:v1"), o)
	s.wantTag(t, "a:v1", before.Digest)
	if sealed.Changed || sealed.Digest != before.Digest || !slices.Equal(sealed.Written, beside) {
		t.Errorf("got %+v", sealed)
	}
	config, manifest := odd.texts()
	list := s.referrers(t, "a", before.Digest)
	if len(list) != 2 || len(sealed.Images[0].Artifacts) != 2 {
		t.Fatalf("there are %v", list)
	}
	for i, d := range sealed.Images[0].Artifacts {
		var m v1.Manifest
		if err := json.Unmarshal(s.text(t, "a", d), &m); err != nil {
			t.Fatal(err)
		}
		suffix := "fsverity-" + both[i].String() + "-12"
		for j, want := range []map[string]string{
			{"composefs.manifest." + suffix: fsverity.Sum(both[i], manifest).String()},
			{"composefs.config." + suffix: fsverity.Sum(both[i], config).String()},
			{"composefs.merged.erofs.v1." + suffix: sealed.Images[0].Digests[i].Digest.String()},
		} {
			for key, value := range want {
				if got := m.Layers[j].Annotations[key]; got != value {
					t.Errorf("%s is %q, want %q", key, got, value)
				}
			}
			if m.Layers[j].MediaType != "application/vnd.oci.empty.v1+json" || m.Layers[j].Size != 2 {
				t.Errorf("layer %d is %+v", j, m.Layers[j])
			}
		}
		if m.Subject == nil || m.Subject.Digest != before.Digest {
			t.Errorf("the subject is %+v", m.Subject)
		}
	}

	writes := s.count(http.MethodPut, "")
	again := label(t, s.open(t, "a:v1"), o)
	if n := s.count(http.MethodPut, ""); n != writes || len(again.Written) > 0 {
		t.Errorf("the second run wrote %d times, %v", n-writes, again.Written)
	}
}

// TestArtifactSaysSo: what the image says wrongly stays in artifact mode, and is
// told.
func TestArtifactSaysSo(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", odd)
	warnings := &talk{}
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside, Options: cfslabel.Options{Warn: warnings.warn}})
	for _, key := range []string{"containers.composefs.other", "composefs.config.fsverity-sha256-12", "composefs.merged.erofs.v1.fsverity-sha512-12"} {
		warnings.want(t, "which an artifact leaves as it is: "+key)
	}
}

// TestArtifactReplaced: an artifact with other digests gives way, one of another
// kind stays.
func TestArtifactReplaced(t *testing.T) {
	s := newStore(t)
	d := s.push(t, "a:v1", plain)
	wrong, err := fsverity.ParseDigest(fsverity.SHA512, strings.Repeat("0", 128))
	if err != nil {
		t.Fatal(err)
	}
	stale := image.Artifact{Subject: d, Entries: []image.ArtifactEntry{{Role: image.RoleMerged, Digest: wrong}}}
	raw, blobs, err := stale.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	ref := s.openBy(t, "a:v1", s.inside())
	push := func(text, artifactType string) v1.Hash {
		t.Helper()
		for _, b := range blobs {
			if err := ref.Repo.PushBlob(t.Context(), b.Descriptor, b.Content); err != nil {
				t.Fatal(err)
			}
		}
		a := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf([]byte(text)), Size: int64(len(text)), ArtifactType: artifactType}
		if err := ref.Repo.PushReferrer(t.Context(), d.Digest, a, []byte(text), nil); err != nil {
			t.Fatal(err)
		}
		return a.Digest
	}
	push(string(raw), image.ArtifactType)
	other := push(strings.Replace(string(raw), image.ArtifactType, "application/x.y", 1), "application/x.y")

	o := cfslabel.LabelOptions{Write: beside, Check: true}
	if _, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), o); err == nil || !strings.Contains(err.Error(), "is not what was computed") {
		t.Errorf("check: %v", err)
	}
	o.Check = false
	sealed := label(t, s.open(t, "a:v1"), o)
	list := s.referrers(t, "a", d.Digest)
	if len(list) != 1 || list[0].Digest != sealed.Images[0].Artifacts[0] {
		t.Errorf("there are %v", list)
	}
	all, err := ref.Repo.Referrers(t.Context(), d.Digest, "application/x.y")
	if err != nil || len(all) != 1 || all[0].Digest != other {
		t.Errorf("of the other kind there are %v (%v)", all, err)
	}
	o.Check = true
	label(t, s.open(t, "a:v1"), o)
}
