// SPDX-License-Identifier: Apache-2.0

package image

import (
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ociKinds holds the kind of OCI's for each of Docker's.
var ociKinds = map[Kind]Kind{DockerManifest: OCIManifest, DockerList: OCIIndex}

// ociConfigTypes holds the media type of OCI's for Docker's config. The two
// have the same fields as far as OCI has them (OCI image spec, media-types.md,
// "Compatibility Matrix").
var ociConfigTypes = map[types.MediaType]types.MediaType{
	types.DockerConfigJSON: types.OCIConfigJSON,
}

// ToOCI returns a Docker image manifest or list with the media types of OCI in
// place of Docker's: its own, its config's and its layers'. The descriptors of
// a list stay as they are: each says what its child is, until that is
// converted. Nothing else changes, and media types that have no counterpart in
// OCI stay. A manifest that does not give its own media type is Docker's if its
// config is, and gets none. What is OCI's already is returned as it is. The
// error is an *Error.
func ToOCI(raw []byte) ([]byte, []Change, error) {
	doc, m, err := parseManifest(raw, "")
	if err != nil {
		return nil, nil, err
	}
	e := &editor{doc: doc}
	err = e.root(func(root *objectEdit) error {
		is, isDocker := ociKinds[m.Kind]
		if isDocker {
			root.replaceString("mediaType", string(m.Kind.MediaType()), string(is.MediaType()))
		}
		isUntyped := !root.get("mediaType").given() && m.Config.MediaType == types.DockerConfigJSON
		if m.Kind.IsIndex() || !isDocker && !isUntyped {
			return nil
		}
		return e.convertImage(root.object, m)
	})
	if err != nil {
		return nil, nil, err
	}
	return e.finish(MaxManifestSize)
}

// convertImage converts the descriptors of the manifest m, whose text root is.
func (e *editor) convertImage(root object, m *Manifest) error {
	if err := e.convert(root.get("config"), m.Config.MediaType, ociConfigTypes); err != nil {
		return err
	}
	r := &reader{}
	for i, n := range r.array(root.get("layers")) {
		if err := e.convert(n, m.Layers[i].MediaType, ociLayerTypes); err != nil {
			return err
		}
	}
	return r.err
}

// convert replaces the media type of the descriptor that n is by the one that
// the table has for it.
func (e *editor) convert(n node, was types.MediaType, table map[types.MediaType]types.MediaType) error {
	is, ok := table[was]
	if !ok {
		return nil
	}
	o, err := n.object()
	if err != nil {
		return err
	}
	oe := e.edit(o, compact)
	oe.replaceString("mediaType", string(was), string(is))
	oe.flush()
	return nil
}
