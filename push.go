// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/layers"
	"github.com/cfs-label/cfs-label/remote"
)

// push stores what was edited, or all where the image goes elsewhere: blobs,
// manifests from the bottom up, artifacts, signatures, and tags last. sealed
// learns what was signed and which tags were moved.
func (r *run) push(ctx context.Context, sealed *Sealed) error {
	o := r.options
	p := &pusher{
		graph: r.graph, from: r.ref.Repo, to: r.target, all: r.elsewhere, edits: r.edits,
		jobs: cmp.Or(o.Jobs, layers.DefaultJobs()), warn: o.Warn, blobs: map[v1.Hash]bool{},
	}
	if p.all || len(sealed.Written) > 0 {
		o.Progress.Step("pushing")
	}
	if err := p.push(ctx, r.graph.top); err != nil {
		return err
	}
	for _, list := range r.artifacts {
		for _, a := range list {
			if err := a.push(ctx, r.target); err != nil {
				return err
			}
		}
	}
	err := r.sign(ctx, sealed)
	if err == nil {
		err = r.tag(ctx, sealed)
	}
	if err == nil {
		err = r.target.Flush(ctx)
	}
	if err != nil && !remote.IsRegistry(r.target) {
		sealed.Tags = nil // in a file they are there when all is
	}
	return err
}

// pusher puts manifests where they are to be.
type pusher struct {
	graph    *graph
	from, to remote.Repo
	all      bool // also what was not edited: it is not there yet
	edits    *edits
	jobs     int
	warn     func(string)

	blobs map[v1.Hash]bool // those that are pushed, or on the way
	order []*edited        // the manifests, children before the indexes that name them
}

func (p *pusher) push(ctx context.Context, top *node) error {
	copying, cancel := context.WithCancel(ctx)
	defer cancel()
	work, running := errgroup.WithContext(copying)
	work.SetLimit(p.jobs)
	err := p.collect(running, work, top, map[*node]bool{})
	if err != nil && running.Err() == nil {
		cancel() // the copies that are on their way are for nothing
		_ = work.Wait()
		return err
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for _, images := range []bool{true, false} {
		if err := p.pushManifests(ctx, images); err != nil {
			return err
		}
	}
	return nil
}

// collect starts to push the blobs below n, and puts the manifests in order.
func (p *pusher) collect(ctx context.Context, work *errgroup.Group, n *node, seen map[*node]bool) error {
	if seen[n] {
		return nil
	}
	seen[n] = true
	for i, c := range n.children {
		if p.edits.removed[n][i] {
			continue
		}
		if err := p.collect(ctx, work, c, seen); err != nil {
			return err
		}
	}
	ed := p.edits.done[n]
	if ed == nil && p.all {
		var err error
		if ed, err = p.read(ctx, n); err != nil {
			return err
		}
	}
	if ed == nil || !p.all && ed.descriptor.Digest == n.descriptor.Digest {
		return nil
	}
	p.order = append(p.order, ed)
	if ed.descriptor.Digest != n.descriptor.Digest && p.all && p.edits.keptAsWell(n) {
		asItWas := asItIs(n)
		p.order = append(p.order, asItWas)
		if err := p.pushBlobs(ctx, work, n, asItWas); err != nil {
			return err
		}
	}
	return p.pushBlobs(ctx, work, n, ed)
}

// read reads a manifest that goes along as it is.
func (p *pusher) read(ctx context.Context, n *node) (*edited, error) {
	raw, err := p.from.Manifest(ctx, n.descriptor)
	if err == nil {
		err = p.graph.take(raw)
	}
	return &edited{descriptor: n.descriptor, raw: raw}, err
}

// pushBlobs starts to push what a manifest refers to.
func (p *pusher) pushBlobs(ctx context.Context, work *errgroup.Group, n *node, ed *edited) error {
	if n.source != nil && !bytes.Equal(ed.config, n.source.RawConfig) && p.once(ed.configDescriptor.Digest) {
		work.Go(func() error { return p.to.PushBlob(ctx, ed.configDescriptor, ed.config) })
	}
	if !p.all {
		return nil
	}
	blobs, err := p.blobsOf(ed)
	if err != nil {
		return err
	}
	for _, d := range blobs {
		if p.once(d.Digest) {
			work.Go(func() error { return p.copyBlob(ctx, d) })
		}
	}
	return nil
}

// blobsOf returns the blobs that a manifest refers to. Of media types that
// nobody knows, nobody knows what they refer to.
func (p *pusher) blobsOf(ed *edited) ([]v1.Descriptor, error) {
	if t := ed.descriptor.MediaType; !t.IsImage() && !t.IsIndex() {
		p.warn(fmt.Sprintf("%s goes along, but if it refers to blobs they do not: nobody knows the media type %q", ed.descriptor.Digest, t))
		return nil, nil
	}
	m, err := image.ParseManifest(ed.raw, ed.descriptor.MediaType)
	if err != nil {
		return nil, fmt.Errorf("%s, which goes along: %w", ed.descriptor.Digest, err)
	}
	if m.Kind.IsIndex() {
		return nil, nil
	}
	return append([]v1.Descriptor{m.Config}, m.Layers...), nil
}

// copyBlob copies a blob. A foreign layer need not be in a registry.
func (p *pusher) copyBlob(ctx context.Context, d v1.Descriptor) error {
	err := p.to.CopyBlob(ctx, d, p.from)
	if kind, kerr := image.LayerType(string(d.MediaType)); kerr == nil && kind.Foreign && errors.Is(err, remote.ErrNotFound) {
		return nil
	}
	return err
}

// once reports whether a blob is not on its way yet.
func (p *pusher) once(d v1.Hash) bool {
	if p.blobs[d] {
		return false
	}
	p.blobs[d] = true
	return true
}

// pushManifests pushes the manifests that are of images, at once, or the
// indexes, one after the other.
func (p *pusher) pushManifests(ctx context.Context, images bool) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(p.jobs)
	if !images {
		work.SetLimit(1)
	}
	for _, ed := range p.order {
		if ed.descriptor.MediaType.IsIndex() == images {
			continue
		}
		work.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return p.to.PushManifest(ctx, ed.descriptor, ed.raw)
		})
	}
	return work.Wait()
}

