// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// What asking for something gives that Docker's formats cannot be.
var (
	ErrDocker       = errors.New("a Docker manifest has no annotations: write the label, or convert the image to OCI (--oci)")
	ErrDockerLayout = errors.New("a layout or an archive has no images in Docker's format: write label or annotations, and it is converted to OCI")
)

// Sealed is what Label did.
type Sealed struct {
	Repo    remote.Repo // where the sealed image is
	Source  v1.Hash     // manifest or index that was read
	Digest  v1.Hash     // manifest or index that holds the digests
	Changed bool        // whether they differ
	// Images are those that were sealed, in the order of the indexes.
	Images []SealedImage
	// Skipped are those of an index that could not be.
	Skipped []Skipped
	// Passed are the platforms of those that were not to be.
	Passed []string
	// IndexChanges are all changes of indexes.
	IndexChanges []image.Change
	// Written are the places that this run wrote to.
	Written []Place
	// Signed are the manifests and indexes that were signed, the one at the top
	// last.
	Signed []Signed
	// Tags name the manifest or index now; none after a dry run.
	Tags []string
}

// SealedImage is an image that was sealed.
type SealedImage struct {
	Image          // as it was computed
	Sealed v1.Hash // its manifest now
	// Changes are all changes of its config and manifest.
	Changes []image.Change
	// UKIs are those that the image holds; none if it was not read, or they were
	// not to be looked at.
	UKIs []UKI
	// Artifacts are those that were pushed for it, or would be.
	Artifacts []v1.Hash
	// Believed tells that the digests are those of an earlier seal, and the
	// layers were not read.
	Believed bool
}

