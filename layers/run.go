// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// run is one reading of images.
type run struct {
	algorithms []fsverity.Algorithm
	slots      chan struct{}
	budget     *budget
	progress   func(layer, bytes int)
	capture    Capture
	notice     Notice

	images []runImage
	layers []runLayer // as Distinct lists them

	mu sync.Mutex // guards runImage.err, and of runLayer all but Shared
}

// runImage is an image on its way to its tree.
type runImage struct {
	layers []int    // positions in run.layers
	queues []*queue // of each of them
	err    error    // what was first found to be wrong with it
}

// runLayer is a layer on its way to the images that have it.
type runLayer struct {
	Shared
	wanted int                // uses of which the image can still become a tree
	cancel context.CancelFunc // ends reading it; nil before
}

func newRun(images [][]Layer, o *Options) *run {
	r := &run{
		algorithms: o.Algorithms,
		slots:      make(chan struct{}, runtime.GOMAXPROCS(0)),
		budget:     newBudget(defaultLimits, len(images), o.Jobs),
		progress:   o.Progress,
		capture:    o.Capture,
		notice:     o.Notice,
		images:     make([]runImage, len(images)),
	}
	for i, layers := range images {
		r.images[i].layers = make([]int, len(layers))
		for range layers {
			r.images[i].queues = append(r.images[i].queues, newQueue())
		}
	}
	for i, l := range Distinct(images) {
		r.layers = append(r.layers, runLayer{Shared: l, wanted: len(l.Uses)})
		for _, u := range l.Uses {
			r.images[u.Image].layers[u.Layer] = i
		}
	}
	return r
}

// readAll reads the layers, those of the first image first: so the images are
// ready one after the other, and not all at the end. Of an image it reads the
// largest first: what is read last should not be what takes longest. Layers begin
// in that order, but not before it is their turn: see budget.
func (r *run) readAll(ctx context.Context, jobs int) error {
	order := make([]int, len(r.layers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &r.layers[a], &r.layers[b]
		return cmp.Or(cmp.Compare(x.Uses[0].Image, y.Uses[0].Image), cmp.Compare(y.Size, x.Size))
	})
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(jobs)
	for _, i := range order {
		if err := r.budget.begin(ctx, r.layers[i].Uses[0].Image); err != nil {
			g.Go(func() error { return err })
			break
		}
		g.Go(func() error { return r.read(ctx, i) })
	}
	return g.Wait()
}

// read reads a layer unless no image wants it, and tells the images what came
// of it. Its error is one that ends the whole.
func (r *run) read(ctx context.Context, i int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	if !r.begin(i, cancel) {
		return nil
	}
	uses := r.layers[i].Uses
	err := r.readLayer(reading, i)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrTooMany):
		return r.place(uses[0], err)
	}
	for _, u := range uses {
		if err != nil { // of a layer that was called off, the images know better
			_ = r.fail(u.Image, r.place(u, err))
		} else {
			r.queue(u).close()
		}
	}
	return nil
}

// begin reports whether an image wants the layer. From then on cancel is called
// when none does any more.
func (r *run) begin(i int, cancel context.CancelFunc) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.layers[i].cancel = cancel
	return r.layers[i].wanted > 0
}

// fail tells that the image cannot become a tree. It returns why: what was
// found first. What was read for it is dropped, and what only it wanted is read
// no further.
func (r *run) fail(image int, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &r.images[image]
	if m.err != nil {
		return m.err
	}
	m.err = err
	for j, i := range m.layers {
		m.queues[j].drop(err)
		l := &r.layers[i]
		l.wanted--
		if l.wanted == 0 && l.cancel != nil {
			l.cancel()
		}
	}
	return err
}

func (r *run) queue(u Use) *queue { return r.images[u.Image].queues[u.Layer] }

// merge makes the image's tree, and tells done what came of it.
func (r *run) merge(ctx context.Context, image int, done func(int, *Merged, error) error) error {
	var held amount
	defer func() { r.budget.end(image, held) }()
	t, err := r.fold(ctx, image, &held)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrTooMany): // as for a layer, it ends the whole
		return err
	case err != nil:
		return done(image, nil, r.fail(image, err))
	}
	return done(image, t, nil)
}

// fold makes the tree of the entries of an image's layers. It counts in held
// what the tree takes of the budget.
func (r *run) fold(ctx context.Context, image int, held *amount) (*Merged, error) {
	m := &merger{tree: tree.New(r.algorithms...), capture: r.capture, captured: captures{}}
	merged := &Merged{Tree: m.tree, captured: m.captured}
	for _, alg := range r.algorithms {
		m.stride += alg.Size()
	}
	for j := range r.images[image].queues {
		merged.starts = append(merged.starts, tree.Ino(m.tree.Inodes()))
		if r.notice != nil {
			m.observer = newObserver(func(path string, err error) { r.notice(j, path, err) })
		}
		if err := r.foldLayer(ctx, m, Use{image, j}, held); err != nil {
			return nil, err
		}
	}
	merged.again = func(ctx context.Context, choose func(path string) bool) error {
		return r.readAgain(ctx, image, m, merged, held, choose)
	}
	return merged, nil
}

// foldLayer adds the entries of a layer to the tree. What does not merge counts
// only once the layer is known to be what its digests say, as those before it
// are: otherwise that is why.
func (r *run) foldLayer(ctx context.Context, m *merger, u Use, held *amount) error {
	var mergeErr error
	for {
		b, err := r.queue(u).pop(ctx)
		switch {
		case err != nil:
			return err
		case b == nil && mergeErr != nil:
			return r.place(u, mergeErr)
		case b == nil:
			return nil
		case mergeErr != nil:
			b.release()
			continue
		}
		mergeErr = m.add(b)
		cost := b.cost
		cost.entries += m.made
		m.made = 0
		b.release()
		held.add(cost)
		if err := r.budget.take(ctx, u.Image, cost, 0); err != nil {
			return r.place(u, err)
		}
	}
}

// place says which layer of which image an error is of.
func (r *run) place(u Use, err error) error {
	list := r.images[u.Image].layers
	e := &Error{Layer: u.Layer, Layers: len(list), Digest: r.layers[list[u.Layer]].Digest.String(), Err: err}
	if entry, ok := errors.AsType[*entryError](err); ok {
		e.Path, e.Err = entry.path, entry.err
	}
	return e
}
