// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	signs "github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// The keys of annotations in SHA-512.
var (
	mergedKey = image.AnnotationKey(image.RoleMerged, fsverity.SHA512)
	configKey = image.AnnotationKey(image.RoleConfig, fsverity.SHA512)
)

// newKernelKey makes a key with a certificate of that name, which is valid until
// then.
func newKernelKey(t *testing.T, name string, until time.Time) *pkcs7.Key {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	like := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, like, like, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	k, err := pkcs7.LoadKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// farAway is a day on which no certificate of the tests has expired.
var farAway = time.Date(2190, 1, 1, 0, 0, 0, 0, time.UTC)

// sealed is an image, sealed and perhaps signed, whose parts tests change before
// it is pushed. What links the parts, digests and sizes of blobs and manifests,
// follows; what is said does not.
type sealed struct {
	t                   *testing.T
	key                 *pkcs7.Key // nil: there are no fs-verity signatures
	labels              map[string]string
	annotations, config map[string]string // of the manifest and of its config descriptor
	layer               map[string]string // annotations of the layer descriptor
	diffID              string
	artifacts           []*image.Artifact

	// text changes the text of an artifact's manifest.
	text func(string) string
	// subject is what the artifacts are listed beside; the default is the image.
	subject v1.Hash
}

// newSealed returns an image with label and, inline, annotations.
func newSealed(t *testing.T, key *pkcs7.Key, inline bool) *sealed {
	t.Helper()
	s := &sealed{t: t, key: key, labels: map[string]string{image.LabelKey: minimal}, diffID: layerDiffID}
	if !inline {
		return s
	}
	s.annotations = map[string]string{mergedKey: minimal, image.InputKey: minimalInput}
	s.config = map[string]string{configKey: fsverity.Sum(fsverity.SHA512, s.configText()).String()}
	if key != nil {
		s.annotations[mergedKey+".sig"] = s.inline(key, minimal)
		s.config[configKey+".sig"] = s.inline(key, s.config[configKey])
	}
	return s
}

// kernelSignature signs a digest.
func kernelSignature(t *testing.T, key *pkcs7.Key, d fsverity.Digest) []byte {
	t.Helper()
	der, err := key.Sign(d)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// inline is the annotation of a signature.
func (s *sealed) inline(key *pkcs7.Key, hex string) string {
	s.t.Helper()
	d, err := fsverity.ParseDigest(fsverity.SHA512, hex)
	if err != nil {
		s.t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(kernelSignature(s.t, key, d))
}

func (s *sealed) configText() []byte {
	text, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{"Labels": s.labels},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{s.diffID}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

func (s *sealed) image() handmade {
	text, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"config": map[string]any{
			"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "CONFIGDIGEST", "size": 4711, "annotations": s.config,
		},
		"layers": []any{map[string]any{
			"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "LAYERDIGEST", "size": 78, "annotations": s.layer,
		}},
		"annotations": s.annotations,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return handmade{config: string(s.configText()), manifest: strings.Replace(string(text), "4711", "CONFIGSIZE", 1)}
}

// attach adds a right artifact for the image as it is now, signed by the key if
// there is one.
func (s *sealed) attach(key *pkcs7.Key) *image.Artifact {
	s.t.Helper()
	_, manifest := s.image().texts()
	merged, err := fsverity.ParseDigest(fsverity.SHA512, minimal)
	if err != nil {
		s.t.Fatal(err)
	}
	a := &image.Artifact{
		Entries: []image.ArtifactEntry{
			{Role: image.RoleManifest, Digest: fsverity.Sum(fsverity.SHA512, manifest)},
			{Role: image.RoleConfig, Digest: fsverity.Sum(fsverity.SHA512, s.configText())},
			{Role: image.RoleMerged, Digest: merged},
		},
		Annotations: []image.KV{{Key: image.InputKey, Value: minimalInput}},
	}
	signArtifact(s.t, a, key)
	s.artifacts = append(s.artifacts, a)
	return a
}

func signArtifact(t *testing.T, a *image.Artifact, key *pkcs7.Key) {
	t.Helper()
	for i := range a.Entries {
		if key != nil {
			a.Entries[i].Signature = kernelSignature(t, key, a.Entries[i].Digest)
		}
	}
}

// entry returns the entry of a role.
func entry(a *image.Artifact, role image.Role) *image.ArtifactEntry {
	return &a.Entries[slices.IndexFunc(a.Entries, func(e image.ArtifactEntry) bool { return e.Role == role })]
}

// push pushes the image as a:v1, and the artifacts.
func (s *sealed) push(to *store) v1.Descriptor {
	s.t.Helper()
	d := to.push(s.t, "a:v1", s.image())
	for _, a := range s.artifacts {
		if a.Subject.Digest == (v1.Hash{}) {
			a.Subject = v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
		}
		beside := d.Digest
		if s.subject != (v1.Hash{}) {
			beside = s.subject
		}
		s.pushArtifact(to, beside, a)
	}
	return d
}

func (s *sealed) pushArtifact(to *store, subject v1.Hash, a *image.Artifact) {
	s.t.Helper()
	raw, blobs, err := a.Marshal()
	if err != nil {
		s.t.Fatal(err)
	}
	if s.text != nil {
		raw = []byte(s.text(string(raw)))
	}
	repo := to.openBy(s.t, "a:v1", to.inside()).Repo
	for _, b := range blobs {
		if err := repo.PushBlob(s.t.Context(), b.Descriptor, b.Content); err != nil {
			s.t.Fatal(err)
		}
	}
	d := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf(raw), Size: int64(len(raw)), ArtifactType: image.ArtifactType}
	if err := repo.PushReferrer(s.t.Context(), subject, d, raw, nil); err != nil {
		s.t.Fatal(err)
	}
}

// verifier is one that has an answer for each digest; others have no signature.
type verifier map[string]error

// Verify answers.
func (v verifier) Verify(_ context.Context, im signs.Image) ([]signs.Signature, error) {
	err, ok := v[im.Name.DigestStr()]
	if !ok {
		return nil, &signs.Error{Image: im.Name.String(), Op: "verify", Kind: signs.ErrNoSignature, Err: errors.New("there is no signature")}
	}
	found := []signs.Signature{{Format: signs.Legacy, Place: "x", Err: err, Digest: im.Name.DigestStr(), Key: "k"}}
	if err != nil {
		return found, &signs.Error{Image: im.Name.String(), Op: "verify", Err: err}
	}
	return found, nil
}

// wantFindings fails unless verifying failed for findings that have these parts,
// among others; without parts, unless it did not fail.
func wantFindings(t *testing.T, err error, parts ...string) {
	t.Helper()
	if len(parts) == 0 {
		if err != nil {
			t.Errorf("got %v", err)
		}
		return
	}
	m, ok := errors.AsType[*cfslabel.MismatchError](err)
	if !ok || !errors.Is(err, cfslabel.ErrMismatch) {
		t.Errorf("got %v, want findings %q", err, parts)
		return
	}
	for _, want := range parts {
		if !slices.ContainsFunc(m.Findings, func(f string) bool { return strings.Contains(f, want) }) {
			t.Errorf("found is %q, and not %q", m.Findings, want)
		}
	}
}
