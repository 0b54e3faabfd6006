// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"fmt"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cfs-label/cfs-label/sign"
)

// pushIndex pushes an index and returns its name and those of its children.
func pushIndex(t *testing.T, host string) (top sign.Image, children []sign.Image) {
	t.Helper()
	index, err := random.Index(64, 1, 2)
	must(t, err)
	d, err := index.Digest()
	must(t, err)
	repo, err := name.NewRepository(host + "/os/index")
	must(t, err)
	must(t, remote.WriteIndex(repo.Digest(d.String()), index))
	m, err := index.IndexManifest()
	must(t, err)
	for _, c := range m.Manifests {
		children = append(children, sign.Image{Name: repo.Digest(c.Digest.String())})
	}
	return sign.Image{Name: repo.Digest(d.String())}, children
}

// TestIndex: where an index and each of its children is signed, whoever pulls one
// of them by its digest can verify it; what cosign signs recursively, we verify.
func TestIndex(t *testing.T) {
	k := newPair(t, versions[0])
	for registry, start := range registries {
		host := start(t)
		for format, list := range formats {
			t.Run(registry+"/ours/"+format, func(t *testing.T) {
				top, children := pushIndex(t, host)
				all := append([]sign.Image{top}, children...)
				for _, im := range all {
					weSign(t, k, im, list)
				}
				for _, v := range versions {
					for _, im := range all {
						if _, err := v.verify(t, k, im); err != nil {
							t.Error(err)
						}
					}
					show(t, fmt.Sprintf("by cfs-label, key, %s, an index and its children, %s", format, registry), v.String(), "verifies all")
				}
			})
		}
		for _, v := range versions {
			for _, format := range []string{"legacy", "bundle"} {
				t.Run(fmt.Sprint(registry, "/", v, "/", format), func(t *testing.T) {
					top, children := pushIndex(t, host)
					v.sign(t, k, top, format, "--recursive")
					for _, im := range append([]sign.Image{top}, children...) {
						if _, err := weVerify(t, k, im); err != nil {
							t.Errorf("%s: %v", im.Name, err)
						}
					}
					show(t, fmt.Sprintf("by %s, key, %s, recursively, %s", v, format, registry), ours, "verifies all")
				})
			}
		}
	}
}
