// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/signature"
	"github.com/sigstore/cosign/v2/pkg/types"
	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"

	"github.com/cfs-label/cfs-label/sign"
)

// Limits of what is read from a registry.
const (
	// maxSignatures is how many signatures of one format an image may have, as
	// for cosign.
	maxSignatures = 1000
	// maxPayload is the size of the largest simple signing payload, in bytes.
	// Without annotations it has 250.
	maxPayload = 1 << 20
	// maxPayloads and maxBundles are how much of them is read for one image, in
	// bytes.
	maxPayloads, maxBundles = 32 << 20, 256 << 20
	// maxConfig is the size of the largest config of an image of signatures, in
	// bytes. It lists the payloads, and nobody reads it.
	maxConfig = 1 << 20
	// maxBundle is the size of the largest bundle, in bytes. Other statements
	// than signatures are bundles too, and larger.
	maxBundle = 8 << 20
	// maxManifest is the size of the largest manifest, in bytes: the least that
	// registries have to take (OCI distribution-spec, "Pushing Manifests").
	maxManifest = 4 << 20
	// bundleType is how the media types of bundles begin.
	bundleType = "application/vnd.dev.sigstore.bundle"
	// predicateAnnotation is what a bundle is about (cosign, specs/BUNDLE_SPEC.md).
	predicateAnnotation = "dev.sigstore.bundle.predicateType"
	// emptyType is what some registries without referrers have for the type of a
	// bundle: the media type of its config.
	emptyType = "application/vnd.oci.empty.v1+json"
)

// legacyImage is an image of signatures.
type legacyImage struct {
	v1.Image
	digest v1.Hash
	layers int     // all, the signatures among them
	sigs   []found // those that could be read
	bad    []found // and those that could not
}

// found is a legacy signature.
type found struct {
	sig   oci.Signature // nil: it could not be read
	place string
	err   error // why it could not be read
}

// Get returns the signatures.
func (l *legacyImage) Get() ([]oci.Signature, error) {
	out := make([]oci.Signature, 0, len(l.sigs))
	for _, s := range l.sigs {
		out = append(out, s.sig)
	}
	return out, nil
}

// readLegacy returns the image of signatures under a tag, for whoever adds to
// them; nil if there is none. What is damaged is nobody's signature; what may be
// one, and was not read, is an error.
func readLegacy(tag name.Tag, opts []remote.Option) (*legacyImage, error) {
	l, err := readSignatures(tag, opts)
	if err != nil || l == nil {
		return nil, err
	}
	for _, f := range l.bad {
		if !errors.Is(f.err, sign.ErrContent) || errors.Is(f.err, errTogether) {
			return nil, fmt.Errorf("%s: %s: %w", tag, f.place, f.err)
		}
	}
	return l, nil
}

// readSignatures returns the image of signatures under a tag, with those that
// could not be read; nil if there is none.
func readSignatures(tag name.Tag, opts []remote.Option) (*legacyImage, error) {
	d, err := getLegacy(tag, opts)
	if isMissing(err) {
		return nil, nil //nolint:nilnil // an image need not be signed
	}
	if err != nil {
		return nil, err
	}
	if !d.MediaType.IsImage() {
		return nil, hinted(sign.ErrContent, fmt.Errorf("%s is a %q, and no image of signatures", tag, d.MediaType),
			"remove the tag, or set COSIGN_REPOSITORY")
	}
	m, err := v1.ParseManifest(bytes.NewReader(d.Manifest))
	if err != nil {
		return nil, failed(sign.ErrContent, fmt.Errorf("%s: %w", tag, err))
	}
	if len(m.Layers) > maxSignatures {
		return nil, failed(sign.ErrContent, fmt.Errorf("%s has %d signatures; at most %d are read", tag, len(m.Layers), maxSignatures))
	}
	if m.Config.Size > maxConfig {
		return nil, failed(sign.ErrContent, fmt.Errorf("%s has a config of %d bytes; at most %d are read", tag, m.Config.Size, maxConfig))
	}
	image, err := d.Image()
	if err != nil {
		return nil, err
	}
	l := &legacyImage{Image: image, digest: d.Digest, layers: len(m.Layers)}
	left := budget(maxPayloads - len(d.Manifest))
	for _, desc := range m.Layers {
		if desc.MediaType != types.SimpleSigningMediaType {
			continue // cosign takes the tag for itself, and others may not know
		}
		f := readSignature(tag.Context().Digest(desc.Digest.String()), desc, &left, opts)
		switch {
		case errors.Is(f.err, context.Canceled), errors.Is(f.err, context.DeadlineExceeded):
			return nil, f.err
		case f.err != nil:
			l.bad = append(l.bad, f)
		default:
			l.sigs = append(l.sigs, f)
		}
	}
	return l, nil
}

