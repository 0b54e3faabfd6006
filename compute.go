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
	g, err := readGraph(ctx, ref, o.Platforms, false)
	if err != nil {
		return nil, err
	}
	results, err := computeAll(ctx, g.sources(), &o, false)
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
	found := g.sources()
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
	defer o.begin([]*Source{s}, [][]layers.Layer{list})()
	return layers.Flatten(ctx, list, o.layers())
}

func (o *Options) layers() layers.Options {
	return layers.Options{Algorithms: o.Algorithms, Jobs: o.Jobs, Progress: o.Progress.Fetched}
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
	return o.Progress.End
}

// result is what came of an image: digests, or an error.
type result struct {
	digests []Digest
	err     error
}

// computeAll computes the digests of several images at once, in which a layer
// that several have is read once. With skip, an image that cannot be sealed gives
// a result that says why; else the first error ends all.
func computeAll(ctx context.Context, images []*Source, o *Options, skip bool) ([]result, error) {
	if len(images) == 0 {
		return nil, nil
	}
	results := make([]result, len(images))
	lists := make([][]layers.Layer, len(images))
	take := func(i int, err error) error {
		if skip && isUnsealable(err) {
			results[i].err = err
			return nil
		}
		return images[i].place(len(images), err)
	}
	for i, s := range images {
		var err error
		if lists[i], err = s.Layers(); err != nil {
			if err := take(i, err); err != nil {
				return nil, err
			}
		}
	}
	defer o.begin(images, lists)()
	err := layers.FlattenAll(ctx, lists, o.layers(), func(i int, t *tree.Tree, err error) error {
		isRead := results[i].err == nil // else it has no layers here
		if isRead && err == nil {
			results[i].digests, err = computeTree(ctx, t, o)
		}
		if isRead && err != nil {
			return take(i, err)
		}
		return nil
	})
	return results, err
}

// computeTree computes the digests of a merged tree, in the order of xattr
// modes, formats, algorithms.
func computeTree(ctx context.Context, t *tree.Tree, o *Options) ([]Digest, error) {
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
	var list []Digest
	for _, mode := range o.Xattrs {
		list = append(list, perMode[mode]...)
	}
	return list, nil
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
