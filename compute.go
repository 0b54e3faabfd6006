// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/layers"
	"github.com/cfs-label/cfs-label/remote"
)

// Options say what to compute, and how. The zero value gives what hosts expect:
// the V1 SHA-512 digest of an image's Linux platforms.
type Options struct {
	// Formats are those of the images whose digests are computed. The default
	// is V1.
	Formats []erofs.Format
	// Algorithms are those of the digests. The default is SHA-512.
	Algorithms []fsverity.Algorithm
	// Xattrs are the modes in which extended attributes are filtered. The
	// default is AllowlistOnly.
	Xattrs []transform.Xattrs
	// Bootable asks for the digests of the bootable tree besides those of the
	// plain one, and for the bootable tree in place of the plain one.
	Bootable bool
	// Platforms narrow an index. The default is all Linux images.
	Platforms []v1.Platform
	// Jobs is how many layers are fetched at once. The default is
	// layers.DefaultJobs.
	Jobs int
	// Progress, if not nil, is told of what is read.
	Progress Progress
	// Warn, if not nil, is told what a user should know.
	Warn func(message string)
	// Stats, if not nil, gets what was read added.
	Stats *Stats

	// ukis tells that UKIs are looked at, and held against what is computed.
	ukis bool
}

// Progress is told of what is read. Its methods are called from several
// goroutines.
type Progress interface {
	// Begin comes before layers are read, with those of all images, each once.
	Begin(list []ReadLayer)
	// Fetched tells that so many bytes more of a layer were fetched; layer is
	// its position in the list.
	Fetched(layer, bytes int)
	// End comes when the images were read, or could not be.
	End()
	// Step names what is done next, without measure.
	Step(what string)
}

// ReadLayer is a layer that is read, and its place in the first image that has
// it.
type ReadLayer struct {
	Platform      string // of that image
	Layer, Layers int    // its position, from 0, of so many
	Digest        v1.Hash
	Size          int64 // in bytes
}

// noProgress is told and does nothing.
type noProgress struct{}

func (noProgress) Begin([]ReadLayer) {}
func (noProgress) Fetched(int, int)  {}
func (noProgress) End()              {}
func (noProgress) Step(string)       {}

func (o *Options) fill() {
	if len(o.Formats) == 0 {
		o.Formats = []erofs.Format{erofs.V1}
	}
	if len(o.Algorithms) == 0 {
		o.Algorithms = []fsverity.Algorithm{fsverity.SHA512}
	}
	if len(o.Xattrs) == 0 {
		o.Xattrs = []transform.Xattrs{transform.AllowlistOnly}
	}
	if o.Progress == nil {
		o.Progress = noProgress{}
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
}

// Image is what was computed of an image.
type Image struct {
	Platform string
	Manifest v1.Hash // of the manifest that was read
	// Digests are one for each combination of what was asked for, in the order
	// of roles, xattr modes, formats, algorithms.
	Digests []Digest
}

// Compute computes the digests of the image that the reference names, or of
// those of the index. Nothing is written. It reads every layer to its end and
// checks it; nothing is told of an image of which anything is wrong.
func Compute(ctx context.Context, ref *remote.Ref, o Options) ([]Image, error) {
	o.fill()
	g, err := readGraph(ctx, ref, o.Platforms, false)
	if err != nil {
		return nil, err
	}
	results, err := computeAll(ctx, asked(g.sources()), &o, false)
	if err != nil {
		return nil, err
	}
	images := make([]Image, len(results))
	for i, r := range results {
		images[i] = Image{Platform: g.images[i].source.Platform(), Manifest: g.images[i].descriptor.Digest, Digests: r.digests}
	}
	return images, nil
}

// place says which of several images an error is of.
func (s *Source) place(images int, err error) error {
	if images == 1 {
		return err
	}
	return fmt.Errorf("%s: %w", s.Platform(), err)
}

// Tree returns the merged tree of the one image that the reference names, as
// a host sees it. Of the options' xattr modes the first counts.
func Tree(ctx context.Context, ref *remote.Ref, o Options) (*tree.Checked, error) {
	o.fill()
	g, err := readGraph(ctx, ref, o.Platforms, false)
	if err != nil {
		return nil, err
	}
	source, err := g.one(ref)
	if err != nil {
		return nil, err
	}
	m, err := read(ctx, source, &o)
	if err != nil {
		return nil, err
	}
	s := imageSystem(m)
	if o.Bootable {
		if err := s.ready(ctx); err != nil {
			return nil, err
		}
	}
	return s.checked(&o)
}

func opener(repo remote.Repo, d v1.Descriptor) func(context.Context) (io.ReadCloser, error) {
	return func(ctx context.Context) (io.ReadCloser, error) {
		body, err := repo.Blob(ctx, d)
		if errors.Is(err, remote.ErrNotFound) {
			err = notThereError{err}
		}
		return body, err
	}
}

// notThereError is remote.ErrNotFound as layers knows it.
type notThereError struct{ error }

func (notThereError) Is(target error) bool { return target == fs.ErrNotExist }

func (e notThereError) Unwrap() error { return e.error }

var compressions = map[image.Compression]layers.Compression{
	image.Uncompressed: layers.Plain,
	image.Gzip:         layers.Gzip,
	image.Zstd:         layers.Zstd,
}

// read merges the layers of an image.
func read(ctx context.Context, s *Source, o *Options) (*layers.Merged, error) {
	list, err := s.Layers()
	if err != nil {
		return nil, err
	}
	defer o.begin([]*Source{s}, [][]layers.Layer{list})()
	return layers.Flatten(ctx, list, o.layers())
}

func (o *Options) layers() layers.Options {
	return layers.Options{Algorithms: o.Algorithms, Jobs: o.Jobs, Progress: o.fetched, Capture: o.capture}
}

// fetched tells of bytes of a layer.
func (o *Options) fetched(layer, bytes int) {
	o.Progress.Fetched(layer, bytes)
	o.Stats.fetched(0, bytes)
}

// begin tells of the layers of the images, and returns what tells that they
// were read.
func (o *Options) begin(images []*Source, lists [][]layers.Layer) (end func()) {
	distinct := layers.Distinct(lists)
	list := make([]ReadLayer, len(distinct))
	for i, l := range distinct {
		first := l.Uses[0]
		list[i] = ReadLayer{
			Platform: images[first.Image].Platform(),
			Layer:    first.Layer,
			Layers:   len(lists[first.Image]),
			Digest:   l.Digest,
			Size:     l.Size,
		}
	}
	o.Progress.Begin(list)
	o.Stats.fetched(len(list), 0)
	return o.Progress.End
}
