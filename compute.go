// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

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
	// Platforms narrow an index. The default is all Linux images.
	Platforms []v1.Platform
	// Jobs is how many layers are fetched at once. The default is
	// layers.DefaultJobs.
	Jobs int
	// Progress, if not nil, is told of what is read.
	Progress Progress
	// Warn, if not nil, is told what a user should know.
	Warn func(message string)
}

// Progress is told of what is read. Its methods are called from several
// goroutines.
type Progress interface {
	// Begin comes before an image is read, with the sizes of its layers in
	// bytes.
	Begin(platform string, list []layers.Layer)
	// Fetched tells that so many bytes more of a layer were fetched.
	Fetched(layer, bytes int)
	// End comes when the image was read, or could not be.
	End()
	// Step names what is done next, without measure.
	Step(what string)
}

// noProgress is told and does nothing.
type noProgress struct{}

func (noProgress) Begin(string, []layers.Layer) {}
func (noProgress) Fetched(int, int)             {}
func (noProgress) End()                         {}
func (noProgress) Step(string)                  {}

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

// Digest is a composefs digest and what it is of.
type Digest struct {
	Role   image.Role
	Format erofs.Format
	Xattrs transform.Xattrs
	Digest fsverity.Digest
}

// Image is what was computed of an image.
type Image struct {
	Platform string
	Manifest v1.Hash // of the manifest that was read
	// Digests are one for each combination of what was asked for, in the order
	// of xattr modes, formats, algorithms.
	Digests []Digest
}

// Compute computes the digests of the image that the reference names, or of
// those of the index. Nothing is written. It reads every layer to its end and
// checks it; nothing is told of an image of which anything is wrong.
func Compute(ctx context.Context, ref *remote.Ref, o Options) ([]Image, error) {
	o.fill()
	found, err := sources(ctx, ref, o.Platforms)
	if err != nil {
		return nil, err
	}
	images := make([]Image, 0, len(found))
	for _, s := range found {
		img, err := compute(ctx, s, &o)
		if err != nil {
			return nil, s.place(len(found), err)
		}
		images = append(images, *img)
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
	found, err := sources(ctx, ref, o.Platforms)
	if err != nil {
		return nil, err
	}
	if len(found) > 1 {
		names := make([]string, len(found))
		for i, s := range found {
			names[i] = s.Platform()
		}
		return nil, fmt.Errorf("%s names %d images (%v): choose one with --platform", ref, len(found), names)
	}
	t, err := read(ctx, found[0], &o)
	if err != nil {
		return nil, err
	}
	if err := transform.OCI(t, o.Xattrs[0]); err != nil {
		return nil, err
	}
	return t.Check()
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
func read(ctx context.Context, s *Source, o *Options) (*tree.Tree, error) {
	list, err := s.Layers()
	if err != nil {
		return nil, err
	}
	o.Progress.Begin(s.Platform(), list)
	defer o.Progress.End()
	return layers.Flatten(ctx, list, layers.Options{
		Algorithms: o.Algorithms,
		Jobs:       o.Jobs,
		Progress:   o.Progress.Fetched,
	})
}

func compute(ctx context.Context, s *Source, o *Options) (*Image, error) {
	t, err := read(ctx, s, o)
	if err != nil {
		return nil, err
	}
	o.Progress.Step("computing digests")
	perMode := map[transform.Xattrs][]Digest{}
	// A wider mode comes first: what it keeps, a narrower one can still drop.
	for _, mode := range slices.SortedFunc(slices.Values(o.Xattrs), func(a, b transform.Xattrs) int { return cmp.Compare(b, a) }) {
		if err := transform.OCI(t, mode); err != nil {
			return nil, err
		}
		checked, err := t.Check()
		if err != nil {
			return nil, err
		}
		if perMode[mode], err = digests(ctx, checked, mode, o); err != nil {
			return nil, err
		}
		t = checked.Thaw()
	}
	img := &Image{Platform: s.Platform(), Manifest: s.Descriptor.Digest}
	for _, mode := range o.Xattrs {
		img.Digests = append(img.Digests, perMode[mode]...)
	}
	return img, nil
}

// digests returns the tree's digest in every format under every algorithm.
func digests(ctx context.Context, c *tree.Checked, mode transform.Xattrs, o *Options) ([]Digest, error) {
	out := make([]Digest, len(o.Formats)*len(o.Algorithms))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range out {
		format := o.Formats[i/len(o.Algorithms)]
		alg := o.Algorithms[i%len(o.Algorithms)]
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			d, err := erofs.Digest(c, erofs.Options{Format: format, Algorithm: alg})
			out[i] = Digest{Role: image.RoleMerged, Format: format, Xattrs: mode, Digest: d}
			return err
		})
	}
	return out, g.Wait()
}
