// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/layers"
	"github.com/cfs-label/cfs-label/remote"
)

// What can be wrong with an image as a whole.
var (
	ErrNotImage   = errors.New("it is not a container image")
	ErrLayerCount = errors.New("the manifest and the config do not have the same number of layers: the image was put together wrongly; build and push it again")
	ErrPlatform   = errors.New("no image for that platform")
	ErrNested     = fmt.Errorf("indexes nested more than %d deep", nestingMax)
	ErrTooMany    = fmt.Errorf("an index with more than %d manifests; seal its images one by one", manifestsMax)
	ErrTooMuch    = fmt.Errorf("an index whose manifests and configs have more than %d bytes together; seal its images one by one", textMax)
	ErrMixed      = errors.New("an OCI manifest that uses media types of Docker's; hosts refuse it: convert the image (skopeo copy --format oci)")
	ErrIncomplete = errors.New("the config lacks what hosts need; build the image again")
)

// Source is an image that can be read: what its manifest and config say.
type Source struct {
	Repo       remote.Repo
	Descriptor v1.Descriptor
	Manifest   *image.Manifest
	Config     *image.Config

	RawManifest []byte
	RawConfig   []byte
}

// Platform returns the config's platform as it is written in commands:
// linux/amd64, linux/arm64/v8. What the config does not say is "unknown".
func (s *Source) Platform() string {
	p := cmp.Or(s.Config.OS, "unknown") + "/" + cmp.Or(s.Config.Architecture, "unknown")
	if s.Config.Variant != "" {
		p += "/" + s.Config.Variant
	}
	return p
}

func (s *Source) platform() v1.Platform {
	c := s.Config
	return v1.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant, OSVersion: c.OSVersion}
}

// hasImageLayers reports whether all layers are those of images, by their media
// types.
func (s *Source) hasImageLayers() bool {
	return !slices.ContainsFunc(s.Manifest.Layers, func(d v1.Descriptor) bool {
		_, err := image.LayerType(string(d.MediaType))
		return err != nil
	})
}

// Layers returns the layers to read, lowest first.
func (s *Source) Layers() ([]layers.Layer, error) {
	if len(s.Manifest.Layers) != len(s.Config.DiffIDs) {
		return nil, fmt.Errorf("%s: %w: %d and %d", s.Descriptor.Digest, ErrLayerCount, len(s.Manifest.Layers), len(s.Config.DiffIDs))
	}
	list := make([]layers.Layer, 0, len(s.Manifest.Layers))
	for i, d := range s.Manifest.Layers {
		kind, err := image.LayerType(string(d.MediaType))
		if err == nil && s.isMixed(d.MediaType) {
			err = fmt.Errorf("%w: %s", ErrMixed, d.MediaType)
		}
		if err != nil {
			return nil, &layers.Error{Layer: i, Layers: len(s.Manifest.Layers), Digest: d.Digest.String(), Err: err}
		}
		list = append(list, layers.Layer{
			Digest:      d.Digest,
			Size:        d.Size,
			DiffID:      s.Config.DiffIDs[i],
			Compression: compressions[kind.Compression],
			Foreign:     kind.Foreign,
			Open:        opener(s.Repo, d),
		})
	}
	return list, nil
}

// isMixed reports whether the media type is Docker's in a manifest that is not.
func (s *Source) isMixed(t types.MediaType) bool {
	return !s.Manifest.Kind.IsDocker() && strings.HasPrefix(string(t), "application/vnd.docker.")
}

// check holds the config to what hosts need. They refuse an image without it.
func (s *Source) check() error {
	if s.isMixed(s.Manifest.Config.MediaType) {
		return fmt.Errorf("%w: %s", ErrMixed, s.Manifest.Config.MediaType)
	}
	for _, field := range []struct {
		name  string
		given bool
	}{
		{"os", s.Config.OS != ""},
		{"architecture", s.Config.Architecture != ""},
		{"rootfs.type", s.Config.HasRootFSType},
	} {
		if !field.given {
			return fmt.Errorf("no %s: %w", field.name, ErrIncomplete)
		}
	}
	return nil
}
