// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// Shared is a layer of one or more images.
type Shared struct {
	Layer
	// Uses are the images that have it, by their positions; an image that has
	// it twice is there twice.
	Uses []Use
}

// Use is a layer's place in an image: positions from 0.
type Use struct{ Image, Layer int }

// Distinct returns the layers of the images, each once, in the order in which
// they first come. Layers are the same if blob digest, size, diff ID, compression
// and foreignness are; it is the first that is opened.
func Distinct(images [][]Layer) []Shared {
	type identity struct {
		digest, diffID v1.Hash
		size           int64
		compression    Compression
		foreign        bool
	}
	var list []Shared
	positions := map[identity]int{}
	for i, layers := range images {
		for j, l := range layers {
			id := identity{l.Digest, l.DiffID, l.Size, l.Compression, l.Foreign}
			at, ok := positions[id]
			if !ok {
				at = len(list)
				positions[id] = at
				list = append(list, Shared{Layer: l})
			}
			list[at].Uses = append(list[at].Uses, Use{i, j})
		}
	}
	return list
}

// FlattenAll reads the layers of several images at once, each layer once, and
// calls done with what each image gives, as soon as it is known: a tree or an
// error of type *Error that says what is wrong with it. done is called from
// several goroutines at once, once for each image unless FlattenAll returns an
// error: that of done, the context's, or an *Error with ErrTooMany. What is wrong
// with one image does not end the others. Progress is called with positions in
// Distinct(images).
//
// Layers are read in the order of the images, so that these are ready one after
// the other, and no more than o.Jobs images are merged at once, until done
// returns. A layer is read when fewer than 2 × o.Jobs images are not done before
// the first that has it.
//
// The limits are on what is in memory at once: 16 million entries, and 2 GiB of
// names, targets, attributes and inline content, which is about 5 GiB. What was
// read of a layer counts once, from when it is read until it is merged into the
// last image that has it; what is merged counts until done returns. Over a
// quarter of that, only the first image that is not done goes on, and the others
// wait. So images of up to 6 million entries are not refused for being many, as
// long as the layers that stay for later images have no more than that quarter.
// Over the limits, over 1 TiB of archives, or when all trees together have 64
// times as much as may be in memory, all ends with ErrTooMany, placed in the layer
// that was read or merged then: which one is chance.
func FlattenAll(ctx context.Context, images [][]Layer, o Options, done func(image int, m *Merged, err error) error) error {
	o.fill()
	return newRun(images, &o).flatten(ctx, o.Jobs, done)
}

func (r *run) flatten(ctx context.Context, jobs int, done func(image int, m *Merged, err error) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.readAll(ctx, jobs) })
	merging := make(chan struct{}, jobs)
	for i := range r.images {
		select {
		case merging <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			g.Go(func() error { return context.Cause(ctx) })
			break
		}
		g.Go(func() error {
			defer func() { <-merging }()
			return r.merge(ctx, i, done)
		})
	}
	return g.Wait()
}
