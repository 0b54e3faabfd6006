// SPDX-License-Identifier: Apache-2.0

package pkcs7

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// Wrap returns the message, in the form of the package's documentation, of a
// signature of d by the certificate's key that somebody else made over
// [FormattedDigest]. It takes
//
//   - what the key gives: RSA PKCS#1 v1.5, or ECDSA in ASN.1, as "openssl dgst
//     -sign" writes it,
//   - a PKCS#7 or CMS message in DER, as "openssl cms -sign -binary -noattr
//     -outform DER" writes it. Certificates, unsigned attributes and what it
//     signs are left out of the message that is returned.
//
// The hash algorithm is the digest's. The signature is verified, and so is what
// comes out. The error is that of [Certificate.Verify].
func Wrap(signature []byte, c *Certificate, d fsverity.Digest) ([]byte, error) {
	s, err := schemeOf(c.x509.PublicKey, d)
	if err != nil {
		return nil, err
	}
	switch {
	case isMessage(c.x509.PublicKey, signature):
		data, signer, err := parse(signature)
		if err != nil {
			return nil, err
		}
		if err := c.verifySigner(s, d, data, signer, true); err != nil {
			return nil, err
		}
		signature = signer.Signature
	case bytes.HasPrefix(signature, []byte("-----BEGIN")) || bytes.HasPrefix(signature, []byte("MIME-Version")):
		return nil, fmt.Errorf("%w: the signature is text: write DER (openssl -outform DER)", ErrFormat)
	default:
		if err := c.verifyRaw(s, d, signature); err != nil {
			return nil, fmt.Errorf("%w: sign the bytes of its file with openssl dgst -%s", err, d.Algorithm())
		}
	}
	der, err := c.marshal(s, signature)
	if err != nil {
		return nil, err
	}
	if err := c.Verify(d, der); err != nil {
		return nil, err
	}
	return der, nil
}

// isMessage reports whether b begins as a PKCS#7 message does, and not as what
// the key gives. RSA gives any bytes, always as many as the key has; ECDSA, a
// sequence that begins with a number. A message begins with a type.
func isMessage(key crypto.PublicKey, b []byte) bool {
	if k, ok := key.(*rsa.PublicKey); ok && len(b) == k.Size() {
		return false
	}
	// A sequence of indefinite length, which is BER and not DER: parse says so.
	if bytes.HasPrefix(b, []byte{asn1.TagSequence | 0x20, 0x80}) {
		return true
	}
	var m struct {
		Type asn1.ObjectIdentifier
	}
	_, err := asn1.Unmarshal(b, &m)
	return err == nil
}