// Label computes the digests of an image, or of the images of an index, and
// writes them: labels into configs, annotations into manifests, or artifacts
// beside them. A UKI of the image that names another digest than the image's
// bootable one is a *MismatchError, and nothing is pushed. Label pushes blobs, manifests, the indexes above them, artifacts,
// signatures and, last of all, tags. Where an error occurs before the tags, none was moved; a
// Sealed that is returned with an error says which tags were.
func Label(ctx context.Context, ref *remote.Ref, o LabelOptions) (*Sealed, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	if err := o.Signing.check(ctx, o.target(ref)); err != nil {
		return nil, err
	}
	g, err := readGraph(ctx, ref, o.Platforms, o.SkipUnsealable)
	if err != nil {
		return nil, err
	}
	if err := o.settleDocker(ref, g); err != nil {
		return nil, err
	}
	o.warnOfBootable(g)
	r := &run{ref: ref, target: o.target(ref), graph: g, options: &o}
	r.elsewhere = o.To != nil && r.target != ref.Repo
	if err := r.chooseTags(); err != nil {
		return nil, err
	}
	if !o.DryRun && !o.Check {
		if err := r.target.CheckPush(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	sealed := r.sealed()
	ukis := r.ukiMismatches()
	if o.Check {
		return sealed, mismatchError(append(r.mismatches(), ukis...))
	}
	if len(ukis) > 0 {
		r.leave(sealed)
		return sealed, mismatchError(ukis)
	}
	r.warn(ctx, sealed)
	if o.DryRun {
		return sealed, nil
	}
	return sealed, r.push(ctx, sealed)
}

// settleDocker decides what becomes of Docker's formats. It fails where
// annotations are asked for and there are none to be. In layouts and archives
// there are OCI's formats: Docker's are converted on their way there.
func (o *LabelOptions) settleDocker(ref *remote.Ref, g *graph) error {
	isDocker := func(s *Source) bool { return s.Manifest.Kind.IsDocker() }
	i := slices.IndexFunc(g.sources(), isDocker)
	if i < 0 || o.OCI {
		return nil
	}
	intoFile := o.To != nil && !remote.IsRegistry(o.To.Repo) && o.target(ref) != ref.Repo
	switch {
	case intoFile && o.editsImage():
		o.OCI = true
		o.Warn("Docker's format is converted to OCI's: a layout or an archive has no other")
	case intoFile:
		return fmt.Errorf("%s: %w", g.images[i].descriptor.Digest, ErrDockerLayout)
	case o.writes(InAnnotations) && !o.writes(InLabel):
		return fmt.Errorf("%s: %w", g.images[i].descriptor.Digest, ErrDocker)
	}
	return nil
}

// run is one run of Label.
type run struct {
	ref       *remote.Ref
	target    remote.Repo
	elsewhere bool // the target is not where the image was read
	graph     *graph
	options   *LabelOptions
	tags      []string // to name the image
	ownTag    bool     // the tag that was read is to name it, if it changes

	digests   [][]Digest    // of the graph's images; nil: it was skipped
	believed  []bool        // whether they are those of an earlier seal
	ukis      [][]*UKI      // of the graph's images that were read
	edits     *edits        // what becomes of manifests and indexes
	artifacts [][]*artifact // to be pushed, by image
}

// prepare finds out what is to be pushed.
func (r *run) prepare(ctx context.Context) error {
	if err := r.compute(ctx); err != nil {
		return err
	}
	var err error
	if r.edits, err = editAll(r.graph, r.digests, r.options); err != nil {
		return err
	}
	return r.planArtifacts(ctx)
}

// compute computes the digests of all images, but of those that need not be
// read.
func (r *run) compute(ctx context.Context) error {
	g := r.graph
	r.digests, r.believed = make([][]Digest, len(g.images)), make([]bool, len(g.images))
	r.ukis = make([][]*UKI, len(g.images))
	var toRead []*Source
	var positions []int
	for i, n := range g.images {
		var err error
		if r.digests[i], r.believed[i], err = r.believe(ctx, n.source); err != nil {
			return err
		}
		if !r.believed[i] {
			toRead, positions = append(toRead, n.source), append(positions, i)
		}
	}
	r.options.ukis = !r.options.NoUKICheck
	results, err := computeAll(ctx, asked(toRead), &r.options.Options, r.options.SkipUnsealable)
	if err != nil {
		return err
	}
	for i, result := range results {
		r.digests[positions[i]], r.ukis[positions[i]] = result.digests, result.ukis
		if result.err != nil {
			s := toRead[i]
			g.skipOver(Skipped{Platform: s.Platform(), Manifest: s.Descriptor.Digest, Err: result.err})
			r.warnOfSkipped(s)
		}
	}
	i := slices.IndexFunc(r.digests, func(d []Digest) bool { return d != nil })
	if i < 0 {
		return g.none()
	}
	warnOfXattrs(r.digests[i], r.options.Warn)
	return nil
}

// believe returns the digests of an earlier seal of the same input, if they may
// be believed; ok is false if the layers are to be read.
func (r *run) believe(ctx context.Context, s *Source) (digests []Digest, ok bool, err error) {
	o := r.options
	if !o.IfNeeded {
		return nil, false, nil
	}
	if _, err := s.Layers(); err != nil {
		return nil, false, nil //nolint:nilerr // who reads the layers says so better
	}
	if ok, err := r.isVouchedFor(ctx, s); !ok || err != nil {
		return nil, false, err
	}
	if o.writes(InAnnotations) || !o.writes(InArtifact) {
		digests, ok = foundIn(s).digests(s, o)
		return digests, ok, nil
	}
	if o.Signing != nil || o.Kernel != nil {
		return nil, false, nil // a signature of the image says nothing of what is beside it
	}
	have, err := artifactsOf(ctx, r.target, s.Descriptor.Digest, o.Warn)
	if err != nil {
		return nil, false, err
	}
	digests, ok = foundBeside(s, have, o)
	return digests, ok, nil
}

// planArtifacts finds out which artifacts are to be pushed.
func (r *run) planArtifacts(ctx context.Context) error {
	r.artifacts = make([][]*artifact, len(r.graph.images))
	if !r.options.makesArtifacts() {
		return nil
	}
	var by *pkcs7.Certificate
	if r.options.Kernel != nil {
		by = r.options.Kernel.Certificate()
	}
	for i, n := range r.graph.images {
		if r.digests[i] == nil {
			continue
		}
		wanted := artifactsFor(n.source, r.edits.done[n], r.digests[i])
		have, err := artifactsOf(ctx, r.target, r.edits.done[n].descriptor.Digest, r.options.Warn)
		if err != nil {
			return err
		}
		for _, a := range wanted {
			if err := signEntries(a, r.options.Kernel); err != nil {
				return err
			}
			p, err := plan(due{a, by, true}, have, r.options.Warn)
			if err != nil {
				return err
			}
			if p != nil {
				r.artifacts[i] = append(r.artifacts[i], p)
			}
		}
	}
	return nil
}

// sealed says what is to be pushed.
func (r *run) sealed() *Sealed {
	top := r.edits.done[r.graph.top]
	s := &Sealed{
		Repo:    r.target,
		Source:  r.graph.top.descriptor.Digest,
		Digest:  top.descriptor.Digest,
		Skipped: r.graph.skipped,
		Passed:  r.graph.passed,

		IndexChanges: r.edits.changes,
	}
	if r.options.Check {
		s.Digest = s.Source // nothing else will be there
	}
	s.Changed = s.Digest != s.Source
	places := map[Place]bool{}
	for i, n := range r.graph.images {
		if r.digests[i] == nil {
			continue
		}
		ed := r.edits.done[n]
		img := SealedImage{
			Image:    Image{Platform: n.source.Platform(), Manifest: n.descriptor.Digest, Digests: r.digests[i]},
			Sealed:   ed.descriptor.Digest,
			Changes:  ed.changes,
			Believed: r.believed[i],
		}
		for _, u := range r.ukis[i] {
			img.UKIs = append(img.UKIs, *u)
		}
		if r.options.Check {
			img.Sealed = img.Manifest
		}
		for _, a := range r.artifacts[i] {
			img.Artifacts = append(img.Artifacts, a.descriptor.Digest)
			places[InArtifact] = true
		}
		if img.Sealed != img.Manifest {
			for _, p := range ed.places {
				places[p] = true
			}
		}
		s.Images = append(s.Images, img)
	}
	for p := range placeNames {
		if places[Place(p)] {
			s.Written = append(s.Written, Place(p))
		}
	}
	return s
}

// leave makes of what was to be pushed that nothing was.
func (r *run) leave(s *Sealed) {
	s.Digest, s.Changed, s.Written, s.IndexChanges = s.Source, false, nil, nil
	for i := range s.Images {
		img := &s.Images[i]
		img.Sealed, img.Changes, img.Artifacts = img.Manifest, nil, nil
	}
}
