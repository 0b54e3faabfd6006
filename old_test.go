// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"fmt"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/image"
)

// TestOldSignatures: what is said of the digest of before is counted and named;
// an artifact leaves it right, so nothing is said then.
func TestOldSignatures(t *testing.T) {
	s := newStore(t)
	d := s.push(t, "a:v1", plain)
	twice := plain
	twice.config = strings.Replace(plain.config, `"DIFFID"`, `"DIFFID","DIFFID"`, 1)
	layer := plain.manifest[strings.Index(plain.manifest, `"layers":[`)+len(`"layers":[`) : strings.LastIndex(plain.manifest, "]")]
	twice.manifest = strings.Replace(plain.manifest, layer, layer+","+layer, 1)
	sig := "sha256-" + d.Digest.Hex + ".sig"
	s.push(t, "a:"+sig, twice)

	ref := s.openBy(t, "a:v1", s.inside())
	_, config, _ := s.pull(t, "a:v1")
	text := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/x.sbom","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":%d},"layers":[],"subject":{"mediaType":%q,"digest":%q,"size":%d}}`,
		digestOf(config), len(config), d.MediaType, d.Digest, d.Size)
	a := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf([]byte(text)), Size: int64(len(text)), ArtifactType: "application/x.sbom"}
	if err := ref.Repo.PushReferrer(t.Context(), d.Digest, a, []byte(text), nil); err != nil {
		t.Fatal(err)
	}

	quiet := &talk{}
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside, Options: cfslabel.Options{Warn: quiet.warn}})
	if len(quiet.said) > 0 {
		t.Errorf("an artifact changes nothing, but warned was of %q", quiet.said)
	}
	warnings := &talk{}
	o := cfslabel.LabelOptions{Options: cfslabel.Options{Warn: warnings.warn}}
	label(t, s.open(t, "a:v1"), withDryRun(o))
	label(t, s.open(t, "a:v1"), o)
	if len(warnings.said) != 2 || warnings.said[0] != warnings.said[1] {
		t.Errorf("warned of %q", warnings.said)
	}
	warnings.want(t, "4 signatures and referrers of what was sealed stay with the digest of before")
	warnings.want(t, sig+" (2 signatures)")
	warnings.want(t, "(application/x.sbom)")
	warnings.want(t, "("+image.ArtifactType+")")
	warnings.want(t, "--write artifact leaves")

	label(t, s.open(t, "a:v1"), o)
	if len(warnings.said) != 2 {
		t.Errorf("nothing changed, but warned was of %q", warnings.said[2:])
	}
}
