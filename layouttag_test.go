// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
)

// TestSetTagBesideArtifacts: the only image of a layout is the only one that is
// no artifact; of several there is none.
func TestSetTagBesideArtifacts(t *testing.T) {
	image := listing(madeUp("a"), "")
	typed := listing(madeUp("a"), `,"artifactType":"application/vnd.oci.image.config.v1+json"`)
	artifact := listing(madeUp("b"), `,"artifactType":"application/vnd.composefs.metadata.v1"`)
	now := madeUp("f")
	for name, tc := range map[string]struct {
		entries []string
		changed string // the entry that does
		err     string
	}{
		"before it":           {[]string{artifact, image}, image, ""},
		"behind it":           {[]string{image, artifact}, image, ""},
		"typed as its config": {[]string{typed, artifact}, typed, ""},
		"two images":          {[]string{image, artifact, listing(madeUp("c"), "")}, "", "several images"},
	} {
		got, err := cfslabel.LayoutEditor{}.SetTag([]byte(indexOf(tc.entries...)), "", now)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: got %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := strings.Replace(indexOf(tc.entries...), tc.changed, strings.Replace(tc.changed, hexOf("a"), hexOf("f"), 1), 1)
		wantText(t, name, got, want)
	}
}

// madeUp is the descriptor of a manifest that is nowhere.
func madeUp(digit string) v1.Descriptor {
	return v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: v1.Hash{Algorithm: "sha256", Hex: hexOf(digit)}, Size: 1}
}
