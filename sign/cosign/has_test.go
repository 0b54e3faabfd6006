// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// TestHas: only the key's own signature of the same content, in each format that
// is asked for, and with an entry in a log if that is asked for, is the one that
// would be made.
func TestHas(t *testing.T) {
	k, other, a := newP256(t), newP256(t), newAuthority(t)
	for _, referrers := range []bool{true, false} {
		h := newHub(t, referrers)
		signed, moved, none := h.push(t, "a"), h.push(t, "a"), h.push(t, "a")
		signIt(t, h.keyed(k, both...), signed)
		h.move(t, signed, moved)
		half := h.push(t, "a")
		signIt(t, h.keyed(k, sign.Legacy), half)
		keyless := h.push(t, "a")
		signIt(t, h.keyless(t, a), keyless)
		with := func(do func(o *cosign.SignOptions)) cosign.SignOptions {
			o := h.keyed(k, both...)
			do(&o)
			return o
		}
		renamed := signed
		renamed.Identity = "example.com/another:name"
		for name, tc := range map[string]struct {
			o    cosign.SignOptions
			im   sign.Image
			want bool
		}{
			"both":               {h.keyed(k, both...), signed, true},
			"legacy":             {h.keyed(k), signed, true},
			"bundle":             {h.keyed(k, sign.Bundle), signed, true},
			"none":               {h.keyed(k, both...), none, false},
			"another's":          {h.keyed(other, both...), signed, false},
			"another image's":    {h.keyed(k, both...), moved, false},
			"one of two formats": {h.keyed(k, both...), half, false},
			"the one format":     {h.keyed(k), half, true},
			"another annotation": {with(func(o *cosign.SignOptions) { o.Annotations = map[string]string{"a": "b"} }), signed, false},
			"another identity":   {h.keyed(k), renamed, false},
			"not in a log": {with(func(o *cosign.SignOptions) {
				o.NoTlog, o.RekorURL, o.Formats = false, "https://rekor.invalid", both[:1]
			}), signed, false},
			"no bundle in a log": {with(func(o *cosign.SignOptions) {
				o.NoTlog, o.RekorURL, o.Formats = false, "https://rekor.invalid", both[1:]
			}), signed, false},
			"an identity": {h.keyless(t, a), keyless, false},
		} {
			t.Run(fmt.Sprint(name, referrers), func(t *testing.T) {
				s, err := newSigner(tc.o)
				must(t, err)
				got, err := s.Has(t.Context(), tc.im)
				must(t, err)
				if got != tc.want {
					t.Errorf("has is %v", got)
				}
			})
		}
	}
}

// TestHasFails: a registry that does not answer is no image without signatures.
func TestHasFails(t *testing.T) {
	h, k := newHub(t, true), newP256(t)
	im := h.push(t, "a")
	for _, f := range both {
		o := h.keyed(k, f)
		o.Remote = []remote.Option{remote.WithTransport(refuse{}), remote.WithRetryBackoff(remote.Backoff{Steps: 1})}
		s, err := newSigner(o)
		must(t, err)
		if has, err := s.Has(t.Context(), im); has || !errors.Is(err, errRefused) {
			t.Errorf("%s: %v, %v", f, has, err)
		}
	}
}
