// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// identityFlags are how cosign is asked for an identity.
func identityFlags(p *provider, root string) []string {
	return []string{
		"verify", "--certificate-identity", subject, "--certificate-oidc-issuer", p.URL, "--insecure-ignore-sct", "--trusted-root", root,
	}
}

// TestKeyless: an identity signs in each format, with an entry in the log, and
// both versions of cosign take it; what they sign so, we take.
func TestKeyless(t *testing.T) {
	p := newProvider(t)
	fulcio, rekor := startFulcio(t, p), startRekor(t)
	root, host := trustedRoot(t, fulcio, rekor), startGGCR(t, true)
	wanted := cosign.VerifyOptions{
		Registry: overHTTP(), Services: cosign.Services{TrustedRoot: root}, Identity: subject, Issuer: p.URL, IgnoreSCT: true, Offline: true,
	}
	for format, list := range formats {
		t.Run("ours/"+format, func(t *testing.T) {
			im := push(t, host)
			t.Setenv("SIGSTORE_ID_TOKEN", p.token(t))
			s, err := cosign.NewSigner(cosign.SignOptions{Registry: overHTTP(), FulcioURL: fulcio, RekorURL: rekor, Formats: list})
			must(t, err)
			must(t, s.Check(t.Context()))
			r, err := s.Sign(t.Context(), im)
			must(t, err)
			for _, m := range r.Made {
				if m.Identity != subject || len(m.LogIndexes) != 1 {
					t.Errorf("made %+v", m)
				}
			}
			for _, v := range versions {
				if _, err := v.run(t, nil, append(identityFlags(p, root), im.Name.String())...); err != nil {
					t.Error(err)
				}
				show(t, "by cfs-label, identity, "+format+", Fulcio and Rekor 1", v.String(), "verifies")
			}
			takes(t, wanted, im, len(list), p)
		})
	}
	for _, v := range versions {
		for _, bundle := range []bool{false, true} {
			t.Run(fmt.Sprint("theirs/", v, "/bundle=", bundle), func(t *testing.T) {
				im := push(t, host)
				args := []string{
					"sign", "--yes", "--fulcio-url", fulcio, "--rekor-url", rekor, "--identity-token", p.token(t), "--insecure-skip-verify",
					fmt.Sprintf("--new-bundle-format=%v", bundle),
				}
				if v.major == 3 {
					args = append(args, "--use-signing-config=false")
				}
				_, err := v.run(t, nil, append(args, im.Name.String())...)
				must(t, err)
				takes(t, wanted, im, 1, p)
				format := map[bool]string{true: "bundle", false: "legacy"}[bundle]
				show(t, fmt.Sprintf("by %s, identity, %s, Fulcio and Rekor 1", v, format), ours, "verifies")
			})
		}
	}
}

// takes checks that signatures hold, and who has signed and when.
func takes(t *testing.T, o cosign.VerifyOptions, im sign.Image, n int, p *provider) {
	t.Helper()
	v, err := cosign.NewVerifier(o)
	must(t, err)
	got, err := v.Verify(t.Context(), im)
	must(t, err)
	if len(got) != n {
		t.Fatalf("found %d signatures, want %d", len(got), n)
	}
	for _, s := range got {
		if s.Err != nil || s.Identity != subject || s.Issuer != p.URL || s.Time.IsZero() || len(s.LogIndexes) != 1 {
			t.Errorf("found %+v", s)
		}
	}
}

// TestAnotherLog: an entry of a log that is not trusted is none, neither of an
// identity nor of a key.
func TestAnotherLog(t *testing.T) {
	p := newProvider(t)
	fulcio, rekor, host, k := startFulcio(t, p), startRekor(t), startGGCR(t, true), newPair(t, versions[0])
	trusted, other := trustedRoot(t, fulcio, rekor), trustedRoot(t, fulcio, "")
	for name, o := range map[string]cosign.SignOptions{
		"identity": {IdentityToken: p.token(t), FulcioURL: fulcio},
		"key":      {Key: k.private, Password: givePassword},
	} {
		t.Run(name, func(t *testing.T) {
			im := push(t, host)
			o.Registry, o.RekorURL, o.Formats = overHTTP(), rekor, formats["both"]
			s, err := cosign.NewSigner(o)
			must(t, err)
			_, err = s.Sign(t.Context(), im)
			must(t, err)
			for root, kind := range map[string]error{trusted: nil, other: sign.ErrLog} {
				vo := cosign.VerifyOptions{Registry: overHTTP(), Services: cosign.Services{TrustedRoot: root}, IgnoreSCT: true, Offline: true}
				if vo.Key = k.public; name == "identity" {
					vo.Key, vo.Identity, vo.Issuer = "", subject, p.URL
				}
				v, err := cosign.NewVerifier(vo)
				must(t, err)
				got, err := v.Verify(t.Context(), im)
				if !errors.Is(err, kind) || len(got) != 2 {
					t.Errorf("found %d signatures: %v, want %v", len(got), err, kind)
				}
				for _, s := range got {
					if !errors.Is(s.Err, kind) {
						t.Errorf("%s: %v, want %v", s.Format, s.Err, kind)
					}
				}
			}
		})
	}
}
