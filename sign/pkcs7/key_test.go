// SPDX-License-Identifier: Apache-2.0

package pkcs7_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/internal/oracle"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// TestLoadKeyForms: keys are read in each of their forms.
func TestLoadKeyForms(t *testing.T) {
	r, e := newPair(t, "rsa2048"), newPair(t, "p384")
	rsaKey, ecKey := r.key.(*rsa.PrivateKey), e.key.(*ecdsa.PrivateKey)
	sec1 := inPEM("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey)))
	tests := []struct {
		name      string
		key, cert []byte
		want      pair
	}{
		{"PKCS#8, RSA", r.keyPEM, r.certPEM, r},
		{"PKCS#8, ECDSA", e.keyPEM, e.certPEM, e},
		{"PKCS#1", inPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), r.certPEM, r},
		{"SEC 1", sec1, e.certPEM, e},
		{"SEC 1 after its parameters", slices.Concat(inPEM("EC PARAMETERS", []byte("\x06\x05\x2b\x81\x04\x00\x22")), sec1), e.certPEM, e},
		{"both in one file", slices.Concat(r.certPEM, r.keyPEM), slices.Concat(r.keyPEM, r.certPEM), r},
		{"text around", slices.Concat([]byte("Bag Attributes\n"), r.keyPEM, []byte("\n")), slices.Concat([]byte("subject=\n"), r.certPEM), r},
		{"a chain", r.keyPEM, slices.Concat(r.certPEM, e.certPEM), r},
	}
	d := digestOf(t, fsverity.SHA512, 7)
	for _, test := range tests {
		key, err := pkcs7.LoadKey(test.key, test.cert)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		der, err := key.Sign(d)
		if err != nil || !bytes.Equal(der, test.want.sign(t, d)) {
			t.Errorf("%s: signs otherwise, error %v", test.name, err)
		}
	}
}

// TestLoadKeyRefuses: each key and certificate that will not do has its error.
func TestLoadKeyRefuses(t *testing.T) {
	r, e := newPair(t, "rsa2048"), newPair(t, "p384")
	edKey := must2(ed25519.GenerateKey(rand.Reader))
	ed := certify(t, edKey, template())
	odd := certify(t, must(rsa.GenerateKey(rand.Reader, 2560)), template())
	small := certify(t, must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)), template())
	tests := []struct {
		name      string
		key, cert []byte
		want      error
	}{
		{"no key", nil, r.certPEM, pkcs7.ErrFormat},
		{"no certificate", r.keyPEM, r.keyPEM, pkcs7.ErrFormat},
		{"two keys", slices.Concat(r.keyPEM, e.keyPEM), r.certPEM, pkcs7.ErrFormat},
		{"a public key", inPEM("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(r.key.Public()))), r.certPEM, pkcs7.ErrFormat},
		{"not a key", inPEM("PRIVATE KEY", []byte("secret")), r.certPEM, pkcs7.ErrFormat},
		{"not a certificate", r.keyPEM, inPEM("CERTIFICATE", []byte("x")), pkcs7.ErrFormat},
		{"another certificate", r.keyPEM, e.certPEM, pkcs7.ErrOtherKey},
		{"the certificate is second", r.keyPEM, slices.Concat(e.certPEM, r.certPEM), pkcs7.ErrOtherKey},
		{"another key of the type", r.keyPEM, newPair(t, "rsa4096").certPEM, pkcs7.ErrOtherKey},
		{"Ed25519", ed.keyPEM, ed.certPEM, pkcs7.ErrAlgorithm},
		{"DSA", inPEM("DSA PRIVATE KEY", []byte("x")), r.certPEM, pkcs7.ErrAlgorithm},
		{"a length that the kernel has not", odd.keyPEM, odd.certPEM, pkcs7.ErrAlgorithm},
		{"a curve that the kernel has not", small.keyPEM, small.certPEM, pkcs7.ErrAlgorithm},
		{"a certificate of another type", r.keyPEM, ed.certPEM, pkcs7.ErrAlgorithm},
		{"OpenSSH", inPEM("OPENSSH PRIVATE KEY", []byte("x")), r.certPEM, pkcs7.ErrAlgorithm},
	}
	for _, test := range tests {
		if _, err := pkcs7.LoadKey(test.key, test.cert); !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", test.name, err, test.want)
		}
	}
	key := r.load(t)
	if _, err := key.Sign(fsverity.Digest{}); !errors.Is(err, pkcs7.ErrAlgorithm) {
		t.Errorf("no digest: error %v, want %v", err, pkcs7.ErrAlgorithm)
	}
}

