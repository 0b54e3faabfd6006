// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// Whom the certificates of the tests name.
const (
	subject = "me@example.com"
	issuer  = "https://issuer.example.com"
)

// issuerOID is the extension that names the issuer (Fulcio, docs/oid-info.md).
var issuerOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}

// authority is a Fulcio that believes everybody, with an intermediate.
type authority struct {
	*httptest.Server
	roots        [][]byte // DER: the intermediate, and the root
	intermediate *x509.Certificate
	key          *ecdsa.PrivateKey
	from, to     time.Time // of the certificates that it issues
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	now := time.Now()
	a := &authority{from: now.Add(-time.Minute), to: now.Add(10 * time.Minute)}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	ca := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true, IsCA: true,
			NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		}
	}
	root := ca("root")
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	must(t, err)
	a.intermediate = ca("intermediate")
	der, err := x509.CreateCertificate(rand.Reader, a.intermediate, root, a.key.Public(), rootKey)
	must(t, err)
	a.intermediate, err = x509.ParseCertificate(der)
	must(t, err)
	a.roots = [][]byte{der, rootDER}
	a.Server = httptest.NewServer(http.HandlerFunc(a.issue))
	t.Cleanup(a.Close)
	return a
}

// issue answers as version 2 of Fulcio's API does.
func (a *authority) issue(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		PublicKeyRequest struct {
			PublicKey struct {
				Content string `json:"content"`
			} `json:"publicKey"`
		} `json:"publicKeyRequest"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	block, _ := pem.Decode([]byte(asked.PublicKeyRequest.PublicKey.Content))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), EmailAddresses: []string{subject}, NotBefore: a.from, NotAfter: a.to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: issuerOID, Value: []byte(issuer)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.intermediate, public, a.key)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var chain []string
	for _, c := range append([][]byte{der}, a.roots...) {
		chain = append(chain, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{"certificates": chain}},
	})
}

// trustedRoot writes a trusted root with the authority, and those of timestamps
// that are given.
func (a *authority) trustedRoot(t *testing.T, clocks ...*clock) string {
	t.Helper()
	return a.trustedRootWith(t, nil, clocks...)
}

// trustedRootWith does the same, with transparency logs.
func (a *authority) trustedRootWith(t *testing.T, logs []any, clocks ...*clock) string {
	t.Helper()
	entry := func(uri string, chain [][]byte) map[string]any {
		var certs []map[string]string
		for _, der := range chain {
			certs = append(certs, map[string]string{"rawBytes": base64.StdEncoding.EncodeToString(der)})
		}
		return map[string]any{
			"uri": uri, "certChain": map[string]any{"certificates": certs}, "validFor": map[string]any{"start": "2020-01-01T00:00:00Z"},
		}
	}
	var stamps []any
	for _, c := range clocks {
		stamps = append(stamps, entry(c.URL, c.chain))
	}
	raw, err := json.Marshal(map[string]any{
		"mediaType":              "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"certificateAuthorities": []any{entry(a.URL, a.roots)},
		"timestampAuthorities":   stamps,
		"tlogs":                  logs,
	})
	must(t, err)
	path := filepath.Join(t.TempDir(), "root.json")
	must(t, os.WriteFile(path, raw, 0o600))
	return path
}

// keyless returns options to sign with an identity and without a log.
func (h *hub) keyless(t *testing.T, a *authority, formats ...sign.Format) cosign.SignOptions {
	t.Helper()
	return cosign.SignOptions{
		Registry: h.registry(), FulcioURL: a.URL, IdentityToken: newToken(t, time.Now().Add(time.Hour)), NoTlog: true, Formats: formats,
	}
}

// byIdentity returns options to verify such signatures.
func (h *hub) byIdentity(t *testing.T, a *authority) cosign.VerifyOptions {
	t.Helper()
	return cosign.VerifyOptions{
		Registry: h.registry(), Services: cosign.Services{TrustedRoot: a.trustedRoot(t)}, Identity: subject, Issuer: issuer,
		IgnoreTlog: true, IgnoreSCT: true, Offline: true,
	}
}

// TestKeyless: an identity signs, and what does not fit has an error of its own.
func TestKeyless(t *testing.T) {
	h, a, stranger, k := newHub(t, true), newAuthority(t), newAuthority(t), newP256(t)
	im := h.push(t, "a")
	for _, m := range signIt(t, h.keyless(t, a, both...), im).Made {
		if m.Identity != subject {
			t.Errorf("%s: signed by %q", m.Format, m.Identity)
		}
	}
	change := func(do func(o *cosign.VerifyOptions)) cosign.VerifyOptions {
		o := h.byIdentity(t, a)
		do(&o)
		return o
	}
	for name, tc := range map[string]struct {
		o    cosign.VerifyOptions
		kind error // nil: it holds
	}{
		"as it is": {h.byIdentity(t, a), nil},
		"regexp": {change(func(o *cosign.VerifyOptions) {
			o.Identity, o.IdentityRegexp, o.Issuer, o.IssuerRegexp = "", `^.*@example\.com$`, "", `^https://issuer\.`
		}), nil},
		"another subject":  {change(func(o *cosign.VerifyOptions) { o.Identity = "you@example.com" }), sign.ErrIdentity},
		"another issuer":   {change(func(o *cosign.VerifyOptions) { o.Issuer = "https://example.com" }), sign.ErrIdentity},
		"another regexp":   {change(func(o *cosign.VerifyOptions) { o.Identity, o.IdentityRegexp = "", "^you@" }), sign.ErrIdentity},
		"a stranger's":     {change(func(o *cosign.VerifyOptions) { o.TrustedRoot = stranger.trustedRoot(t) }), sign.ErrCertificate},
		"no proof of it":   {change(func(o *cosign.VerifyOptions) { o.IgnoreSCT = false }), sign.ErrCertificate},
		"a log wanted":     {change(func(o *cosign.VerifyOptions) { o.IgnoreTlog = false }), sign.ErrLog},
		"a key wanted":     {h.by(k), sign.ErrKey},
		"annotated wanted": {change(func(o *cosign.VerifyOptions) { o.Annotations = map[string]string{"a": "b"} }), sign.ErrAnnotation},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := verifyIt(t, tc.o, im)
			if !errors.Is(err, tc.kind) {
				t.Errorf("got %v, want %v", err, tc.kind)
			}
			if len(got) != 2 {
				t.Fatalf("found %d signatures", len(got))
			}
			for _, s := range got {
				if !errors.Is(s.Err, tc.kind) || s.Identity != subject || s.Issuer != issuer {
					t.Errorf("%s by %s of %s: %v, want %v", s.Format, s.Identity, s.Issuer, s.Err, tc.kind)
				}
			}
		})
	}
}