// getLegacy returns what is under the tag of signatures, if it is not too large
// to be read. Only the registry says how large it is, when asked first.
func getLegacy(tag name.Tag, opts []remote.Option) (*remote.Descriptor, error) {
	tooLarge := func(size int64) error {
		return failed(sign.ErrContent, fmt.Errorf("%s has a manifest of %d bytes; at most %d are read", tag, size, maxManifest))
	}
	head, err := remote.Head(tag, opts...)
	if err == nil && head.Size > maxManifest {
		return nil, tooLarge(head.Size)
	}
	if _, broken := errors.AsType[*url.Error](err); broken || isMissing(err) {
		return nil, err
	}
	// Why a HEAD fails, no registry says: it has no body.
	d, err := remote.Get(tag, opts...)
	if err == nil && len(d.Manifest) > maxManifest {
		return nil, tooLarge(int64(len(d.Manifest)))
	}
	return d, err
}

// readSignature returns the signature of a layer, or why it cannot be read.
func readSignature(where name.Digest, desc v1.Descriptor, left *budget, opts []remote.Option) found {
	f := found{place: where.String()}
	var payload []byte
	if desc.Size <= maxPayload { // a larger one is not read
		f.err = left.take(desc.Size)
	}
	if f.err == nil {
		payload, f.err = readBlob(where, desc, maxPayload, opts)
	}
	if f.err == nil {
		f.sig = signature.New(static.NewLayer(payload, desc.MediaType), desc)
	}
	return f
}

// budget is how many bytes may be read yet.
type budget int64

// errTogether is what may be good, but is too much.
var errTogether = errors.New("the signatures are larger together than is read")

// take fails for more than there is. Sizes below zero are an error elsewhere.
func (b *budget) take(size int64) error {
	if size > int64(*b) {
		return failed(sign.ErrContent, errTogether)
	}
	*b -= budget(max(0, size))
	return nil
}

// readBlob returns a blob of at most limit bytes. It has the descriptor's digest
// and size. That the registry does not have what is listed is a fault of the list.
func readBlob(where name.Digest, desc v1.Descriptor, limit int64, opts []remote.Option) ([]byte, error) {
	if desc.Size < 0 || desc.Size > limit {
		return nil, failed(sign.ErrContent, fmt.Errorf("it has %d bytes; at most %d are read", desc.Size, limit))
	}
	layer, err := remote.Layer(where, opts...)
	if err != nil {
		return nil, err
	}
	r, err := layer.Compressed() // as it is stored
	if isMissing(err) {
		// Not the registry's error: that would say that there is no such image.
		return nil, failed(sign.ErrContent, errors.New("it is listed, and its content is not in the registry"))
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, desc.Size+1))
	if err != nil {
		if h, _, herr := v1.SHA256(bytes.NewReader(raw)); herr == nil && int64(len(raw)) == desc.Size && h != desc.Digest {
			return nil, failed(sign.ErrContent, err) // it came whole
		}
		return nil, err
	}
	// The library checks the digest at the end, which a longer blob does not
	// reach.
	if int64(len(raw)) != desc.Size {
		return nil, failed(sign.ErrContent, fmt.Errorf("it does not have %d bytes, as is said where it is listed", desc.Size))
	}
	return raw, nil
}

