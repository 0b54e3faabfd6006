// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// formats are what --signature-format can be.
var formats = map[string][]sign.Format{
	"legacy": {sign.Legacy},
	"bundle": {sign.Bundle},
	"both":   {sign.Legacy, sign.Bundle},
}

// pair is a pair of keys in files.
type pair struct{ private, public string }

// newPair has cosign make a pair.
func newPair(t *testing.T, v version) pair {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "key")
	_, err := v.run(t, nil, "generate-key-pair", "--output-key-prefix", prefix)
	must(t, err)
	return pair{prefix + ".key", prefix + ".pub"}
}

// emptyRoot writes a trusted root that trusts nobody: the real programs would
// fetch one.
func emptyRoot(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.json")
	must(t, os.WriteFile(path, []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`), 0o600))
	return path
}

func overHTTP() cosign.Registry {
	return cosign.Registry{Remote: []remote.Option{remote.WithTransport(remote.DefaultTransport)}}
}

// sign has cosign sign.
func (v version) sign(t *testing.T, k pair, im sign.Image, format string, more ...string) {
	t.Helper()
	args := []string{"sign", "--key", k.private, "--tlog-upload=false", "--yes", "-a", "who=me"}
	if v.major == 3 {
		args = append(args, "--use-signing-config=false")
	}
	args = append(append(args, more...), fmt.Sprintf("--new-bundle-format=%v", format == "bundle"), im.Name.String())
	_, err := v.run(t, nil, args...)
	must(t, err)
}

// verify has cosign verify.
func (v version) verify(t *testing.T, k pair, im sign.Image, more ...string) (string, error) {
	t.Helper()
	args := []string{"verify", "--key", k.public, "--insecure-ignore-tlog=true", "--trusted-root", emptyRoot(t)}
	return v.run(t, nil, append(append(args, more...), im.Name.String())...)
}

// TestTheyVerify: each version of cosign verifies what we sign, in each format
// and each registry, and refuses another key.
func TestTheyVerify(t *testing.T) {
	k, other := newPair(t, versions[0]), newPair(t, versions[1])
	for registry, start := range registries {
		for format, list := range formats {
			t.Run(registry+"/"+format, func(t *testing.T) {
				im := push(t, start(t))
				s, err := cosign.NewSigner(cosign.SignOptions{
					Registry: overHTTP(), Key: k.private, Password: givePassword, NoTlog: true, Formats: list,
					Annotations: map[string]string{"who": "me"},
				})
				must(t, err)
				_, err = s.Sign(t.Context(), im)
				must(t, err)
				for _, v := range versions {
					if said, err := v.verify(t, k, im); err != nil {
						t.Error(err)
					} else if !strings.Contains(said, im.Name.DigestStr()) {
						t.Errorf("%s does not name the digest:\n%s", v, said)
					}
					if _, err := v.verify(t, other, im); err == nil {
						t.Errorf("%s takes another key", v)
					}
					show(t, fmt.Sprintf("by cfs-label, key, %s, %s", format, registry), v.String(), "verifies")
				}
			})
		}
	}
}

// TestWeVerify: we verify what each version of cosign signs, in each format and
// each registry, and refuse another key.
func TestWeVerify(t *testing.T) {
	other := newPair(t, versions[0])
	for _, v := range versions {
		k := newPair(t, v)
		for registry, start := range registries {
			for _, format := range []string{"legacy", "bundle"} {
				t.Run(fmt.Sprint(v, "/", registry, "/", format), func(t *testing.T) {
					im := push(t, start(t))
					v.sign(t, k, im, format)
					got, err := weVerify(t, k, im)
					if err != nil {
						t.Fatal(err)
					}
					if len(got) != 1 || string(got[0].Format) != format || got[0].Digest != im.Name.DigestStr() {
						t.Errorf("found %+v", got)
					}
					// cosign 2 leaves annotations out of bundles.
					if dropped := v.major == 2 && format == "bundle"; !dropped && got[0].Annotations["who"] != "me" {
						t.Errorf("annotations %v", got[0].Annotations)
					}
					if _, err := weVerify(t, other, im); err == nil {
						t.Error("another key verifies")
					}
					show(t, fmt.Sprintf("by %s, key, %s, %s", v, format, registry), ours, "verifies")
				})
			}
		}
	}
}

func weVerify(t *testing.T, k pair, im sign.Image) ([]sign.Signature, error) {
	t.Helper()
	v, err := cosign.NewVerifier(cosign.VerifyOptions{Registry: overHTTP(), Key: k.public, IgnoreTlog: true, Offline: true})
	must(t, err)
	return v.Verify(t.Context(), im)
}
