// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

// survey is what a reference names, whatever the platforms: the manifest or index
// itself, and all that is below it. Layers are not read.
type survey struct {
	*graph
	wanted func(v1.Descriptor) bool // which manifests are read; indexes all are
	list   []listed                 // in the order of the indexes
}

// listed is a manifest or index, where an index or the reference names it.
type listed struct {
	*node
	as    v1.Descriptor // how it is named there
	depth int           // so many indexes are above it
}

// surveyOf reads what a reference names. What is wrong with a manifest itself is
// its node's err, and no other.
func surveyOf(ctx context.Context, ref *remote.Ref, wanted func(v1.Descriptor) bool) (*survey, error) {
	d, raw, err := ref.Resolve(ctx)
	if err != nil {
		return nil, err
	}
	s := &survey{graph: &graph{repo: ref.Repo, nodes: map[v1.Hash]*node{}}, wanted: wanted}
	s.top = &node{descriptor: d, raw: raw}
	s.nodes[d.Digest] = s.top
	s.list = []listed{{s.top, d, 0}}
	if s.top.manifest, err = image.ParseManifest(raw, d.MediaType); err != nil {
		return nil, fmt.Errorf("%s: %w", d.Digest, err)
	}
	switch {
	case s.top.manifest.Kind.IsIndex():
		err = s.enter(ctx, s.top, 1)
	case wanted(d):
		err = s.keep(s.top, s.readImage(ctx, s.top))
	}
	return s, err
}

// enter reads what is below an index.
func (s *survey) enter(ctx context.Context, n *node, depth int) error {
	if depth > nestingMax {
		return fmt.Errorf("%s: %w", s.top.descriptor.Digest, ErrNested)
	}
	for _, d := range n.manifest.Manifests {
		c, known := s.nodes[d.Digest]
		if !known {
			if len(s.nodes) > manifestsMax {
				return fmt.Errorf("%s: %w", n.descriptor.Digest, ErrTooMany)
			}
			c = &node{descriptor: d}
			s.nodes[d.Digest] = c
		}
		if len(s.list) > listedMax {
			return fmt.Errorf("%s: %w", n.descriptor.Digest, ErrTooMany)
		}
		s.list = append(s.list, listed{c, d, depth})
		if known {
			continue
		}
		if err := s.readChild(ctx, c, depth); err != nil {
			return err
		}
	}
	return nil
}

// listedMax is how many descriptors indexes may have together: a manifest may be
// named for several platforms.
const listedMax = 4 * manifestsMax

// readChild reads a child of an index, if it is wanted.
func (s *survey) readChild(ctx context.Context, c *node, depth int) error {
	if !c.descriptor.MediaType.IsIndex() {
		if !s.wanted(c.descriptor) {
			return nil
		}
		return s.keep(c, s.readNode(ctx, c))
	}
	raw, err := s.repo.Manifest(ctx, c.descriptor)
	if err == nil {
		err = s.take(raw)
	}
	if err == nil {
		c.raw = raw
		c.manifest, err = image.ParseManifest(raw, c.descriptor.MediaType)
	}
	if err != nil {
		return s.keep(c, err)
	}
	return s.enter(ctx, c, depth+1)
}

// keep keeps an error that says something of the manifest; others end all.
func (*survey) keep(n *node, err error) error {
	if err != nil && (isUnsealable(err) || errors.Is(err, ErrNotImage)) {
		n.err = err
		return nil
	}
	return err
}
