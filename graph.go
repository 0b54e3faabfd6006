// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

// Limits of an index.
const (
	nestingMax   = 8        // how deep indexes may be nested in one another
	manifestsMax = 1000     // manifests below the one at the top, each counted once
	textMax      = 64 << 20 // bytes of manifests and configs together
)

// node is a manifest or an index in what a reference names. One that several
// name is one node.
type node struct {
	descriptor v1.Descriptor   // by which it was read or, if it was not, first named
	raw        []byte          // nil until it is read: not all need be
	manifest   *image.Manifest // nil likewise
	source     *Source         // of an image
	err        error           // why it could not be read

	// Of an index, by position.
	children []*node
	wanted   []bool // whether the child, as it is named there, is to be sealed
	height   int    // how many indexes there are from here down
}

// Skipped is an image of an index that could not be sealed.
type Skipped struct {
	Platform string
	Manifest v1.Hash
	Err      error // why
}

// graph is what a reference names: an image, or an index and all below it.
type graph struct {
	repo      remote.Repo
	platforms []v1.Platform
	skip      bool // pass over images that cannot be sealed

	top     *node
	nodes   map[v1.Hash]*node
	images  []*node // those to be sealed, in the order of the indexes
	skipped []Skipped
	passed  []string // platforms of those that are not to be sealed
	matched []bool   // which of the platforms there are
	text    int      // bytes of manifests and configs so far
}

// readGraph reads what a reference names, as far as it may be an image that is
// wanted: Linux images, or those of the platforms. With skip, images that cannot
// be sealed are passed over.
func readGraph(ctx context.Context, ref *remote.Ref, platforms []v1.Platform, skip bool) (*graph, error) {
	d, raw, err := ref.Resolve(ctx)
	if err != nil {
		return nil, err
	}
	g := &graph{
		repo: ref.Repo, platforms: platforms, skip: skip,
		nodes: map[v1.Hash]*node{}, matched: make([]bool, len(platforms)),
	}
	g.top = &node{descriptor: d, raw: raw}
	g.nodes[d.Digest] = g.top
	if g.top.manifest, err = image.ParseManifest(raw, d.MediaType); err != nil {
		return nil, fmt.Errorf("%s: %w", d.Digest, err)
	}
	if g.top.manifest.Kind.IsIndex() {
		err = g.readIndex(ctx, g.top)
	} else {
		err = g.readTop(ctx)
	}
	if err == nil {
		err = g.missing()
	}
	return g, err
}

// readTop reads the image that stands for itself.
func (g *graph) readTop(ctx context.Context) error {
	err := g.readImage(ctx, g.top)
	if err == nil {
		_, err = g.want(g.top, g.top.descriptor)
	}
	return err
}

// sources returns the images to be sealed.
func (g *graph) sources() []*Source {
	list := make([]*Source, len(g.images))
	for i, n := range g.images {
		list[i] = n.source
	}
	return list
}

// missing fails if there is nothing to be sealed, or not each platform that was
// asked for.
func (g *graph) missing() error {
	var names []string
	for i, p := range g.platforms {
		if !g.matched[i] {
			names = append(names, p.String())
		}
	}
	if len(names) == 0 && len(g.images) > 0 {
		return nil
	}
	if len(names) == 0 && len(g.skipped) > 0 {
		return g.none()
	}
	if len(names) == 0 {
		names = []string{"linux"}
	}
	has := append([]string(nil), g.passed...)
	for _, n := range g.images {
		has = append(has, n.source.Platform())
	}
	if len(has) == 0 {
		has = []string{"none"}
	}
	return fmt.Errorf("%s: %w: asked for %s, there is %s", g.top.descriptor.Digest, ErrPlatform, strings.Join(names, ", "), strings.Join(has, ", "))
}

// none says why no image is left.
func (g *graph) none() error {
	first := g.skipped[0]
	return fmt.Errorf("%s: no image in it can be sealed; %s: %w", g.top.descriptor.Digest, first.Platform, first.Err)
}

// readIndex reads what is below an index, as far as it may be wanted.
func (g *graph) readIndex(ctx context.Context, n *node) error {
	for _, d := range n.manifest.Manifests {
		c, known := g.nodes[d.Digest]
		if !known {
			if len(g.nodes) > manifestsMax {
				return fmt.Errorf("%s: %w", n.descriptor.Digest, ErrTooMany)
			}
			c = &node{descriptor: d}
			g.nodes[d.Digest] = c
		}
		wanted, err := g.readChild(ctx, c, d)
		if err != nil {
			return err
		}
		n.children = append(n.children, c)
		n.wanted = append(n.wanted, wanted)
		n.height = max(n.height, c.height)
	}
	if n.height++; n.height > nestingMax {
		return fmt.Errorf("%s: %w", g.top.descriptor.Digest, ErrNested)
	}
	return nil
}

// readChild reads a child of an index if it may be, or hold, an image that is
// looked for; wanted tells that it is one.
func (g *graph) readChild(ctx context.Context, c *node, d v1.Descriptor) (wanted bool, err error) {
	if !g.mayHold(d) {
		g.pass(d.Platform)
		return false, nil
	}
	if c.raw == nil && c.err == nil {
		c.descriptor = d
		c.err = g.readNode(ctx, c)
	}
	err = c.err
	if err == nil && c.source != nil {
		wanted, err = g.want(c, d)
	}
	switch {
	case err == nil, errors.Is(err, ErrNotImage):
		return wanted, nil
	case g.skip && isUnsealable(err) && !d.MediaType.IsIndex():
		if isGiven(d.Platform) {
			g.match(*d.Platform)
		}
		g.skipOver(Skipped{Platform: platformOf(d), Manifest: d.Digest, Err: err})
		return false, nil
	}
	return false, err
}

