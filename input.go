// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// semantics is the version of what a digest is computed by. It is raised when
// the same layers come to give another digest, so that digests of before are
// not believed.
const semantics = 1

// inputKey returns the value of the annotation image.InputKey: a SHA-256 over
// what the digests were computed from and what they are. docs/writing.md has the
// text that is hashed.
func inputKey(s *Source, digests []Digest) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "cfs-label input %d\n", semantics)
	for i, d := range s.Manifest.Layers {
		kind, _ := image.LayerType(string(d.MediaType)) // known: it was read, or is about to be
		_, _ = fmt.Fprintf(h, "layer %s %s %s\n", d.Digest, s.Config.DiffIDs[i], kind.Compression)
	}
	for _, d := range digests {
		_, _ = fmt.Fprintf(h, "digest %s %s %s %s %s\n", d.Role, d.Format, d.Digest.Algorithm(), d.Xattrs, d.Digest)
	}
	return fmt.Sprintf("sha256:%x", h.Sum(nil))
}

// found is what an image or an artifact says of the image's digests.
type found struct {
	labels      map[string]string
	annotations map[string]string
	key         string // what image.InputKey says
}

// foundIn returns what the image itself says.
func foundIn(s *Source) *found {
	return &found{labels: s.Config.Labels, annotations: s.Manifest.Annotations, key: s.Manifest.Annotations[image.InputKey]}
}

// digests returns the digests that were asked for; ok is false unless each of
// them is said, places that say it agree, and the key is that of this input.
func (f *found) digests(s *Source, o *LabelOptions) (list []Digest, ok bool) {
	if f.key == "" || len(s.Manifest.Layers) != len(s.Config.DiffIDs) {
		return nil, false
	}
	for _, c := range o.combinations() {
		d := Digest{Role: c.role, Format: c.format, Xattrs: c.xattrs}
		isLabel := len(list) == 0 && o.writes(InLabel)
		if d.Digest, ok = f.digest(d, c.algorithm, isLabel, o); !ok {
			return nil, false
		}
		list = append(list, d)
	}
	return list, f.key == inputKey(s, list)
}

// digest returns one digest, if all places that should say it, and all that do,
// say the same.
func (f *found) digest(d Digest, alg fsverity.Algorithm, isLabel bool, o *LabelOptions) (digest fsverity.Digest, ok bool) {
	var said []string
	if isLabel {
		for _, key := range o.LabelKeys {
			hex, ok := o.LabelFormat.hex(alg, f.labels[key])
			if !ok {
				return fsverity.Digest{}, false
			}
			said = append(said, hex)
		}
	}
	if d.Format == erofs.V1 {
		if text, ok := f.annotations[image.AnnotationKey(d.Role, alg)]; ok {
			said = append(said, text)
		}
	}
	if said = slices.Compact(said); len(said) != 1 {
		return fsverity.Digest{}, false
	}
	digest, err := fsverity.ParseDigest(alg, said[0])
	return digest, err == nil
}
