// SPDX-License-Identifier: Apache-2.0

package pkcs7_test

import (
	"bytes"
	"crypto"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// FuzzVerify: what Verify takes, Wrap can bring into the form of this package.
func FuzzVerify(f *testing.F) {
	d := digestOf(f, fsverity.SHA512, 7)
	var certs []*pkcs7.Certificate
	for _, kind := range []string{"rsa2048", "p256"} {
		p := newPair(f, kind)
		certs = append(certs, p.load(f).Certificate())
		f.Add(p.sign(f, d))
		f.Add(p.sign(f, digestOf(f, fsverity.SHA256, 7)))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, cert := range certs {
			if cert.Verify(d, der) != nil {
				continue
			}
			if wrapped, err := pkcs7.Wrap(der, cert, d); err != nil {
				t.Errorf("verified, but cannot be wrapped: %x, error %v", wrapped, err)
			}
		}
	})
}

// FuzzWrap: what Wrap gives, Verify takes, and wrapping it again does not
// change it.
func FuzzWrap(f *testing.F) {
	d := digestOf(f, fsverity.SHA512, 7)
	var certs []*pkcs7.Certificate
	for _, kind := range []string{"rsa2048", "p256"} {
		p := newPair(f, kind)
		certs = append(certs, p.load(f).Certificate())
		f.Add(p.sign(f, d))
		f.Add(p.raw(f, d, crypto.SHA512))
	}
	f.Fuzz(func(t *testing.T, signature []byte) {
		for _, cert := range certs {
			wrapped, err := pkcs7.Wrap(signature, cert, d)
			if err != nil {
				continue
			}
			if err := cert.Verify(d, wrapped); err != nil {
				t.Error(err)
			}
			again, err := pkcs7.Wrap(wrapped, cert, d)
			if err != nil || !bytes.Equal(again, wrapped) {
				t.Errorf("wrapped again: %x, error %v", again, err)
			}
		}
	})
}
