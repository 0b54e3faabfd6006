// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

var errNoReferrerEditor = errors.New("the registry has no referrers API, and there is no editor for the index that stands in for it: set Options.Layout")

// mergeFallback makes the index behind a fallback tag list d, and those in gone
// no more (distribution-spec, "Pushing Manifests with Subject"). Nobody can swap
// a tag atomically: after each write the tag is read, and what somebody else
// wrote in between is merged again.
func (r *registry) mergeFallback(ctx context.Context, tag string, d v1.Descriptor, gone []v1.Hash) error {
	select {
	case r.referrers.writing <- struct{}{}:
		defer func() { <-r.referrers.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for n := 0; ; n++ {
		index, entries, err := r.readFallback(ctx, tag)
		if err != nil || isMerged(entries, d, gone) {
			return err
		}
		edited, err := r.editFallback(index, d, gone)
		if err != nil {
			return err
		}
		lost := r.writeFallback(ctx, tag, edited)
		if lost != nil && !unclear(lost) {
			return lost
		}
		if _, entries, err = r.readFallback(ctx, tag); err != nil || isMerged(entries, d, gone) {
			return err
		}
		if lost == nil {
			lost = kinded(ErrTagMoved, errors.New("others keep writing this list of referrers at the same time: run again"))
		}
		if err := r.patience.after(ctx, n, lost); err != nil {
			return err
		}
	}
}

func isMerged(entries []v1.Descriptor, d v1.Descriptor, gone []v1.Hash) bool {
	return slices.ContainsFunc(entries, hasDigest(d.Digest)) &&
		!slices.ContainsFunc(entries, func(e v1.Descriptor) bool { return slices.Contains(gone, e.Digest) })
}

// writeFallback writes the index with one request: sent again, it could undo
// what somebody else wrote meanwhile.
func (r *registry) writeFallback(ctx context.Context, tag string, index []byte) error {
	h, err := hashOf("sha256", index)
	if err != nil {
		return err
	}
	_, err = r.putManifest(once(ctx), tag, v1.Descriptor{MediaType: types.OCIImageIndex, Size: int64(len(index)), Digest: h}, index)
	return err
}

// editFallback returns the index with the entry of d, and checks it: many may
// depend on this list.
func (r *registry) editFallback(index []byte, d v1.Descriptor, gone []v1.Hash) ([]byte, error) {
	if r.opts.Layout == nil {
		return nil, errNoReferrerEditor
	}
	entry := v1.Descriptor{
		MediaType: d.MediaType, Digest: d.Digest, Size: d.Size,
		ArtifactType: d.ArtifactType, Annotations: d.Annotations,
	}
	edited, err := r.opts.Layout.SetReferrer(bytes.Clone(index), entry, gone)
	if err != nil {
		return nil, err
	}
	if len(edited) > MaxManifest {
		return nil, fmt.Errorf("with one more entry, the list of referrers has more than the %d bytes that registries take", MaxManifest)
	}
	var list entryList
	if err := list.add(edited); err != nil {
		return nil, err
	}
	if !isMerged(list.entries, d, gone) {
		return nil, errors.New("the edited list of referrers is not what was asked for")
	}
	return edited, nil
}
