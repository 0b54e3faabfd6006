// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	cbundle "github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/empty"
	"github.com/sigstore/cosign/v2/pkg/oci/mutate"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/cosign/v2/pkg/types"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature/payload"

	"github.com/cfs-label/cfs-label/sign"
)

// payload returns what a legacy signature signs of an image: always the same
// bytes.
func (o SignOptions) payload(im sign.Image) ([]byte, error) {
	return payload.Cosign{Image: im.Name, ClaimedIdentity: im.Identity, Annotations: anyValues(o.Annotations)}.MarshalJSON()
}

// signLegacy adds a layer to the image of signatures.
func (s *signer) signLegacy(ctx context.Context, im sign.Image, m material) (made sign.Made, err error) {
	defer recovered(&err, sign.ErrContent) // from what is under the tag
	made.Format = sign.Legacy
	text, err := s.o.payload(im)
	if err != nil {
		return made, err
	}
	tag, err := s.o.signatureTag(im.Name)
	if err != nil {
		return made, err
	}
	made.Place = tag.String()
	old, err := readLegacy(tag, s.o.atSignatures(ctx))
	if err != nil {
		return made, err
	}
	if m.cert == nil {
		w, err := newWanted(m.key, m.to, sign.Legacy)
		if err != nil {
			return made, err
		}
		if made.Present = old.has(w, text); made.Present {
			return made, nil
		}
	}
	raw, err := m.sign(ctx, text)
	if err != nil {
		return made, err
	}
	sig, index, err := s.complete(ctx, m, text, raw)
	if err != nil {
		return made, err
	}
	made.LogIndexes = index
	return made, s.publishLegacy(ctx, tag, sig)
}

// publishLegacy adds a signature to those under a tag. No registry can swap a tag
// atomically, and whoever writes it writes over what came after his last look. So
// the tag is read again right before its manifest is sent, and twice after, and
// what somebody else wrote in between is added to. A signature can still be lost
// without an error: to a writer who read the tag before it was written, and whose
// manifest arrives after the second look. Of two of us that is one whose one
// request takes longer than settleTime. What a registry failed to write, or to
// answer, is repeated too.
func (s *signer) publishLegacy(ctx context.Context, tag name.Tag, sig oci.Signature) error {
	return s.untilThere(ctx, func() (bool, func() error, error) {
		old, err := readLegacy(tag, s.o.atSignatures(ctx))
		if err != nil {
			return false, nil, err
		}
		there, err := old.holds(sig)
		return there, func() error { return s.putLegacy(ctx, tag, old, sig) }, err
	})
}

// putLegacy writes the tag once, with a signature more than it has. The manifest
// is the request after the one that finds the tag as it was.
func (s *signer) putLegacy(ctx context.Context, tag name.Tag, old *legacyImage, sig oci.Signature) error {
	opts := s.o.atSignatures(ctx)
	// These ask for a token once, and not between the last two requests.
	pusher, err := remote.NewPusher(opts...)
	if err != nil {
		return err
	}
	puller, err := remote.NewPuller(opts...)
	if err != nil {
		return err
	}
	for range maxWrites {
		image, err := old.with(tag, sig)
		if err != nil {
			return err
		}
		config, err := partial.ConfigLayer(image)
		if err != nil {
			return err
		}
		for _, blob := range []v1.Layer{sig, config} { // the others are there
			if err := pusher.Upload(ctx, tag.Context(), blob); err != nil {
				return err
			}
		}
		now, err := puller.Get(ctx, tag)
		switch {
		case err != nil && !isMissing(err):
			return err
		case err != nil && old == nil, err == nil && old != nil && now.Digest == old.digest:
			return pusher.Put(ctx, tag, image)
		}
		if old, err = readLegacy(tag, opts); err != nil {
			return err
		}
	}
	return errOverwritten
}

// with returns the image with a signature more.
func (l *legacyImage) with(tag name.Tag, sig oci.Signature) (oci.Signatures, error) {
	base := empty.Signatures()
	if l != nil {
		base = l
	}
	if l.count() >= maxSignatures {
		return nil, failed(sign.ErrContent, fmt.Errorf("%s has %d signatures, and none more can be read", tag, l.count()))
	}
	return mutate.AppendSignatures(base, false, sig)
}

// count returns how many layers there are, signatures or not.
func (l *legacyImage) count() int {
	if l == nil {
		return 0
	}
	return l.layers
}

// holds reports whether a signature is there, with all that belongs to it.
func (l *legacyImage) holds(sig oci.Signature) (bool, error) {
	if l == nil {
		return false, nil
	}
	want, err := sig.Annotations()
	if err != nil {
		return false, err
	}
	digest, err := sig.Digest()
	if err != nil {
		return false, err
	}
	for _, f := range l.sigs {
		have, err := f.sig.Annotations()
		if err != nil || !maps.Equal(have, want) {
			continue
		}
		if d, err := f.sig.Digest(); err == nil && d == digest {
			return true, nil
		}
	}
	return false, nil
}

// has reports whether one of the signatures is what is wanted.
func (l *legacyImage) has(w wanted, text []byte) bool {
	return l != nil && slices.ContainsFunc(l.sigs, func(f found) bool { return w.checkLegacy(f.sig, text) == nil })
}

// complete adds the certificate, the timestamp and the log entry to a signature.
func (s *signer) complete(ctx context.Context, m material, text, raw []byte) (sig oci.Signature, index []int64, err error) {
	// The library reads fields of Rekor's answer that may not be there.
	defer recovered(&err, sign.ErrService)
	var opts []static.Option
	proof := m.pem
	if m.cert != nil {
		proof, err = cryptoutils.MarshalCertificateToPEM(&x509.Certificate{Raw: m.cert.cert})
		if err != nil {
			return nil, nil, err
		}
		opts = append(opts, static.WithCertChain(proof, bytes.Join(m.cert.chain, nil)))
	}
	if all := m.to.timestamps(s.o.transport(ctx)); len(all) > 0 {
		stamp, err := all[0].GetTimestamp(ctx, raw) // there is room for one
		if err != nil {
			return nil, nil, failed(sign.ErrService, fmt.Errorf("get a timestamp: %w", err))
		}
		opts = append(opts, static.WithRFC3161Timestamp(cbundle.TimestampToRFC3161Timestamp(stamp)))
	}
	if m.to.legacyRekor != "" {
		b, err := s.enter(ctx, m.to.legacyRekor, text, raw, proof)
		if err != nil {
			return nil, nil, failed(sign.ErrService, fmt.Errorf("enter the signature in the log %s: %w", m.to.legacyRekor, err))
		}
		opts = append(opts, static.WithBundle(b))
		index = []int64{b.Payload.LogIndex}
	}
	sig, err = static.NewSignature(text, base64.StdEncoding.EncodeToString(raw), append(opts, static.WithLayerMediaType(types.SimpleSigningMediaType))...)
	return sig, index, err
}

// enter makes an entry in a transparency log.
func (s *signer) enter(ctx context.Context, address string, text, raw, proof []byte) (*cbundle.RekorBundle, error) {
	client, err := s.o.rekorV1(ctx, address)
	if err != nil {
		return nil, err
	}
	sum := cosign.NewCryptoNamedHash(crypto.SHA256)
	_, _ = sum.Write(text)
	entry, err := cosign.TLogUploadWithCustomHash(ctx, client, raw, sum, proof)
	if err != nil {
		return nil, err
	}
	b := cbundle.EntryToBundle(entry)
	if b == nil {
		return nil, errors.New("it does not promise to keep the entry")
	}
	return b, nil
}
