// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// kernelKey makes a key for signatures that the kernel takes.
func kernelKey(t *testing.T, name string) *pkcs7.Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := pkcs7.LoadKey(
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signedArtifacts returns the artifacts of an image.
func (s *store) signedArtifacts(t *testing.T, d v1.Hash) []*image.Artifact {
	t.Helper()
	repo := s.openBy(t, "a:x", s.inside()).Repo
	var list []*image.Artifact
	for _, r := range s.referrers(t, "a", d) {
		a, err := image.ParseArtifact(s.text(t, "a", r.Digest), func(d v1.Descriptor) ([]byte, error) {
			return repo.BlobBytes(t.Context(), d, image.MaxSignatureSize)
		})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	return list
}

// wantSignedBy fails unless all that an artifact has is signed with the key.
func wantSignedBy(t *testing.T, a *image.Artifact, key *pkcs7.Key) {
	t.Helper()
	for _, e := range a.Entries {
		if err := key.Certificate().Verify(e.Digest, e.Signature); err != nil {
			t.Errorf("%s: %v", e.Role, err)
		}
	}
}

// TestKernelSign: config and merged are signed in annotations beside their
// digests; they and the manifest, as it is with those, in an artifact for each
// algorithm. The second time nothing changes.
func TestKernelSign(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	key := kernelKey(t, "one")
	o := cfslabel.LabelOptions{Kernel: key, Options: cfslabel.Options{Algorithms: both}}
	sealed := label(t, s.open(t, "a:v1"), o)
	_, config, manifest := s.pull(t, "a:v1")
	m, err := image.ParseManifest(manifest, "")
	if err != nil {
		t.Fatal(err)
	}
	for i, alg := range both {
		for role, place := range map[image.Role]map[string]string{image.RoleConfig: m.Config.Annotations, image.RoleMerged: m.Annotations} {
			digest, err := fsverity.ParseDigest(alg, place[image.AnnotationKey(role, alg)])
			if err != nil {
				t.Fatalf("%s %s: %v", role, alg, err)
			}
			sig, err := base64.StdEncoding.DecodeString(place[image.SignatureKey(role, alg)])
			if err == nil {
				err = key.Certificate().Verify(digest, sig)
			}
			if err != nil {
				t.Errorf("%s %s: %v", role, alg, err)
			}
		}
		a := s.signedArtifacts(t, sealed.Digest)[i]
		want := []fsverity.Digest{fsverity.Sum(alg, manifest), fsverity.Sum(alg, config), sealed.Images[0].Digests[i].Digest}
		for j, e := range a.Entries {
			if e.Digest != want[j] {
				t.Errorf("%s %s is %s, want %s", e.Role, alg, e.Digest, want[j])
			}
		}
		wantSignedBy(t, a, key)
	}
	again := label(t, s.open(t, "a:v1"), o)
	if again.Changed || len(again.Written) != 0 || len(s.referrers(t, "a", sealed.Digest)) != 2 {
		t.Errorf("the second time: %+v", again)
	}
}

// TestKernelSignBesides: what is beside an image already decides whether ours is
// pushed: an artifact without signatures gives way, one with those of somebody
// else stays and ours comes beside it.
func TestKernelSignBesides(t *testing.T) {
	key, other := kernelKey(t, "one"), kernelKey(t, "other")
	by := func(k *pkcs7.Key) func(*testing.T, *image.Artifact) {
		return func(t *testing.T, a *image.Artifact) {
			t.Helper()
			for i := range a.Entries {
				var err error
				if a.Entries[i].Signature, err = k.Sign(a.Entries[i].Digest); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, tc := range map[string]struct {
		change func(*testing.T, *image.Artifact)
		pushed int
		total  int
	}{
		"unsigned": {func(*testing.T, *image.Artifact) {}, 1, 1},
		"ours":     {by(key), 0, 1},
		"another":  {by(other), 1, 2},
	} {
		s := newStore(t)
		d := s.push(t, "a:v1", plain)
		a := s.artifactOf(t, d)
		tc.change(t, a)
		s.putArtifact(t, d.Digest, a)
		warnings := &talk{}
		o := cfslabel.LabelOptions{Write: beside, Kernel: key, Options: cfslabel.Options{Warn: warnings.warn}}
		sealed := label(t, s.open(t, "a:v1"), o)
		if sealed.Changed || len(sealed.Images[0].Artifacts) != tc.pushed {
			t.Errorf("%s: pushed are %v", name, sealed.Images[0].Artifacts)
		}
		all := s.signedArtifacts(t, d.Digest)
		if len(all) != tc.total {
			t.Errorf("%s: there are %d", name, len(all))
		}
		wantSignedBy(t, all[len(all)-1], key)
		if len(warnings.said) != 0 {
			t.Errorf("%s: warned of %q", name, warnings.said)
		}
	}
}

// TestKernelSignDocker: an image in Docker's format has no annotations, so all
// signatures are in the artifact; so they are where the label alone is written.
func TestKernelSignDocker(t *testing.T) {
	key := kernelKey(t, "one")
	for name, o := range map[string]cfslabel.LabelOptions{
		"docker": {Kernel: key},
		"label":  {Kernel: key, Write: []cfslabel.Place{cfslabel.InLabel}},
	} {
		s := newStore(t)
		h := plain
		if name == "docker" {
			h = docker
		}
		s.push(t, "a:v1", h)
		sealed := label(t, s.open(t, "a:v1"), o)
		if _, _, manifest := s.pull(t, "a:v1"); strings.Contains(string(manifest), "composefs.") {
			t.Errorf("%s: the manifest is %s", name, manifest)
		}
		all := s.signedArtifacts(t, sealed.Digest)
		if len(all) != 1 {
			t.Fatalf("%s: there are %d artifacts", name, len(all))
		}
		wantSignedBy(t, all[0], key)
		if want := []cfslabel.Place{cfslabel.InLabel, cfslabel.InArtifact}; !slices.Equal(sealed.Written, want) {
			t.Errorf("%s: wrote %v, want %v", name, sealed.Written, want)
		}
	}
}

// TestKernelIfNeeded: the digests of an earlier seal are believed only if they are
// signed with the key already.
func TestKernelIfNeeded(t *testing.T) {
	key, other := kernelKey(t, "one"), kernelKey(t, "other")
	for name, tc := range map[string]struct {
		first *pkcs7.Key
		read  bool
	}{"unsigned": {nil, true}, "ours": {key, false}, "another": {other, true}} {
		s := newStore(t)
		s.push(t, "a:v1", plain)
		label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Kernel: tc.first})
		before := s.count(http.MethodGet, layerDigest)
		sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Kernel: key, IfNeeded: true})
		if read := s.count(http.MethodGet, layerDigest) > before; read != tc.read || sealed.Changed != tc.read {
			t.Errorf("%s: the layer was read: %t, the image changed: %t", name, read, sealed.Changed)
		}
		all := s.signedArtifacts(t, sealed.Digest)
		wantSignedBy(t, all[len(all)-1], key)
	}
}
