// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

// ErrIndex is what sealing an index gives: a tag must never come to name one
// of its images in place of all.
var ErrIndex = errors.New("it names an index of several images, which cannot be sealed as one yet; seal one of them by its digest (NAME@sha256:…), and give it a tag of its own with --tag")

// LabelOptions say what to do with the digests.
type LabelOptions struct {
	Options
	// Tags are to name the sealed image. The default is the tag by which it
	// was read; an image that was read by digest gets none.
	Tags []string
	// DryRun changes nothing where the image is.
	DryRun bool
}

// Sealed is what Label did.
type Sealed struct {
	Image   Image   // as it was computed
	Source  v1.Hash // manifest that was read
	Digest  v1.Hash // manifest that holds the digests
	Changed bool    // whether they differ
	// Written are the places that hold the digests: label, annotations.
	Written []string
	// Changes are all changes of config and manifest.
	Changes []image.Change
	// Tags name the manifest now; none after a dry run.
	Tags []string
}

// Label computes the digests of an image and writes them into it: the label
// into its config, the annotations into its manifest. It pushes config,
// manifest and, last of all, tags. Where an error occurs before the tags, none
// was moved, and no Sealed is returned; one that is returned with an error says
// which tags were.
func Label(ctx context.Context, ref *remote.Ref, o LabelOptions) (*Sealed, error) {
	o.fill()
	if err := checkTags(o.Tags); err != nil {
		return nil, err
	}
	s, err := labelSource(ctx, ref, &o)
	if err != nil {
		return nil, err
	}
	if !o.DryRun {
		if err := ref.Repo.CheckPush(ctx); err != nil {
			return nil, err
		}
	}
	img, err := compute(ctx, s, &o.Options)
	if err != nil {
		return nil, err
	}
	e, err := edit(s, img, o.Warn)
	if err != nil {
		return nil, err
	}
	sealed := &Sealed{
		Image:   *img,
		Source:  s.Descriptor.Digest,
		Digest:  e.descriptor.Digest,
		Changed: e.descriptor.Digest != s.Descriptor.Digest,
		Written: e.written,
		Changes: e.changes,
	}
	if o.DryRun {
		return sealed, nil
	}
	if err := push(ctx, ref, s, e, &o, sealed); err != nil {
		return sealed, err
	}
	return sealed, nil
}

// tagSyntax is what the distribution specification allows as a tag (spec.md,
// "Pulling manifests").
var tagSyntax = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// checkTags fails for a tag that a registry would refuse, or that nobody could
// read back from a layout.
func checkTags(tags []string) error {
	for _, tag := range tags {
		if !tagSyntax.MatchString(tag) {
			return fmt.Errorf("%w: %q is no tag: use letters, digits, dots, dashes and underscores, 128 at most", remote.ErrReference, tag)
		}
	}
	return nil
}

func labelSource(ctx context.Context, ref *remote.Ref, o *LabelOptions) (*Source, error) {
	d, raw, err := ref.Resolve(ctx)
	if err != nil {
		return nil, err
	}
	m, err := image.ParseManifest(raw, d.MediaType)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	if m.Kind.IsIndex() {
		return nil, fmt.Errorf("%s: %w", ref, ErrIndex)
	}
	f := finder{repo: ref.Repo, platforms: o.Platforms, keepText: true}
	if err := f.add(ctx, d, m, raw); err != nil {
		return nil, err
	}
	if len(f.found) == 0 {
		return nil, fmt.Errorf("%s: %w", ref, f.none(d.Digest))
	}
	return f.found[0], nil
}

// edited is an image with its digests written into it.
type edited struct {
	descriptor v1.Descriptor
	manifest   []byte
	config     []byte
	changes    []image.Change
	written    []string
}

// edit writes the digests into config and manifest. The first digest makes the
// label; every V1 digest makes an annotation. What other seals left is removed.
func edit(s *Source, img *Image, warn func(string)) (*edited, error) {
	e := &edited{}
	first := img.Digests[0]
	if first.Xattrs != transform.AllowlistOnly {
		warn(fmt.Sprintf("label and annotations hold the digest with xattrs %s; hosts compute %s and will not find it equal", first.Xattrs, transform.AllowlistOnly))
	}
	var err error
	var changes []image.Change
	label := []image.KV{{Key: image.LabelKey, Value: first.Digest.String()}}
	if e.config, e.changes, err = image.EditConfig(s.RawConfig, label, image.StaleLabel); err != nil {
		return nil, err
	}
	e.written = []string{"label"}

	change := image.ManifestEdit{Config: image.Describe(e.config), StaleAnnotations: image.StaleAnnotation}
	if !s.Manifest.Kind.IsDocker() {
		if err := annotate(&change, e.config, img.Digests); err != nil {
			return nil, err
		}
	}
	if len(change.Annotations) > 0 {
		e.written = append(e.written, "annotations")
	}
	if e.manifest, changes, err = image.EditManifest(s.RawManifest, change); err != nil {
		return nil, err
	}
	e.changes = append(e.changes, changes...)
	d := image.Describe(e.manifest)
	e.descriptor = v1.Descriptor{MediaType: s.Manifest.Kind.MediaType(), Digest: d.Digest, Size: d.Size}
	return e, nil
}

// annotate adds the annotations of the sealing specification: a digest for
// each V1 image and, for the same algorithms, one of the config.
func annotate(change *image.ManifestEdit, config []byte, digests []Digest) error {
	seen := map[fsverity.Algorithm]bool{}
	for _, d := range digests {
		alg := d.Digest.Algorithm()
		if d.Format != erofs.V1 || seen[alg] {
			continue
		}
		seen[alg] = true
		if err := change.SetDigest(d.Role, d.Digest); err != nil {
			return err
		}
		if err := change.SetDigest(image.RoleConfig, fsverity.Sum(alg, config)); err != nil {
			return err
		}
	}
	return nil
}

// push stores what was edited, and moves the tags last. sealed learns which.
func push(ctx context.Context, ref *remote.Ref, s *Source, e *edited, o *LabelOptions, sealed *Sealed) error {
	if sealed.Changed {
		o.Progress.Step("pushing")
		config := s.Manifest.Config
		d := image.Describe(e.config)
		config.Digest, config.Size = d.Digest, d.Size
		if err := ref.Repo.PushBlob(ctx, config, e.config); err != nil {
			return err
		}
		if err := ref.Repo.PushManifest(ctx, e.descriptor, e.manifest); err != nil {
			return err
		}
	}
	tags := slices.Compact(slices.Sorted(slices.Values(o.Tags)))
	if len(tags) == 0 && ref.Digest == "" && sealed.Changed {
		tags = []string{ref.Tag}
	}
	for _, tag := range tags {
		was := ""
		if tag == ref.Tag && ref.Digest == "" {
			was = s.Descriptor.Digest.String()
		}
		if err := ref.Repo.Tag(ctx, tag, e.descriptor, e.manifest, was); err != nil {
			return err
		}
		if tag != "" {
			sealed.Tags = append(sealed.Tags, tag)
		}
	}
	return nil
}
