// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// identity is a key with a certificate that it signed itself.
type identity struct {
	der     []byte // the certificate
	keyPEM  []byte
	certPEM []byte
}

// newIdentity returns the key with a certificate of that number.
func newIdentity(key crypto.Signer, number int64, notAfter time.Time) (identity, error) {
	like := &x509.Certificate{
		SerialNumber: big.NewInt(number),
		Subject:      pkix.Name{CommonName: "fs-verity of the kernel test"},
		SubjectKeyId: big.NewInt(number + 0x10000).Bytes(),
		NotBefore:    notAfter.AddDate(-10, 0, 0),
		NotAfter:     notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, like, like, key.Public(), key)
	if err != nil {
		return identity{}, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return identity{}, err
	}
	return identity{
		der:     der,
		keyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		certPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	}, nil
}

func newRSA(bits int) (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) }

func newECDSA(c elliptic.Curve) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) { return ecdsa.GenerateKey(c, rand.Reader) }
}

func (i identity) sign(d fsverity.Digest) ([]byte, error) {
	key, err := pkcs7.LoadKey(i.keyPEM, i.certPEM)
	if err != nil {
		return nil, err
	}
	return key.Sign(d)
}

// openssl returns what the command writes to the file sig, in a folder with the
// files key, cert and tbs: the bytes that a signature of d signs.
func (i identity) openssl(d fsverity.Digest, args ...string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "cases")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for name, content := range map[string][]byte{"key": i.keyPEM, "cert": i.certPEM, "tbs": pkcs7.FormattedDigest(d)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	command := exec.CommandContext(context.Background(), "openssl", args...)
	command.Dir, command.Stderr = dir, os.Stderr
	if err := command.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "sig"))
}

// cms returns a message that "openssl cms -sign" makes with further options.
func (i identity) cms(d fsverity.Digest, options ...string) ([]byte, error) {
	return i.openssl(d, append([]string{
		"cms", "-sign", "-binary", "-in", "tbs", "-inkey", "key", "-signer", "cert",
		"-outform", "DER", "-out", "sig",
	}, options...)...)
}

// raw returns what openssl signs with the bare key, wrapped.
func (i identity) raw(d fsverity.Digest) ([]byte, error) {
	signature, err := i.openssl(d, "dgst", "-"+d.Algorithm().String(), "-sign", "key", "-out", "sig", "tbs")
	if err != nil {
		return nil, err
	}
	cert, err := pkcs7.LoadCertificate(i.certPEM)
	if err != nil {
		return nil, err
	}
	return pkcs7.Wrap(signature, cert, d)
}
