// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/cfs-label/cfs-label/sign"
)

// signer signs as the options say.
type signer struct {
	o    SignOptions
	load func(ctx context.Context, o SignOptions) (*key, error) // loadPrivate
	// pause waits before attempt n+1 to write; with 0, before the second look at
	// what was written.
	pause func(ctx context.Context, n int) error
	// timeless lets an identity sign though nobody says when: for tests.
	timeless bool

	mu    sync.Mutex // for what Check finds out
	ready bool
	key   *key // nil: an identity signs
	to    endpoints
}

var _ sign.Signer = (*signer)(nil)

// NewSigner returns a signer. Options that contradict one another are an error
// of kind [sign.ErrOptions].
func NewSigner(o SignOptions) (sign.Signer, error) {
	if err := o.check(); err != nil {
		return nil, fail("", "read the options", failed(sign.ErrOptions, err))
	}
	if len(o.Formats) == 0 {
		o.Formats = []sign.Format{sign.Legacy}
	}
	return &signer{o: o, load: loadPrivate, pause: pauseWrites}, nil
}

// Check reads the key, or asks for a token. That one is not used: it may be too
// old when there is something to sign.
func (s *signer) Check(ctx context.Context) error {
	_, _, err := s.prepare(ctx)
	return fail("", "get ready to sign", err, s.o.secrets()...)
}

// prepare returns the key, if there is one, and the services.
func (s *signer) prepare(ctx context.Context) (*key, endpoints, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready {
		return s.key, s.to, nil
	}
	to, err := findEndpoints(s.o)
	if err == nil {
		err = s.checkServices(to)
	}
	if err == nil && s.o.Key != "" && s.o.TrustedRoot != "" {
		to.trust, err = s.o.trustedRoot(ctx) // a file
	}
	if err != nil {
		return nil, to, err
	}
	var k *key
	if s.o.Key == "" {
		_, err = tokenOf(ctx, s.o)
	} else if k, err = s.load(ctx, s.o); err == nil {
		err = s.checkKey(k, to)
	}
	if err != nil {
		return nil, to, err
	}
	s.key, s.to, s.ready = k, to, true
	return k, to, nil
}

// checkServices fails where a format or an identity lacks a service that it
// needs.
func (s *signer) checkServices(to endpoints) error {
	keyless, v2 := s.o.Key == "", slices.ContainsFunc(to.rekor, func(r root.Service) bool { return r.MajorAPIVersion > 1 })
	v1 := slices.ContainsFunc(to.rekor, func(r root.Service) bool { return r.MajorAPIVersion == 1 })
	switch {
	case slices.Contains(s.o.Formats, sign.Legacy) && len(to.rekor) > 0 && to.legacyRekor == "":
		return hinted(sign.ErrOptions, fmt.Errorf("%s has no Rekor of version 1, without which a legacy signature cannot be in a log", s.o.SigningConfig),
			"sign with --signature-format bundle or --tlog-upload=false")
	case keyless && to.fulcio == "":
		return hinted(sign.ErrOptions, fmt.Errorf("%s names no Fulcio, which an identity needs", s.o.SigningConfig), "name a key")
	case keyless && len(to.rekor) == 0 && len(to.tsa) == 0 && !s.timeless:
		return hinted(sign.ErrOptions, errors.New("an identity signs with neither a log nor a timestamp authority: nobody would say when, and the certificate ends in minutes"),
			"sign with --timestamp-server-url, or with --tlog-upload")
	case keyless && v2 && !v1 && len(to.tsa) == 0:
		return failed(sign.ErrOptions, fmt.Errorf("%s has a Rekor of version 2 and no timestamp authority: nobody would say when the certificate signed", s.o.SigningConfig))
	}
	return nil
}

// checkKey fails for a key that a format or a log does not take.
func (s *signer) checkKey(k *key, to endpoints) error {
	p, err := newKeypair(k)
	if err != nil {
		return failed(sign.ErrKeyFile, err)
	}
	logs := func(wanted func(version uint32) bool) bool {
		return slices.Contains(s.o.Formats, sign.Bundle) && slices.ContainsFunc(to.rekor, func(r root.Service) bool { return wanted(r.MajorAPIVersion) })
	}
	legacy, hash := slices.Contains(s.o.Formats, sign.Legacy) && to.legacyRekor != "", p.kind.GetHashType()
	switch {
	// Rekor 1 verifies the signatures of entries of both kinds with SHA-256.
	case hash != 0 && hash != crypto.SHA256 && (legacy || logs(func(v uint32) bool { return v == 1 })):
		return hinted(sign.ErrOptions, fmt.Errorf("a log of version 1 takes no key that signs with %s, as P-384 and P-521 do", hash),
			"sign with --tlog-upload=false, or a P-256 key")
	// An entry of a legacy signature is of a digest.
	case hash == 0 && legacy:
		return hinted(sign.ErrOptions, errors.New("a key that signs no digest, as Ed25519 does, cannot have a legacy signature in a log"),
			"sign with --tlog-upload=false, a P-256 key, or --signature-format bundle")
	case hash == 0 && logs(func(v uint32) bool { return v > 1 }):
		return hinted(sign.ErrOptions, errNoDigest, "take another key, a log of version 1, or --tlog-upload=false")
	}
	return nil
}

// material is what signs one image.
type material struct {
	*keypair
	cert *certified // nil where a key signs
	to   endpoints
}

// Sign signs in each format.
func (s *signer) Sign(ctx context.Context, im sign.Image) (r sign.Result, err error) {
	const op = "sign"
	where := im.Name.String()
	h, err := hashOf(im.Name)
	if err != nil {
		return r, fail(where, op, failed(sign.ErrOptions, err))
	}
	k, to, err := s.prepare(ctx)
	if err != nil {
		return r, fail(where, "get ready to sign", err, s.o.secrets()...)
	}
	m := material{to: to}
	secrets := s.o.secrets()
	if k != nil {
		m.keypair, err = newKeypair(k)
	} else if m.cert, err = certify(ctx, s.o, to); m.cert != nil {
		m.keypair = m.cert.keypair
		secrets = append(secrets, m.cert.token)
	}
	if err != nil {
		return r, fail(where, op, err, secrets...)
	}
	for _, f := range s.o.Formats {
		var made sign.Made
		if f == sign.Bundle {
			made, err = s.signBundle(ctx, im, h, m)
		} else {
			made, err = s.signLegacy(ctx, im, m)
		}
		if err != nil {
			return r, fail(where, op+" ("+string(f)+")", err, secrets...)
		}
		if m.cert != nil {
			made.Identity = m.cert.identity()
		}
		r.Made = append(r.Made, made)
	}
	return r, nil
}
