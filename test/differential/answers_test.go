// SPDX-License-Identifier: Apache-2.0

package differential_test

import "testing"

// TestDifferenceIsSeen makes sure that the comparison would notice: another
// digest, an error on one side, an answer that is missing.
func TestDifferenceIsSeen(t *testing.T) {
	digests := func() map[combination]answer {
		all := make(map[combination]answer)
		for _, c := range combinations() {
			all[c] = answer{digest: c.String()}
		}
		return all
	}
	last := combinations()[len(combinations())-1]
	tests := map[string]struct {
		theirs, ours func(map[combination]answer)
		want         bool
	}{
		"equal":           {},
		"another digest":  {ours: func(m map[combination]answer) { m[last] = answer{digest: "other"} }, want: true},
		"only we fail":    {ours: func(m map[combination]answer) { m[last] = answer{err: "no"} }, want: true},
		"only they fail":  {theirs: func(m map[combination]answer) { m[last] = answer{err: "no"} }, want: true},
		"ours is missing": {ours: func(m map[combination]answer) { delete(m, last) }, want: true},
		"both fail, other words": {
			theirs: func(m map[combination]answer) { m[last] = answer{err: "a"} },
			ours:   func(m map[combination]answer) { m[last] = answer{err: "b"} },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			theirs, ours := digests(), digests()
			if test.theirs != nil {
				test.theirs(theirs)
			}
			if test.ours != nil {
				test.ours(ours)
			}
			if got := difference(theirs, ours); (got != nil) != test.want {
				t.Errorf("difference %v", got)
			}
		})
	}
}

// TestParseComputed reads the contract of compute -o json.
func TestParseComputed(t *testing.T) {
	const out = `{"reference": "oci:x:latest", "images": [{"platform": "linux/amd64", "manifest": "sha256:00",
		"digests": [{"role": "merged", "format": "v1", "algorithm": "sha512", "xattrs": "allowlist-only", "digest": "abcd"}]}]}`
	answers, err := parseComputed(out)
	if err != nil {
		t.Fatal(err)
	}
	if got := answers[combination{"v1", "sha512", "allowlist-only"}]; len(answers) != 1 || got.digest != "abcd" {
		t.Errorf("answers %v", answers)
	}
	for _, bad := range []string{"", "{}", `{"images": [{"digests": [{"role": "merged.bootable"}]}]}`} {
		if _, err := parseComputed(bad); err == nil {
			t.Errorf("%q gives no error", bad)
		}
	}
}
