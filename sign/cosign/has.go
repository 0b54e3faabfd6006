// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/sign"
)

// Has looks for the key's own signatures, and for what belongs to them; see
// [wanted].
func (s *signer) Has(ctx context.Context, im sign.Image) (bool, error) {
	const op = "look for signatures"
	where := im.Name.String()
	h, err := hashOf(im.Name)
	if err != nil {
		return false, fail(where, op, failed(sign.ErrOptions, err))
	}
	k, to, err := s.prepare(ctx)
	if err != nil || k == nil {
		return false, fail(where, "get ready to sign", err, s.o.secrets()...)
	}
	for _, f := range s.o.Formats {
		has, err := s.hasFormat(ctx, im, h, f, k, to)
		if err != nil || !has {
			return false, fail(where, op+" ("+string(f)+")", err)
		}
	}
	return true, nil
}

// hasFormat reports whether the key's signature is there in one format.
func (s *signer) hasFormat(ctx context.Context, im sign.Image, h v1.Hash, f sign.Format, k *key, to endpoints) (has bool, err error) {
	defer recovered(&err, sign.ErrContent) // from what is in the registry
	w, err := newWanted(k, to, f)
	if err != nil {
		return false, err
	}
	if f == sign.Bundle {
		text, err := newStatement(h, s.o.Annotations)
		if err != nil {
			return false, err
		}
		return s.hasBundle(ctx, im.Name, w, text)
	}
	text, err := s.o.payload(im)
	if err != nil {
		return false, err
	}
	tag, err := s.o.signatureTag(im.Name)
	if err != nil {
		return false, err
	}
	image, err := readLegacy(tag, s.o.atSignatures(ctx))
	if err != nil {
		return false, err
	}
	return image.has(w, text), nil
}
