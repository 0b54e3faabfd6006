// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
)

// TestOldElsewhere: an image that goes elsewhere as it is leaves what is said of
// it behind, and that is not the same as leaving it with another digest.
func TestOldElsewhere(t *testing.T) {
	s, other := newStore(t), newStore(t)
	s.push(t, "a:v1", plain)
	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
	s.push(t, "a:sha256-"+sealed.Digest.Hex+".sig", plain)
	for name, tc := range map[string]struct {
		o    cfslabel.LabelOptions
		want string
	}{
		"as it is": {cfslabel.LabelOptions{}, "1 signature or referrer of what was sealed stays where the image was: sha256-"},
		"changed":  {cfslabel.LabelOptions{LabelKeys: []string{"x"}}, "1 signature or referrer of what was sealed stays with the digest of before"},
	} {
		warnings := &talk{}
		tc.o.Warn = warnings.warn
		tc.o.To = target(t, other.host+"/b:v1")
		label(t, s.open(t, "a:v1"), tc.o)
		if len(warnings.said) != 1 || !strings.HasPrefix(warnings.said[0], tc.want) {
			t.Errorf("%s: warned of %q, want %q", name, warnings.said, tc.want)
		}
	}
	warnings := &talk{}
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Options: cfslabel.Options{Warn: warnings.warn}})
	if len(warnings.said) > 0 {
		t.Errorf("nothing changed nor went away, but warned was of %q", warnings.said)
	}
}

// TestOldMany: all that is said of an image counts; 12 are named, of at most 100
// for each image.
func TestOldMany(t *testing.T) {
	for n, tc := range map[int]struct{ named, more int }{
		12: {12, 0}, 13: {12, 1}, 100: {12, 88}, 103: {12, 89}, // 100 by name, and the others as one
	} {
		s := newStore(t)
		d := s.push(t, "a:v1", plain)
		s.listReferrers(d.Digest, "application/x.sbom", n)
		warnings := &talk{}
		label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{DryRun: true, Options: cfslabel.Options{Warn: warnings.warn}})
		warnings.want(t, fmt.Sprintf("%d signatures and referrers of what was sealed", n))
		said := strings.Join(warnings.said, "\n")
		if got := strings.Count(said, "(application/x.sbom)"); got != tc.named {
			t.Errorf("%d: %d are named: %s", n, got, said)
		}
		if more := fmt.Sprintf("and %d more;", tc.more); strings.Contains(said, more) != (tc.more > 0) {
			t.Errorf("%d: not %q: %s", n, more, said)
		}
	}
}

// TestOldLookupFails: a registry that does not say what there is keeps nobody
// from sealing: that is told, and it is not asked again for each image.
func TestOldLookupFails(t *testing.T) {
	const images, atOnce = 40, 8
	s := newStore(t)
	var entries []string
	for i := range images {
		h := plain
		h.config = strings.Replace(plain.config, "{", fmt.Sprintf(`{"x":%d,`, i), 1)
		entries = append(entries, listing(s.push(t, "a:one", h), ""))
	}
	s.putText(t, "a:v1", types.OCIImageIndex, indexOf(entries...))
	s.intercept = func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, ".sig") {
			return false
		}
		http.Error(w, "", http.StatusForbidden)
		return true
	}
	warnings := &talk{}
	sealed := label(t, s.openOnce(t, "a:v1"), cfslabel.LabelOptions{Options: cfslabel.Options{Warn: warnings.warn}})
	s.wantTag(t, "a:v1", sealed.Digest)
	if len(warnings.said) != 1 || !strings.HasPrefix(warnings.said[0], "cannot tell what signatures the image had: ") {
		t.Errorf("warned of %q", warnings.said)
	}
	if n := s.count(http.MethodGet, ".sig"); n == 0 || n > atOnce {
		t.Errorf("it was asked %d times", n)
	}
}
