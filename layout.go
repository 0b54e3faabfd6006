// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

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
		if tag != "" && child.Annotations[refName] != tag {
			continue
		}
		if position >= 0 {
			return nil, errAmbiguous(tag)
		}
		position = i
	}
	change := &image.DescriptorChange{Digest: d.Digest, Size: d.Size}
	if position >= 0 && m.Manifests[position].MediaType == d.MediaType {
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

func errAmbiguous(tag string) error {
	if tag == "" {
		return errors.New("the layout has several images: name one of them by its tag")
	}
	return fmt.Errorf("the layout has several images with the tag %q: remove all but one", tag)
}
