// SPDX-License-Identifier: Apache-2.0

package pkcs7_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// pair is a private key and its certificate, in PEM and in Go.
type pair struct {
	key     crypto.Signer
	keyPEM  []byte // PKCS#8
	certPEM []byte
}

// kinds are the keys that the kernel takes.
var kinds = []string{"rsa2048", "rsa4096", "p256", "p384", "p521"}

// testKeys holds a key of each kind. They are always the same, so that what a
// fuzz target finds stays a finding.
//
//go:embed testdata/*.pem
var testKeys embed.FS

// newKey returns the key of that kind.
func newKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	text, err := testKeys.ReadFile("testdata/" + kind + ".pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(bytes.ReplaceAll(text, []byte("TESTING KEY"), []byte("PRIVATE KEY")))
	return must(x509.ParsePKCS8PrivateKey(block.Bytes)).(crypto.Signer)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newPair returns the key of that kind with a certificate.
func newPair(t testing.TB, kind string) pair {
	t.Helper()
	return certify(t, newKey(t, kind), template())
}

func template() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(0x1234567890),
		Subject:      pkix.Name{CommonName: "fs-verity of the tests", Organization: []string{"Example"}},
		SubjectKeyId: []byte("key identifier"),
		NotBefore:    time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

// certify returns the key with a certificate that it signed itself.
func certify(t testing.TB, key crypto.Signer, like *x509.Certificate) pair {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, like, like, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{key, inPEM("PRIVATE KEY", pkcs8), inPEM("CERTIFICATE", der)}
}

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (p pair) load(t testing.TB) *pkcs7.Key {
	t.Helper()
	key, err := pkcs7.LoadKey(p.keyPEM, p.certPEM)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (p pair) sign(t testing.TB, d fsverity.Digest) []byte {
	t.Helper()
	der, err := p.load(t).Sign(d)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// raw returns what an HSM gives.
func (p pair) raw(t testing.TB, d fsverity.Digest, hash crypto.Hash) []byte {
	t.Helper()
	h := hash.New()
	h.Write(pkcs7.FormattedDigest(d))
	signature, err := p.key.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func digestOf(t testing.TB, alg fsverity.Algorithm, fill byte) fsverity.Digest {
	t.Helper()
	d, err := fsverity.NewDigest(alg, bytes.Repeat([]byte{fill}, alg.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func hashOf(alg fsverity.Algorithm) crypto.Hash {
	if alg == fsverity.SHA256 {
		return crypto.SHA256
	}
	return crypto.SHA512
}

var algorithms = []fsverity.Algorithm{fsverity.SHA256, fsverity.SHA512}

// folder is a temporary folder in which programs run.
type folder string

func newFolder(t testing.TB, p pair, d fsverity.Digest) folder {
	t.Helper()
	f := folder(t.TempDir())
	f.write(t, "key.pem", p.keyPEM)
	f.write(t, "cert.pem", p.certPEM)
	f.write(t, "tbs", pkcs7.FormattedDigest(d))
	return f
}

func (f folder) write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(string(f), name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f folder) read(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(string(f), name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func (f folder) run(t testing.TB, program string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir = string(f)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, output)
	}
}
