// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ChildEdit says what to change in one descriptor of an index.
type ChildEdit struct {
	// Position is the descriptor's place in manifests, from 0.
	Position int
	// Change is the child's new manifest; nil leaves it.
	Change *DescriptorChange
	// Annotations are set on the descriptor. New ones come last, in their
	// order.
	Annotations []KV
	// StaleAnnotations is as in ManifestEdit.
	StaleAnnotations func(key string) bool
	// Remove takes the descriptor out of the index; nothing else may be asked of
	// it then. Those behind it move up, so the same edit again is another one.
	Remove bool
}

// EditIndex edits descriptors of an index. Positions are those of raw, whatever
// is removed. It returns the new text, which is raw itself if nothing changes,
// and what changed. The error is an *Error, or ErrEdit.
func EditIndex(raw []byte, edits []ChildEdit) ([]byte, []Change, error) {
	seen := map[int]bool{}
	for _, c := range edits {
		if seen[c.Position] {
			return nil, nil, fmt.Errorf("%w: manifests[%d] is edited twice", ErrEdit, c.Position)
		}
		seen[c.Position] = true
		if err := c.check(); err != nil {
			return nil, nil, err
		}
	}
	doc, m, children, err := parseIndex(raw)
	if err != nil {
		return nil, nil, err
	}
	e := &editor{doc: doc}
	for _, c := range edits {
		if err := checkPosition(c.Position, children); err != nil {
			return nil, nil, err
		}
		old := m.Manifests[c.Position]
		if c.Change != nil && !isKnown(old.Digest.Algorithm) {
			return nil, nil, children[c.Position].fail(fmt.Errorf("%w: %s (sha256 and sha512 are known)", ErrDigest, quote(old.Digest.String())))
		}
		if err := e.editDescriptor(children[c.Position], old, c.descriptor()); err != nil {
			return nil, nil, err
		}
	}
	if err := e.removeChildren(edits, m, children); err != nil {
		return nil, nil, err
	}
	return e.finishManifest(m.Kind)
}

// removeChildren removes the descriptors of the index m that the edits remove.
func (e *editor) removeChildren(edits []ChildEdit, m *Manifest, children []node) error {
	dropped := make([]bool, len(children))
	for _, c := range edits {
		if c.Remove {
			dropped[c.Position] = true
			e.changes = append(e.changes, Change{
				Action: Removed, Place: children[c.Position].place, Key: "digest",
				Old: m.Manifests[c.Position].Digest.String(),
			})
		}
	}
	root, err := e.doc.root().object()
	if err != nil {
		return err
	}
	e.cutElements(root.get("manifests"), children, dropped)
	return nil
}

// check returns an error if the edit cannot be done.
func (c ChildEdit) check() error {
	if c.Remove && (c.Change != nil || len(c.Annotations) > 0 || c.StaleAnnotations != nil) {
		return fmt.Errorf("%w: manifests[%d] is removed and edited", ErrEdit, c.Position)
	}
	return c.descriptor().check()
}

func (c ChildEdit) descriptor() descriptorEdit {
	return descriptorEdit{change: c.Change, annotations: mapEdit{c.Annotations, c.StaleAnnotations}}
}

func checkPosition(i int, children []node) error {
	if i < 0 || i >= len(children) {
		return fmt.Errorf("%w: there is no manifests[%d] among %d", ErrEdit, i, len(children))
	}
	return nil
}

// parseIndex returns the index and the descriptors in its text.
func parseIndex(raw []byte) (*document, *Manifest, []node, error) {
	doc, m, err := parseManifest(raw, "")
	if err != nil {
		return nil, nil, nil, err
	}
	if !m.Kind.IsIndex() {
		return nil, nil, nil, doc.root().fail(fmt.Errorf("%w: %s is no index", ErrWrongKind, m.Kind.withArticle()))
	}
	r := &reader{}
	children := r.array(r.object(doc.root()).get("manifests"))
	return doc, m, children, r.err
}

// AppendManifest adds a descriptor, given as JSON text, behind the others of an
// index. Only the white space of the text may change. The error is an *Error.
func AppendManifest(raw, descriptor []byte) ([]byte, []Change, error) {
	text, d, err := parseDescriptor(descriptor)
	if err != nil {
		return nil, nil, err
	}
	doc, _, children, err := parseIndex(raw)
	if err != nil {
		return nil, nil, err
	}
	e := &editor{doc: doc}
	err = e.root(func(root *objectEdit) error {
		list := root.get("manifests")
		if len(children) == 0 {
			l := root.layout.child()
			e.replace(list.span, "["+l.open+indented(text)(l)+l.end+"]")
		} else {
			l := layoutOfArray(list, children, root.layout.colon)
			end := children[len(children)-1].end
			e.replace(span{end, end}, l.sep+indented(text)(l))
		}
		e.changes = []Change{{
			Action: Added, Place: placeAt(list.place, len(children)), Key: "digest", New: d.Digest.String(),
		}}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return e.finish(MaxManifestSize)
}

// ReplaceManifest puts a descriptor, given as JSON text, in the place of the
// one at the position. Only the white space of the text may change; what is
// equal but for that stays. The error is an *Error, or ErrEdit.
func ReplaceManifest(raw []byte, position int, descriptor []byte) ([]byte, []Change, error) {
	text, d, err := parseDescriptor(descriptor)
	if err != nil {
		return nil, nil, err
	}
	doc, m, children, err := parseIndex(raw)
	if err != nil {
		return nil, nil, err
	}
	if err := checkPosition(position, children); err != nil {
		return nil, nil, err
	}
	e := &editor{doc: doc}
	old := children[position]
	if squeeze(old.text()) != squeeze(text) {
		root, err := doc.root().object()
		if err != nil {
			return nil, nil, err
		}
		l := layoutOfArray(root.get("manifests"), children, root.layout().colon)
		e.replace(old.span, indented(text)(l))
		e.changes = []Change{{
			Action: Replaced, Place: old.place, Key: "digest",
			Old: m.Manifests[position].Digest.String(), New: d.Digest.String(),
		}}
	}
	return e.finish(MaxManifestSize)
}

// parseDescriptor returns the text of a descriptor, and what it says.
func parseDescriptor(raw []byte) (string, v1.Descriptor, error) {
	doc, err := parse("descriptor", raw, MaxManifestSize)
	if err != nil {
		return "", v1.Descriptor{}, err
	}
	r := &reader{}
	d := r.descriptor(doc.root())
	return doc.root().text(), d, r.err
}
