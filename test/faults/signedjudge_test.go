// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"net/http"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cfs-label/cfs-label/sign"
)

// TestJudgeSigned: a signature that is missing, or is not right, is found. Each
// case damages a registry in which all is signed.
func TestJudgeSigned(t *testing.T) {
	for _, tc := range []struct {
		name   string
		row    string // of signedRows
		hasAPI bool
		damage func(*testing.T, *scene, v1.Hash)
		fine   bool
	}{
		{name: "nothing", row: "image, all", damage: func(*testing.T, *scene, v1.Hash) {}, fine: true},
		{name: "nothing, with the API", row: "image, all", hasAPI: true, damage: func(*testing.T, *scene, v1.Hash) {}, fine: true},
		{name: "nothing of an index", row: "index, legacy", damage: func(*testing.T, *scene, v1.Hash) {}, fine: true},
		{name: "no legacy signature", row: "image, all", damage: loseTag(".sig")},
		{name: "no bundle", row: "image, bundle", damage: loseTag("")},
		{name: "no bundle, with the API", row: "image, bundle", hasAPI: true, damage: loseReferrer},
		{name: "no artifact", row: "image, kernel", damage: loseTag("")},
		{name: "no artifact, with the API", row: "image, kernel", hasAPI: true, damage: loseReferrer},
		{name: "the index is not signed", row: "index, legacy", damage: loseTag(".sig")},
		{name: "an image of the index is not signed", row: "index, legacy", damage: ofChild(loseTag(".sig"))},
		{name: "an image of the index has no bundle", row: "index, bundle", damage: ofChild(loseTag(""))},
		{name: "an image of the index has no artifact", row: "index, kernel", damage: ofChild(loseTag(""))},
		{name: "the signature is another key's", row: "image, legacy", damage: signAnew},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := signedRow(t, tc.row).scene(t, tc.hasAPI)
			r := s.job.seal(t.Context(), s.serve(t, s.b), s.o, noRetries)
			must(t, r.err)
			d, err := v1.NewHash(r.digest)
			must(t, err)
			tc.damage(t, s, d)
			if _, err := s.judge(r, false); (err == nil) != tc.fine {
				t.Errorf("it found: %v", err)
			}
		})
	}
}

func signedRow(t *testing.T, name string) *cutRow {
	t.Helper()
	for i := range signedRows {
		if signedRows[i].name == name {
			return &signedRows[i]
		}
	}
	t.Fatalf("no row is called %s", name)
	return nil
}

// loseTag removes the tag about a digest that ends so.
func loseTag(suffix string) func(*testing.T, *scene, v1.Hash) {
	return func(t *testing.T, s *scene, d v1.Hash) {
		t.Helper()
		repo, _ := s.target()
		s.b.remove(t, repo, fallbackTag(d)+suffix)
	}
}

// signAnew has another key sign in place of the one that did.
func signAnew(t *testing.T, s *scene, d v1.Hash) {
	t.Helper()
	loseTag(".sig")(t, s, d)
	other, err := newCosignKeys(t.TempDir())
	must(t, err)
	ref, err := s.nameOf(d)
	must(t, err)
	signer := other.signer(t, []ggcr.Option{ggcr.WithTransport(s.b)}, []sign.Format{sign.Legacy})
	_, err = signer.Sign(t.Context(), sign.Image{Name: ref})
	must(t, err)
}

// loseReferrer removes what refers to a digest.
func loseReferrer(t *testing.T, s *scene, d v1.Hash) {
	t.Helper()
	repo, _ := s.target()
	list, err := s.b.referrers(repo, d, true)
	must(t, err)
	for _, r := range list {
		s.b.remove(t, repo, r.desc.Digest.String())
	}
}

// ofChild does it to the first image of an index.
func ofChild(do func(*testing.T, *scene, v1.Hash)) func(*testing.T, *scene, v1.Hash) {
	return func(t *testing.T, s *scene, d v1.Hash) {
		t.Helper()
		repo, _ := s.target()
		obj, err := s.b.manifest(repo, d.String())
		must(t, err)
		list, err := s.imagesOf(obj)
		must(t, err)
		do(t, s, list[0].desc.Digest)
	}
}

// remove removes a manifest or a tag.
func (b *backing) remove(t *testing.T, repo, ident string) {
	t.Helper()
	if a := b.ask(http.MethodDelete, manifestPath(repo, ident), nil, nil); a.status != http.StatusAccepted {
		t.Fatalf("delete %s: %d %s", ident, a.status, a.body)
	}
}
