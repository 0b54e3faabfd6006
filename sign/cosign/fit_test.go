// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// TestKeysThatDoNotFit: Check refuses a key whose signature a log of version 1
// would refuse, in a file and in a KMS, and names what would do. Rekor 1 takes
// nothing but SHA-256 for the entries that are made, and Ed25519 in envelopes
// only.
func TestKeysThatDoNotFit(t *testing.T) {
	const other, bundle = "--tlog-upload=false, or a P-256 key", "--signature-format bundle"
	legacy, bundles := both[:1], both[1:]
	install(t, "tests")
	for kind, hints := range map[string]map[string]string{
		"p256":    {"legacy": "", "bundle": "", "both": ""},
		"rsa":     {"legacy": "", "bundle": "", "both": ""},
		"p384":    {"legacy": other, "bundle": other, "both": other},
		"p521":    {"legacy": other, "bundle": other, "both": other},
		"ed25519": {"legacy": bundle, "bundle": "", "both": bundle},
	} {
		private := generate(t, kind)
		path, _ := keyInStore(t, private)
		for where, key := range map[string]string{"file": newKeys(t, private).private, "KMS": "tests://" + path} {
			for format, list := range map[string][]sign.Format{"legacy": legacy, "bundle": bundles, "both": both} {
				for _, logged := range []bool{true, false} {
					s, err := newSigner(cosign.SignOptions{
						Key: key, Password: givePassword, Formats: list, RekorURL: "https://rekor.invalid", NoTlog: !logged,
					})
					must(t, err)
					err = s.Check(t.Context())
					hint := hints[format]
					if !logged {
						hint = ""
					}
					e, refused := errors.AsType[*sign.Error](err)
					switch {
					case hint == "" && err != nil:
						t.Errorf("%s in a %s, %s: %v", kind, where, format, err)
					case hint != "" && (!refused || !errors.Is(err, sign.ErrOptions) || !strings.Contains(e.Hint, hint) || !strings.Contains(e.Hint, "--tlog-upload=false")):
						t.Errorf("%s in a %s, %s: got %v, want the hint %q", kind, where, format, err, hint)
					}
				}
			}
		}
	}
}

// TestNobodyWouldSayWhen: Check refuses an identity that is to sign with neither
// a log nor a timestamp authority: its certificate ends in minutes, and then
// nobody can tell that it signed before.
func TestNobodyWouldSayWhen(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(o *cosign.SignOptions)
		refused bool
	}{
		"neither":     {func(o *cosign.SignOptions) { o.NoTlog = true }, true},
		"a timestamp": {func(o *cosign.SignOptions) { o.NoTlog, o.TimestampURL = true, "https://tsa.invalid" }, false},
		"a log":       {func(*cosign.SignOptions) {}, false},
	} {
		o := cosign.SignOptions{IdentityToken: newToken(t, time.Now().Add(time.Hour)), Formats: both}
		tc.change(&o)
		s, err := cosign.NewSigner(o)
		must(t, err)
		err = s.Check(t.Context())
		if !tc.refused {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		e, ok := errors.AsType[*sign.Error](err)
		if !ok || !errors.Is(err, sign.ErrOptions) || !strings.Contains(e.Hint, "--timestamp-server-url") || !strings.Contains(e.Hint, "--tlog-upload") {
			t.Errorf("%s: got %v, want ErrOptions", name, err)
		}
	}
}
