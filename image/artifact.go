// SPDX-License-Identifier: Apache-2.0

package image

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// Limits of an artifact.
const (
	// MaxSignatureSize is the size of the largest signature, in bytes. The
	// kernel takes no larger one (FS_VERITY_MAX_SIGNATURE_SIZE,
	// linux/fs/verity/fsverity_private.h).
	MaxSignatureSize = 16<<10 - 256
	// MaxArtifactLayers is how many layers an artifact's manifest may have when
	// it is read. Those of a role are far fewer, but there can be others.
	MaxArtifactLayers = 1024
)

// ArtifactEntry is a digest that an artifact carries.
type ArtifactEntry struct {
	Role   Role
	Digest fsverity.Digest
	// Signature is the PKCS#7 signature of the digest, in DER; nil if there is
	// none.
	Signature []byte
}

// Artifact is a composefs metadata artifact: a manifest of its own that refers
// to an image and carries its digests (sealing_spec.rs, "OCI artifact based
// composefs metadata"). All are of one algorithm.
type Artifact struct {
	Subject v1.Descriptor // of the image's manifest: media type, digest, size
	Entries []ArtifactEntry
	// Annotations are those of the artifact's manifest, in their order.
	Annotations []KV
}

// Blob is content that a manifest refers to.
type Blob struct {
	Descriptor v1.Descriptor // media type, digest, size
	Content    []byte
}

// Algorithm returns the algorithm of the entries; zero if there are none.
func (a *Artifact) Algorithm() fsverity.Algorithm {
	if len(a.Entries) == 0 {
		return 0
	}
	return a.Entries[0].Digest.Algorithm()
}

// IsSigned reports whether there is a signature.
func (a *Artifact) IsSigned() bool {
	return slices.ContainsFunc(a.Entries, func(e ArtifactEntry) bool { return e.Signature != nil })
}

// check returns an error if the artifact is not what the specification asks for
// (sealing_spec.rs, "OCI artifact based composefs metadata", "Signature Format"
// and "Implementation Considerations"). The order of entries does not count.
func (a *Artifact) check() error {
	if a.Subject.MediaType == "" {
		return fmt.Errorf("subject: %w: mediaType", ErrMissing)
	}
	entries := map[Role]ArtifactEntry{}
	for _, e := range a.Entries {
		if err := e.check(a.Algorithm()); err != nil {
			return fmt.Errorf("%s: %w", e.Role, err)
		}
		if _, ok := entries[e.Role]; ok {
			return fmt.Errorf("%s: there are two of this role", e.Role)
		}
		entries[e.Role] = e
	}
	if _, ok := entries[RoleMerged]; !ok {
		return fmt.Errorf("%s: there is none in EROFS format V1 with sha256 or sha512 and blocks of %d bytes", RoleMerged, fsverity.BlockSize)
	}
	for _, r := range []Role{RoleManifest, RoleConfig} {
		if a.IsSigned() && entries[r].Signature == nil {
			return fmt.Errorf("%s: it has no signature, which it must have if any has", r)
		}
	}
	return nil
}

func (e ArtifactEntry) check(alg fsverity.Algorithm) error {
	switch {
	case !e.Role.valid():
		return errors.New("no such role")
	case e.Digest.IsZero():
		return errors.New("it has no digest")
	case e.Digest.Algorithm() != alg:
		return fmt.Errorf("it is in %s and others are in %s: an algorithm takes an artifact of its own", e.Digest.Algorithm(), alg)
	case e.Signature == nil:
		return nil
	}
	return checkSignatureSize(int64(len(e.Signature)))
}

func checkSignatureSize(size int64) error {
	switch {
	case size == 0:
		return fmt.Errorf("%w: a signature of no bytes", ErrSize)
	case size > MaxSignatureSize:
		return fmt.Errorf("%w: a signature of %d bytes, of at most %d", ErrTooLarge, size, MaxSignatureSize)
	}
	return nil
}

// Marshal returns the artifact's manifest and the blobs it needs, each once.
// The entries stand in the order of the roles. Equal artifacts have equal
// bytes. Of the subject, only media type, digest and size are written. The
// error is ErrEdit: an entry or the subject is not valid, a role is there
// twice, the algorithms differ, there is no merged digest, or there is a
// signature, but none of the manifest or the config.
func (a *Artifact) Marshal() (manifest []byte, blobs []Blob, err error) {
	if err := a.check(); err != nil {
		return nil, nil, fmt.Errorf("%w: artifact: %w", ErrEdit, err)
	}
	subject := DescriptorChange{Digest: a.Subject.Digest, Size: a.Subject.Size, MediaType: a.Subject.MediaType}
	if err := subject.check(); err != nil {
		return nil, nil, fmt.Errorf("artifact: subject: %w", err)
	}
	if err := (mapEdit{set: a.Annotations}).check(); err != nil {
		return nil, nil, err
	}
	empty := newBlob(types.OCIEmptyJSON, emptyContent)
	blobs = []Blob{empty}
	var layers []string
	for _, e := range a.sorted() {
		b := empty
		if e.Signature != nil {
			b = newBlob(SignatureType, e.Signature)
		}
		isSame := func(o Blob) bool { return o.Descriptor.Digest == b.Descriptor.Digest }
		if !slices.ContainsFunc(blobs, isSame) {
			blobs = append(blobs, b)
		}
		digest := KV{AnnotationKey(e.Role, a.Algorithm()), e.Digest.String()}
		layers = append(layers, newDescriptor(b.Descriptor, digest)(compact))
	}
	members := []addition{
		{"schemaVersion", verbatim("2")},
		{"mediaType", verbatim(encode(string(OCIManifest.MediaType())))},
		{"artifactType", verbatim(encode(ArtifactType))},
		{"config", newDescriptor(empty.Descriptor)},
		{"layers", verbatim("[" + strings.Join(layers, ",") + "]")},
		{"subject", newDescriptor(a.Subject)},
	}
	if len(a.Annotations) > 0 {
		members = append(members, addition{"annotations", newStrings(a.Annotations)})
	}
	manifest = []byte(newObject(members...)(compact))
	if len(manifest) > MaxManifestSize {
		return nil, nil, fmt.Errorf("%w: artifact: %w: %d bytes, of at most %d", ErrEdit, ErrTooLarge, len(manifest), MaxManifestSize)
	}
	return manifest, blobs, nil
}

// sorted returns the entries in the order of the roles.
func (a *Artifact) sorted() []ArtifactEntry {
	return slices.SortedFunc(slices.Values(a.Entries), func(e, f ArtifactEntry) int {
		return cmp.Compare(e.Role, f.Role)
	})
}

// emptyContent is the content of OCI's empty descriptor (OCI image spec,
// manifest.md, "Guidance for an Empty Descriptor").
var emptyContent = []byte("{}")

func newBlob(mediaType types.MediaType, content []byte) Blob {
	c := Describe(content)
	return Blob{v1.Descriptor{MediaType: mediaType, Digest: c.Digest, Size: c.Size}, content}
}

// newDescriptor is a descriptor with media type, digest and size of d, and with
// those annotations.
func newDescriptor(d v1.Descriptor, annotations ...KV) newValue {
	members := []addition{
		{"mediaType", verbatim(encode(string(d.MediaType)))},
		{"digest", verbatim(encode(d.Digest.String()))},
		{"size", verbatim(strconv.FormatInt(d.Size, 10))},
	}
	if len(annotations) > 0 {
		members = append(members, addition{"annotations", newStrings(annotations)})
	}
	return newObject(members...)
}
