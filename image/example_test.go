// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

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

// An artifact without signatures needs no blob but the empty one, and is read
// again as it was written.
func ExampleArtifact() {
	manifest := image.Describe([]byte("the image's manifest"))
	written := image.Artifact{
		Subject: v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: manifest.Digest, Size: manifest.Size},
		Entries: []image.ArtifactEntry{
			{Role: image.RoleMerged, Digest: fsverity.Sum(fsverity.SHA256, nil)},
			{Role: image.RoleManifest, Digest: fsverity.Sum(fsverity.SHA256, manifest.Content)},
		},
	}
	raw, blobs, err := written.Marshal()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, b := range blobs {
		fmt.Printf("%s %s\n", b.Descriptor.MediaType, b.Content)
	}
	read, err := image.ParseArtifact(raw, func(v1.Descriptor) ([]byte, error) {
		return nil, errors.New("there are no signatures")
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range read.Entries {
		fmt.Println(image.AnnotationKey(e.Role, read.Algorithm()), e.Digest)
	}
	// Output:
	// application/vnd.oci.empty.v1+json {}
	// composefs.manifest.fsverity-sha256-12 08b61f63d07064b10b9a21f9b0b4df6c9d49045f9a89e0cf9e397e8a53dc2805
	// composefs.merged.erofs.v1.fsverity-sha256-12 3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95
}

func ExampleToOCI() {
	list := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}`)
	_, changes, err := image.ToOCI(list)
	fmt.Println(err)
	for _, c := range changes {
		fmt.Println(c)
	}
	// Output:
	// <nil>
	// replaced mediaType: "application/vnd.docker.distribution.manifest.list.v2+json" by "application/vnd.oci.image.index.v1+json"
}