// isMissing reports whether a registry does not have what it was asked for.
func isMissing(err error) bool {
	answer, ok := errors.AsType[*transport.Error](err)
	return ok && answer.StatusCode == http.StatusNotFound
}

// readBundles calls do with each bundle that refers to an image, and where it
// is. A bundle that cannot be read is handed over as an error. The library reads
// only the first page of a registry's list.
func (r Registry) readBundles(ctx context.Context, d name.Digest, do func(place string, b *sgbundle.Bundle, err error) error) error {
	opts := r.at(ctx)
	index, err := remote.Referrers(d, opts...)
	if err != nil {
		return err
	}
	list, err := index.IndexManifest()
	if err != nil {
		return err
	}
	n, left := 0, budget(maxBundles)
	for _, desc := range list.Manifests {
		if !mayBeBundle(desc) {
			continue
		}
		if n++; n > maxSignatures {
			return failed(sign.ErrContent, fmt.Errorf("more than %d bundles refer to the image", maxSignatures))
		}
		where := d.Context().Digest(desc.Digest.String())
		b, err := readBundle(where, desc, &left, opts)
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && b == nil || isMissing(err) { // it may be gone since it was listed
			continue
		}
		if err := do(where.String(), b, err); err != nil {
			return err
		}
	}
	return nil
}

// mayBeBundle reports whether a referrer may be a bundle of a signature. Those
// that say that they are about something else, as an SBOM is, are not read.
func mayBeBundle(d v1.Descriptor) bool {
	if about := d.Annotations[predicateAnnotation]; about != "" && about != types.CosignSignPredicateType {
		return false
	}
	return strings.HasPrefix(d.ArtifactType, bundleType) || d.ArtifactType == "" || d.ArtifactType == emptyType
}

// readBundle returns a bundle; nil if the manifest is about something else.
func readBundle(where name.Digest, desc v1.Descriptor, left *budget, opts []remote.Option) (*sgbundle.Bundle, error) {
	if desc.Size > maxManifest {
		return nil, failed(sign.ErrContent, fmt.Errorf("it has a manifest of %d bytes; at most %d are read", desc.Size, maxManifest))
	}
	if err := left.take(desc.Size); err != nil {
		return nil, err
	}
	d, err := remote.Get(where, opts...)
	if err != nil {
		return nil, err
	}
	if int64(len(d.Manifest)) != desc.Size {
		return nil, failed(sign.ErrContent, fmt.Errorf("its manifest has %d bytes, and not %d, as is said where it is listed", len(d.Manifest), desc.Size))
	}
	m, err := v1.ParseManifest(bytes.NewReader(d.Manifest))
	if err != nil {
		return nil, failed(sign.ErrContent, fmt.Errorf("its manifest: %w", err))
	}
	if len(m.Layers) != 1 || !strings.HasPrefix(string(m.Layers[0].MediaType), bundleType) {
		if strings.HasPrefix(desc.ArtifactType, bundleType) {
			return nil, failed(sign.ErrContent, errors.New("it is listed as a bundle and has none"))
		}
		return nil, nil //nolint:nilnil // other artifacts may refer to the image
	}
	layer := m.Layers[0]
	if layer.Size <= maxBundle {
		if err := left.take(layer.Size); err != nil {
			return nil, err
		}
	}
	raw, err := readBlob(where.Context().Digest(layer.Digest.String()), layer, maxBundle, opts)
	if err != nil {
		return nil, err
	}
	return parseBundle("it", raw)
}

// parseBundle reads a bundle.
func parseBundle(place string, raw []byte) (b *sgbundle.Bundle, err error) {
	defer recovered(&err, sign.ErrContent)
	b = &sgbundle.Bundle{}
	if err := b.UnmarshalJSON(raw); err != nil {
		return nil, failed(sign.ErrContent, fmt.Errorf("%s is no bundle: %w", place, err))
	}
	return b, nil
}
