// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// What can be wrong with an artifact's manifest; errors.Is finds them in an
// Error.
var (
	// ErrNotArtifact: it is a manifest of something else.
	ErrNotArtifact = errors.New("not a composefs artifact")
	// ErrArtifact: the manifest says that it is one, and breaks the rules of the
	// sealing specification. Digests that come from it are not to be used.
	ErrArtifact = errors.New("against the rules of composefs artifacts (have it written anew)")
)

// ParseArtifact reads an artifact's manifest. Signatures are not in it: blob
// returns the content of a layer that is one, and is asked for at most one for
// each role and for no more than MaxSignatureSize bytes. What it returns is
// checked. Layers with no digest that this package knows are passed over: those
// of single layers, of roles and formats to come. Fields and annotations that
// it does not know do not matter. The error is an *Error.
func ParseArtifact(raw []byte, blob func(v1.Descriptor) ([]byte, error)) (*Artifact, error) {
	doc, m, err := parseManifest(raw, "")
	if err != nil {
		return nil, err
	}
	doc.name = "artifact"
	root := doc.root()
	switch {
	case m.Kind != OCIManifest:
		return nil, root.fail(fmt.Errorf("%w: it is %s", ErrNotArtifact, m.Kind.withArticle()))
	case m.ArtifactType != ArtifactType:
		return nil, root.fail(fmt.Errorf("%w: its artifactType is %s, not %q", ErrNotArtifact, quote(m.ArtifactType), ArtifactType))
	case m.Subject == nil:
		return nil, root.fail(fmt.Errorf("%w: subject", ErrMissing))
	case len(m.Layers) > MaxArtifactLayers:
		return nil, root.fail(fmt.Errorf("%w: %d layers, of at most %d", ErrTooLarge, len(m.Layers), MaxArtifactLayers))
	}
	r := &reader{}
	fields := r.object(root)
	a := &Artifact{Subject: v1.Descriptor{
		MediaType: m.Subject.MediaType, Digest: m.Subject.Digest, Size: m.Subject.Size,
	}}
	for _, f := range r.object(fields.get("annotations")).members {
		a.Annotations = append(a.Annotations, KV{f.key, m.Annotations[f.key]})
	}
	if a.Entries, err = parseEntries(r.array(fields.get("layers")), m.Layers, blob); err != nil {
		return nil, err
	}
	if err := a.check(); err != nil {
		return nil, root.fail(fmt.Errorf("%w: %w", ErrArtifact, err))
	}
	return a, nil
}

// parseEntries returns the entries of the layers, whose text nodes holds.
func parseEntries(nodes []node, layers []v1.Descriptor, blob func(v1.Descriptor) ([]byte, error)) ([]ArtifactEntry, error) {
	var entries []ArtifactEntry
	for i, l := range layers {
		n := nodes[i]
		e, ok, err := parseDigest(n, l.Annotations)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		// A strict order leaves no role that is there twice.
		if last := len(entries) - 1; last >= 0 && entries[last].Role >= e.Role {
			return nil, n.fail(fmt.Errorf("%w: the digest of role %s comes behind that of %s", ErrArtifact, e.Role, entries[last].Role))
		}
		if e.Signature, err = signature(l, blob); err != nil {
			return nil, n.fail(fmt.Errorf("%w: %w", ErrArtifact, err))
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// parseDigest returns the role's digest that the annotations of the layer n
// have; ok is false if they have none.
func parseDigest(n node, annotations map[string]string) (e ArtifactEntry, ok bool, err error) {
	n.place = placeOf(n.place, "annotations")
	for _, role := range Roles() {
		for _, alg := range []fsverity.Algorithm{fsverity.SHA256, fsverity.SHA512} {
			key := AnnotationKey(role, alg)
			text, has := annotations[key]
			if !has {
				continue
			}
			if ok {
				return e, false, n.fail(fmt.Errorf("%w: one layer has the digests of two objects", ErrArtifact))
			}
			e.Role, ok = role, true
			if e.Digest, err = fsverity.ParseDigest(alg, text); err != nil {
				n.place = placeOf(n.place, key)
				return e, false, n.fail(fmt.Errorf("%w: %s: %d lowercase hexadecimal digits are due", ErrDigest, quote(text), 2*alg.Size()))
			}
		}
	}
	return e, ok, nil
}

// signature returns the signature that the layer is; nil if it is OCI's empty
// descriptor.
func signature(l v1.Descriptor, blob func(v1.Descriptor) ([]byte, error)) ([]byte, error) {
	switch l.MediaType {
	case types.OCIEmptyJSON:
		if err := verify(emptyContent, l.Digest, l.Size); err != nil {
			return nil, fmt.Errorf("the empty content {}: %w", err)
		}
		return nil, nil
	case SignatureType:
	default:
		return nil, fmt.Errorf("media type %s is neither that of a signature nor that of an empty layer", quote(string(l.MediaType)))
	}
	if err := checkSignatureSize(l.Size); err != nil {
		return nil, err
	}
	content := l.Data
	if content == nil {
		var err error
		if content, err = blob(l); err != nil {
			return nil, fmt.Errorf("signature %s: %w", l.Digest, err)
		}
	}
	if err := verify(content, l.Digest, l.Size); err != nil {
		return nil, fmt.Errorf("signature %s: %w", l.Digest, err)
	}
	return content, nil
}
