// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"bytes"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/image"
)

// edited is a manifest or index as it is to be, and the config with it.
type edited struct {
	descriptor v1.Descriptor
	raw        []byte

	// Of an image.
	config           []byte
	configDescriptor v1.Descriptor

	changes []image.Change
	places  []Place // that hold digests now
}

// asItIs is an edit that changes nothing.
func asItIs(n *node) *edited {
	e := &edited{descriptor: n.descriptor, raw: n.raw}
	if n.source != nil {
		e.config, e.configDescriptor = n.source.RawConfig, n.source.Manifest.Config
	}
	return e
}

// editImage writes the digests into config and manifest. The first digest makes
// the label; every V1 digest makes an annotation. What of an earlier seal is not
// among the digests is removed.
func editImage(n *node, digests []Digest, o *LabelOptions) (*edited, error) {
	s := n.source
	e := asItIs(n)
	if !o.editsImage() {
		return e, nil
	}
	manifest := s.Manifest
	if o.OCI && manifest.Kind.IsDocker() {
		if err := e.convert(&manifest); err != nil {
			return nil, err
		}
	}
	if err := e.editConfig(s, digests, o); err != nil {
		return nil, err
	}
	if err := e.editManifest(s, manifest, digests, o); err != nil {
		return nil, err
	}
	return e, nil
}

// convert makes the manifest one of OCI.
func (e *edited) convert(m **image.Manifest) error {
	raw, changes, err := image.ToOCI(e.raw)
	if err != nil {
		return err
	}
	if *m, err = image.ParseManifest(raw, ""); err != nil {
		return err
	}
	e.raw, e.changes = raw, changes
	return nil
}

func (e *edited) editConfig(s *Source, digests []Digest, o *LabelOptions) error {
	var set []image.KV
	said := map[string]bool{} // label values that are right
	for _, d := range digests {
		if d.Role != image.RoleMerged { // a label is of the plain tree
			continue
		}
		said[Hex.value(d.Digest)], said[Prefixed.value(d.Digest)] = true, true
	}
	if o.writes(InLabel) {
		for _, key := range slices.Compact(slices.Sorted(slices.Values(o.LabelKeys))) {
			set = append(set, image.KV{Key: key, Value: o.LabelFormat.value(digests[0].Digest)})
		}
		e.places = append(e.places, InLabel)
	}
	stale := func(key string) bool { return image.StaleLabel(key) && !said[s.Config.Labels[key]] }
	config, changes, err := image.EditConfig(e.config, set, stale)
	e.config = config
	e.changes = append(e.changes, changes...)
	return err
}

func (e *edited) editManifest(s *Source, m *image.Manifest, digests []Digest, o *LabelOptions) error {
	right := annotationsFor(s, e.config, digests)
	var change image.ManifestEdit
	e.configDescriptor = m.Config
	if !bytes.Equal(e.config, s.RawConfig) {
		change.Config = image.Describe(e.config)
		e.configDescriptor.Digest, e.configDescriptor.Size = change.Config.Digest, change.Config.Size
	}
	change.StaleAnnotations = func(key string) bool {
		value, known := right[key]
		if !known {
			return image.StaleAnnotation(key) || key == image.InputKey
		}
		return saysElse(m.Annotations, key, value) || saysElse(m.Config.Annotations, key, value)
	}
	if o.writes(InAnnotations) && !m.Kind.IsDocker() {
		objects := objectsOf(e.config, digests)
		for _, o := range objects {
			if err := change.SetDigest(o.Role, o.Digest); err != nil {
				return err
			}
		}
		if err := signInline(&change, objects, o.Kernel); err != nil {
			return err
		}
		if len(change.Annotations) > 0 {
			change.Annotations = append(change.Annotations, image.KV{Key: image.InputKey, Value: right[image.InputKey]})
			e.places = append(e.places, InAnnotations)
		}
	}
	raw, changes, err := image.EditManifest(e.raw, change)
	if err != nil {
		return err
	}
	e.raw, e.changes = raw, append(e.changes, changes...)
	if !bytes.Equal(raw, s.RawManifest) {
		e.describe(m.Kind)
	}
	return nil
}

// describe makes the descriptor that of the text.
func (e *edited) describe(k image.Kind) {
	d := image.Describe(e.raw)
	e.descriptor = v1.Descriptor{MediaType: k.MediaType(), Digest: d.Digest, Size: d.Size}
}

// saysElse reports whether the annotations say something else than value.
func saysElse(annotations map[string]string, key, value string) bool {
	said, ok := annotations[key]
	return ok && said != value
}

// annotationsFor returns all annotations that are right for an image with that
// config: those of its objects, and the key of its input.
func annotationsFor(s *Source, config []byte, digests []Digest) map[string]string {
	right := map[string]string{image.InputKey: inputKey(s, digests)}
	for _, o := range objectsOf(config, digests) {
		right[image.AnnotationKey(o.Role, o.Digest.Algorithm())] = o.Digest.String()
	}
	return right
}

// objectsOf returns the objects of an image that the sealing specification has
// annotations for, each once and in the order of the roles: for each algorithm
// of V1 the config, and the EROFS images.
func objectsOf(config []byte, digests []Digest) []image.ArtifactEntry {
	var list []image.ArtifactEntry
	add := func(role image.Role, d fsverity.Digest) {
		isIt := func(o image.ArtifactEntry) bool { return o.Role == role && o.Digest.Algorithm() == d.Algorithm() }
		if !slices.ContainsFunc(list, isIt) {
			list = append(list, image.ArtifactEntry{Role: role, Digest: d})
		}
	}
	for _, d := range digests {
		if d.Format == erofs.V1 {
			add(image.RoleConfig, fsverity.Sum(d.Digest.Algorithm(), config))
			add(d.Role, d.Digest)
		}
	}
	return list
}

// warnOfBootable says so if the bootable digests are written nowhere.
func (o *LabelOptions) warnOfBootable(g *graph) {
	hasAnnotations := func(s *Source) bool { return o.OCI || !s.Manifest.Kind.IsDocker() }
	inAnnotations := o.writes(InAnnotations) && slices.Contains(o.Formats, erofs.V1) && slices.ContainsFunc(g.sources(), hasAnnotations)
	if o.Bootable && !inAnnotations && !o.makesArtifacts() {
		o.Warn("the bootable digest is computed and written nowhere: a label says the plain one, and there is an annotation for format v1 alone; add --write annotations and --format v1 (a Docker manifest needs --oci for it), or --write artifact")
	}
}

// warnOfXattrs says so if what is written is not what hosts compute.
func warnOfXattrs(digests []Digest, warn func(string)) {
	if first := digests[0]; first.Xattrs != transform.AllowlistOnly {
		warn("what is written is the digest with xattrs " + first.Xattrs.String() + "; hosts compute " +
			transform.AllowlistOnly.String() + " and will not find it equal")
	}
}
