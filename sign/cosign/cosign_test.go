// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

var both = []sign.Format{sign.Legacy, sign.Bundle}

// TestSignThenVerify: what is signed in a format with a kind of key verifies,
// with its annotations, in any registry.
func TestSignThenVerify(t *testing.T) {
	for _, kind := range []string{"p256", "p384", "rsa", "ed25519"} {
		k := newKeys(t, generate(t, kind))
		for _, referrers := range []bool{true, false} {
			for _, formats := range [][]sign.Format{nil, {sign.Bundle}, both} {
				t.Run(fmt.Sprint(kind, referrers, formats), func(t *testing.T) {
					h := newHub(t, referrers)
					im := h.push(t, "a/b")
					o := h.keyed(k, formats...)
					o.Annotations = map[string]string{"who": "me"}
					made := signIt(t, o, im).Made
					want := max(len(formats), 1)
					if len(made) != want {
						t.Fatalf("made %d signatures, want %d", len(made), want)
					}
					vo := h.by(k)
					vo.Annotations = o.Annotations
					got, err := verifyIt(t, vo, im)
					must(t, err)
					if len(got) != want {
						t.Fatalf("found %d signatures, want %d", len(got), want)
					}
					for i, s := range got {
						if s.Err != nil || s.Format != made[i].Format || s.Digest != im.Name.DigestStr() || s.Key == "" {
							t.Errorf("found %+v", s)
						}
						if diff := cmp.Diff(o.Annotations, s.Annotations); diff != "" {
							t.Errorf("annotations (-want +got):\n%s", diff)
						}
						if want := im.Name.Context().Name(); s.Format == sign.Legacy && s.DockerReference != want {
							t.Errorf("the docker reference is %q, want %q", s.DockerReference, want)
						}
					}
				})
			}
		}
	}
}

// TestSignTwice: the same key and content make no second signature, another
// annotation or key does.
func TestSignTwice(t *testing.T) {
	k, other := newP256(t), newP256(t)
	for _, referrers := range []bool{true, false} {
		h := newHub(t, referrers)
		im := h.push(t, "a")
		annotated := h.keyed(k, both...)
		annotated.Annotations = map[string]string{"a": "1"}
		for i, step := range []struct {
			o       cosign.SignOptions
			present bool
		}{
			{h.keyed(k, both...), false},
			{h.keyed(k, both...), true},
			{annotated, false},
			{annotated, true},
			{h.keyed(other, both...), false},
			{h.keyed(k, both...), true},
		} {
			for _, m := range signIt(t, step.o, im).Made {
				if m.Present != step.present {
					t.Errorf("step %d, %s: present is %v", i, m.Format, m.Present)
				}
			}
		}
		got, err := verifyIt(t, h.by(k), im)
		must(t, err)
		holds := 0
		for _, s := range got {
			if s.Err == nil {
				holds++
			} else if !errors.Is(s.Err, sign.ErrKey) {
				t.Errorf("%s: %v", s.Place, s.Err)
			}
		}
		if len(got) != 6 || holds != 4 {
			t.Errorf("found %d signatures of which %d hold, want 6 and 4", len(got), holds)
		}
	}
}

// TestIdentity: a reference that is given is what a legacy signature says.
func TestIdentity(t *testing.T) {
	h, k := newHub(t, true), newP256(t)
	im := h.push(t, "a")
	im.Identity = "quay.io/os/image:42"
	signIt(t, h.keyed(k), im)
	got, err := verifyIt(t, h.by(k), im)
	must(t, err)
	if got[0].DockerReference != im.Identity {
		t.Errorf("got %q", got[0].DockerReference)
	}
}

// TestRepository: legacy signatures go where COSIGN_REPOSITORY says, and are
// found there only.
func TestRepository(t *testing.T) {
	h, k := newHub(t, true), newP256(t)
	im := h.push(t, "a")
	elsewhere, err := name.NewRepository(h.host + "/signatures/of/all")
	must(t, err)
	o := h.keyed(k)
	o.Repository = elsewhere
	made := signIt(t, o, im).Made[0]
	if !strings.HasPrefix(made.Place, elsewhere.Name()+":sha256-") {
		t.Errorf("it is at %s", made.Place)
	}
	if _, err := verifyIt(t, h.by(k), im); !errors.Is(err, sign.ErrNoSignature) {
		t.Errorf("got %v, want ErrNoSignature", err)
	}
	vo := h.by(k)
	vo.Repository = elsewhere
	if _, err := verifyIt(t, vo, im); err != nil {
		t.Error(err)
	}
}

