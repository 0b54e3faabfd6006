// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"strings"
	"testing"

	cfslabel "github.com/cfs-label/cfs-label"
)

// TestNamelessInLayout: in a layout, an image that nothing names may be removed;
// that is told where it was read by its digest, and not where a tag names it.
func TestNamelessInLayout(t *testing.T) {
	for name, tc := range map[string]struct {
		tags []string
		told bool
	}{
		"no tag": {nil, true},
		"a tag":  {[]string{"sealed"}, false},
	} {
		dir := copyLayout(t, "minimal")
		d, _, err := openLayout(t, "oci:"+dir).Resolve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		warnings := &talk{}
		label(t, openLayout(t, "oci:"+dir+"@"+d.Digest.String()), cfslabel.LabelOptions{Tags: tc.tags, Options: cfslabel.Options{Warn: warnings.warn}})
		if told := strings.Contains(strings.Join(warnings.said, "\n"), "nothing will name the sealed image"); told != tc.told {
			t.Errorf("%s: warned of %q", name, warnings.said)
		}
	}
}

// TestTagless: the only image of a layout is sealed in its place; there is no tag
// to tell of.
func TestTagless(t *testing.T) {
	dir := copyLayout(t, "minimal")
	sealed := label(t, openLayout(t, "oci:"+dir), cfslabel.LabelOptions{})
	if !sealed.Changed || len(sealed.Tags) > 0 {
		t.Errorf("got %+v", sealed)
	}
	if d, _, err := openLayout(t, "oci:"+dir).Resolve(t.Context()); err != nil || d.Digest != sealed.Digest {
		t.Errorf("there is %s, want %s (%v)", d.Digest, sealed.Digest, err)
	}
}
