// SPDX-License-Identifier: Apache-2.0

package pkcs7

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// Key is a private key together with its certificate.
type Key struct {
	signer      crypto.Signer
	certificate *Certificate
}

// LoadKey returns the key of one PEM file with the certificate of another; both
// may be the same. The key is RSA or ECDSA in PKCS#8, PKCS#1 or SEC 1, and the
// file has no other. Of several certificates, the first is the key's. The error
// is ErrFormat, ErrEncrypted, ErrAlgorithm, or ErrOtherKey for a certificate of
// another key.
func LoadKey(keyPEM, certPEM []byte) (*Key, error) {
	signer, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	if err := checkKey(signer.Public()); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	certificate, err := LoadCertificate(certPEM)
	if err != nil {
		return nil, err
	}
	if !certificate.isKeyOf(signer) {
		return nil, fmt.Errorf("key: %w, %s, which must be the first of its file", ErrOtherKey, certificate)
	}
	return &Key{signer, certificate}, nil
}

// Certificate returns the key's certificate.
func (k *Key) Certificate() *Certificate { return k.certificate }

// Sign returns the signature of d, in the form of the package's documentation.
// The same key and digest give the same bytes; that is so for ECDSA too (RFC
// 6979). The error is ErrAlgorithm for the zero Digest, or ErrFormat if the
// certificate makes the message larger than MaxSize.
func (k *Key) Sign(d fsverity.Digest) ([]byte, error) {
	s, err := schemeOf(k.signer.Public(), d)
	if err != nil {
		return nil, err
	}
	// Without a source of random numbers, ECDSA takes them from key and digest.
	signature, err := k.signer.Sign(nil, s.sum(d), s.hash)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", d, err)
	}
	return k.certificate.marshal(s, signature)
}

// parseKey returns the one private key of a PEM file. Where a key cannot be
// read, the error does not say more: nothing of it may reach a log.
func parseKey(keyPEM []byte) (crypto.Signer, error) {
	var found crypto.Signer
	for rest := keyPEM; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		switch {
		case block == nil && found == nil:
			return nil, fmt.Errorf("%w: no private key in PEM", ErrFormat)
		case block == nil:
			return found, nil
		case !strings.HasSuffix(block.Type, "PRIVATE KEY"):
			continue
		case found != nil:
			return nil, fmt.Errorf("%w: more than one private key in one file", ErrFormat)
		}
		var err error
		if found, err = parseKeyBlock(block); err != nil {
			return nil, err
		}
	}
}

func parseKeyBlock(block *pem.Block) (crypto.Signer, error) {
	// Proc-Type says of old PEM files that they are encrypted (RFC 1421 4.6.1.1).
	if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, ErrEncrypted
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("%w: the key is neither RSA nor ECDSA, which the kernel takes", ErrAlgorithm)
	}
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("%w: not a private key, or of an algorithm that is unknown here (RSA and ECDSA are known)", ErrFormat)
	}
	return signer, nil
}
