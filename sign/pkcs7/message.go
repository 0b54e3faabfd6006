// SPDX-License-Identifier: Apache-2.0

package pkcs7

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
)

// MaxSize is the size of the largest message, in bytes. The kernel takes no
// larger one (FS_VERITY_MAX_SIGNATURE_SIZE, linux/fs/verity/fsverity_private.h).
const MaxSize = 16<<10 - 256

// Versions of SignedData and SignerInfo. The kernel wants both the same.
const (
	versionSerial = 1 // the signer is named by issuer and serial number (RFC 2315 9.1)
	versionKeyID  = 3 // the signer is named by its subject key identifier (RFC 5652 5.1)
)

var (
	oidData       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
)

// message is ContentInfo with SignedData in it (RFC 2315 7).
type message struct {
	Type   asn1.ObjectIdentifier
	Signed signedData `asn1:"explicit,tag:0"`
}

// signedData is SignedData (RFC 2315 9.1).
type signedData struct {
	Version      int
	Hashes       []pkix.AlgorithmIdentifier `asn1:"set"`
	Content      content
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	Revoked      asn1.RawValue `asn1:"optional,tag:1"`
	Signers      []signerInfo  `asn1:"set"`
}

// content is the ContentInfo of what is signed. It has no content where the
// signature is detached.
type content struct {
	Type asn1.ObjectIdentifier
	Data asn1.RawValue `asn1:"optional,tag:0"`
}

// signerInfo is SignerInfo (RFC 2315 9.2, RFC 5652 5.3).
type signerInfo struct {
	Version            int
	Signer             asn1.RawValue // issuerAndSerial, or [0] with the subject key identifier
	Hash               pkix.AlgorithmIdentifier
	SignedAttributes   asn1.RawValue `asn1:"optional,tag:0"`
	Encryption         pkix.AlgorithmIdentifier
	Signature          []byte
	UnsignedAttributes asn1.RawValue `asn1:"optional,tag:1"`
}

// issuerAndSerial is IssuerAndSerialNumber (RFC 2315 6.7).
type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

// marshal returns the message of a signature by the certificate's key, in the
// form of "fsverity sign". The error is ErrFormat: the message is too large for
// the kernel.
func (c *Certificate) marshal(s scheme, signature []byte) ([]byte, error) {
	der, err := asn1.Marshal(message{
		Type: oidSignedData,
		Signed: signedData{
			Version: versionSerial,
			Hashes:  []pkix.AlgorithmIdentifier{s.hashID()},
			Content: content{Type: oidData},
			Signers: []signerInfo{{
				Version:    versionSerial,
				Signer:     asn1.RawValue{FullBytes: c.issuerAndSerial},
				Hash:       s.hashID(),
				Encryption: s.encryptionID(),
				Signature:  signature,
			}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: pkcs7: %w", ErrFormat, err)
	}
	if err := checkSize(der); err != nil {
		return nil, fmt.Errorf("%w: the name of the certificate's issuer is too long", err)
	}
	return der, nil
}

// parse returns the message that der is: DER alone, of one signer, and nothing
// after it. What is optional may be there. The error is ErrFormat.
func parse(der []byte) (*signedData, *signerInfo, error) {
	if err := checkSize(der); err != nil {
		return nil, nil, err
	}
	var m message
	rest, err := asn1.Unmarshal(der, &m)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: not a PKCS#7 message in DER: %w", ErrFormat, err)
	}
	if len(rest) > 0 {
		return nil, nil, fmt.Errorf("%w: %d bytes after the PKCS#7 message", ErrFormat, len(rest))
	}
	// Unmarshal takes unknown fields at the end of a sequence and other ways to
	// write the same value; what is written again has neither.
	again, err := asn1.Marshal(m)
	if err != nil || !bytes.Equal(again, der) {
		return nil, nil, fmt.Errorf("%w: the PKCS#7 message is not plain DER, or has unknown fields", ErrFormat)
	}
	switch {
	case !m.Type.Equal(oidSignedData):
		return nil, nil, fmt.Errorf("%w: the PKCS#7 message is of type %s, not signed data", ErrFormat, m.Type)
	case !m.Signed.Content.Type.Equal(oidData):
		return nil, nil, fmt.Errorf("%w: what is signed is of type %s, not data", ErrFormat, m.Signed.Content.Type)
	case len(m.Signed.Signers) != 1:
		return nil, nil, fmt.Errorf("%w: the PKCS#7 message has %d signers, not one", ErrFormat, len(m.Signed.Signers))
	}
	return &m.Signed, &m.Signed.Signers[0], nil
}

// checkBare returns ErrFormat unless the message has only what
// a signature of fs-verity has.
func checkBare(data *signedData, signer *signerInfo) error {
	for _, part := range []struct {
		name  string
		value asn1.RawValue
	}{
		{"what it signs", data.Content.Data},
		{"certificates", data.Certificates},
		{"revoked certificates", data.Revoked},
		{"unsigned attributes", signer.UnsignedAttributes},
	} {
		if len(part.value.FullBytes) > 0 {
			return fmt.Errorf("%w: the PKCS#7 message contains %s", ErrFormat, part.name)
		}
	}
	if len(data.Hashes) != 1 {
		return fmt.Errorf("%w: the PKCS#7 message names %d hash algorithms, not one", ErrFormat, len(data.Hashes))
	}
	return nil
}

func checkSize(der []byte) error {
	if len(der) > MaxSize {
		return fmt.Errorf("%w: a signature of %d bytes, of at most %d", ErrFormat, len(der), MaxSize)
	}
	return nil
}
