// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

// refName is the annotation by which an OCI layout names an image
// (image-layout.md, "index.json file").
const refName = "org.opencontainers.image.ref.name"

// LayoutEditor edits the index.json of an OCI layout byte for byte. It is for
// remote.Options.Layout.
type LayoutEditor struct{}

var _ remote.IndexEditor = LayoutEditor{}

// SetTag makes the tag name d; see remote.IndexEditor.
func (LayoutEditor) SetTag(index []byte, tag string, d v1.Descriptor) ([]byte, error) {
	m, err := image.ParseManifest(index, "")
	if err != nil {
		return nil, err
	}
	position := -1
	for i, child := range m.Manifests {
		isIt := child.Annotations[refName] == tag
		if tag == "" {
			// What refers to the image, and anything else, may be listed, too.
			isIt = mayBeManifest(child.MediaType) && isImageType(child.ArtifactType)
		}
		if !isIt {
			continue
		}
		if position >= 0 {
			return nil, errAmbiguous(tag)
		}
		position = i
	}
	// What else an entry says is of the image that it named: it stays for the
	// same image in another form, and goes if one becomes an index.
	if position >= 0 && m.Manifests[position].MediaType.IsIndex() == d.MediaType.IsIndex() {
		change := &image.DescriptorChange{Digest: d.Digest, Size: d.Size, MediaType: d.MediaType}
		edited, _, err := image.EditIndex(index, []image.ChildEdit{{Position: position, Change: change}})
		return edited, err
	}
	if tag != "" {
		d.Annotations = map[string]string{refName: tag}
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	var edited []byte
	if position >= 0 {
		edited, _, err = image.ReplaceManifest(index, position, text)
	} else {
		edited, _, err = image.AppendManifest(index, text)
	}
	return edited, err
}

// mayBeManifest reports whether an entry of that media type can be one of a
// manifest or index.
func mayBeManifest(t types.MediaType) bool {
	return t == "" || t.IsImage() || t.IsIndex() || t.IsSchema1()
}

// noReferrers is an index that lists none yet.
const noReferrers = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`

// SetReferrer lists d; see remote.IndexEditor. What goes in is its media type,
// digest, size, artifactType and annotations; an entry that has its digest
// already stays as it is, even where gone names it. What is no OCI index is an
// error: the list would not be found in it.
func (LayoutEditor) SetReferrer(index []byte, d v1.Descriptor, gone []v1.Hash) ([]byte, error) {
	if len(index) == 0 {
		index = []byte(noReferrers)
	}
	m, err := image.ParseManifest(index, "")
	if err != nil {
		return nil, err
	}
	if m.Kind != image.OCIIndex {
		return nil, fmt.Errorf("%w: referrers are listed in another kind than %s: %s", image.ErrWrongKind, m.Kind, image.OCIIndex)
	}
	isListed := false
	var edits []image.ChildEdit
	for i, child := range m.Manifests {
		switch {
		case child.Digest == d.Digest:
			isListed = true
		case slices.Contains(gone, child.Digest):
			edits = append(edits, image.ChildEdit{Position: i, Remove: true})
		}
	}
	index, _, err = image.EditIndex(index, edits)
	if err != nil || isListed {
		return index, err
	}
	text, err := json.Marshal(v1.Descriptor{
		MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, ArtifactType: d.ArtifactType, Annotations: d.Annotations,
	})
	if err != nil {
		return nil, err
	}
	index, _, err = image.AppendManifest(index, text)
	return index, err
}

func errAmbiguous(tag string) error {
	if tag == "" {
		return errors.New("the layout has several images: name one of them by its tag")
	}
	return fmt.Errorf("the layout has several images with the tag %q: remove all but one", tag)
}