// skipOver remembers an image that cannot be sealed.
func (g *graph) skipOver(s Skipped) {
	isIt := func(other Skipped) bool { return other.Manifest == s.Manifest }
	if !slices.ContainsFunc(g.skipped, isIt) {
		g.skipped = append(g.skipped, s)
	}
}

// readNode reads a manifest and what it consists of.
func (g *graph) readNode(ctx context.Context, n *node) error {
	raw, err := g.repo.Manifest(ctx, n.descriptor)
	if err == nil {
		err = g.take(raw)
	}
	if err != nil {
		return err
	}
	if n.manifest, err = image.ParseManifest(raw, n.descriptor.MediaType); err != nil {
		return fmt.Errorf("%s: %w", n.descriptor.Digest, err)
	}
	n.raw = raw
	if n.manifest.Kind.IsIndex() {
		return g.readIndex(ctx, n)
	}
	return g.readImage(ctx, n)
}

// take counts text that is kept.
func (g *graph) take(text []byte) error {
	if g.text += len(text); g.text > textMax {
		return fmt.Errorf("%s: %w", g.top.descriptor.Digest, ErrTooMuch)
	}
	return nil
}

// platformOf returns the platform of a descriptor as it is written in commands.
func platformOf(d v1.Descriptor) string {
	if d.Platform == nil {
		return "unknown"
	}
	return d.Platform.String()
}

// mayHold reports whether a child of an index may be, or hold, one of the
// images that are looked for: not an artifact, nor what build tools add about
// an image, whose platform is unknown/unknown.
func (g *graph) mayHold(child v1.Descriptor) bool {
	switch {
	case child.MediaType.IsIndex():
		return true
	case !child.MediaType.IsImage() || !isImageType(child.ArtifactType) || isAboutAnother(child):
		return false
	case !isGiven(child.Platform):
		return true
	}
	return g.wants(*child.Platform)
}

// isAboutAnother reports whether a build tool added the child about another, which
// need not be named (BuildKit, docs/attestations/attestation-storage.md).
func isAboutAnother(child v1.Descriptor) bool {
	for key := range child.Annotations {
		if strings.HasPrefix(key, "vnd.docker.reference.") {
			return true
		}
	}
	return false
}

// isImageType reports whether the artifactType of a descriptor leaves open that
// it is of an image. Some tools (crane index append) put the config's media type
// there, which is what it says of a manifest without an artifactType of its own.
func isImageType(artifactType string) bool {
	t := types.MediaType(artifactType)
	return t == "" || t.IsImage() || t.IsConfig()
}

// want reports whether an image is wanted as it is named by d, and adds it to
// those to be sealed. The error is that it cannot be.
func (g *graph) want(n *node, d v1.Descriptor) (bool, error) {
	p := n.source.platform()
	if isGiven(d.Platform) {
		p = *d.Platform
	}
	if p.OS != "" && !g.wants(p) {
		g.pass(&p)
		return false, nil
	}
	g.match(p)
	if err := n.source.check(); err != nil {
		return false, fmt.Errorf("%s: %w", n.descriptor.Digest, err)
	}
	if !slices.Contains(g.images, n) {
		g.images = append(g.images, n)
	}
	return true, nil
}

// match remembers that there is an image for the platform.
func (g *graph) match(p v1.Platform) {
	for i, asked := range g.platforms {
		g.matched[i] = g.matched[i] || p.Satisfies(asked)
	}
}

func (g *graph) wants(p v1.Platform) bool {
	if len(g.platforms) == 0 {
		return p.OS == "linux"
	}
	return slices.ContainsFunc(g.platforms, p.Satisfies)
}

// isGiven reports whether a descriptor says a platform. Some tools write one
// without a system.
func isGiven(p *v1.Platform) bool { return p != nil && p.OS != "" }

// pass remembers a platform that is passed over.
func (g *graph) pass(p *v1.Platform) {
	if isGiven(p) && p.OS != "unknown" && !slices.Contains(g.passed, p.String()) {
		g.passed = append(g.passed, p.String())
	}
}

// readImage reads the config of an image manifest.
func (g *graph) readImage(ctx context.Context, n *node) error {
	m := n.manifest
	if !m.Config.MediaType.IsConfig() {
		what := cmp.Or(m.ArtifactType, string(m.Config.MediaType))
		return fmt.Errorf("%s: %w but %q", n.descriptor.Digest, ErrNotImage, what)
	}
	raw, err := g.repo.BlobBytes(ctx, m.Config, image.MaxConfigSize)
	if err != nil {
		return err
	}
	if err := g.take(raw); err != nil {
		return err
	}
	c, err := image.ParseConfig(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", n.descriptor.Digest, err)
	}
	s := &Source{
		Repo: g.repo, Descriptor: n.descriptor, Manifest: m, Config: c,
		RawManifest: n.raw, RawConfig: raw,
	}
	if c.OS == "" && n != g.top && !s.hasImageLayers() {
		return fmt.Errorf("%s: %w: its layers are none of one", n.descriptor.Digest, ErrNotImage)
	}
	n.source = s
	return nil
}
