// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

// Inspection is what a reference names, and what there is beside it. None of it
// was compared with the layers, and no signature was verified.
type Inspection struct {
	Repo remote.Repo
	// Objects are the manifest or index that the reference names, and after an
	// index all that it lists, in its order.
	Objects []Inspected
}

// Kind is what an Inspected is.
type Kind string

// The kinds.
const (
	KindIndex       Kind = "index"
	KindImage       Kind = "image"
	KindAttestation Kind = "attestation" // what a build tool added about another
	KindOther       Kind = "other"       // an artifact, or what is not known here
)

// Inspected is a manifest or index.
type Inspected struct {
	Kind     Kind
	Depth    int    // how many indexes are above it
	Platform string // of an image; as it is named, if nothing else says it
	Digest   v1.Hash
	Type     string // its artifactType or else media type
	About    string // of an attestation: the digest that it is about, if it says so

	// Labels are those of composefs, by key.
	Labels []image.KV
	// Annotations are those of composefs.
	Annotations []InspectedAnnotation
	// Input is what the manifest says under image.InputKey.
	Input string
	// Artifacts are those of image.ArtifactType that refer to it.
	Artifacts []InspectedArtifact
	// Tags are those by which cosign puts signatures and more beside it.
	Tags []InspectedTag
	// Referrers are the others that refer to it.
	Referrers []InspectedReferrer
	// More is how many referrers there are that were not looked at.
	More int

	// UKIs are those that an image holds, held against its digests, if layers were
	// read. UKIErr is why they could not be.
	UKIs   []UKI
	UKIErr error

	// Err is why it could not be read; nil if it could, or need not be.
	Err error
}

// InspectedAnnotation is an annotation of a manifest or of its config
// descriptor.
type InspectedAnnotation struct {
	Where  string // manifest, config
	Key    string
	Value  string // "" if there is only the signature
	Signed bool   // whether there is a signature of it, which need not hold
}

// InspectedArtifact is an artifact beside an image.
type InspectedArtifact struct {
	Digest    v1.Hash
	Algorithm fsverity.Algorithm
	Input     string // what it says under image.InputKey
	Entries   []InspectedEntry
	Err       error // why it cannot be understood
}

// InspectedEntry is a digest that an artifact carries.
type InspectedEntry struct {
	Role   image.Role
	Digest fsverity.Digest
	Signed bool // whether there is a signature of it, which need not hold
}

// InspectedTag is a tag of cosign's.
type InspectedTag struct {
	BesideTag
	Repo string // "" if it is beside the image, else where it is
}

// InspectedReferrer is something else that refers to an image.
type InspectedReferrer struct {
	Digest v1.Hash
	Type   string // its artifactType; may be ""
}

// IsBundle reports whether it is a Sigstore bundle, as cosign stores signatures
// (sigstore, protobuf-specs, "Media type").
func (r InspectedReferrer) IsBundle() bool {
	return strings.HasPrefix(r.Type, "application/vnd.dev.sigstore.bundle")
}

// IsSealed reports whether anything says a digest of it: those of single layers
// do not count.
func (o *Inspected) IsSealed() bool {
	ofAll := func(a InspectedAnnotation) bool { return a.Value != "" && image.StaleAnnotation(a.Key) }
	return len(o.Labels) > 0 || slices.ContainsFunc(o.Annotations, ofAll) ||
		slices.ContainsFunc(o.Artifacts, func(a InspectedArtifact) bool { return a.Err == nil })
}

// InspectOptions say where to look.
type InspectOptions struct {
	// Signatures, if not nil, is another repository that may have cosign's tags.
	Signatures remote.Repo
	// Layers, if not nil, says how the layers are read, for the UKIs in them.
	// Without it they are not read.
	Layers *Options
}

// artifactBytes is how much of artifacts one Inspect reads, in bytes, together:
// an index may list a thousand images with a hundred artifacts each. One counts
// as its manifest and artifactCost.
const (
	artifactBytes = 64 << 20
	artifactCost  = 16 << 10
)

// inspecting is one run of Inspect.
type inspecting struct {
	repo    remote.Repo
	options InspectOptions
	left    atomic.Int64 // of artifactBytes
}

