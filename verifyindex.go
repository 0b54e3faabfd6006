// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

// What an index names besides the images that are looked at. A host chooses by
// platform alone: what it could choose, and was not looked at, is a finding.

// lookAround remembers indexes and images that are passed over, and finds what
// indexes say that does not hold.
func (v *verification) lookAround() {
	seen, holding := map[*node]bool{}, holders(v.graph)
	var look func(n *node)
	look = func(n *node) {
		if seen[n] || n.manifest == nil || !n.manifest.Kind.IsIndex() {
			return
		}
		seen[n] = true
		if holding[n] {
			v.verified.Indexes = append(v.verified.Indexes, n.descriptor.Digest)
			v.misplaced(n.manifest.Annotations, nil, fmt.Sprintf("the index %s", n.descriptor.Digest))
		}
		for i, c := range n.children {
			v.lookAt(c, n.manifest.Manifests[i], n.wanted[i])
			look(c)
		}
	}
	look(v.graph.top)
}

// lookAt looks at how an index names a child.
func (v *verification) lookAt(c *node, d v1.Descriptor, wanted bool) {
	named := isGiven(d.Platform)
	switch {
	case wanted:
		v.misplaced(d.Annotations, c.source.Manifest.Annotations, "the index, where it names "+d.Digest.String()+",")
		v.list(c, d)
	case !d.MediaType.IsImage():
	case named && !v.graph.wants(*d.Platform):
		v.pass(d)
	case !named && len(v.graph.platforms) > 0: // one for a platform comes first
	case c.raw == nil:
		v.unread = append(v.unread, d)
	case c.source != nil:
		v.findEligible(d, "its config says "+c.source.Platform())
	}
}

// findEligible finds an image that a host may choose, and that was not looked at.
func (v *verification) findEligible(d v1.Descriptor, because string) {
	text := "for no platform, so that hosts choose it where there is none for theirs"
	if isGiven(d.Platform) {
		text = "for " + d.Platform.String()
	}
	v.find(nil, fmt.Sprintf("the index names %s %s: it was not looked at, as %s, which hosts do not heed", d.Digest, text, because))
}

// pass remembers an image of a platform that is not looked at.
func (v *verification) pass(d v1.Descriptor) {
	isIt := func(p PassedImage) bool { return p.Manifest == d.Digest }
	if d.Platform.OS != "unknown" && isImageType(d.ArtifactType) && !isAboutAnother(d) && !slices.ContainsFunc(v.verified.Passed, isIt) {
		v.verified.Passed = append(v.verified.Passed, PassedImage{Platform: platformOf(d), Manifest: d.Digest})
	}
}

// checkUnread reads the manifests that hosts may choose, and indexes call no
// images: some are.
func (v *verification) checkUnread(ctx context.Context) error {
	for _, d := range v.unread {
		raw, err := v.graph.repo.Manifest(ctx, d)
		if errors.Is(err, remote.ErrNotFound) {
			continue // no host gets it
		}
		if err == nil {
			err = v.graph.take(raw)
		}
		if err != nil {
			return err
		}
		if m, err := image.ParseManifest(raw, d.MediaType); err == nil && m.Config.MediaType.IsConfig() {
			v.findEligible(d, "the index says that it is no image")
		}
	}
	return nil
}

// misplaced finds annotations of a seal in an index, where the specification has
// none. Some tools copy those of an image to where the index names it: they do no
// harm if they say the same.
func (v *verification) misplaced(annotations, own map[string]string, where string) {
	for _, key := range strayKeys(annotations) {
		text := fmt.Sprintf("%s has the annotation %s, where the specification has none", where, key)
		if value, ok := own[key]; ok && value == annotations[key] {
			v.options.Warn(text + "; it says what the image says")
			continue
		}
		v.find(nil, text)
	}
}

// list remembers for which platform an index names an image. One that is not that
// of the config is told: the seal is about neither.
func (v *verification) list(n *node, d v1.Descriptor) {
	if !isGiven(d.Platform) {
		return
	}
	name := d.Platform.String()
	if before := v.listed[n]; before != "" && !slices.Contains(strings.Split(before, ", "), name) {
		name = before + ", " + name
	}
	v.listed[n] = name
	if own := n.source.platform(); own.OS != d.Platform.OS || own.Architecture != d.Platform.Architecture {
		v.options.Warn(fmt.Sprintf("the index names %s for %s, and its config says %s", d.Digest, d.Platform, n.source.Platform()))
	}
}

// platformOf returns the platforms for which hosts choose an image.
func (v *verification) platformOf(n *node) string {
	if name := v.listed[n]; name != "" {
		return name
	}
	return n.source.Platform()
}

// nameOf names one of several images in a sentence.
func (v *verification) nameOf(n *node) string {
	name := v.platformOf(n)
	for _, other := range v.graph.images {
		if other != n && v.platformOf(other) == name {
			return name + " (" + n.descriptor.Digest.String() + ")"
		}
	}
	return name
}

// holders returns the images that were looked for, and all indexes that have
// one at some depth.
func holders(g *graph) map[*node]bool {
	found := map[*node]bool{}
	for _, n := range g.images {
		found[n] = true
	}
	seen := map[*node]bool{}
	var look func(n *node)
	look = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, c := range n.children {
			look(c)
			found[n] = found[n] || found[c]
		}
	}
	look(g.top)
	return found
}
