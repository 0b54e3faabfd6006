// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/sign"
)

// TestBothWhereOneIsBad: what each does with a legacy signature and a bundle of
// which one does not hold. Both versions of cosign look at nothing but the
// bundles where there is one, and take an attestation for a signature; we look at
// all signatures, and at nothing else. docs/ says so.
func TestBothWhereOneIsBad(t *testing.T) {
	k, other := newPair(t, versions[0]), newPair(t, versions[0])
	const takes, refuses = true, false
	for name, tc := range map[string]struct {
		make       func(t *testing.T, im sign.Image)
		v2, v3, we bool
	}{
		"both good": {func(t *testing.T, im sign.Image) {
			t.Helper()
			weSign(t, k, im, formats["both"])
		}, takes, takes, takes},
		"the bundle by another key": {func(t *testing.T, im sign.Image) {
			t.Helper()
			weSign(t, k, im, formats["legacy"])
			weSign(t, other, im, formats["bundle"])
		}, refuses, refuses, takes},
		"the legacy one by another key": {func(t *testing.T, im sign.Image) {
			t.Helper()
			weSign(t, other, im, formats["legacy"])
			weSign(t, k, im, formats["bundle"])
		}, takes, takes, takes},
		"the bundle of another image": {func(t *testing.T, im sign.Image) {
			t.Helper()
			weSign(t, k, im, formats["legacy"])
			moveBundle(t, k, im)
		}, refuses, refuses, takes},
		"both by another key": {func(t *testing.T, im sign.Image) {
			t.Helper()
			weSign(t, other, im, formats["both"])
		}, refuses, refuses, refuses},
		"a second bundle, by another key": {func(t *testing.T, im sign.Image) {
			t.Helper()
			weSign(t, k, im, formats["both"])
			weSign(t, other, im, formats["bundle"])
		}, takes, takes, takes},
		"the legacy one, and an attestation by the key": {func(t *testing.T, im sign.Image) {
			t.Helper()
			weSign(t, k, im, formats["legacy"])
			versions[1].attest(t, k, im)
		}, takes, takes, takes},
		"the legacy one, and an attestation by another key": {func(t *testing.T, im sign.Image) {
			t.Helper()
			weSign(t, k, im, formats["legacy"])
			versions[1].attest(t, other, im)
		}, refuses, refuses, takes},
		"an attestation by the key, and nothing else": {func(t *testing.T, im sign.Image) {
			t.Helper()
			versions[1].attest(t, k, im)
		}, takes, takes, refuses},
	} {
		t.Run(name, func(t *testing.T) {
			im := push(t, startGGCR(t, true))
			tc.make(t, im)
			for i, want := range []bool{tc.v2, tc.v3} {
				_, err := versions[i].verify(t, k, im)
				if want != (err == nil) {
					t.Errorf("%s %s: docs/ says otherwise: %v", versions[i], did(err), err)
				}
				show(t, "both: "+name, versions[i].String(), did(err))
			}
			_, err := weVerify(t, k, im)
			if tc.we != (err == nil) {
				t.Errorf("we: %v", err)
			}
			show(t, "both: "+name, ours, did(err))
		})
	}
}

// attest has cosign attest something as a bundle.
func (v version) attest(t *testing.T, k pair, im sign.Image) {
	t.Helper()
	predicate := filepath.Join(t.TempDir(), "predicate.json")
	must(t, os.WriteFile(predicate, []byte(`{"a":"b"}`), 0o600))
	_, err := v.run(t, nil, "attest", "--key", k.private, "--tlog-upload=false", "--use-signing-config=false", "--yes",
		"--new-bundle-format=true", "--type", "https://example.com/predicate", "--predicate", predicate, im.Name.String())
	must(t, err)
}

// moveBundle makes the bundle of another image refer to this one.
func moveBundle(t *testing.T, k pair, to sign.Image) {
	t.Helper()
	from := push(t, to.Name.Context().RegistryStr())
	weSign(t, k, from, formats["bundle"])
	index, err := remote.Referrers(from.Name)
	must(t, err)
	list, err := index.IndexManifest()
	must(t, err)
	repo := to.Name.Context()
	bundle, err := remote.Get(repo.Digest(list.Manifests[0].Digest.String()))
	must(t, err)
	raw := bytes.ReplaceAll(bundle.Manifest, []byte(from.Name.DigestStr()), []byte(to.Name.DigestStr()))
	if !json.Valid(raw) || bytes.Equal(raw, bundle.Manifest) {
		t.Fatalf("the bundle does not name its subject:\n%s", raw)
	}
	h, _, err := v1.SHA256(bytes.NewReader(raw))
	must(t, err)
	must(t, remote.Put(repo.Digest(h.String()), rawManifest(raw)))
}

// rawManifest is a manifest that is pushed as it is.
type rawManifest []byte

func (m rawManifest) RawManifest() ([]byte, error)        { return m, nil }
func (m rawManifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
