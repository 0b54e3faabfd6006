// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// What can be wrong with a layer's media type; errors.Is finds them in what
// LayerType returns.
var (
	ErrEncrypted    = errors.New("the layer is encrypted: decrypt the image first (skopeo copy --decryption-key KEY)")
	ErrUnknownLayer = errors.New("not the media type of an image layer: if this is an image, convert its layers (skopeo copy --format oci); other artifacts cannot be sealed")
)

// Compression is how a layer's tar stream is compressed.
type Compression uint8

// The compressions.
const (
	Uncompressed Compression = iota + 1
	Gzip
	Zstd
)

// String returns the compression's name: none, gzip or zstd.
func (c Compression) String() string {
	switch c {
	case Uncompressed:
		return "none"
	case Gzip:
		return "gzip"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("Compression(%d)", uint8(c))
}

// Layer is what a layer's media type says of it.
type Layer struct {
	Compression Compression
	// Foreign is set if the layer need not be in the registry that holds the
	// image: "non-distributable" to OCI, "foreign" to Docker.
	Foreign bool
}

// layerTypes holds the media types of layers (OCI image spec, layer.md; Docker
// image manifest v2 schema 2). Those in zstd but OCI's first are in no
// specification: builders write them.
var layerTypes = map[string]Layer{
	"application/vnd.oci.image.layer.v1.tar":      {Compression: Uncompressed},
	"application/vnd.oci.image.layer.v1.tar+gzip": {Compression: Gzip},
	"application/vnd.oci.image.layer.v1.tar+zstd": {Compression: Zstd},

	"application/vnd.oci.image.layer.nondistributable.v1.tar":      {Compression: Uncompressed, Foreign: true},
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": {Compression: Gzip, Foreign: true},
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": {Compression: Zstd, Foreign: true},

	"application/vnd.docker.image.rootfs.diff.tar":      {Compression: Uncompressed},
	"application/vnd.docker.image.rootfs.diff.tar.gzip": {Compression: Gzip},
	"application/vnd.docker.image.rootfs.diff.tar.zstd": {Compression: Zstd},

	"application/vnd.docker.image.rootfs.foreign.diff.tar":      {Compression: Uncompressed, Foreign: true},
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": {Compression: Gzip, Foreign: true},
	"application/vnd.docker.image.rootfs.foreign.diff.tar.zstd": {Compression: Zstd, Foreign: true},
}

// ociLayerTypes holds the media type of OCI's for each of Docker's in
// layerTypes: the same archive under another name.
var ociLayerTypes = map[types.MediaType]types.MediaType{
	"application/vnd.docker.image.rootfs.diff.tar":      "application/vnd.oci.image.layer.v1.tar",
	"application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
	"application/vnd.docker.image.rootfs.diff.tar.zstd": "application/vnd.oci.image.layer.v1.tar+zstd",

	"application/vnd.docker.image.rootfs.foreign.diff.tar":      "application/vnd.oci.image.layer.nondistributable.v1.tar",
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
	"application/vnd.docker.image.rootfs.foreign.diff.tar.zstd": "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
}

// LayerType returns what the media type of a layer's descriptor says. Its error
// names the media type and is ErrEncrypted or ErrUnknownLayer.
func LayerType(mediaType string) (Layer, error) {
	if l, ok := layerTypes[mediaType]; ok {
		return l, nil
	}
	err := ErrUnknownLayer
	if strings.HasSuffix(mediaType, "+encrypted") {
		err = ErrEncrypted
	}
	return Layer{}, fmt.Errorf("image: media type %s: %w", quote(mediaType), err)
}
