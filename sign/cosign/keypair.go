// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/signature"
)

// keypair shows a key to sigstore-go.
type keypair struct {
	*key
	kind signature.AlgorithmDetails
	name string // of the algorithm, as Fulcio's API has it
}

var _ sgsign.Keypair = (*keypair)(nil)

// newKeypair fails for keys that bundles have no algorithm for.
func newKeypair(k *key) (*keypair, error) {
	p := &keypair{key: k}
	switch k.public.(type) {
	case *ecdsa.PublicKey:
		p.name = "ECDSA"
	case *rsa.PublicKey:
		p.name = "RSA"
	case ed25519.PublicKey:
		p.name = "ED25519"
	default:
		return nil, fmt.Errorf("a key of type %T cannot sign a bundle", k.public)
	}
	var err error
	p.kind, err = signature.GetDefaultAlgorithmDetails(k.public)
	return p, err
}

// newEphemeral returns a key for one signature. P-256 is what every Fulcio
// takes.
func newEphemeral() (*key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	s, err := signature.LoadECDSASigner(private, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return newKey(s, private.Public(), crypto.SHA256)
}

// GetHashAlgorithm returns the hash that is signed.
func (p *keypair) GetHashAlgorithm() protocommon.HashAlgorithm { return p.kind.GetProtoHashType() }

// GetSigningAlgorithm returns the algorithm.
func (p *keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return p.kind.GetSignatureAlgorithm()
}

// GetHint returns by what a verifier may find the key.
func (p *keypair) GetHint() []byte {
	der, err := x509.MarshalPKIXPublicKey(p.public)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(der)
	return []byte(base64.StdEncoding.EncodeToString(sum[:]))
}

// GetKeyAlgorithm returns the name of the algorithm.
func (p *keypair) GetKeyAlgorithm() string { return p.name }

// GetPublicKey returns the public key.
func (p *keypair) GetPublicKey() crypto.PublicKey { return p.public }

// GetPublicKeyPem returns the public key in PEM.
func (p *keypair) GetPublicKeyPem() (string, error) { return string(p.pem), nil }

// SignData returns a signature, and the digest that was signed; of Ed25519,
// the data.
func (p *keypair) SignData(ctx context.Context, data []byte) (sig, digest []byte, err error) {
	digest = data
	if h := p.kind.GetHashType(); h != 0 {
		w := h.New()
		w.Write(data)
		digest = w.Sum(nil)
	}
	sig, err = p.sign(ctx, data)
	return sig, digest, err
}
