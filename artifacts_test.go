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
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// artifactOf returns the artifact that an image of the store should have.
func (s *store) artifactOf(t *testing.T, d v1.Descriptor) *image.Artifact {
	t.Helper()
	_, config, manifest := s.pull(t, "a@"+d.Digest.String())
	merged, err := fsverity.ParseDigest(fsverity.SHA512, minimal)
	if err != nil {
		t.Fatal(err)
	}
	return &image.Artifact{
		Subject: d,
		Entries: []image.ArtifactEntry{
			{Role: image.RoleManifest, Digest: fsverity.Sum(fsverity.SHA512, manifest)},
			{Role: image.RoleConfig, Digest: fsverity.Sum(fsverity.SHA512, config)},
			{Role: image.RoleMerged, Digest: merged},
		},
		Annotations: []image.KV{{Key: image.InputKey, Value: minimalInput}},
	}
}

// forge makes an artifact a signed one.
func forge(a *image.Artifact) {
	for i := range a.Entries {
		a.Entries[i].Signature = []byte{byte(i), 1}
	}
}

// spoil makes an artifact say another digest for the role.
func spoil(role image.Role) func(*image.Artifact) {
	return func(a *image.Artifact) {
		i := slices.IndexFunc(a.Entries, func(e image.ArtifactEntry) bool { return e.Role == role })
		a.Entries[i].Digest = fsverity.Sum(fsverity.SHA512, nil)
	}
}

// putArtifact pushes an artifact unseen, and has it listed beside the subject.
func (s *store) putArtifact(t *testing.T, subject v1.Hash, a *image.Artifact) v1.Hash {
	t.Helper()
	raw, blobs, err := a.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	repo := s.openBy(t, "a:v1", s.inside()).Repo
	for _, b := range blobs {
		if err := repo.PushBlob(t.Context(), b.Descriptor, b.Content); err != nil {
			t.Fatal(err)
		}
	}
	d := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf(raw), Size: int64(len(raw)), ArtifactType: image.ArtifactType}
	if err := repo.PushReferrer(t.Context(), subject, d, raw, nil); err != nil {
		t.Fatal(err)
	}
	return d.Digest
}

// TestArtifactsThere: what is beside an image already decides what is pushed. A
// signed artifact that says the same is as good as ours; one that says something
// else stays and is told, for we cannot make another signature; one that is not
// signed gives way, also beside a right one; one of another image is none of
// ours. A check names what would give way.
func TestArtifactsThere(t *testing.T) {
	change := func(changes ...func(*image.Artifact)) []func(*image.Artifact) { return changes }
	elsewhere := func(a *image.Artifact) { a.Subject.Digest = digestOf([]byte("x")) }
	wrong := spoil(image.RoleMerged)
	for name, tc := range map[string]struct {
		there  [][]func(*image.Artifact) // what is different about each
		left   int                       // of those, afterwards
		pushed bool                      // one of ours
		finds  string                    // by a check; STALE is the last of those there
		warns  string
	}{
		"ours":                 {[][]func(*image.Artifact){nil}, 1, false, "", ""},
		"signed":               {[][]func(*image.Artifact){change(forge)}, 1, false, "", ""},
		"signed, wrong":        {[][]func(*image.Artifact){change(forge, wrong)}, 1, true, "there is no artifact", "a signed artifact that names other digests: STALE; remove it"},
		"of another image":     {[][]func(*image.Artifact){change(elsewhere)}, 1, true, "there is no artifact", ""},
		"stale":                {[][]func(*image.Artifact){change(wrong)}, 0, true, "the artifact STALE is not what was computed", ""},
		"ours and a stale one": {[][]func(*image.Artifact){nil, change(wrong)}, 1, false, "the artifact STALE is not what was computed", ""},
		"signed and stale":     {[][]func(*image.Artifact){change(forge), change(wrong)}, 1, false, "the artifact STALE is not what was computed", ""},
	} {
		s := newStore(t)
		d := s.push(t, "a:v1", plain)
		var there []v1.Hash
		for _, changes := range tc.there {
			a := s.artifactOf(t, d)
			for _, c := range changes {
				c(a)
			}
			there = append(there, s.putArtifact(t, d.Digest, a))
		}
		stale := strings.NewReplacer("STALE", there[len(there)-1].String())
		_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside, Check: true})
		if finds := stale.Replace(tc.finds); finds == "" && err != nil || finds != "" && (!errors.Is(err, cfslabel.ErrMismatch) || !strings.Contains(err.Error(), finds)) {
			t.Errorf("%s: check: got %v, want %q", name, err, finds)
		}
		warnings := &talk{}
		label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside, Options: cfslabel.Options{Warn: warnings.warn}})
		if said := strings.Join(warnings.said, "\n"); !strings.Contains(said, stale.Replace(tc.warns)) || tc.warns == "" && said != "" {
			t.Errorf("%s: warned of %q", name, said)
		}
		left, others := 0, 0
		for _, r := range s.referrers(t, "a", d.Digest) {
			if slices.Contains(there, r.Digest) {
				left++
			} else {
				others++
			}
		}
		if left != tc.left || others != map[bool]int{true: 1}[tc.pushed] {
			t.Errorf("%s: afterwards there are %d of those before and %d others", name, left, others)
		}
		if tc.finds == "" && s.count(http.MethodPut, "") > 0 {
			t.Errorf("%s: it wrote", name)
		}
	}
}

