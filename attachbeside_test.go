// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"maps"
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

// addBootable makes an artifact say a digest that these runs do not compute.
func addBootable(a *image.Artifact) {
	a.Entries = append(a.Entries, image.ArtifactEntry{Role: image.RoleMergedBootable, Digest: fsverity.Sum(fsverity.SHA512, nil)})
}

// isListed reports whether a digest is among descriptors.
func isListed(list []v1.Descriptor, d v1.Hash) bool {
	return slices.ContainsFunc(list, func(l v1.Descriptor) bool { return l.Digest == d })
}

// saysLessOrMore are changes of an artifact, and whether the one that is right
// takes its place.
var saysLessOrMore = map[string]struct {
	change func(*image.Artifact)
	stays  bool
}{
	"the same":           {func(*image.Artifact) {}, false},
	"without annotation": {func(a *image.Artifact) { a.Annotations = nil }, false},
	"a role less":        {func(a *image.Artifact) { a.Entries = a.Entries[1:] }, false},
	"a role more":        {addBootable, true},
	"annotated": {func(a *image.Artifact) {
		a.Annotations = append(a.Annotations, image.KV{Key: "org.example", Value: "x"})
	}, true},
}

const saysMore = "says more than the new one: "

// TestAttachBesideUnsigned: an artifact without signatures gives way, and is named,
// only if the new one says all that it says; else it stays and is told.
func TestAttachBesideUnsigned(t *testing.T) {
	for name, tc := range saysLessOrMore {
		s, h := newStore(t), newHSM(t)
		d := s.push(t, "a:v1", plain)
		todo := s.toBeSigned(t, "a:v1")
		a := s.artifactOf(t, d)
		tc.change(a)
		there := s.putArtifact(t, d.Digest, a)
		var told talk
		o := h.options(todo, h.sign(t, todo))
		o.Warn = told.warn
		done, err := cfslabel.Attach(t.Context(), s.open(t, "a:v1"), o)
		if err != nil {
			t.Fatal(err)
		}
		got, list := done.Artifacts[0], s.referrers(t, "a", d.Digest)
		if got.Present || slices.Contains(got.Replaced, there) == tc.stays || !isListed(list, got.Digest) || isListed(list, there) != tc.stays {
			t.Errorf("%s: got %+v, there are %v", name, got, list)
		}
		if said := strings.Join(told.said, "\n"); strings.Contains(said, saysMore+there.String()) != tc.stays || !tc.stays && said != "" {
			t.Errorf("%s: warned of %q", name, said)
		}
	}
}

// TestSealBesideUnsigned: it is the same for a seal, but one that says a wrong
// digest gives way whatever else it says: the layers were read.
func TestSealBesideUnsigned(t *testing.T) {
	cases := maps.Clone(saysLessOrMore)
	wrong := cases["a role more"]
	wrong.change, wrong.stays = func(a *image.Artifact) { addBootable(a); spoil(image.RoleMerged)(a) }, false
	cases["a role more, and another wrong"] = wrong
	for name, tc := range cases {
		s := newStore(t)
		d := s.push(t, "a:v1", plain)
		a := s.artifactOf(t, d)
		tc.change(a)
		there := s.putArtifact(t, d.Digest, a)
		var told talk
		label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside, Kernel: kernelKey(t, "one"), Options: cfslabel.Options{Warn: told.warn}})
		if list := s.referrers(t, "a", d.Digest); isListed(list, there) != tc.stays {
			t.Errorf("%s: there are %v", name, list)
		}
		if said := strings.Join(told.said, "\n"); strings.Contains(said, saysMore+there.String()) != tc.stays || !tc.stays && said != "" {
			t.Errorf("%s: warned of %q", name, said)
		}
	}
}

// TestAttachBesideOtherLayers: also what is not known here is more: layers, and
// annotations of layers.
func TestAttachBesideOtherLayers(t *testing.T) {
	for name, change := range map[string]func(layer string) string{
		"layers": func(l string) string {
			return l + "," + strings.Replace(l, "composefs.merged.", "composefs.layer.0.", 1)
		},
		"annotations": func(l string) string {
			return strings.Replace(l, `"composefs.merged.`, `"org.example":"x","composefs.merged.`, 1)
		},
	} {
		s, h := newStore(t), newHSM(t)
		d := s.push(t, "a:v1", plain)
		todo := s.toBeSigned(t, "a:v1")
		a := s.artifactOf(t, d)
		a.Entries = a.Entries[2:]
		less := s.putArtifact(t, d.Digest, a) // which brings the blobs, and gives way
		raw, _, err := a.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		before, rest, _ := strings.Cut(string(raw), `"layers":[`)
		layer, after, _ := strings.Cut(rest, `]`)
		text := before + `"layers":[` + change(layer) + `]` + after
		more := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf([]byte(text)), Size: int64(len(text)), ArtifactType: image.ArtifactType}
		if err := s.openBy(t, "a:v1", s.inside()).Repo.PushReferrer(t.Context(), d.Digest, more, []byte(text), nil); err != nil {
			t.Fatal(err)
		}
		done := h.attach(t, s.open(t, "a:v1"), todo).Artifacts[0]
		if list := s.referrers(t, "a", d.Digest); !slices.Equal(done.Replaced, []v1.Hash{less}) || !isListed(list, more.Digest) {
			t.Errorf("%s: %v gave way, there are %v", name, done.Replaced, list)
		}
	}
}

// TestAttachBesideLater: one without signatures that came after the signed one
// gives way, though nothing else is new; a dry run names it, and leaves it.
func TestAttachBesideLater(t *testing.T) {
	s, h := newStore(t), newHSM(t)
	d := s.push(t, "a:v1", plain)
	todo := s.toBeSigned(t, "a:v1")
	ours := h.attach(t, s.open(t, "a:v1"), todo).Artifacts[0]
	later := s.putArtifact(t, d.Digest, s.artifactOf(t, d))
	o := h.options(todo, h.sign(t, todo))
	for _, o.DryRun = range []bool{true, false} {
		done, err := cfslabel.Attach(t.Context(), s.open(t, "a:v1"), o)
		if err != nil {
			t.Fatal(err)
		}
		got := done.Artifacts[0]
		if !got.Present || got.Digest != ours.Digest || !slices.Equal(got.Replaced, []v1.Hash{later}) {
			t.Errorf("dry run %v: got %+v", o.DryRun, got)
		}
		if list := s.referrers(t, "a", d.Digest); isListed(list, later) != o.DryRun {
			t.Errorf("dry run %v: there are %v", o.DryRun, list)
		}
	}
}

// TestAttachFailsLate: where pushing fails, what was pushed before is returned.
func TestAttachFailsLate(t *testing.T) {
	s, h := newStore(t), newHSM(t)
	f := pushFamily(t, s, "a:v1")
	todo := s.toBeSigned(t, "a:v1", both...)
	s.intercept = func(w http.ResponseWriter, req *http.Request) bool {
		fails := req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "sha256-"+f.arm.Digest.Hex)
		if fails {
			w.WriteHeader(http.StatusForbidden)
		}
		return fails
	}
	done, err := cfslabel.Attach(t.Context(), s.open(t, "a:v1"), h.options(todo, h.sign(t, todo)))
	if err == nil || done == nil || len(done.Artifacts) != 2 {
		t.Fatalf("got %+v, %v", done, err)
	}
	for i, a := range done.Artifacts {
		if a.Manifest != f.amd.Digest || s.artifact(t, a.Digest).Algorithm() != both[i] {
			t.Errorf("got %+v", a)
		}
	}
}
