// SPDX-License-Identifier: Apache-2.0

package pkcs7_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// Object identifiers in DER.
var (
	oidRSA       = []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
	oidRSASHA512 = []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d")
	oidSHA256    = []byte("\x60\x86\x48\x01\x65\x03\x04\x02\x01")
	oidSHA512    = []byte("\x60\x86\x48\x01\x65\x03\x04\x02\x03")
	oidEnveloped = []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03")
	oidSigned    = []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")
	oidData      = []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01")
)

// TestFormattedDigest: the bytes that are signed are those of struct
// fsverity_formatted_digest.
func TestFormattedDigest(t *testing.T) {
	for alg, want := range map[fsverity.Algorithm]string{
		fsverity.SHA256: hex.EncodeToString([]byte("FSVerity")) + "01002000" + strings.Repeat("07", 32),
		fsverity.SHA512: hex.EncodeToString([]byte("FSVerity")) + "02004000" + strings.Repeat("07", 64),
	} {
		if got := hex.EncodeToString(pkcs7.FormattedDigest(digestOf(t, alg, 7))); got != want {
			t.Errorf("%s: %s, want %s", alg, got, want)
		}
	}
}

// TestSize: the largest message is the largest signature of an artifact.
func TestSize(t *testing.T) {
	if pkcs7.MaxSize != image.MaxSignatureSize {
		t.Errorf("%d, want %d", pkcs7.MaxSize, image.MaxSignatureSize)
	}
}

// TestRoundTrip: what a key signs, its certificate verifies, and signing again
// gives the same bytes.
func TestRoundTrip(t *testing.T) {
	for _, kind := range kinds {
		for _, alg := range algorithms {
			p, d := newPair(t, kind), digestOf(t, alg, 7)
			der := p.sign(t, d)
			if err := p.load(t).Certificate().Verify(d, der); err != nil {
				t.Errorf("%s %s: %v", kind, alg, err)
			}
			if !bytes.Equal(der, p.sign(t, d)) {
				t.Errorf("%s %s: signed twice, the bytes differ", kind, alg)
			}
		}
	}
}

// TestVerifyRefuses: each thing that is not right has its error.
func TestVerifyRefuses(t *testing.T) {
	d := digestOf(t, fsverity.SHA512, 7)
	p := newPair(t, "rsa2048")
	der := p.sign(t, d)
	replace := func(old, with []byte) []byte { return bytes.ReplaceAll(der, old, with) }

	// A key of somebody else, whose certificate has the same name and number.
	impostor := certify(t, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), template())
	twin := certify(t, newKey(t, "rsa4096"), template())
	number, name := template(), template()
	number.SerialNumber = big.NewInt(7)
	name.Subject = pkix.Name{CommonName: "another"}

	tests := []struct {
		name string
		der  []byte
		want error
	}{
		{"nothing", nil, pkcs7.ErrFormat},
		{"text", []byte("a signature"), pkcs7.ErrFormat},
		{"a byte more", append(bytes.Clone(der), 0), pkcs7.ErrFormat},
		{"a byte less", der[:len(der)-1], pkcs7.ErrFormat},
		{"too large", make([]byte, pkcs7.MaxSize+1), pkcs7.ErrFormat},
		{"raw", p.raw(t, d, crypto.SHA512), pkcs7.ErrFormat},
		{"not signed data", replace(oidSigned, oidEnveloped), pkcs7.ErrFormat},
		{"not of data", replace(oidData, oidEnveloped), pkcs7.ErrFormat},
		{"another digest", p.sign(t, digestOf(t, fsverity.SHA512, 8)), pkcs7.ErrOtherDigest},
		{"a digest of another algorithm", p.sign(t, digestOf(t, fsverity.SHA256, 7)), pkcs7.ErrAlgorithm},
		{"another key with the same name and number", twin.sign(t, d), pkcs7.ErrOtherDigest},
		{"a key of another type with the same name and number", impostor.sign(t, d), pkcs7.ErrAlgorithm},
		{"another number", certify(t, p.key, number).sign(t, d), pkcs7.ErrOtherKey},
		{"another name", certify(t, p.key, name).sign(t, d), pkcs7.ErrOtherKey},
		{"the kernel does not know the algorithm by this name", replace(oidRSA, oidRSASHA512), pkcs7.ErrAlgorithm},
		{"another hash is named", replace(oidSHA512, oidSHA256), pkcs7.ErrAlgorithm},
		{"another hash is named once", bytes.Replace(der, oidSHA512, oidSHA256, 1), pkcs7.ErrAlgorithm},
	}
	cert := p.load(t).Certificate()
	for _, test := range tests {
		if err := cert.Verify(d, test.der); !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", test.name, err, test.want)
		}
	}
	if err := cert.Verify(fsverity.Digest{}, der); !errors.Is(err, pkcs7.ErrAlgorithm) {
		t.Errorf("no digest: error %v, want %v", err, pkcs7.ErrAlgorithm)
	}
}

