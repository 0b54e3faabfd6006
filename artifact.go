// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// artifactsMax is how many artifacts of our type are looked at: others may have
// put any number beside an image.
const artifactsMax = 100

// artifact is one to be pushed.
type artifact struct {
	descriptor v1.Descriptor
	subject    v1.Hash
	raw        []byte
	blobs      []image.Blob
	replaced   []v1.Hash // those that it takes the place of
}

// artifactsFor returns the artifacts that an image, as it is to be, should have:
// one for each algorithm.
func artifactsFor(s *Source, e *edited, digests []Digest) []*image.Artifact {
	var list []*image.Artifact
	byAlgorithm := map[fsverity.Algorithm]*image.Artifact{}
	for _, o := range objectsOf(e.config, digests) {
		alg := o.Digest.Algorithm()
		a := byAlgorithm[alg]
		if a == nil {
			of := slices.DeleteFunc(slices.Clone(digests), func(d Digest) bool {
				return d.Format != erofs.V1 || d.Digest.Algorithm() != alg
			})
			a = &image.Artifact{
				Subject:     v1.Descriptor{MediaType: e.descriptor.MediaType, Digest: e.descriptor.Digest, Size: e.descriptor.Size},
				Entries:     []image.ArtifactEntry{{Role: image.RoleManifest, Digest: fsverity.Sum(alg, e.raw)}},
				Annotations: []image.KV{{Key: image.InputKey, Value: inputKey(s, of)}},
			}
			byAlgorithm[alg] = a
			list = append(list, a)
		}
		a.Entries = append(a.Entries, o)
	}
	return list
}

// there is an artifact that a repository has.
type there struct {
	descriptor v1.Descriptor
	raw        []byte
	*image.Artifact
}

// artifactsOf returns the artifacts of our type that refer to the subject. One
// that cannot be understood is told and passed over: it is somebody else's.
func artifactsOf(ctx context.Context, repo remote.Repo, subject v1.Hash, warn func(string)) ([]there, error) {
	return listArtifacts(ctx, repo, subject, func(d v1.Descriptor, err error) {
		if !errors.Is(err, errOtherSubject) {
			warn(fmt.Sprintf("the artifact %s of %s cannot be understood: %v", d.Digest, subject, err))
		}
	})
}

// errOtherSubject is an artifact that is listed beside what it is not about.
var errOtherSubject = errors.New("it is listed beside this image, and refers to another")

// listArtifacts returns the artifacts of our type that refer to the subject. odd
// is told of each that is listed as one and is none. What could not be read for
// another reason is an error: nobody knows what it says.
func listArtifacts(ctx context.Context, repo remote.Repo, subject v1.Hash, odd func(v1.Descriptor, error)) ([]there, error) {
	list, err := repo.Referrers(ctx, subject, image.ArtifactType)
	if err != nil {
		return nil, err
	}
	if len(list) > artifactsMax {
		return nil, fmt.Errorf("%s has %d artifacts of type %s: remove those that nobody needs", subject, len(list), image.ArtifactType)
	}
	var out []there
	for _, d := range list {
		h, bad, err := readArtifact(ctx, repo, d)
		switch {
		case errors.Is(err, remote.ErrNotFound): // a list that was not brought up to date
		case err != nil:
			return nil, err
		case bad != nil:
			odd(d, bad)
		case h.Subject.Digest != subject:
			odd(d, fmt.Errorf("%w: %s", errOtherSubject, h.Subject.Digest))
		default:
			out = append(out, h)
		}
	}
	return out, nil
}

// readArtifact reads an artifact; bad is why it cannot be understood.
func readArtifact(ctx context.Context, repo remote.Repo, d v1.Descriptor) (h there, bad, err error) {
	raw, err := repo.Manifest(ctx, d)
	if err != nil {
		return there{}, nil, err
	}
	var broken error // of the way to a blob, not of the blob
	a, bad := image.ParseArtifact(raw, func(d v1.Descriptor) ([]byte, error) {
		content, err := repo.BlobBytes(ctx, d, image.MaxSignatureSize)
		if err != nil && !errors.Is(err, remote.ErrNotFound) && !errors.Is(err, remote.ErrContent) {
			broken = err
		}
		return content, err
	})
	if broken != nil {
		return there{}, nil, broken
	}
	return there{d, raw, a}, bad, nil
}

// vouchesFor reports whether the artifact has the digests of an image's manifest
// and config, and all that it has is signed with the certificate's key.
func (h there) vouchesFor(s *Source, alg fsverity.Algorithm, by *pkcs7.Certificate) bool {
	if h.Algorithm() != alg || !isSignedBy(h.Artifact, by) {
		return false
	}
	for _, e := range h.Entries {
		switch {
		case e.Role == image.RoleManifest && e.Digest != fsverity.Sum(alg, s.RawManifest),
			e.Role == image.RoleConfig && e.Digest != fsverity.Sum(alg, s.RawConfig):
			return false
		}
	}
	return true
}

// sameDigests reports whether two artifacts say the same.
func sameDigests(a, b *image.Artifact) bool {
	return slices.EqualFunc(a.Entries, b.Entries, func(x, y image.ArtifactEntry) bool {
		return x.Role == y.Role && x.Digest == y.Digest
	})
}

