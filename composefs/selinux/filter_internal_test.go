// SPDX-License-Identifier: Apache-2.0

package selinux

import (
	"bytes"
	"testing"
)

// FuzzFilters: what is compared before an expression is tried never says
// something else than the expression.
func FuzzFilters(f *testing.F) {
	for _, pattern := range []string{
		`/a(/.*)?`, `/a\.b`, `/a/.*b.*`, `/a)\`, `/a)(?i`, `/a)(?s`, `/a)|(/b`, `/(?!x)a(?>b)c`, `/(a)\1\2`, `(?i)/a[^b]`, `/a\ez`, `/(a|b)+ab`, `/a{0}b`,
	} {
		for _, path := range []string{"/a", "/a/b", "/b", "/a)", "/a\nb", "/a\x00b", "/\xff"} {
			for _, kind := range []byte{0, byte(Directory), byte(Regular)} {
				f.Add(pattern, []byte(path), kind)
			}
		}
	}
	f.Fuzz(func(t *testing.T, pattern string, path []byte, kind byte) {
		if len(path) > 32 || kind != 0 && bytes.IndexByte([]byte("bcdpls-"), kind) < 0 {
			return
		}
		r, err := newRule(pattern, Kind(kind), "x")
		if err != nil {
			return
		}
		for _, of := range []Kind{Regular, Directory, Symlink} {
			k := newKey(nil, path, of)
			want, err := r.match(k)
			if err != nil {
				return // it takes too long
			}
			got, sure := r.may(path, of)
			if sure && got != want || !got && want || want && r.mask&^k.mask != 0 {
				t.Errorf("%q with %q on %q %c: filters say %t, sure %t, the expression %t", pattern, kind, path, of, got, sure, want)
			}
		}
	})
}
