// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// keyPassword opens the keys of cosign's.
const keyPassword = "Pa55-of-the-key"

func givePassword(context.Context) ([]byte, error) { return []byte(keyPassword), nil }

// keyFiles is a pair of keys as cosign writes it.
type keyFiles struct{ private, public string }

// cosignKeys returns the pair of all runs.
var cosignKeys = sync.OnceValues(func() (keyFiles, error) { return newCosignKeys(programDir) })

func newCosignKeys(dir string) (keyFiles, error) {
	k := keyFiles{private: filepath.Join(dir, "cosign.key"), public: filepath.Join(dir, "cosign.pub")}
	key, private, err := newKey()
	if err != nil {
		return k, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return k, err
	}
	sealed, err := encrypted.Encrypt(private, []byte(keyPassword))
	if err != nil {
		return k, err
	}
	if err := os.WriteFile(k.private, inPEM("ENCRYPTED SIGSTORE PRIVATE KEY", sealed), 0o600); err != nil {
		return k, err
	}
	return k, os.WriteFile(k.public, inPEM("PUBLIC KEY", public), 0o600)
}

// newKey returns a key, and its PKCS#8.
func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return key, der, err
}

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// signer returns what signs with the private key, without a log.
func (k keyFiles) signer(t *testing.T, opts []ggcr.Option, formats []sign.Format) sign.Signer {
	t.Helper()
	s, err := cosign.NewSigner(cosign.SignOptions{
		Registry: cosign.Registry{Remote: opts},
		Key:      k.private, Password: givePassword, NoTlog: true, Formats: formats,
	})
	must(t, err)
	return s
}

// kernelKey returns the key for fs-verity of all runs.
var kernelKey = sync.OnceValues(func() (*pkcs7.Key, error) {
	key, private, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "faults"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return pkcs7.LoadKey(inPEM("PRIVATE KEY", private), inPEM("CERTIFICATE", cert))
})