// saysNoMore reports whether all that the artifact says is in a.
func (h there) saysNoMore(a *image.Artifact) bool {
	m, err := image.ParseManifest(h.raw, "")
	if err != nil || len(m.Layers) != len(h.Entries) { // there are layers that are not known here
		return false
	}
	return !slices.ContainsFunc(m.Layers, func(d v1.Descriptor) bool { return len(d.Annotations) != 1 }) &&
		!slices.ContainsFunc(h.Annotations, func(kv image.KV) bool { return kv.Key != image.InputKey }) &&
		!slices.ContainsFunc(h.Entries, func(e image.ArtifactEntry) bool {
			return !slices.ContainsFunc(a.Entries, func(o image.ArtifactEntry) bool { return o.Role == e.Role && o.Digest == e.Digest })
		})
}

// denies reports whether the artifact has another digest for a role of a.
func (h there) denies(a *image.Artifact) bool {
	return slices.ContainsFunc(h.Entries, func(e image.ArtifactEntry) bool {
		return slices.ContainsFunc(a.Entries, func(o image.ArtifactEntry) bool { return o.Role == e.Role && o.Digest != e.Digest })
	})
}

// due is an artifact that an image is to have.
type due struct {
	*image.Artifact
	// by is the certificate of the key that signed; nil if any will do.
	by *pkcs7.Certificate
	// computed tells that its digests were computed from the layers in this run.
	computed bool
}

// plan returns the artifact to be pushed so that the image has a; nil if it has.
// One without signatures gives way if it says no more than a, or if it says what
// is known to be wrong. A signed one that says the same is as good, if its
// signatures are by the key of a, and one that says something else is told.
func plan(a due, have []there, warn func(string)) (*artifact, error) {
	raw, blobs, err := a.Marshal()
	if err != nil {
		return nil, err
	}
	p := &artifact{subject: a.Subject.Digest, raw: raw, blobs: blobs}
	d := image.Describe(raw)
	p.descriptor = v1.Descriptor{
		MediaType: image.OCIManifest.MediaType(), Digest: d.Digest, Size: d.Size,
		ArtifactType: image.ArtifactType, Annotations: map[string]string{},
	}
	for _, kv := range a.Annotations {
		p.descriptor.Annotations[kv.Key] = kv.Value
	}
	isThere := false
	for _, h := range have {
		switch {
		case h.Algorithm() != a.Algorithm():
		case bytes.Equal(h.raw, raw), h.IsSigned() && sameDigests(h.Artifact, a.Artifact) && (a.by == nil || isSignedBy(h.Artifact, a.by)):
			isThere = true
			p.descriptor, p.raw, p.blobs = h.descriptor, h.raw, nil
		case h.IsSigned() && sameDigests(h.Artifact, a.Artifact): // somebody else's
		case h.IsSigned():
			warn(fmt.Sprintf("%s has a signed artifact that names other digests: %s; remove it", a.Subject.Digest, h.descriptor.Digest))
		case h.saysNoMore(a.Artifact), a.computed && h.denies(a.Artifact):
			p.replaced = append(p.replaced, h.descriptor.Digest)
		default:
			warn(fmt.Sprintf("%s keeps an artifact without signatures that says more than the new one: %s; remove it if nobody needs it",
				a.Subject.Digest, h.descriptor.Digest))
		}
	}
	if isThere && len(p.replaced) == 0 {
		return nil, nil
	}
	return p, nil
}

// foundBeside returns the digests that the artifacts of an image give for what
// was asked for; ok as for found.digests.
func foundBeside(s *Source, have []there, o *LabelOptions) (list []Digest, ok bool) {
	f := &found{annotations: map[string]string{}}
	var all []Digest
	for _, h := range have {
		f.add(s, h.Artifact)
	}
	for _, alg := range o.Algorithms {
		one := LabelOptions{Options: o.Options, Write: []Place{InArtifact}}
		one.Algorithms = []fsverity.Algorithm{alg}
		f.key = f.annotations[keyOf(alg)]
		digests, ok := f.digests(s, &one)
		if !ok {
			return nil, false
		}
		all = append(all, digests...)
	}
	for _, c := range o.combinations() {
		i := slices.IndexFunc(all, func(d Digest) bool {
			return combination{d.Role, d.Xattrs, d.Format, d.Digest.Algorithm()} == c
		})
		list = append(list, all[i]) // each was asked for
	}
	if o.writes(InLabel) {
		for _, key := range o.LabelKeys {
			if s.Config.Labels[key] != o.LabelFormat.value(list[0].Digest) {
				return nil, false
			}
		}
	}
	return list, true
}

// add takes what an artifact says, if it speaks of the image as it is.
func (f *found) add(s *Source, a *image.Artifact) {
	alg := a.Algorithm()
	said := map[string]string{}
	for _, e := range a.Entries {
		said[image.AnnotationKey(e.Role, alg)] = e.Digest.String()
	}
	if said[image.AnnotationKey(image.RoleManifest, alg)] != fsverity.Sum(alg, s.RawManifest).String() ||
		said[image.AnnotationKey(image.RoleConfig, alg)] != fsverity.Sum(alg, s.RawConfig).String() {
		return
	}
	for _, kv := range a.Annotations {
		if kv.Key == image.InputKey {
			said[keyOf(alg)] = kv.Value
		}
	}
	maps.Copy(f.annotations, said)
}

// keyOf names the input key of an algorithm's artifact.
func keyOf(alg fsverity.Algorithm) string { return image.InputKey + " " + alg.String() }
