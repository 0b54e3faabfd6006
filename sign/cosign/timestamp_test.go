// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/cfs-label/cfs-label/sign"
)

// clock is a timestamp authority (RFC 3161) that says what time it likes.
type clock struct {
	*httptest.Server
	chain [][]byte // DER: its own, and the root
	at    time.Time
}

func newClock(t *testing.T, at time.Time) *clock {
	t.Helper()
	c := &clock{at: at}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clocks"}, BasicConstraintsValid: true, IsCA: true,
		NotBefore: at.Add(-24 * time.Hour), NotAfter: at.Add(48 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	must(t, err)
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	must(t, err)
	own := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "clock"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature,
		// RFC 3161, 2.3: this usage alone, and critical.
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	}
	der, err := x509.CreateCertificate(rand.Reader, own, root, key.Public(), rootKey)
	must(t, err)
	c.chain = [][]byte{der, rootDER}
	own, err = x509.ParseCertificate(der)
	must(t, err)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.stamp(w, r, own, key) }))
	t.Cleanup(c.Close)
	return c
}

func (c *clock) stamp(w http.ResponseWriter, r *http.Request, own *x509.Certificate, key crypto.Signer) {
	raw, err := io.ReadAll(r.Body)
	if err == nil {
		var asked *timestamp.Request
		if asked, err = timestamp.ParseRequest(raw); err == nil {
			stamp := timestamp.Timestamp{
				HashAlgorithm: asked.HashAlgorithm, HashedMessage: asked.HashedMessage, Time: c.at, Nonce: asked.Nonce,
				SerialNumber: big.NewInt(1), Policy: asn1.ObjectIdentifier{1, 2, 3}, AddTSACertificate: true,
			}
			if raw, err = stamp.CreateResponseWithOpts(own, key, crypto.SHA256); err == nil {
				w.Header().Set("Content-Type", "application/timestamp-reply")
				_, _ = w.Write(raw)
				return
			}
		}
	}
	http.Error(w, err.Error(), http.StatusBadRequest)
}

// TestTimestamp: a certificate that has expired holds if a trusted timestamp says
// that it signed before, and not by anybody else's, or by one of another time.
func TestTimestamp(t *testing.T) {
	h, a := newHub(t, true), newAuthority(t)
	issued := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	a.from, a.to = issued.Add(-time.Minute), issued.Add(10*time.Minute)
	right, late, stranger := newClock(t, issued), newClock(t, issued.Add(20*time.Minute)), newClock(t, issued)
	for name, tc := range map[string]struct {
		by      *clock // nil: nobody
		trusted []*clock
		kind    error // nil: it holds
	}{
		"in time":     {right, []*clock{right, late}, nil},
		"none":        {nil, []*clock{right, late}, sign.ErrExpired},
		"too late":    {late, []*clock{right, late}, sign.ErrExpired},
		"a stranger":  {stranger, []*clock{right, late}, sign.ErrTimestamp},
		"not trusted": {right, nil, sign.ErrExpired},
	} {
		t.Run(name, func(t *testing.T) {
			im := h.push(t, "a")
			o := h.keyless(t, a, both...)
			if tc.by != nil {
				o.TimestampURL = tc.by.URL
			}
			signIt(t, o, im)
			vo := h.byIdentity(t, a)
			vo.TrustedRoot = a.trustedRoot(t, tc.trusted...)
			got, err := verifyIt(t, vo, im)
			if !errors.Is(err, tc.kind) || len(got) != 2 {
				t.Fatalf("got %v of %d signatures, want %v of 2", err, len(got), tc.kind)
			}
			for _, s := range got {
				if !errors.Is(s.Err, tc.kind) {
					t.Errorf("%s: %v, want %v", s.Format, s.Err, tc.kind)
				}
				if tc.kind == nil && !s.Time.Equal(issued) {
					t.Errorf("%s: signed at %s, want %s", s.Format, s.Time, issued)
				}
			}
		})
	}
}

// TestNobodySaysWhen: a signature that holds without a log and without a
// timestamp has no time.
func TestNobodySaysWhen(t *testing.T) {
	h, a := newHub(t, true), newAuthority(t)
	im := h.push(t, "a")
	signIt(t, h.keyless(t, a, both...), im)
	got, err := verifyIt(t, h.byIdentity(t, a), im)
	must(t, err)
	for _, s := range got {
		if !s.Time.IsZero() {
			t.Errorf("%s: signed at %s", s.Format, s.Time)
		}
	}
}

// TestTimestampFails: a timestamp authority that makes none is a service that
// fails, and nothing is signed.
func TestTimestampFails(t *testing.T) {
	h, k := newHub(t, true), newP256(t)
	for name, text := range map[string]string{"nothing": "", "garbage": "garbage"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
		t.Cleanup(s.Close)
		for _, f := range both {
			im := h.push(t, "a")
			o := h.keyed(k, f)
			o.TimestampURL = s.URL
			signer, err := newSigner(o)
			must(t, err)
			if _, err := signer.Sign(t.Context(), im); !errors.Is(err, sign.ErrService) {
				t.Errorf("%s: got %v, want ErrService", name, err)
			}
			if _, err := verifyIt(t, h.by(k), im); !errors.Is(err, sign.ErrNoSignature) {
				t.Errorf("%s: got %v, want ErrNoSignature", name, err)
			}
		}
	}
}
