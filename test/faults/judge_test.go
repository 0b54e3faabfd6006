// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// TestJudge: what the other tests look for they would find. Each case damages a
// registry in which all is well.
func TestJudge(t *testing.T) {
	failure := errors.New(sourceRepo + ": something is wrong")
	for _, tc := range []struct {
		name  string
		index bool
		// artifact is what is written, and something else refers to the image.
		artifact bool
		damage   func(*testing.T, *scene, *result)
		fine     bool
	}{
		{name: "nothing", damage: func(*testing.T, *scene, *result) {}, fine: true},
		{name: "nothing of an index", index: true, damage: func(*testing.T, *scene, *result) {}, fine: true},
		{name: "the tag moved after a failure", damage: func(_ *testing.T, _ *scene, r *result) { r.err = failure }},
		{name: "another digest is said", damage: func(_ *testing.T, s *scene, r *result) {
			r.digest = s.o.top.desc.Digest.String()
		}},
		{name: "another tag is there", damage: tagTop("stray")},
		{name: "the tag was not moved", damage: tagTop(sourceTag)},
		{name: "a layer is gone", damage: func(_ *testing.T, s *scene, _ *result) { s.b.lose(s.o.layers) }},
		{name: "the old config is gone", damage: func(_ *testing.T, s *scene, _ *result) { s.b.lose(s.o.configs) }},
		{name: "a child is gone", index: true, damage: func(_ *testing.T, s *scene, _ *result) {
			s.b.ask(http.MethodDelete, manifestPath(sourceRepo, s.o.below[2].desc.Digest.String()), nil, nil)
		}},
		{name: "the manifest was changed elsewhere", damage: replaceTop("stays", "stay5")},
		{name: "an annotation is wrong", damage: replaceTop(`composefs.merged.erofs.v1.fsverity-sha512-12": "`, `composefs.merged.erofs.v1.fsverity-sha512-12": "0`)},
		{name: "the attestation was left behind", index: true, damage: replaceTop(`"vnd.docker.reference.digest": "sha256:`, `"vnd.docker.reference.digest": "sha512:`)},
		{name: "nothing, with an artifact", artifact: true, damage: func(*testing.T, *scene, *result) {}, fine: true},
		{name: "no artifact", artifact: true, damage: loseReferrers},
		{name: "a blob of a referrer is gone", artifact: true, damage: func(_ *testing.T, s *scene, _ *result) {
			s.b.lose(map[string]bool{describe([]byte(`{}`), "").Digest.String(): true})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := newOriginal(t, rand.New(rand.NewPCG(3, 3)), shape{index: tc.index, referrer: tc.artifact}) //nolint:gosec // the same each time is what is wanted
			j := job{write: inline, algorithms: []fsverity.Algorithm{fsverity.SHA512}, formats: []erofs.Format{erofs.V1}, target: ownTag}
			if tc.artifact {
				j.write = artifact
			}
			s := newScene(t, o, &plan{job: j})
			r := s.job.seal(t.Context(), serve(t, s.b), o, noRetries)
			must(t, r.err)
			tc.damage(t, s, &r)
			if _, err := s.judge(r, false); (err == nil) != tc.fine {
				t.Errorf("it found: %v", err)
			}
		})
	}
}

// replaceTop has the tag name a manifest with another text in it.
func replaceTop(from, to string) func(*testing.T, *scene, *result) {
	return func(t *testing.T, s *scene, r *result) {
		t.Helper()
		obj, err := s.b.manifest(sourceRepo, sourceTag)
		must(t, err)
		raw := bytes.Replace(obj.raw, []byte(from), []byte(to), 1)
		if bytes.Equal(raw, obj.raw) {
			t.Fatalf("there is no %s in %s", from, raw)
		}
		obj = object{describe(raw, obj.desc.MediaType), raw}
		s.b.putManifest(t, sourceRepo, sourceTag, obj)
		r.digest = obj.desc.Digest.String()
	}
}

// tagTop has a tag name what was there before.
func tagTop(tag string) func(*testing.T, *scene, *result) {
	return func(t *testing.T, s *scene, _ *result) {
		t.Helper()
		s.b.putManifest(t, sourceRepo, tag, s.o.top)
	}
}

// loseReferrers has the tag that stands in for the referrers API list nothing
// but what it listed before.
func loseReferrers(t *testing.T, s *scene, _ *result) {
	t.Helper()
	s.o.load(t, s.b, s.plan.referrers)
}

// lose removes blobs from all repositories.
func (b *backing) lose(digests map[string]bool) {
	b.blobs.mu.Lock()
	defer b.blobs.mu.Unlock()
	for digest := range digests {
		delete(b.blobs.m, sourceRepo+"@"+digest)
	}
}

// TestIsClear: a message names something, in one line, and no secret.
func TestIsClear(t *testing.T) {
	for message, fine := range map[string]bool{
		"":                                 false,
		"unexpected EOF":                   false,
		sourceRepo + ": read tag v1: EOF":  true,
		sourceRepo + ": one\nand two":      false,
		sourceRepo + "?sig=" + secretQuery: false,
		sourceRepo + ": Bearer " + tokenPrefix + "1": false,
	} {
		if err := isClear(message); (err == nil) != fine {
			t.Errorf("%q: %v", message, err)
		}
	}
}
