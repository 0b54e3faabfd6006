// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/image"
)

// group is what one artifact is made of: the entries of an image and algorithm.
type group struct {
	manifest   v1.Descriptor
	entries    []DetachedEntry
	signatures [][]byte
}

// groups returns the entries by image and algorithm.
func (at *attaching) groups() []*group {
	type key struct {
		manifest v1.Hash
		alg      fsverity.Algorithm
	}
	known := map[key]*group{}
	var list []*group
	for i, e := range at.options.Detached.Entries {
		k := key{e.Manifest.Digest, e.Digest.Algorithm()}
		g := known[k]
		if g == nil {
			g = &group{manifest: e.Manifest}
			known[k] = g
			list = append(list, g)
		}
		g.entries = append(g.entries, e)
		g.signatures = append(g.signatures, at.signatures[i])
	}
	return list
}

// artifact returns the artifact that the image should have with the entries'
// EROFS digests, and with the signatures. It fails unless that is just what the
// entries say.
func (g *group) artifact(n *node) (*image.Artifact, error) {
	said := g.said()
	var digests []Digest
	for _, e := range g.entries {
		if e.Role != image.RoleManifest && e.Role != image.RoleConfig { // those follow from the text
			digests = append(digests, Digest{Role: e.Role, Format: erofs.V1, Digest: e.Digest})
		}
	}
	if _, err := n.source.Layers(); err != nil {
		return nil, err
	}
	// Which extended attributes count is in the key of the input alone.
	for _, mode := range []transform.Xattrs{transform.AllowlistOnly, transform.KeepUserXattrs} {
		for i := range digests {
			digests[i].Xattrs = mode
		}
		for _, a := range artifactsFor(n.source, asItIs(n), digests) {
			if inputOf(a) != inputOf(said) || !sameDigests(a, said) || !sameSubject(a.Subject, said.Subject) {
				continue
			}
			for i := range a.Entries {
				a.Entries[i].Signature = g.signatures[i]
			}
			return a, nil
		}
	}
	return nil, fmt.Errorf("%s: digests of manifest or config, or of what they were computed from, are not those of index.json: %w", g.manifest.Digest, ErrOtherImage)
}

// said returns what the entries say, as an artifact.
func (g *group) said() *image.Artifact {
	a := &image.Artifact{Subject: g.manifest, Annotations: []image.KV{{Key: image.InputKey, Value: g.entries[0].Input}}}
	for _, e := range g.entries {
		if e.Input != g.entries[0].Input || !sameSubject(e.Manifest, g.manifest) {
			return &image.Artifact{} // of which no image is
		}
		a.Entries = append(a.Entries, image.ArtifactEntry{Role: e.Role, Digest: e.Digest})
	}
	return a
}

func sameSubject(a, b v1.Descriptor) bool {
	return a.Digest == b.Digest && a.Size == b.Size && a.MediaType == b.MediaType
}

// contradictions returns what annotations of the image, and artifacts beside it,
// say of its digests that is not what was signed.
func (at *attaching) contradictions(s *Source, a *image.Artifact, have []there) []string {
	var list []string
	find := func(e image.ArtifactEntry, where, said string) {
		list = append(list, fmt.Sprintf("%s: %s says of %s %s %s; signed was %s; seal the image again to find out what is right",
			s.Platform(), where, e.Role, a.Algorithm(), said, e.Digest))
	}
	for _, e := range a.Entries {
		key := image.AnnotationKey(e.Role, a.Algorithm())
		for where, annotations := range map[string]map[string]string{
			"an annotation of the manifest":          s.Manifest.Annotations,
			"an annotation of the config descriptor": s.Manifest.Config.Annotations,
		} {
			if saysElse(annotations, key, e.Digest.String()) {
				find(e, where, annotations[key])
			}
		}
		for _, h := range have {
			for _, other := range h.Entries {
				if other.Role == e.Role && other.Digest.Algorithm() == a.Algorithm() && other.Digest != e.Digest {
					find(e, "the artifact "+h.descriptor.Digest.String(), other.Digest.String())
				}
			}
		}
		if e.Role == image.RoleMerged {
			at.warnOfLabel(s, e.Digest)
		}
	}
	slices.Sort(list)
	return list
}

// warnOfLabel tells if the label says another merged digest of the algorithm than
// d. That need not be wrong: d is of format V1, and nothing tells of which format
// a label is.
func (at *attaching) warnOfLabel(s *Source, d fsverity.Digest) {
	said, ok := s.Config.Labels[image.LabelKey]
	if !ok || said == Hex.value(d) || said == Prefixed.value(d) {
		return
	}
	hex, isPrefixed := Prefixed.hex(d.Algorithm(), said)
	if !isPrefixed {
		hex = said
	}
	if _, err := fsverity.ParseDigest(d.Algorithm(), hex); err != nil {
		return // of another algorithm, or of none
	}
	at.options.Warn(fmt.Sprintf("%s: the label %s names another digest, which may be that of another format: %s; cfs-label verify tells", s.Platform(), image.LabelKey, said))
}