// TestOnlyGivenTransport: each request to the registry goes through the transport
// that was given.
func TestOnlyGivenTransport(t *testing.T) {
	h, k := newHub(t, false), newP256(t)
	im := h.push(t, "a")
	broken := func() cosign.Registry {
		return cosign.Registry{Remote: []remote.Option{remote.WithTransport(refuse{}), remote.WithRetryBackoff(remote.Backoff{Steps: 1})}}
	}
	o := h.keyed(k, both...)
	o.Registry = broken()
	s, err := newSigner(o)
	must(t, err)
	if _, err := s.Sign(t.Context(), im); !errors.Is(err, errRefused) {
		t.Errorf("Sign: %v", err)
	}
	signIt(t, h.keyed(k, both...), im)
	vo := h.by(k)
	vo.Registry = broken()
	if _, err := verifyIt(t, vo, im); !errors.Is(err, errRefused) {
		t.Errorf("Verify: %v", err)
	}
}

// TestOtherDigest: signatures that were moved to another image do not hold
// there, and are said to be another's.
func TestOtherDigest(t *testing.T) {
	for _, referrers := range []bool{true, false} {
		h, k := newHub(t, referrers), newP256(t)
		from, to := h.push(t, "a"), h.push(t, "a")
		signIt(t, h.keyed(k, both...), from)
		h.move(t, from, to)
		got, err := verifyIt(t, h.by(k), to)
		if !errors.Is(err, sign.ErrOtherDigest) || errors.Is(err, sign.ErrKey) {
			t.Errorf("got %v, want ErrOtherDigest", err)
		}
		if len(got) != 2 {
			t.Fatalf("found %d signatures", len(got))
		}
		for _, s := range got {
			if !errors.Is(s.Err, sign.ErrOtherDigest) || s.Digest != from.Name.DigestStr() {
				t.Errorf("%s: signed is %s: %v", s.Format, s.Digest, s.Err)
			}
		}
	}
}

// TestWrongSignatures: each thing that can be wrong has an error of its own.
func TestWrongSignatures(t *testing.T) {
	h, k, other := newHub(t, true), newP256(t), newP256(t)
	none, signed := h.push(t, "none"), h.push(t, "signed")
	signIt(t, h.keyed(k, both...), signed)
	somebody := cosign.VerifyOptions{
		Registry: h.registry(), Identity: "a@example.com", Issuer: "https://example.com", IgnoreTlog: true,
		Services: cosign.Services{TrustedRoot: emptyRoot(t)},
	}
	logged := h.by(k)
	logged.IgnoreTlog, logged.TrustedRoot = false, emptyRoot(t)
	annotated := h.by(k)
	annotated.Annotations = map[string]string{"a": "1"}
	for name, tc := range map[string]struct {
		im   sign.Image
		o    cosign.VerifyOptions
		kind error
	}{
		"no signature":       {none, h.by(k), sign.ErrNoSignature},
		"another key":        {signed, h.by(other), sign.ErrKey},
		"an identity wanted": {signed, somebody, sign.ErrIdentity},
		"a log wanted":       {signed, logged, sign.ErrLog},
		"an annotation":      {signed, annotated, sign.ErrAnnotation},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := verifyIt(t, tc.o, tc.im)
			if !errors.Is(err, tc.kind) {
				t.Errorf("got %v, want %v", err, tc.kind)
			}
			if e, ok := errors.AsType[*sign.Error](err); !ok || e.Image != tc.im.Name.String() {
				t.Errorf("the error does not name the image: %v", err)
			}
			for _, s := range got {
				if !errors.Is(s.Err, tc.kind) {
					t.Errorf("%s: got %v, want %v", s.Format, s.Err, tc.kind)
				}
			}
		})
	}
}

// emptyRoot writes a trusted root that trusts nobody.
func emptyRoot(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.json")
	must(t, os.WriteFile(path, []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`), 0o600))
	return path
}

// move puts the signatures of an image where those of another would be.
func (h *hub) move(t *testing.T, from, to sign.Image) {
	t.Helper()
	repo := from.Name.Context()
	tagOf := func(im sign.Image) string { return strings.Replace(im.Name.DigestStr(), ":", "-", 1) }
	sigs, err := remote.Image(repo.Tag(tagOf(from) + ".sig"))
	must(t, err)
	must(t, remote.Write(repo.Tag(tagOf(to)+".sig"), sigs))
	index, err := remote.Referrers(from.Name)
	must(t, err)
	m, err := index.IndexManifest()
	must(t, err)
	subject, err := remote.Head(to.Name)
	must(t, err)
	for _, d := range m.Manifests {
		image, err := remote.Image(repo.Digest(d.Digest.String()))
		must(t, err)
		im, err := image.Manifest()
		must(t, err)
		changed := im.DeepCopy()
		changed.Subject = &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
		raw := asJSON(t, changed, d.ArtifactType)
		hash, _, err := v1.SHA256(strings.NewReader(string(raw)))
		must(t, err)
		must(t, remote.Put(repo.Digest(hash.String()), rawManifest(raw)))
	}
}