func (a *artifact) push(ctx context.Context, to remote.Repo) error {
	for _, b := range a.blobs {
		if err := to.PushBlob(ctx, b.Descriptor, b.Content); err != nil {
			return err
		}
	}
	return to.PushReferrer(ctx, a.subject, a.descriptor, a.raw, a.replaced)
}

// fallbackTag is the tag in a layout or archive of an image that has none.
const fallbackTag = "latest"

// chooseTags finds out which tags are to name the image, and fails for one that
// cannot be.
func (r *run) chooseTags() error {
	o := r.options
	tags := slices.Clone(o.Tags)
	switch {
	case o.To != nil && o.To.Tag != "":
		tags = append(tags, o.To.Tag)
	case len(tags) > 0:
	case o.To == nil:
		r.ownTag = r.ref.Digest == "" // which may be "", the only image of a layout
	case r.ref.Digest == "" && r.ref.Tag != "":
		tags = append(tags, lastTag(r.ref.Tag))
	case !remote.IsRegistry(r.target):
		tags = append(tags, fallbackTag)
	default:
		o.Warn("no tag names the image in " + r.target.Name() + ": give it one with --to NAME:TAG")
	}
	if o.To == nil && len(tags) == 0 && !r.ownTag && !remote.IsRegistry(r.target) {
		o.Warn("nothing will name the sealed image in " + r.target.Name() + ", so tools may remove it: give it a tag with --tag")
	}
	r.tags = slices.Compact(slices.Sorted(slices.Values(tags)))
	if !remote.IsRegistry(r.target) {
		return nil
	}
	if err := checkTags(r.tags); err != nil {
		return fmt.Errorf("%w; name it with --to NAME:TAG", err)
	}
	return nil
}

// lastTag returns the tag in what an archive or layout calls an image, which may
// be a whole name.
func lastTag(name string) string {
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[i+1:]
	}
	return name
}

// tag moves the tags.
func (r *run) tag(ctx context.Context, sealed *Sealed) error {
	top := r.edits.done[r.graph.top]
	tags := r.tags
	if r.ownTag && sealed.Changed {
		tags = []string{r.ref.Tag}
	}
	for _, tag := range tags {
		was := ""
		if !r.elsewhere && tag == r.ref.Tag && r.ref.Digest == "" {
			was = r.graph.top.descriptor.Digest.String()
		}
		if r.options.Force {
			was = ""
		}
		if was != "" || !r.names(ctx, tag, top) {
			if err := r.target.Tag(ctx, tag, top.descriptor, top.raw, was); err != nil {
				return err
			}
		}
		if tag != "" {
			sealed.Tags = append(sealed.Tags, tag)
		}
	}
	return nil
}

// names reports whether the tag is known to name the image.
func (r *run) names(ctx context.Context, tag string, top *edited) bool {
	d, raw, err := r.target.Resolve(ctx, tag, "")
	return err == nil && d.Digest == top.descriptor.Digest && bytes.Equal(raw, top.raw)
}