// TestVerifyFlippedBits: no bit of a signature is without meaning, and none of
// the digest.
func TestVerifyFlippedBits(t *testing.T) {
	for _, kind := range kinds {
		for _, alg := range algorithms {
			p, d := newPair(t, kind), digestOf(t, alg, 7)
			cert, der := p.load(t).Certificate(), p.sign(t, d)
			step := 9 // one bit of each byte, another each time
			if alg == fsverity.SHA512 && (kind == "rsa2048" || kind == "p256") {
				step = 1 // all
			}
			for i := 0; i < len(der)*8; i += step {
				der[i/8] ^= 1 << (i % 8)
				if cert.Verify(d, der) == nil {
					t.Errorf("%s %s: byte %d, bit %d: accepted", kind, alg, i/8, i%8)
				}
				der[i/8] ^= 1 << (i % 8)
			}
			for i := range d.Bytes() {
				sum := bytes.Clone(d.Bytes())
				sum[i] ^= 1
				if err := cert.Verify(must(fsverity.NewDigest(alg, sum)), der); !errors.Is(err, pkcs7.ErrOtherDigest) {
					t.Errorf("%s %s: digest's byte %d: %v", kind, alg, i, err)
				}
			}
		}
	}
}

// TestWarning: dates are a warning and never an error.
func TestWarning(t *testing.T) {
	p, d := newPair(t, "p256"), digestOf(t, fsverity.SHA512, 7)
	cert := p.load(t).Certificate()
	for year, want := range map[int]string{2019: "valid only from 2020-01-01", 2030: "", 2050: "expired on 2049-01-01"} {
		got := cert.Warning(time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC))
		if !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%d: %q, want %q", year, got, want)
		}
	}
	expired := template()
	expired.NotAfter = time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	old := certify(t, p.key, expired)
	if err := old.load(t).Certificate().Verify(d, old.sign(t, d)); err != nil {
		t.Error(err)
	}
}

// TestWrapRefuses: a raw signature of anything else is refused, and says so.
func TestWrapRefuses(t *testing.T) {
	d := digestOf(t, fsverity.SHA512, 7)
	for _, kind := range []string{"rsa2048", "p256"} {
		p, other := newPair(t, kind), newPair(t, "p384")
		for name, raw := range map[string][]byte{
			"nothing":         nil,
			"another digest":  p.raw(t, digestOf(t, fsverity.SHA512, 8), crypto.SHA512),
			"another hash":    p.raw(t, d, crypto.SHA256),
			"another key":     other.raw(t, d, crypto.SHA512),
			"a byte more":     append(p.raw(t, d, crypto.SHA512), 0),
			"a byte less":     p.raw(t, d, crypto.SHA512)[1:],
			"the digest":      d.Bytes(),
			"what it's about": pkcs7.FormattedDigest(d),
		} {
			got, err := pkcs7.Wrap(raw, p.load(t).Certificate(), d)
			if !errors.Is(err, pkcs7.ErrOtherDigest) || got != nil {
				t.Errorf("%s, %s: %x, error %v, want %v", kind, name, got, err, pkcs7.ErrOtherDigest)
			}
		}
		if _, err := pkcs7.Wrap(p.raw(t, d, crypto.SHA512), p.load(t).Certificate(), fsverity.Digest{}); !errors.Is(err, pkcs7.ErrAlgorithm) {
			t.Errorf("no digest: error %v", err)
		}
	}
}

// TestTooLong: a certificate that makes the message larger than the kernel
// takes is an error when it signs.
func TestTooLong(t *testing.T) {
	like := template()
	like.Subject.CommonName = strings.Repeat("long ", pkcs7.MaxSize/5)
	p := certify(t, newKey(t, "p256"), like)
	if _, err := p.load(t).Sign(digestOf(t, fsverity.SHA256, 7)); !errors.Is(err, pkcs7.ErrFormat) {
		t.Errorf("error %v, want %v", err, pkcs7.ErrFormat)
	}
}
