// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/cfs-label/cfs-label/sign"
)

// maxTold is how many signatures that do not hold are named in an error.
const maxTold = 5

// verifier verifies as the options say.
type verifier struct {
	o VerifyOptions

	mu    sync.Mutex // for what is read once
	ready bool
	key   *publicKey // nil: an identity must have signed
	trust root.TrustedMaterial
}

var _ sign.Verifier = (*verifier)(nil)

// NewVerifier returns a verifier. Options that contradict one another, or ask
// for nothing, are an error of kind [sign.ErrOptions].
func NewVerifier(o VerifyOptions) (sign.Verifier, error) {
	err := o.check()
	for _, pattern := range []string{o.IdentityRegexp, o.IssuerRegexp} {
		if _, perr := regexp.Compile(pattern); perr != nil && err == nil {
			err = perr
		}
	}
	if err != nil {
		return nil, fail("", "read the options", failed(sign.ErrOptions, err))
	}
	return &verifier{o: o}, nil
}

// prepare reads the key and the certificates of the services.
func (v *verifier) prepare(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ready {
		return nil
	}
	var err error
	if v.o.Key != "" {
		if v.key, err = loadPublic(ctx, v.o.Key); err != nil {
			return err
		}
	}
	v.trust = &root.BaseTrustedMaterial{}
	if v.o.needsTrust() {
		if v.trust, err = v.o.trustedRoot(ctx); err != nil {
			return err
		}
	}
	v.ready = true
	return nil
}

// Verify looks for signatures of both formats.
func (v *verifier) Verify(ctx context.Context, im sign.Image) ([]sign.Signature, error) {
	const op = "verify the signatures"
	where := im.Name.String()
	h, err := hashOf(im.Name)
	if err != nil {
		return nil, fail(where, op, failed(sign.ErrOptions, err))
	}
	if err := v.prepare(ctx); err != nil {
		return nil, fail(where, "get ready to verify", err)
	}
	all := v.legacy(ctx, im, h)
	all = append(all, v.bundles(ctx, im, h)...)
	if err := ctx.Err(); err != nil {
		return nil, fail(where, op, err)
	}
	return all, fail(where, op, verdict(all))
}

// verdict is nil if one of the signatures holds.
func verdict(all []sign.Signature) error {
	var errs []error
	for _, s := range all {
		if s.Err == nil {
			return nil
		}
		switch {
		case s.Place == "":
			errs = append(errs, fmt.Errorf("signatures of format %s: %w", s.Format, s.Err))
		case strings.Contains(s.Err.Error(), s.Place):
			errs = append(errs, s.Err)
		default:
			errs = append(errs, fmt.Errorf("%s: %w", s.Place, s.Err))
		}
	}
	if len(errs) == 0 {
		return hinted(sign.ErrNoSignature, errors.New("there is no signature"),
			"sign it, or if the signatures are elsewhere, set COSIGN_REPOSITORY")
	}
	if more := len(errs) - maxTold; more > 0 {
		errs = append(errs[:maxTold], fmt.Errorf("and %d more", more))
	}
	return fmt.Errorf("no signature holds: %w", joined(errs))
}

// joined is errors in one line.
type joined []error

func (j joined) Error() string {
	texts := make([]string, 0, len(j))
	for _, err := range j {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

func (j joined) Unwrap() []error { return j }

// legacy verifies the signatures below the tag.
func (v *verifier) legacy(ctx context.Context, im sign.Image, h v1.Hash) []sign.Signature {
	tag, err := v.o.signatureTag(im.Name)
	if err != nil {
		return []sign.Signature{{Format: sign.Legacy, Err: err}}
	}
	image, err := readSignatures(tag, v.o.atSignatures(ctx))
	if err != nil {
		return []sign.Signature{{Format: sign.Legacy, Place: tag.String(), Err: unread("they could not be read", err)}}
	}
	if image == nil {
		return nil
	}
	out := make([]sign.Signature, 0, len(image.sigs)+len(image.bad))
	for _, f := range image.sigs {
		s := sign.Signature{Format: sign.Legacy, Place: f.place}
		s.Err = v.judgeLegacy(ctx, f.sig, h, &s)
		out = append(out, s)
	}
	for _, f := range image.bad {
		out = append(out, sign.Signature{Format: sign.Legacy, Place: f.place, Err: unread("it could not be read", f.err)})
	}
	return out
}

// unread says of a registry's error that it is none of the signature. Other
// errors it leaves alone.
func unread(text string, err error) error {
	if _, ok := errors.AsType[*cause](err); ok || err == nil {
		return err
	}
	return fmt.Errorf("%s: %w", text, err)
}

// bundles verifies the bundles that refer to the image.
func (v *verifier) bundles(ctx context.Context, im sign.Image, h v1.Hash) []sign.Signature {
	var out []sign.Signature
	err := v.o.readBundles(ctx, im.Name, func(place string, b *sgbundle.Bundle, err error) error {
		s := sign.Signature{Format: sign.Bundle, Place: place, Err: unread("it could not be read", err)}
		if err == nil {
			var isSignature bool
			if isSignature, s.Err = v.judgeBundle(ctx, b, h, &s); !isSignature {
				return nil
			}
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		out = append(out, sign.Signature{Format: sign.Bundle, Err: unread("they could not be listed", err)})
	}
	return out
}

// checks returns what cosign is to check.
func (v *verifier) checks() *cosign.CheckOpts {
	co := &cosign.CheckOpts{
		IgnoreTlog: v.o.IgnoreTlog, IgnoreSCT: v.o.IgnoreSCT, Offline: true,
		Annotations: anyValues(v.o.Annotations), ClaimVerifier: cosign.SimpleClaimVerifier, TrustedMaterial: v.trust,
	}
	if v.key != nil {
		co.SigVerifier = v.key
		return co
	}
	co.Identities = []cosign.Identity{{
		Issuer: v.o.Issuer, Subject: v.o.Identity, IssuerRegExp: v.o.IssuerRegexp, SubjectRegExp: v.o.IdentityRegexp,
	}}
	return co
}
