// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/image"
)

// attestedDigest is the annotation by which the descriptor of what a build tool
// adds to an index names the manifest that it is about (BuildKit,
// docs/attestations/attestation-storage.md).
const attestedDigest = "vnd.docker.reference.digest"

// attests returns the digest that a child of an index is about; "" if it is not
// about another.
func attests(child v1.Descriptor) string { return child.Annotations[attestedDigest] }

// edits are what becomes of a graph.
type edits struct {
	options *LabelOptions
	done    map[*node]*edited
	sealing map[*node]bool     // what holdsSealed found
	moved   map[string]v1.Hash // what changed, by the digest that it had

	kept    map[*node]bool         // images that are named as they were, too
	removed map[*node]map[int]bool // positions that were taken out of an index

	changes  []image.Change // of all indexes
	dangling int            // attestations that still name, in themselves, what has moved
}

// editAll returns the edits of images and of the indexes above them. digests are
// those of g.images; none for an image that is skipped.
func editAll(g *graph, digests [][]Digest, o *LabelOptions) (*edits, error) {
	e := &edits{options: o, done: map[*node]*edited{}, sealing: map[*node]bool{}, moved: map[string]v1.Hash{}, removed: map[*node]map[int]bool{}, kept: map[*node]bool{}}
	for i, n := range g.images {
		if digests[i] == nil {
			continue
		}
		ed, err := editImage(n, digests[i], o)
		if err != nil {
			return nil, n.source.place(len(g.images), err)
		}
		e.done[n] = ed
	}
	for n, ed := range e.done {
		if ed.descriptor.Digest != n.descriptor.Digest {
			e.moved[n.descriptor.Digest.String()] = ed.descriptor.Digest
		}
	}
	if _, err := e.edit(g.top); err != nil {
		return nil, err
	}
	return e, nil
}

// edit returns what becomes of a node; nil where it was not read.
func (e *edits) edit(n *node) (*edited, error) {
	if ed, ok := e.done[n]; ok || n.raw == nil {
		return ed, nil
	}
	ed := asItIs(n)
	e.done[n] = ed
	if n.manifest == nil || !n.manifest.Kind.IsIndex() {
		return ed, nil
	}
	return ed, e.editIndex(n, ed)
}

func (e *edits) editIndex(n *node, ed *edited) error {
	for _, c := range n.children {
		child, err := e.edit(c)
		if err != nil {
			return err
		}
		if child != nil && child.descriptor.Digest != c.descriptor.Digest {
			e.moved[c.descriptor.Digest.String()] = child.descriptor.Digest
		}
	}
	list := e.editChildren(n)
	kind := n.manifest.Kind
	if e.options.OCI && kind.IsDocker() && e.holdsSealed(n) {
		raw, changes, err := image.ToOCI(ed.raw)
		if err != nil {
			return err
		}
		ed.raw, ed.changes, kind = raw, changes, image.OCIIndex
	}
	if len(list) == 0 && len(ed.changes) == 0 {
		return nil
	}
	raw, changes, err := image.EditIndex(ed.raw, list)
	if err != nil {
		return fmt.Errorf("%s: %w", n.descriptor.Digest, err)
	}
	ed.raw, ed.changes = raw, append(ed.changes, changes...)
	ed.describe(kind)
	e.changes = append(e.changes, ed.changes...)
	return nil
}

// editChildren returns the edits of an index's descriptors.
func (e *edits) editChildren(n *node) []image.ChildEdit {
	var list []image.ChildEdit
	for i, c := range n.children {
		change := image.ChildEdit{Position: i}
		d := n.manifest.Manifests[i]
		child := e.done[c]
		if c.source != nil && !n.wanted[i] {
			e.kept[c] = true
		}
		switch {
		case c.source != nil && !n.wanted[i], child == nil, child.descriptor.Digest == d.Digest:
			// As it is named here, it stays: but it may be about another.
			if !e.editAttestation(d, &change) {
				continue
			}
			if change.Remove {
				if e.removed[n] == nil {
					e.removed[n] = map[int]bool{}
				}
				e.removed[n][i] = true
			}
		default:
			change.Change = image.Describe(child.raw)
			if child.descriptor.MediaType != d.MediaType {
				change.Change.MediaType = child.descriptor.MediaType
			}
			change.StaleAnnotations = image.StaleAnnotation
		}
		list = append(list, change)
	}
	return list
}

// keptAsWell reports whether an image that changes is also named where it was not
// to.
func (e *edits) keptAsWell(n *node) bool { return e.kept[n] }

// editAttestation makes the edit of a descriptor whose manifest is about another
// that changed; ok is false if there is none.
func (e *edits) editAttestation(d v1.Descriptor, change *image.ChildEdit) (ok bool) {
	to, ok := e.moved[attests(d)]
	if !ok {
		return false
	}
	switch e.options.Attestations {
	case Relink:
		e.dangling++
		change.Annotations = []image.KV{{Key: attestedDigest, Value: to.String()}}
	case Drop:
		change.Remove = true
	case Keep:
		e.dangling++
		return false
	}
	return true
}

// holdsSealed reports whether an index has, at some depth, an image that is to
// be sealed.
func (e *edits) holdsSealed(n *node) bool {
	if holds, ok := e.sealing[n]; ok {
		return holds
	}
	holds := n.source != nil
	for _, c := range n.children {
		holds = e.holdsSealed(c) || holds
	}
	e.sealing[n] = holds
	return holds
}