// TestIfNeededArtifact: an artifact is believed if the digests of manifest and
// config that it gives are those of the image, and there is a key.
func TestIfNeededArtifact(t *testing.T) {
	without := func(role image.Role) func(*image.Artifact) {
		return func(a *image.Artifact) {
			a.Entries = slices.DeleteFunc(a.Entries, func(e image.ArtifactEntry) bool { return e.Role == role })
		}
	}
	for name, tc := range map[string]struct {
		change   func(*image.Artifact)
		believed bool
	}{
		"right":             {func(*image.Artifact) {}, true},
		"signed":            {forge, true},
		"another manifest":  {spoil(image.RoleManifest), false},
		"another config":    {spoil(image.RoleConfig), false},
		"another tree":      {spoil(image.RoleMerged), false},
		"no manifest":       {without(image.RoleManifest), false},
		"no config":         {without(image.RoleConfig), false},
		"no key":            {func(a *image.Artifact) { a.Annotations = nil }, false},
		"of another image":  {func(a *image.Artifact) { a.Subject.Digest = digestOf([]byte("x")) }, false},
		"a key of no input": {func(a *image.Artifact) { a.Annotations[0].Value = "sha256:" + hexOf("0") }, false},
	} {
		s := newStore(t)
		d := s.push(t, "a:v1", plain)
		a := s.artifactOf(t, d)
		tc.change(a)
		s.putArtifact(t, d.Digest, a)
		sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside, IfNeeded: true})
		reads := s.count(http.MethodGet, "/blobs/"+layerDigest)
		if sealed.Images[0].Believed != tc.believed || (reads == 0) != tc.believed {
			t.Errorf("%s: believed %v, the layer was read %d times", name, sealed.Images[0].Believed, reads)
		}
		if got := sealed.Images[0].Digests[0].Digest.String(); got != minimal {
			t.Errorf("%s: the digest is %s", name, got)
		}
	}
}

// TestIfNeededLabelAndArtifact: where a label is written as well, an artifact is
// believed if the label says the same.
func TestIfNeededLabelAndArtifact(t *testing.T) {
	places := []cfslabel.Place{cfslabel.InLabel, cfslabel.InArtifact}
	for value, believed := range map[string]bool{minimal: true, "00": false} {
		s := newStore(t)
		h := plain
		h.config = strings.Replace(plain.config, `{`, `{"config":{"Labels":{"`+image.LabelKey+`":"`+value+`"}},`, 1)
		d := s.push(t, "a:v1", h)
		s.putArtifact(t, d.Digest, s.artifactOf(t, d))
		sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Write: places, IfNeeded: true})
		reads := s.count(http.MethodGet, "/blobs/"+layerDigest)
		if sealed.Images[0].Believed != believed || (reads == 0) != believed {
			t.Errorf("%s: believed %v, the layer was read %d times", value, sealed.Images[0].Believed, reads)
		}
		if got := s.labels(t, "a", sealed.Digest)[image.LabelKey]; got != minimal {
			t.Errorf("%s: the label is %s", value, got)
		}
	}
}

// listReferrers makes the store list so many referrers of a digest.
func (s *store) listReferrers(d v1.Hash, artifactType string, n int) {
	var entries []string
	for i := range n {
		made := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf(fmt.Append(nil, i)), Size: 1}
		entries = append(entries, listing(made, fmt.Sprintf(`,"artifactType":%q`, artifactType)))
	}
	s.listAs(d, entries)
}

// listAs makes the store list these referrers of a digest.
func (s *store) listAs(d v1.Hash, entries []string) {
	s.intercept = func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/manifests/sha256-"+d.Hex) {
			return false
		}
		w.Header().Set("Content-Type", string(types.OCIImageIndex))
		_, _ = w.Write([]byte(indexOf(entries...)))
		return true
	}
}

// TestArtifactsMax: of 100 artifacts each is looked at; more are an error that
// says what to do, and none is asked for.
func TestArtifactsMax(t *testing.T) {
	for _, n := range []int{100, 101} {
		s := newStore(t)
		d := s.push(t, "a:v1", plain)
		s.listReferrers(d.Digest, image.ArtifactType, n)
		asked := s.count(http.MethodGet, "/manifests/sha256:")
		_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside, DryRun: true})
		asked = s.count(http.MethodGet, "/manifests/sha256:") - asked
		if n == 100 && (err != nil || asked != 100) {
			t.Errorf("%d: got %v, asked for %d", n, err, asked)
		}
		if n > 100 && (err == nil || !strings.Contains(err.Error(), "has 101 artifacts") || !strings.Contains(err.Error(), "remove") || asked > 0) {
			t.Errorf("%d: got %v, asked for %d", n, err, asked)
		}
	}
}

// TestCheckArtifactContradicts: a check of artifacts finds what the image itself
// says wrongly.
func TestCheckArtifactContradicts(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", odd)
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside})
	_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside, Check: true})
	m, ok := errors.AsType[*cfslabel.MismatchError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	if len(m.Findings) != 5 {
		t.Errorf("found is %q", m.Findings)
	}
	for _, want := range []string{
		"containers.composefs.other: inherited: this run did not compute it",
		"composefs.config.fsverity-sha256-12: 00: this run did not compute it",
		"composefs.merged.erofs.v1.fsverity-sha512-12: 00: this run did not compute it",
		"composefs.merged.erofs.v1.fsverity-sha512-12.sig: 00: this run did not compute it", // of a digest that is wrong
	} {
		if !slices.ContainsFunc(m.Findings, func(f string) bool { return strings.HasPrefix(f, want) }) {
			t.Errorf("found is %q, not %q", m.Findings, want)
		}
	}
}