// Inspect tells what seals, artifacts and signatures there are of an image, or of
// an index and all in it. Layers are read for UKIs alone, if that is asked for.
func Inspect(ctx context.Context, ref *remote.Ref, options InspectOptions) (*Inspection, error) {
	s, err := surveyOf(ctx, ref, func(d v1.Descriptor) bool {
		return d.MediaType.IsImage() && isImageType(d.ArtifactType) && !isAboutAnother(d)
	})
	if err != nil {
		return nil, err
	}
	in := &inspecting{repo: ref.Repo, options: options}
	in.left.Store(artifactBytes)
	objects := make([]Inspected, len(s.list))
	first := map[v1.Hash]int{}
	work, working := errgroup.WithContext(ctx)
	work.SetLimit(lookups)
	for i, l := range s.list {
		o := &objects[i]
		*o = inspect(l)
		if _, seen := first[o.Digest]; seen || o.Kind != KindImage && o.Kind != KindIndex {
			continue
		}
		first[o.Digest] = i
		work.Go(func() error { return in.lookBeside(working, o) })
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	for i := range objects { // one that is listed for several platforms
		o := &objects[i]
		if j, ok := first[o.Digest]; ok && j != i {
			o.Artifacts, o.Tags, o.Referrers, o.More = objects[j].Artifacts, objects[j].Tags, objects[j].Referrers, objects[j].More
		}
	}
	if options.Layers != nil {
		if err := in.lookInside(ctx, ref, objects); err != nil {
			return nil, err
		}
	}
	return &Inspection{ref.Repo, objects}, nil
}

// inspect returns what a manifest or index says itself.
func inspect(l listed) Inspected {
	o := Inspected{
		Kind: KindOther, Depth: l.depth, Digest: l.as.Digest, Err: l.err,
		Type: cmp.Or(l.as.ArtifactType, string(l.as.MediaType)),
	}
	if isGiven(l.as.Platform) {
		o.Platform = l.as.Platform.String()
	}
	switch {
	case isAboutAnother(l.as):
		o.Kind, o.About = KindAttestation, attests(l.as)
	case l.manifest != nil && l.manifest.Kind.IsIndex():
		o.Kind = KindIndex
		o.take(l.manifest)
	case l.as.MediaType.IsIndex():
		o.Kind = KindIndex
	case l.source != nil:
		o.Kind = KindImage
		if o.Platform == "" {
			o.Platform = l.source.Platform()
		}
		o.take(l.manifest)
		for _, key := range slices.Sorted(maps.Keys(l.source.Config.Labels)) {
			if image.StaleLabel(key) {
				o.Labels = append(o.Labels, image.KV{Key: key, Value: l.source.Config.Labels[key]})
			}
		}
	case errors.Is(l.err, ErrNotImage):
		o.Err, o.Type = nil, cmp.Or(l.manifest.ArtifactType, string(l.manifest.Config.MediaType), o.Type)
	case l.err != nil:
		o.Kind = KindImage
	}
	return o
}

// take takes the annotations of composefs.
func (o *Inspected) take(m *image.Manifest) {
	o.Input = m.Annotations[image.InputKey]
	for _, place := range []struct {
		where string
		text  map[string]string
	}{{"manifest", m.Annotations}, {"config", m.Config.Annotations}} {
		for _, key := range slices.Sorted(maps.Keys(place.text)) {
			digestKey, isSignature := strings.CutSuffix(key, signatureSuffix)
			_, hasDigest := place.text[digestKey]
			if !strings.HasPrefix(key, "composefs.") || isSignature && hasDigest {
				continue
			}
			a := InspectedAnnotation{Where: place.where, Key: key, Value: place.text[key]}
			if isSignature {
				a.Key, a.Value, a.Signed = digestKey, "", true
			} else {
				_, a.Signed = place.text[key+signatureSuffix]
			}
			o.Annotations = append(o.Annotations, a)
		}
	}
}

// tags finds cosign's tags of a digest.
func (in *inspecting) tags(ctx context.Context, d v1.Hash) ([]InspectedTag, error) {
	list, err := tagsBeside(ctx, in.repo, d)
	if err != nil {
		return nil, err
	}
	var out []InspectedTag
	for _, tag := range list {
		out = append(out, InspectedTag{tag, ""})
	}
	other := in.options.Signatures
	if other == nil || remote.Same(other, in.repo) {
		return out, nil
	}
	if list, err = tagsBeside(ctx, other, d); err != nil {
		return nil, err
	}
	for _, tag := range list {
		out = append(out, InspectedTag{tag, other.Name()})
	}
	return out, nil
}

// lookBeside finds what is beside an object.
func (in *inspecting) lookBeside(ctx context.Context, o *Inspected) error {
	var err error
	if o.Tags, err = in.tags(ctx, o.Digest); err != nil {
		return err
	}
	list, err := in.repo.Referrers(ctx, o.Digest, "")
	if err != nil {
		return err
	}
	if o.More = len(list) - referrersMax; o.More > 0 {
		list = list[:referrersMax]
	}
	o.More = max(0, o.More)
	for _, d := range list {
		switch {
		case d.ArtifactType != image.ArtifactType:
			o.Referrers = append(o.Referrers, InspectedReferrer{d.Digest, d.ArtifactType})
			continue
		case !in.mayRead(d):
			o.More++
			continue
		}
		if err := o.lookAt(ctx, in.repo, d); err != nil {
			return err
		}
	}
	return nil
}

// mayRead reports whether an artifact is within what is read in all, and counts
// it. A size is somebody's word; a larger one is not read.
func (in *inspecting) mayRead(d v1.Descriptor) bool {
	return in.left.Add(-artifactCost-min(max(d.Size, 0), image.MaxManifestSize)) >= 0
}

// lookAt reads an artifact beside it. Signatures are not kept: there can be many.
func (o *Inspected) lookAt(ctx context.Context, repo remote.Repo, d v1.Descriptor) error {
	h, bad, err := readArtifact(ctx, repo, d)
	a := InspectedArtifact{Digest: d.Digest, Err: bad}
	switch {
	case err != nil && !isUnsealable(err): // not found and the like are of the artifact
		return err
	case err != nil:
		a.Err = err
	case bad == nil && h.Subject.Digest != o.Digest:
		a.Err = errOtherSubject
	case bad == nil:
		a.Algorithm, a.Input = h.Algorithm(), inputOf(h.Artifact)
		for _, e := range h.Entries {
			a.Entries = append(a.Entries, InspectedEntry{e.Role, e.Digest, e.Signature != nil})
		}
	}
	o.Artifacts = append(o.Artifacts, a)
	return nil
}
