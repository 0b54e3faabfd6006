// SPDX-License-Identifier: Apache-2.0

package pkcs7

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

var (
	oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA512 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}

	oidRSA             = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidRSAWithSHA256   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidRSAWithSHA512   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}
	oidECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECDSAWithSHA512 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}
)

// scheme is how a key signs a digest: the hash algorithm, which is the
// digest's own as for "fsverity sign", and what the message calls it.
type scheme struct {
	hash       crypto.Hash
	hashOID    asn1.ObjectIdentifier
	encryption asn1.ObjectIdentifier
	// alias is another name of the same, which the kernel does not know; nil
	// if there is none.
	alias asn1.ObjectIdentifier
	rsa   bool
}

// schemeOf returns how the key signs d. The error is ErrAlgorithm: d is zero.
func schemeOf(key crypto.PublicKey, d fsverity.Digest) (scheme, error) {
	_, isRSA := key.(*rsa.PublicKey)
	switch {
	case d.Algorithm() == fsverity.SHA256 && isRSA:
		return scheme{crypto.SHA256, oidSHA256, oidRSA, oidRSAWithSHA256, true}, nil
	case d.Algorithm() == fsverity.SHA256:
		return scheme{crypto.SHA256, oidSHA256, oidECDSAWithSHA256, nil, false}, nil
	case d.Algorithm() == fsverity.SHA512 && isRSA:
		return scheme{crypto.SHA512, oidSHA512, oidRSA, oidRSAWithSHA512, true}, nil
	case d.Algorithm() == fsverity.SHA512:
		return scheme{crypto.SHA512, oidSHA512, oidECDSAWithSHA512, nil, false}, nil
	}
	return scheme{}, fmt.Errorf("%w: there is no digest to sign", ErrAlgorithm)
}

// sum returns the hash of the bytes that a signature of d signs.
func (s scheme) sum(d fsverity.Digest) []byte {
	h := s.hash.New()
	h.Write(FormattedDigest(d))
	return h.Sum(nil)
}

func (s scheme) hashID() pkix.AlgorithmIdentifier {
	return pkix.AlgorithmIdentifier{Algorithm: s.hashOID, Parameters: asn1.NullRawValue}
}

// encryptionID returns the name of the signature's algorithm. RSA has the
// parameter NULL (RFC 8017 A.1), ECDSA has none (RFC 5758 3.2).
func (s scheme) encryptionID() pkix.AlgorithmIdentifier {
	if s.rsa {
		return pkix.AlgorithmIdentifier{Algorithm: s.encryption, Parameters: asn1.NullRawValue}
	}
	return pkix.AlgorithmIdentifier{Algorithm: s.encryption}
}

// checkHash returns ErrAlgorithm unless id is the scheme's hash algorithm.
func (s scheme) checkHash(id pkix.AlgorithmIdentifier) error {
	if !id.Algorithm.Equal(s.hashOID) {
		return fmt.Errorf("%w: it hashes with %s, not with %s, which is that of the digest (openssl -md %s)",
			ErrAlgorithm, hashName(id.Algorithm), hashName(s.hashOID), hashName(s.hashOID))
	}
	if !isNoParameter(id.Parameters) {
		return fmt.Errorf("%w: the hash algorithm has parameters", ErrFormat)
	}
	return nil
}

// checkEncryption returns ErrAlgorithm unless id is the scheme's signature
// algorithm, or its alias if that will do.
func (s scheme) checkEncryption(id pkix.AlgorithmIdentifier, aliasToo bool) error {
	known := id.Algorithm.Equal(s.encryption) || aliasToo && s.alias != nil && id.Algorithm.Equal(s.alias)
	if !known {
		return fmt.Errorf("%w: the signature is of type %s, not %s", ErrAlgorithm, id.Algorithm, s.encryption)
	}
	if !isNoParameter(id.Parameters) || !s.rsa && len(id.Parameters.FullBytes) > 0 {
		return fmt.Errorf("%w: the signature algorithm has parameters", ErrFormat)
	}
	return nil
}

// isNoParameter reports whether the parameters are NULL or not there, which
// mean the same (RFC 5754 2).
func isNoParameter(p asn1.RawValue) bool {
	return len(p.FullBytes) == 0 || bytes.Equal(p.FullBytes, asn1.NullBytes)
}

// hashName returns how openssl calls a hash algorithm, or its numbers.
func hashName(oid asn1.ObjectIdentifier) string {
	switch {
	case oid.Equal(oidSHA256):
		return "sha256"
	case oid.Equal(oidSHA512):
		return "sha512"
	}
	return oid.String()
}

// checkKey returns ErrAlgorithm for a key that the kernel has no use for.
func checkKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		// The kernel has shorter ones, which are too weak, and none of other
		// lengths (rsa_check_key_length, linux/crypto/rsa.c).
		switch k.N.BitLen() {
		case 2048, 3072, 4096:
			return nil
		}
		return fmt.Errorf("%w: an RSA key of %d bits: use 2048, 3072 or 4096, which the kernel takes", ErrAlgorithm, k.N.BitLen())
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil
		}
		return fmt.Errorf("%w: the curve %s: use P-256, P-384 or P-521", ErrAlgorithm, k.Curve.Params().Name)
	}
	return fmt.Errorf("%w: the key is neither RSA nor ECDSA, which the kernel takes", ErrAlgorithm)
}
