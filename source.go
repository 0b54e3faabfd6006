// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"cmp"
	"context"
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
	ErrMixed      = errors.New("an OCI manifest that uses media types of Docker's; hosts refuse it: convert the image (skopeo copy --format oci)")
	ErrIncomplete = errors.New("the config lacks what hosts need; build the image again")
)

// Limits of an index.
const (
	nestingMax   = 8    // how deep indexes may be nested in one another
	manifestsMax = 1000 // manifests below the one at the top, each counted once
)

// Source is an image that can be read: what its manifest and config say. The
// text of both is kept only where it is to be edited.
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

// sources returns the images that a reference names: itself, or the Linux
// images of an index, in its order. Platforms, if there are any, narrow them.
func sources(ctx context.Context, ref *remote.Ref, platforms []v1.Platform) ([]*Source, error) {
	d, raw, err := ref.Resolve(ctx)
	if err != nil {
		return nil, err
	}
	f := finder{repo: ref.Repo, platforms: platforms, seen: map[v1.Hash]bool{}}
	if err := f.find(ctx, d, raw, 0); err != nil {
		return nil, err
	}
	if len(f.found) == 0 {
		return nil, f.none(d.Digest)
	}
	return f.found, nil
}

// finder collects images.
type finder struct {
	repo      remote.Repo
	platforms []v1.Platform
	found     []*Source
	passed    []string         // platforms of those that were passed over
	seen      map[v1.Hash]bool // manifests that were read
	keepText  bool
}

func (f *finder) none(digest v1.Hash) error {
	asked := "linux"
	if len(f.platforms) > 0 {
		names := make([]string, len(f.platforms))
		for i, p := range f.platforms {
			names[i] = p.String()
		}
		asked = strings.Join(names, ", ")
	}
	has := "none"
	if len(f.passed) > 0 {
		has = strings.Join(f.passed, ", ")
	}
	return fmt.Errorf("%s: %w: asked for %s, there is %s", digest, ErrPlatform, asked, has)
}

func (f *finder) find(ctx context.Context, d v1.Descriptor, raw []byte, depth int) error {
	m, err := image.ParseManifest(raw, d.MediaType)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Digest, err)
	}
	if !m.Kind.IsIndex() {
		return f.add(ctx, d, m, raw)
	}
	if depth == nestingMax {
		return fmt.Errorf("%s: %w", d.Digest, ErrNested)
	}
	for _, child := range m.Manifests {
		if !f.mayHold(child) {
			f.pass(child.Platform)
			continue
		}
		if f.seen[child.Digest] {
			continue // two platforms may share an image
		}
		if f.seen[child.Digest] = true; len(f.seen) > manifestsMax {
			return fmt.Errorf("%s: %w", d.Digest, ErrTooMany)
		}
		raw, err := f.repo.Manifest(ctx, child)
		if err != nil {
			return err
		}
		if err := f.find(ctx, child, raw, depth+1); err != nil && !errors.Is(err, ErrNotImage) {
			return err
		}
	}
	return nil
}

// mayHold reports whether a child of an index may be, or hold, one of the
// images that are looked for: not an artifact, nor what build tools add about
// an image, whose platform is unknown/unknown.
func (f *finder) mayHold(child v1.Descriptor) bool {
	switch {
	case child.MediaType.IsIndex():
		return true
	case !child.MediaType.IsImage() || !isImageType(child.ArtifactType):
		return false
	case child.Platform == nil:
		return true
	}
	return f.wants(*child.Platform)
}

// isImageType reports whether the artifactType of a descriptor leaves open that
// it is of an image. Some tools (crane index append) put the config's media type
// there, which is what it says of a manifest without an artifactType of its own.
func isImageType(artifactType string) bool {
	t := types.MediaType(artifactType)
	return t == "" || t.IsImage() || t.IsConfig()
}

func (f *finder) wants(p v1.Platform) bool {
	if len(f.platforms) == 0 {
		return p.OS == "linux"
	}
	return slices.ContainsFunc(f.platforms, p.Satisfies)
}

func (f *finder) pass(p *v1.Platform) {
	if p != nil && p.OS != "unknown" {
		f.passed = append(f.passed, p.String())
	}
}

func (f *finder) add(ctx context.Context, d v1.Descriptor, m *image.Manifest, raw []byte) error {
	if !m.Config.MediaType.IsConfig() {
		what := cmp.Or(m.ArtifactType, string(m.Config.MediaType))
		return fmt.Errorf("%s: %w but %q", d.Digest, ErrNotImage, what)
	}
	config, err := f.repo.BlobBytes(ctx, m.Config, image.MaxConfigSize)
	if err != nil {
		return err
	}
	c, err := image.ParseConfig(config)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Digest, err)
	}
	s := &Source{Repo: f.repo, Descriptor: d, Manifest: m, Config: c}
	if f.keepText {
		s.RawManifest, s.RawConfig = raw, config
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("%s: %w", d.Digest, err)
	}
	p := v1.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant, OSVersion: c.OSVersion}
	if d.Platform != nil {
		p = *d.Platform
	}
	if !f.wants(p) {
		f.pass(&p)
		return nil
	}
	f.found = append(f.found, s)
	return nil
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
