// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// present signs, and returns whether all the signatures were there before.
func present(t *testing.T, o cosign.SignOptions, im sign.Image) bool {
	t.Helper()
	s, err := cosign.NewSigner(o)
	must(t, err)
	has, err := s.Has(t.Context(), im)
	must(t, err)
	r, err := s.Sign(t.Context(), im)
	must(t, err)
	all := true
	for _, m := range r.Made {
		all = all && m.Present
	}
	if has != all {
		t.Errorf("has is %v, and present %v", has, all)
	}
	return all
}

// TestPresentInLog: a signature with an entry in a real log is not made twice, but
// if that log is not in the trusted root; one with another's entry is made again.
func TestPresentInLog(t *testing.T) {
	rekor, host, k := startRekor(t), startGGCR(t, true), newPair(t, versions[0])
	trusted, other := trustedRoot(t, "", rekor), emptyRoot(t)
	for format, list := range formats {
		t.Run(format, func(t *testing.T) {
			im := push(t, host)
			o := cosign.SignOptions{Registry: overHTTP(), Key: k.private, Password: givePassword, RekorURL: rekor, Formats: list}
			for i, step := range []struct {
				root string
				want bool
			}{{"", false}, {"", true}, {trusted, true}, {other, false}, {trusted, true}} {
				o.TrustedRoot = step.root
				if got := present(t, o, im); got != step.want {
					t.Errorf("step %d: present is %v", i, got)
				}
			}
		})
	}
	t.Run("another's entry", func(t *testing.T) {
		im, another := push(t, host), push(t, host)
		o := cosign.SignOptions{Registry: overHTTP(), Key: k.private, Password: givePassword, RekorURL: rekor, Formats: formats["bundle"]}
		present(t, o, another)
		bare := o
		bare.NoTlog = true
		present(t, bare, im)
		graft(t, another, im)
		if present(t, o, im) {
			t.Error("the entry of another bundle counts")
		}
		if !present(t, o, im) {
			t.Error("its own entry does not count")
		}
	})
}

// onlyBundle returns the one bundle of an image, and what refers with it.
func onlyBundle(t *testing.T, im sign.Image) (bundle map[string]any, manifest *v1.Manifest, raw []byte) {
	t.Helper()
	index, err := remote.Referrers(im.Name)
	must(t, err)
	list, err := index.IndexManifest()
	must(t, err)
	if len(list.Manifests) != 1 {
		t.Fatalf("%d referrers", len(list.Manifests))
	}
	repo := im.Name.Context()
	d, err := remote.Get(repo.Digest(list.Manifests[0].Digest.String()))
	must(t, err)
	manifest, err = v1.ParseManifest(bytes.NewReader(d.Manifest))
	must(t, err)
	layer, err := remote.Layer(repo.Digest(manifest.Layers[0].Digest.String()))
	must(t, err)
	r, err := layer.Compressed()
	must(t, err)
	text, err := io.ReadAll(r)
	must(t, err)
	must(t, json.Unmarshal(text, &bundle))
	return bundle, manifest, d.Manifest
}

// graft makes a bundle like that of an image, with the log entries of another's,
// refer to the image.
func graft(t *testing.T, from, to sign.Image) {
	t.Helper()
	logged, _, _ := onlyBundle(t, from)
	bundle, m, manifest := onlyBundle(t, to)
	bundle["verificationMaterial"].(map[string]any)["tlogEntries"] = logged["verificationMaterial"].(map[string]any)["tlogEntries"]
	text, err := json.Marshal(bundle)
	must(t, err)
	repo := to.Name.Context()
	layer := static.NewLayer(text, m.Layers[0].MediaType)
	must(t, remote.WriteLayer(repo, layer))
	h, err := layer.Digest()
	must(t, err)
	var raw map[string]any
	must(t, json.Unmarshal(manifest, &raw))
	l := raw["layers"].([]any)[0].(map[string]any)
	l["digest"], l["size"] = h.String(), len(text)
	put, err := json.Marshal(raw)
	must(t, err)
	sum, _, err := v1.SHA256(bytes.NewReader(put))
	must(t, err)
	must(t, remote.Put(repo.Digest(sum.String()), rawManifest(put)))
}
