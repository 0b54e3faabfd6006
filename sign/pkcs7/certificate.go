// SPDX-License-Identifier: Apache-2.0

package pkcs7

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// Certificate is what a signature is held against: the one that the kernel has
// in its .fs-verity keyring.
type Certificate struct {
	x509            *x509.Certificate
	issuerAndSerial []byte // IssuerAndSerialNumber, in DER
}

// LoadCertificate returns the first certificate of a PEM file. The error is
// ErrFormat, or ErrAlgorithm for a key that the kernel does not take.
func LoadCertificate(certPEM []byte) (*Certificate, error) {
	for rest := certPEM; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			return nil, fmt.Errorf("%w: no certificate in PEM", ErrFormat)
		}
		if block.Type == "CERTIFICATE" {
			return newCertificate(block.Bytes)
		}
	}
}

func newCertificate(der []byte) (*Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate: %w", ErrFormat, err)
	}
	if err := checkKey(cert.PublicKey); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	id, err := asn1.Marshal(issuerAndSerial{asn1.RawValue{FullBytes: cert.RawIssuer}, cert.SerialNumber})
	if err != nil {
		return nil, fmt.Errorf("%w: certificate: issuer and serial number: %w", ErrFormat, err)
	}
	return &Certificate{cert, id}, nil
}

// String returns the certificate's subject and serial number.
func (c *Certificate) String() string {
	return fmt.Sprintf("%s (serial number %x)", c.x509.Subject, c.x509.SerialNumber)
}

// Raw returns the certificate in DER, as the kernel's keyring takes it.
func (c *Certificate) Raw() []byte { return bytes.Clone(c.x509.Raw) }

// Warning returns a sentence if the certificate is not valid at that time, else
// nothing. It is no error: the kernel does not look at dates, so what an
// expired certificate has signed stays good there.
func (c *Certificate) Warning(at time.Time) string {
	const day = "2006-01-02"
	switch {
	case at.After(c.x509.NotAfter):
		return "the certificate expired on " + c.x509.NotAfter.UTC().Format(day) + "; the kernel does not look at dates"
	case at.Before(c.x509.NotBefore):
		return "the certificate is valid only from " + c.x509.NotBefore.UTC().Format(day) + " on; the kernel does not look at dates"
	}
	return ""
}

// Verify returns nil if der is a signature of d that a kernel takes which has
// the certificate. The form is that of the package's documentation; instead of
// issuer and serial number it may have the certificate's key identifier. Dates
// do not count: see [Certificate.Warning]. The error is ErrFormat,
// ErrAttributes, ErrAlgorithm, ErrOtherKey or ErrOtherDigest.
func (c *Certificate) Verify(d fsverity.Digest, der []byte) error {
	s, err := schemeOf(c.x509.PublicKey, d)
	if err != nil {
		return err
	}
	data, signer, err := parse(der)
	if err != nil {
		return err
	}
	if err := checkBare(data, signer); err != nil {
		return err
	}
	if err := s.checkHash(data.Hashes[0]); err != nil {
		return err
	}
	return c.verifySigner(s, d, data, signer, false)
}

// verifySigner holds what the signer wrote against certificate and digest.
// aliasToo allows another name of the signature's algorithm.
func (c *Certificate) verifySigner(s scheme, d fsverity.Digest, data *signedData, signer *signerInfo, aliasToo bool) error {
	if len(signer.SignedAttributes.FullBytes) > 0 {
		return ErrAttributes
	}
	if err := c.checkSigner(data.Version, signer); err != nil {
		return err
	}
	if err := s.checkHash(signer.Hash); err != nil {
		return err
	}
	if err := s.checkEncryption(signer.Encryption, aliasToo); err != nil {
		return err
	}
	return c.verifyRaw(s, d, signer.Signature)
}

// checkSigner returns ErrOtherKey unless the message names the certificate: by
// issuer and serial number, or by its subject key identifier. Their bytes are
// compared, as in the kernel (linux/crypto/asymmetric_keys/asymmetric_type.c).
func (c *Certificate) checkSigner(version int, signer *signerInfo) error {
	if version != signer.Version || version != versionSerial && version != versionKeyID {
		return fmt.Errorf("%w: the PKCS#7 message has versions %d and %d: they must both be %d or %d",
			ErrFormat, version, signer.Version, versionSerial, versionKeyID)
	}
	want := c.issuerAndSerial
	if version == versionKeyID {
		id := c.x509.SubjectKeyId
		if len(id) == 0 {
			return fmt.Errorf("signature: %w: it names a key identifier, which the certificate does not have", ErrOtherKey)
		}
		var err error
		if want, err = asn1.MarshalWithParams(id, "tag:0"); err != nil {
			return fmt.Errorf("%w: certificate: key identifier: %w", ErrFormat, err)
		}
	}
	if !bytes.Equal(signer.Signer.FullBytes, want) {
		return fmt.Errorf("signature: %w, %s", ErrOtherKey, c)
	}
	return nil
}

// verifyRaw returns ErrOtherDigest unless signature is the key's of d.
func (c *Certificate) verifyRaw(s scheme, d fsverity.Digest, signature []byte) error {
	good := false
	switch key := c.x509.PublicKey.(type) {
	case *rsa.PublicKey:
		good = rsa.VerifyPKCS1v15(key, s.hash, s.sum(d), signature) == nil
	case *ecdsa.PublicKey:
		good = ecdsa.VerifyASN1(key, s.sum(d), signature)
	}
	if !good {
		return fmt.Errorf("%w: %s %s, %s", ErrOtherDigest, d.Algorithm(), d, c)
	}
	return nil
}

// isKeyOf reports whether the certificate is the key's.
func (c *Certificate) isKeyOf(key crypto.Signer) bool {
	own, ok := c.x509.PublicKey.(interface {
		Equal(other crypto.PublicKey) bool
	})
	return ok && own.Equal(key.Public())
}
