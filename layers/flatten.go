// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"cmp"
	"context"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// DefaultJobs is how many layers are fetched at once unless told otherwise:
// the number of CPUs, and at least 4.
func DefaultJobs() int { return max(4, runtime.NumCPU()) }

// Options say how to read layers.
type Options struct {
	// Algorithms are those of the files' digests. The default is SHA-512.
	Algorithms []fsverity.Algorithm
	// Jobs is how many layers are fetched at once. The default is DefaultJobs.
	// The result does not depend on it.
	Jobs int
	// Progress, if not nil, is called with the number of bytes of a layer that
	// have just been fetched, from several goroutines.
	Progress func(layer, bytes int)
}

// run is one reading of an image.
type run struct {
	layers     []Layer
	algorithms []fsverity.Algorithm
	slots      chan struct{}
	queues     []*queue
	budget     budget
	progress   func(layer, bytes int)
}

// Flatten reads the layers, the lowest first in the list, and returns what they
// give together. Its errors are of type *Error, or the context's.
func Flatten(ctx context.Context, layers []Layer, o Options) (*tree.Tree, error) {
	if len(o.Algorithms) == 0 {
		o.Algorithms = []fsverity.Algorithm{fsverity.SHA512}
	}
	if o.Jobs <= 0 {
		o.Jobs = DefaultJobs()
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	r := &run{
		layers:     layers,
		algorithms: o.Algorithms,
		slots:      make(chan struct{}, runtime.GOMAXPROCS(0)),
		progress:   o.Progress,
		budget:     budget{limits: defaultLimits},
	}
	for range layers {
		r.queues = append(r.queues, newQueue())
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.readAll(ctx, o.Jobs) })
	var t *tree.Tree
	g.Go(func() (err error) {
		t, err = r.fold(ctx)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return t, nil
}

// readAll reads the layers, the largest first: what is read last should not be
// what takes longest.
func (r *run) readAll(ctx context.Context, jobs int) error {
	order := make([]int, len(r.layers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(r.layers[b].Size, r.layers[a].Size)
	})
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(jobs)
	for _, i := range order {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return r.readLayer(ctx, i)
		})
	}
	return g.Wait()
}

// fold makes the tree of the layers' entries.
func (r *run) fold(ctx context.Context) (*tree.Tree, error) {
	m := &merger{tree: tree.New(r.algorithms...)}
	for _, alg := range r.algorithms {
		m.stride += alg.Size()
	}
	for i, q := range r.queues {
		for {
			b, err := q.pop(ctx)
			if err != nil {
				return nil, err
			}
			if b == nil {
				break
			}
			if err := m.add(b); err != nil {
				return nil, r.place(i, err)
			}
			b.release()
		}
	}
	return m.tree, nil
}
