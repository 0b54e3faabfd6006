// SPDX-License-Identifier: Apache-2.0

package image

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// TestLayerTypesConvert: each of Docker's media types has one of OCI's, which
// says the same of the layer.
func TestLayerTypesConvert(t *testing.T) {
	docker := 0
	for mediaType, layer := range layerTypes {
		if !strings.Contains(mediaType, ".docker.") {
			continue
		}
		docker++
		oci, ok := ociLayerTypes[types.MediaType(mediaType)]
		if got, isLayer := layerTypes[string(oci)]; !ok || !isLayer || got != layer || strings.Contains(string(oci), "docker") {
			t.Errorf("%s becomes %q: %+v, want %+v", mediaType, oci, got, layer)
		}
	}
	if docker == 0 || docker != len(ociLayerTypes) {
		t.Errorf("%d of Docker's media types, and %d that are converted", docker, len(ociLayerTypes))
	}
}
