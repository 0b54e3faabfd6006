// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Signatures as cosign stores them (its specs/SIGNATURE_SPEC.md, BUNDLE_SPEC.md),
// made here by hand so that a test can change any part.

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newSigningKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return key
}

// publicFile writes the public key to a file.
func publicFile(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	check(t, err)
	file := filepath.Join(t.TempDir(), "cosign.pub")
	check(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	return file
}

func signBytes(t *testing.T, key *ecdsa.PrivateKey, data []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(data)
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	check(t, err)
	return sig
}

// legacy is a legacy signature.
type legacy struct {
	t           *testing.T
	payload     []byte
	signature   string // in base64
	annotations map[string]string
}

// payloadOf is the text that is signed.
func payloadOf(kind, digest string, annotations map[string]string) []byte {
	text, _ := json.Marshal(map[string]any{
		"critical": map[string]any{
			"identity": map[string]string{"docker-reference": "example.org/app"},
			"image":    map[string]string{"docker-manifest-digest": digest}, "type": kind,
		}, "optional": annotations,
	})
	return text
}

// signatureType is what a payload says that it is.
const signatureType = "cosign container image signature"

func newLegacy(t *testing.T, key *ecdsa.PrivateKey, payload []byte) *legacy {
	t.Helper()
	return &legacy{t: t, payload: payload, signature: base64.StdEncoding.EncodeToString(signBytes(t, key, payload)), annotations: map[string]string{}}
}

// pushBlob pushes a blob and returns its descriptor.
func (h *hub) pushBlob(t *testing.T, repo name.Repository, mediaType types.MediaType, content []byte) v1.Descriptor {
	t.Helper()
	layer := static.NewLayer(content, mediaType)
	check(t, ggcr.WriteLayer(repo, layer, ggcr.WithTransport(h)))
	d, err := layer.Digest()
	check(t, err)
	return v1.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
}

// push stores the signature under the image's tag.
func (l *legacy) push(h *hub, im name.Digest) {
	t := l.t
	t.Helper()
	layer := h.pushBlob(t, im.Context(), "application/vnd.dev.cosign.simplesigning.v1+json", l.payload)
	layer.Annotations = map[string]string{"dev.cosignproject.cosign/signature": l.signature}
	maps.Copy(layer.Annotations, l.annotations)
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: h.pushBlob(t, im.Context(), types.OCIConfigJSON, []byte(`{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":[]}}`)),
		Layers: []v1.Descriptor{layer},
	})
	check(t, err)
	tag := im.Context().Tag("sha256-" + im.DigestStr()[len("sha256:"):] + ".sig")
	check(t, ggcr.Put(tag, text{manifest, types.OCIManifestSchema1}, ggcr.WithTransport(h)))
}

// statementOf is what a bundle signs.
func statementOf(predicate, digest string) []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`,
		digest[len("sha256:"):], predicate)
}

const (
	signPredicate = "https://sigstore.dev/cosign/sign/v1"
	bundleType    = "application/vnd.dev.sigstore.bundle.v0.3+json"
	intotoType    = "application/vnd.in-toto+json"
)

// bundle is a Sigstore bundle.
type bundle struct {
	t                  *testing.T
	payload, signature []byte
}

func newBundle(t *testing.T, key *ecdsa.PrivateKey, payload []byte) *bundle {
	t.Helper()
	pae := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(intotoType), intotoType, len(payload), payload)
	return &bundle{t, payload, signBytes(t, key, pae)}
}

// push makes the bundle a referrer of the image.
func (b *bundle) push(h *hub, im name.Digest) {
	t := b.t
	t.Helper()
	text64 := base64.StdEncoding.EncodeToString
	content := fmt.Appendf(nil, `{"mediaType":%q,"verificationMaterial":{"publicKey":{"hint":"x"}},"dsseEnvelope":{"payload":%q,"payloadType":%q,"signatures":[{"sig":%q}]}}`,
		bundleType, text64(b.payload), intotoType, text64(b.signature))
	subject, err := ggcr.Head(im, ggcr.WithTransport(h))
	check(t, err)
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": types.OCIManifestSchema1, "artifactType": bundleType, "subject": subject,
		"config": h.pushBlob(t, im.Context(), types.OCIEmptyJSON, []byte("{}")),
		"layers": []v1.Descriptor{h.pushBlob(t, im.Context(), bundleType, content)},
	})
	check(t, err)
	sum := sha256.Sum256(manifest)
	where := im.Context().Digest(fmt.Sprintf("sha256:%x", sum))
	check(t, ggcr.Put(where, text{manifest, types.OCIManifestSchema1}, ggcr.WithTransport(h)))
}

// authority issues certificates for identities.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newSigningKey(t)}
	like := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, BasicConstraintsValid: true, IsCA: true,
		NotBefore: time.Now().Add(-100 * time.Hour), NotAfter: time.Now().Add(100 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, like, like, a.key.Public(), a.key)
	check(t, err)
	a.cert, err = x509.ParseCertificate(der)
	check(t, err)
	return a
}

// issuerOID is the extension that names the OIDC provider (Fulcio, docs/oid-info.md).
var issuerOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}

// issue returns a certificate of the key, in PEM, valid for an hour from then.
func (a *authority) issue(t *testing.T, key *ecdsa.PrivateKey, identity, issuer string, from time.Time) string {
	t.Helper()
	like := &x509.Certificate{
		SerialNumber: big.NewInt(2), EmailAddresses: []string{identity}, NotBefore: from, NotAfter: from.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: issuerOID, Value: []byte(issuer)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, like, a.cert, key.Public(), a.key)
	check(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// trustedRoot writes a trusted root with the authority and nothing else.
func (a *authority) trustedRoot(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	check(t, json.NewEncoder(&out).Encode(map[string]any{
		"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"certificateAuthorities": []any{map[string]any{
			"subject":   map[string]string{"commonName": "authority", "organization": "tests"},
			"uri":       "https://fulcio.example",
			"certChain": map[string]any{"certificates": []any{map[string]any{"rawBytes": a.cert.Raw}}},
			"validFor":  map[string]any{"start": a.cert.NotBefore.Format(time.RFC3339)},
		}},
	}))
	file := filepath.Join(t.TempDir(), "trusted_root.json")
	check(t, os.WriteFile(file, out.Bytes(), 0o600))
	return file
}
