// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// weSign signs with a key, and no log.
func weSign(t *testing.T, k pair, im sign.Image, list []sign.Format) []sign.Made {
	t.Helper()
	s, err := cosign.NewSigner(cosign.SignOptions{
		Registry: overHTTP(), Key: k.private, Password: givePassword, NoTlog: true, Formats: list,
		Annotations: map[string]string{"who": "me"},
	})
	must(t, err)
	r, err := s.Sign(t.Context(), im)
	must(t, err)
	return r.Made
}

// TestTogether: what cosign and we sign is added to what is there, by whomever
// it is, and what one has signed with a key the other does not sign again.
func TestTogether(t *testing.T) {
	own, theirs := newPair(t, versions[0]), newPair(t, versions[1])
	for registry, start := range registries {
		t.Run(registry, func(t *testing.T) {
			im := push(t, start(t))
			weSign(t, own, im, formats["both"])
			for _, v := range versions {
				v.sign(t, theirs, im, "legacy")
				v.sign(t, theirs, im, "bundle")
			}
			for _, m := range weSign(t, own, im, formats["both"]) {
				if !m.Present {
					t.Errorf("%s: signed again", m.Format)
				}
			}
			if m := weSign(t, theirs, im, formats["legacy"])[0]; !m.Present {
				t.Error("we sign again what cosign has signed")
			}
			for _, k := range []pair{own, theirs} {
				for _, v := range versions {
					if _, err := v.verify(t, k, im); err != nil {
						t.Error(err)
					}
				}
				if _, err := weVerify(t, k, im); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestKeys: keys of the usual kinds sign and verify on both sides. To verify with
// a P-384 key cosign has to be told the digest that it signs with.
func TestKeys(t *testing.T) {
	for name, generate := range map[string]func() (crypto.Signer, error){
		"rsa": func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) },
		"ed25519": func() (crypto.Signer, error) {
			_, k, err := ed25519.GenerateKey(rand.Reader)
			return k, err
		},
		"p384": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) },
	} {
		private, err := generate()
		must(t, err)
		der, err := x509.MarshalPKCS8PrivateKey(private)
		must(t, err)
		plain := filepath.Join(t.TempDir(), "plain.pem")
		must(t, os.WriteFile(plain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
		for _, v := range versions {
			prefix := filepath.Join(t.TempDir(), "key")
			_, err := v.run(t, nil, "import-key-pair", "--key", plain, "--output-key-prefix", prefix)
			must(t, err)
			k := pair{prefix + ".key", prefix + ".pub"}
			for _, format := range []string{"legacy", "bundle"} {
				t.Run(fmt.Sprint(name, "/", v, "/", format), func(t *testing.T) {
					digest := "--signature-digest-algorithm=sha256"
					if name == "p384" {
						digest = "--signature-digest-algorithm=sha384"
					}
					host := startGGCR(t, true)
					im := push(t, host)
					v.sign(t, k, im, format)
					if _, err := weVerify(t, k, im); err != nil {
						t.Errorf("we do not take theirs: %v", err)
					}
					_, theirs := v.verify(t, k, im, digest)
					im = push(t, host)
					weSign(t, k, im, formats[format])
					if _, err := v.verify(t, k, im, digest); err != nil {
						t.Errorf("they do not take ours: %v (their own: %v)", err, theirs)
					}
					show(t, fmt.Sprintf("by cfs-label, %s key, %s", name, format), v.String(), "verifies")
				})
			}
		}
	}
}

// TestTheirRepository: COSIGN_REPOSITORY is where both look.
func TestTheirRepository(t *testing.T) {
	k := newPair(t, versions[0])
	host := startGGCR(t, true)
	repo, err := name.NewRepository(host + "/all/signatures")
	must(t, err)
	for _, v := range versions {
		im := push(t, host)
		s, err := cosign.NewSigner(cosign.SignOptions{
			Registry: cosign.Registry{Remote: overHTTP().Remote, Repository: repo},
			Key:      k.private, Password: givePassword, NoTlog: true,
		})
		must(t, err)
		_, err = s.Sign(t.Context(), im)
		must(t, err)
		args := []string{"verify", "--key", k.public, "--insecure-ignore-tlog=true", "--trusted-root", emptyRoot(t), im.Name.String()}
		if _, err := v.run(t, []string{"COSIGN_REPOSITORY=" + repo.Name()}, args...); err != nil {
			t.Error(err)
		}
		if _, err := v.run(t, nil, args...); err == nil {
			t.Errorf("%s finds it elsewhere", v)
		}
	}
}