// TestExpired: a certificate that has expired does not hold if nobody says when
// it signed, whether a log is wanted or not.
func TestExpired(t *testing.T) {
	h, a := newHub(t, true), newAuthority(t)
	a.from, a.to = time.Now().Add(-time.Hour), time.Now().Add(-50*time.Minute)
	im := h.push(t, "a")
	signIt(t, h.keyless(t, a, both...), im)
	for ignore, want := range map[bool]string{
		true:  "and nobody who is trusted says when it signed",
		false: "and no timestamp or log says when it signed: it has no entry of a transparency log",
	} {
		o := h.byIdentity(t, a)
		o.IgnoreTlog = ignore
		got, err := verifyIt(t, o, im)
		if !errors.Is(err, sign.ErrExpired) || len(got) != 2 {
			t.Fatalf("got %v of %d signatures, want ErrExpired of 2", err, len(got))
		}
		for _, s := range got {
			if !errors.Is(s.Err, sign.ErrExpired) || !strings.Contains(s.Err.Error(), "the certificate is valid from ") ||
				!strings.HasSuffix(s.Err.Error(), want) {
				t.Errorf("%s: %v, want %q", s.Format, s.Err, want)
			}
		}
	}
}

// TestChain: a legacy signature carries the certificates between the signer's
// and the root, which hosts need.
func TestChain(t *testing.T) {
	h, a := newHub(t, true), newAuthority(t)
	im := h.push(t, "a")
	made := signIt(t, h.keyless(t, a), im).Made[0]
	tag, err := im.Name.Context().Tag(made.Place[len(im.Name.Context().Name())+1:]), error(nil)
	must(t, err)
	image, err := remote.Image(tag)
	must(t, err)
	m, err := image.Manifest()
	must(t, err)
	var got [][]byte
	for rest := []byte(m.Layers[0].Annotations["dev.sigstore.cosign/chain"]); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		got = append(got, block.Bytes)
	}
	if len(got) != 2 || !bytes.Equal(got[0], a.roots[0]) || !bytes.Equal(got[1], a.roots[1]) {
		t.Errorf("the chain has %d certificates: %s", len(got), fmt.Sprint(m.Layers[0].Annotations))
	}
}
