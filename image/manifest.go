// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Kind is what a manifest is a manifest of, and in whose format.
type Kind uint8

// The kinds.
const (
	OCIManifest Kind = iota + 1
	OCIIndex
	DockerManifest // image manifest version 2, schema 2
	DockerList     // manifest list
)

// kindTable holds the media type of each kind.
var kindTable = [...]types.MediaType{
	OCIManifest:    types.OCIManifestSchema1,
	OCIIndex:       types.OCIImageIndex,
	DockerManifest: types.DockerManifestSchema2,
	DockerList:     types.DockerManifestList,
}

func (k Kind) valid() bool { return k > 0 && int(k) < len(kindTable) }

// MediaType returns the kind's media type; "" for a value that is none of the
// constants.
func (k Kind) MediaType() types.MediaType {
	if !k.valid() {
		return ""
	}
	return kindTable[k]
}

// String returns the kind in words.
func (k Kind) String() string {
	switch k {
	case OCIManifest:
		return "OCI image manifest"
	case OCIIndex:
		return "OCI image index"
	case DockerManifest:
		return "Docker image manifest"
	case DockerList:
		return "Docker manifest list"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// withArticle returns the kind in words, to be one of many.
func (k Kind) withArticle() string {
	if k.IsDocker() {
		return "a " + k.String()
	}
	return "an " + k.String()
}

// IsIndex reports whether it lists manifests, and not layers.
func (k Kind) IsIndex() bool { return k == OCIIndex || k == DockerList }

// IsDocker reports whether it is in a format of Docker's.
func (k Kind) IsDocker() bool { return k == DockerManifest || k == DockerList }

// Manifest is what a manifest or index says. It is for reading: changes go
// through EditManifest and EditIndex.
type Manifest struct {
	Kind Kind

	// Of an image manifest.
	Config v1.Descriptor
	Layers []v1.Descriptor

	// Of an index. A digest may be of an algorithm that is not known here:
	// whoever reads or edits such a child fails then.
	Manifests []v1.Descriptor

	Annotations  map[string]string
	ArtifactType string
	Subject      *v1.Descriptor
}

// ParseManifest reads a manifest or index. mediaType is what the registry or a
// descriptor calls it, "" if nothing does; parameters after a semicolon do not
// count. A manifest that does not give its own media type is known by that, and
// without both by its fields. The error is an *Error.
func ParseManifest(raw []byte, mediaType types.MediaType) (*Manifest, error) {
	_, m, err := parseManifest(raw, mediaType)
	return m, err
}

func parseManifest(raw []byte, mediaType types.MediaType) (*document, *Manifest, error) {
	doc, err := parse("manifest", raw, MaxManifestSize)
	if err != nil {
		return nil, nil, err
	}
	root, err := doc.root().object()
	if err != nil {
		return nil, nil, err
	}
	r := &reader{}
	m := &Manifest{Kind: r.kind(root, mediaType)}
	if m.Kind.IsIndex() {
		doc.name = "index"
		m.Manifests = r.descriptors(r.list(root, "manifests"), r.child)
	} else {
		m.Config = r.descriptor(r.required(root, "config"))
		m.Layers = r.descriptors(r.list(root, "layers"), r.descriptor)
	}
	m.Annotations = r.stringMap(root.get("annotations"))
	m.ArtifactType = r.str(root, "artifactType")
	if n := root.get("subject"); n.given() {
		subject := r.descriptor(n)
		m.Subject = &subject
	}
	if r.err != nil {
		return nil, nil, r.err
	}
	return doc, m, nil
}

// list returns the array that key names. It must be there, but may be null, as
// Go programs write an array without elements.
func (r *reader) list(o object, key string) node {
	if o.find(key) < 0 {
		return r.required(o, key)
	}
	return o.get(key)
}

// kind returns the kind of the manifest whose fields root holds.
func (r *reader) kind(root object, outer types.MediaType) Kind {
	own := types.MediaType(r.str(root, "mediaType"))
	outer = withoutParameters(outer)
	version := root.get("schemaVersion")
	switch {
	case r.err != nil:
		return 0
	case own.IsSchema1(), outer.IsSchema1(), root.get("fsLayers").given(), version.given() && version.text() == "1":
		r.fail(root.node, ErrSchema1)
		return 0
	case own != "" && outer != "" && own != outer:
		r.fail(root.node, fmt.Errorf("%w: it calls itself %s, where it was found %s", ErrMediaType, quote(string(own)), quote(string(outer))))
		return 0
	}
	if own == "" {
		own = outer
	}
	k := r.kindByFields(root, own)
	if r.required(root, "schemaVersion"); r.err == nil && version.text() != "2" {
		r.fail(version, fmt.Errorf("%w: %s instead of 2", ErrUnknownKind, quote(version.text())))
	}
	return k
}

// withoutParameters returns what comes before the semicolon of a Content-Type.
func withoutParameters(mediaType types.MediaType) types.MediaType {
	before, _, _ := strings.Cut(string(mediaType), ";")
	return types.MediaType(strings.TrimSpace(before))
}

// kindByFields returns the kind that the media type names, or if it is empty,
// the one that has the fields of root. Fields of the other kind are an error:
// what one reader takes for an image could be an index to another
// (CVE-2021-41190).
func (r *reader) kindByFields(root object, mediaType types.MediaType) Kind {
	isIndex := root.get("manifests").given()
	isImage := root.get("config").given() || root.get("layers").given()
	switch {
	case mediaType != "":
	case isImage && !isIndex:
		mediaType = types.OCIManifestSchema1
	case root.find("manifests") >= 0:
		mediaType = types.OCIImageIndex
	default:
		r.fail(root.node, ErrUnknownKind)
		return 0
	}
	for k := OCIManifest; k.valid(); k++ {
		if k.MediaType() != mediaType {
			continue
		}
		if k.IsIndex() && isImage || !k.IsIndex() && isIndex {
			r.fail(root.node, ErrAmbiguous)
		}
		return k
	}
	r.fail(root.node, fmt.Errorf("%w: its media type is %s", ErrUnknownKind, quote(string(mediaType))))
	return 0
}
