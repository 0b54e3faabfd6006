// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"fmt"

	"github.com/cfs-label/cfs-label/remote"
)

// ErrSeveral is an index with several images where one is wanted.
var ErrSeveral = errors.New("choose one with --platform")

// ComputeOne computes the digests of the one image that the reference names, as
// Compute does. Several are ErrSeveral before any layer is read.
func ComputeOne(ctx context.Context, ref *remote.Ref, o Options) (*Image, error) {
	o.fill()
	g, err := readGraph(ctx, ref, o.Platforms, false)
	if err != nil {
		return nil, err
	}
	source, err := g.one(ref)
	if err != nil {
		return nil, err
	}
	results, err := computeAll(ctx, asked([]*Source{source}), &o, false)
	if err != nil {
		return nil, err
	}
	return &Image{Platform: source.Platform(), Manifest: g.images[0].descriptor.Digest, Digests: results[0].digests}, nil
}

// one returns the one image that the reference names.
func (g *graph) one(ref *remote.Ref) (*Source, error) {
	found := g.sources()
	if len(found) == 1 {
		return found[0], nil
	}
	names := make([]string, len(found))
	for i, s := range found {
		names[i] = s.Platform()
	}
	return nil, fmt.Errorf("%s names %d images (%v): %w", ref, len(found), names, ErrSeveral)
}
