// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	sigstore "github.com/sigstore/cosign/v2/pkg/cosign"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// password opens the keys of the tests.
const password = "s3cret-passw0rd-of-the-tests"

// hub is a registry, and what counts the requests to it.
type hub struct {
	host  string
	count atomic.Int64
}

// newHub starts a registry with or without the referrers API.
func newHub(t *testing.T, referrers bool) *hub {
	t.Helper()
	s := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(referrers)))
	t.Cleanup(s.Close)
	return &hub{host: strings.TrimPrefix(s.URL, "http://")}
}

// RoundTrip counts a request and sends it.
func (h *hub) RoundTrip(r *http.Request) (*http.Response, error) {
	h.count.Add(1)
	return http.DefaultTransport.RoundTrip(r)
}

// registry returns the options that lead to it.
func (h *hub) registry() cosign.Registry {
	return cosign.Registry{Remote: []remote.Option{remote.WithTransport(h)}}
}

// push pushes an image and returns its name.
func (h *hub) push(t *testing.T, repo string) sign.Image {
	t.Helper()
	image, err := random.Image(64, 1)
	must(t, err)
	d, err := image.Digest()
	must(t, err)
	return sign.Image{Name: h.write(t, repo, d, image)}
}

func (h *hub) write(t *testing.T, repo string, d v1.Hash, image v1.Image) name.Digest {
	t.Helper()
	ref, err := name.NewDigest(h.host + "/" + repo + "@" + d.String())
	must(t, err)
	must(t, remote.Write(ref, image))
	return ref
}

// keyFiles is a pair of keys in files.
type keyFiles struct{ private, public string }

// newKeys writes a pair as cosign does.
func newKeys(t *testing.T, private crypto.Signer) keyFiles {
	t.Helper()
	return writeKeys(t, t.TempDir(), "cosign", private)
}

func writeKeys(t *testing.T, dir, name string, private crypto.Signer) keyFiles {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	plain := filepath.Join(dir, name+".pem")
	must(t, os.WriteFile(plain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	pair, err := sigstore.ImportKeyPair(plain, func(bool) ([]byte, error) { return []byte(password), nil })
	must(t, err)
	k := keyFiles{private: filepath.Join(dir, name+".key"), public: filepath.Join(dir, name+".pub")}
	must(t, os.WriteFile(k.private, pair.PrivateBytes, 0o600))
	must(t, os.WriteFile(k.public, pair.PublicBytes, 0o600))
	return k
}

// pool are the pairs that newP256 hands out: to write one takes long, on purpose.
var pool struct {
	sync.Mutex

	pairs []keyFiles
	given map[*testing.T]int
}

// newP256 returns a pair of keys that the test does not have yet.
func newP256(t *testing.T) keyFiles {
	t.Helper()
	pool.Lock()
	defer pool.Unlock()
	if pool.given == nil {
		pool.given = map[*testing.T]int{}
	}
	n := pool.given[t]
	pool.given[t]++
	if n == len(pool.pairs) {
		// The files outlive the test.
		pool.pairs = append(pool.pairs, writeKeys(t, keysFolder, fmt.Sprint("pool", n), generate(t, "p256")))
	}
	return pool.pairs[n]
}

// keysFolder is where the pairs of the pool are. TestMain removes it.
var keysFolder string

// generate makes a private key.
func generate(t *testing.T, kind string) crypto.Signer {
	t.Helper()
	switch kind {
	case "p256":
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		return k
	case "p384":
		k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		must(t, err)
		return k
	case "p521":
		k, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
		must(t, err)
		return k
	case "rsa":
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		must(t, err)
		return k
	case "ed25519":
		_, k, err := ed25519.GenerateKey(rand.Reader)
		must(t, err)
		return k
	}
	t.Fatalf("no key is called %s", kind)
	return nil
}

func givePassword(context.Context) ([]byte, error) { return []byte(password), nil }

// keyed returns options to sign with a key and without a log.
func (h *hub) keyed(k keyFiles, formats ...sign.Format) cosign.SignOptions {
	return cosign.SignOptions{Registry: h.registry(), Key: k.private, Password: givePassword, NoTlog: true, Formats: formats}
}

// by returns options to verify signatures of a key that are in no log.
func (h *hub) by(k keyFiles) cosign.VerifyOptions {
	return cosign.VerifyOptions{Registry: h.registry(), Key: k.public, IgnoreTlog: true, Offline: true}
}

// newSigner returns a signer that opens a key file but once, does not wait before
// the second look, and needs nobody to say when an identity signed.
func newSigner(o cosign.SignOptions) (sign.Signer, error) {
	s, err := cosign.NewSigner(o)
	if err == nil {
		cosign.Remember(s)
		cosign.Impatient(s)
		cosign.Timeless(s)
	}
	return s, err
}

func signIt(t *testing.T, o cosign.SignOptions, im sign.Image) sign.Result {
	t.Helper()
	s, err := newSigner(o)
	must(t, err)
	must(t, s.Check(t.Context()))
	r, err := s.Sign(t.Context(), im)
	must(t, err)
	return r
}

func verifyIt(t *testing.T, o cosign.VerifyOptions, im sign.Image) ([]sign.Signature, error) {
	t.Helper()
	v, err := cosign.NewVerifier(o)
	must(t, err)
	return v.Verify(t.Context(), im)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// named returns the name of an image in this registry.
func (h *hub) named(t *testing.T, im sign.Image) sign.Image {
	t.Helper()
	ref, err := name.NewDigest(h.host + "/a@" + im.Name.DigestStr())
	must(t, err)
	return sign.Image{Name: ref}
}