func must2[P any](_ P, key ed25519.PrivateKey, err error) ed25519.PrivateKey {
	return must(key, err)
}

// TestLoadKeyEncrypted: an encrypted key is said to be one, in both forms that
// openssl writes.
func TestLoadKeyEncrypted(t *testing.T) {
	program := oracle.Require(t, "openssl")
	p := newPair(t, "rsa2048")
	f := newFolder(t, p, digestOf(t, fsverity.SHA512, 7))
	for _, form := range [][]string{
		{"pkcs8", "-topk8", "-in", "key.pem", "-out", "encrypted", "-passout", "pass:secret"},
		{"rsa", "-traditional", "-aes128", "-in", "key.pem", "-out", "encrypted", "-passout", "pass:secret"},
	} {
		f.run(t, program, form...)
		if _, err := pkcs7.LoadKey(f.read(t, "encrypted"), p.certPEM); !errors.Is(err, pkcs7.ErrEncrypted) {
			t.Errorf("%s: error %v, want %v", form[0], err, pkcs7.ErrEncrypted)
		}
	}
}

// TestNoSecrets: whatever is wrong with a key, no error has a part of it, and
// printing the key does not show it.
func TestNoSecrets(t *testing.T) {
	for _, kind := range kinds {
		p := newPair(t, kind)
		check := secretsOf(t, p.key)
		der := must(x509.MarshalPKCS8PrivateKey(p.key))
		step := 1
		if kind == "rsa4096" {
			step = 16 // it is slow to read
		}
		for i := 0; i < len(der); i += step {
			for _, broken := range [][]byte{der[:i], slices.Concat(der[:i], []byte{der[i] ^ 0x21}, der[i+1:])} {
				for _, block := range []string{"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"} {
					_, err := pkcs7.LoadKey(inPEM(block, broken), p.certPEM)
					check(fmt.Sprint(err))
				}
			}
		}
		_, err := pkcs7.LoadKey(p.keyPEM, inPEM("CERTIFICATE", der))
		check(fmt.Sprint(err))
		_, err = pkcs7.LoadKey(append(bytes.Clone(p.keyPEM), p.keyPEM...), p.certPEM)
		check(fmt.Sprint(err))
		key := p.load(t)
		_, err = key.Sign(fsverity.Digest{})
		check(fmt.Sprint(err))
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			check(fmt.Sprintf(format, key))
		}
		check(string(must(json.Marshal(map[string]any{"key": key}))))
	}
}

// secretsOf returns a function that fails the test if a text has eight bytes of
// what is secret in the key, in the ways that they may be written.
func secretsOf(t *testing.T, key crypto.Signer) func(text string) {
	t.Helper()
	var numbers []*big.Int
	switch k := key.(type) {
	case *rsa.PrivateKey:
		numbers = append(numbers, k.D, k.Primes[0], k.Primes[1])
	case *ecdsa.PrivateKey:
		numbers = append(numbers, new(big.Int).SetBytes(must(k.Bytes())))
	default:
		t.Fatalf("no secrets known of a %T", key)
	}
	var secrets []string
	for _, n := range numbers {
		b := n.Bytes()
		for i := 0; i+8 <= len(b); i += 8 {
			part := b[i : i+8]
			secrets = append(secrets, string(part), hex.EncodeToString(part), decimals(part))
		}
		text := base64.StdEncoding.EncodeToString(b)
		decimal := n.String()
		for i := 0; i+12 <= len(text); i += 12 {
			secrets = append(secrets, text[i:i+12])
		}
		for i := 0; i+16 <= len(decimal); i += 16 {
			secrets = append(secrets, decimal[i:i+16])
		}
	}
	return func(text string) {
		t.Helper()
		lower := strings.ToLower(text)
		for _, s := range secrets {
			if strings.Contains(text, s) || strings.Contains(lower, s) {
				t.Fatalf("%q has %q of the key", text, s)
			}
		}
	}
}

// decimals returns bytes as fmt writes them, without the brackets.
func decimals(b []byte) string { return strings.Trim(fmt.Sprintf("%d", b), "[]") }
