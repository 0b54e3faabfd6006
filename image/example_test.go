// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"fmt"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// A label that came with the base image is replaced; another of the old seal
// goes.
func ExampleEditConfig() {
	config := []byte(`{"os":"linux","config":{"Labels":{"containers.composefs.fsverity":"0123","containers.composefs.old":"x"}}}`)
	edited, changes, err := image.EditConfig(config, []image.KV{{Key: image.LabelKey, Value: "4567"}}, image.StaleLabel)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(edited))
	for _, c := range changes {
		fmt.Println(c)
	}
	// Output:
	// {"os":"linux","config":{"Labels":{"containers.composefs.fsverity":"4567"}}}
	// replaced config.Labels["containers.composefs.fsverity"]: "0123" by "4567"
	// removed config.Labels["containers.composefs.old"]: "x"
}

func ExampleEditManifest() {
	manifest := []byte(`{
  "schemaVersion": 2,
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "size": 0
  },
  "layers": []
}`)
	edit := image.ManifestEdit{Config: image.Describe([]byte("{}")), StaleAnnotations: image.StaleAnnotation}
	if err := edit.SetDigest(image.RoleMerged, fsverity.Sum(fsverity.SHA256, nil)); err != nil {
		fmt.Println(err)
		return
	}
	edited, _, err := image.EditManifest(manifest, edit)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(edited))
	// Output:
	// {
	//   "schemaVersion": 2,
	//   "config": {
	//     "mediaType": "application/vnd.oci.image.config.v1+json",
	//     "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
	//     "size": 2
	//   },
	//   "layers": [],
	//   "annotations": {
	//     "composefs.merged.erofs.v1.fsverity-sha256-12": "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95"
	//   }
	// }
}

func ExampleAppendManifest() {
	index := []byte(`{"schemaVersion":2,"manifests":[]}`)
	descriptor := []byte(`{
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "size": 0,
  "annotations": {"org.opencontainers.image.ref.name": "latest"}
}`)
	edited, changes, err := image.AppendManifest(index, descriptor)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(changes[0])
	fmt.Println(len(edited) > len(index))
	// Output:
	// added manifests[0].digest: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	// true
}

func ExampleLayerType() {
	layer, err := image.LayerType("application/vnd.oci.image.layer.v1.tar+zstd")
	fmt.Println(layer.Compression, layer.Foreign, err)
	_, err = image.LayerType("application/vnd.oci.image.layer.v1.tar+gzip+encrypted")
	fmt.Println(err)
	// Output:
	// zstd false <nil>
	// image: media type "application/vnd.oci.image.layer.v1.tar+gzip+encrypted": the layer is encrypted: decrypt the image first (skopeo copy --decryption-key KEY)
}
