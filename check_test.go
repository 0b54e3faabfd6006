// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
)

// TestCheck: what is missing, wrong or unknown is named, and nothing is written.
func TestCheck(t *testing.T) {
	wrong := plain
	wrong.config = strings.Replace(plain.config, `{`, `{"config":{"Labels":{"containers.composefs.fsverity":"00"}},`, 1)
	inherited := plain
	inherited.manifest = strings.Replace(plain.manifest, `{`, `{"annotations":{"composefs.merged.erofs.v1.fsverity-sha256-12":"00"},`, 1)
	for name, tc := range map[string]struct {
		image    handmade
		o        cfslabel.LabelOptions
		findings []string
	}{
		"missing": {plain, cfslabel.LabelOptions{}, []string{
			`config.Labels["containers.composefs.fsverity"] is missing; it should be ` + minimal,
			`config.annotations["composefs.config.fsverity-sha512-12"] is missing`,
			`annotations["composefs.merged.erofs.v1.fsverity-sha512-12"] is missing; it should be ` + minimal,
		}},
		"wrong": {wrong, cfslabel.LabelOptions{Write: []cfslabel.Place{cfslabel.InLabel}}, []string{
			`config.Labels["containers.composefs.fsverity"] is 00; it should be ` + minimal,
		}},
		"inherited": {inherited, cfslabel.LabelOptions{Write: []cfslabel.Place{cfslabel.InLabel}}, []string{
			`config.Labels["containers.composefs.fsverity"] is missing`,
			`annotations["composefs.merged.erofs.v1.fsverity-sha256-12"] was not computed by this run, and may be of another image: 00 (to have it computed, add --algorithm sha256)`,
		}},
		"no artifact": {plain, cfslabel.LabelOptions{Write: beside}, []string{"there is no artifact"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			before := s.push(t, "a:v1", tc.image)
			check := tc.o
			check.Check = true
			_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), check)
			m, ok := errors.AsType[*cfslabel.MismatchError](err)
			if !ok || !errors.Is(err, cfslabel.ErrMismatch) || len(m.Findings) != len(tc.findings) {
				t.Fatalf("got %v", err)
			}
			for i, want := range tc.findings {
				if !strings.HasPrefix(m.Findings[i], want) {
					t.Errorf("finding %d is %q, want %q", i, m.Findings[i], want)
				}
			}
			if n := s.count(http.MethodPut, "") + s.count(http.MethodPost, ""); n != 0 {
				t.Errorf("it wrote %d times", n)
			}
			s.wantTag(t, "a:v1", before.Digest)

			label(t, s.open(t, "a:v1"), tc.o)
			label(t, s.open(t, "a:v1"), check)
		})
	}
}

// TestIfNeeded: a second run believes the annotation, and reads no layer, if and
// only if what is asked for is what it speaks of.
func TestIfNeeded(t *testing.T) {
	for name, tc := range map[string]struct {
		first, then cfslabel.LabelOptions
		reads       int // of the layer, by the second run
	}{
		"the same":           {then: cfslabel.LabelOptions{}},
		"two algorithms":     {first: cfslabel.LabelOptions{Options: cfslabel.Options{Algorithms: both}}, then: cfslabel.LabelOptions{Options: cfslabel.Options{Algorithms: both}}},
		"another algorithm":  {then: cfslabel.LabelOptions{Options: cfslabel.Options{Algorithms: both}}, reads: 1},
		"another format":     {then: cfslabel.LabelOptions{Options: cfslabel.Options{Formats: []erofs.Format{erofs.V2}}}, reads: 1},
		"another mode":       {then: cfslabel.LabelOptions{Options: cfslabel.Options{Xattrs: []transform.Xattrs{transform.KeepUserXattrs}}}, reads: 1},
		"another label":      {then: cfslabel.LabelOptions{LabelKeys: []string{"x"}}, reads: 1},
		"another spelling":   {then: cfslabel.LabelOptions{LabelFormat: cfslabel.Prefixed}, reads: 1},
		"label alone":        {first: cfslabel.LabelOptions{Write: []cfslabel.Place{cfslabel.InLabel}}, then: cfslabel.LabelOptions{}, reads: 1},
		"artifact":           {first: cfslabel.LabelOptions{Write: beside}, then: cfslabel.LabelOptions{Write: beside}},
		"artifacts":          {first: cfslabel.LabelOptions{Write: beside, Options: cfslabel.Options{Algorithms: both}}, then: cfslabel.LabelOptions{Write: beside, Options: cfslabel.Options{Algorithms: []fsverity.Algorithm{fsverity.SHA256}}}},
		"no artifact so far": {then: cfslabel.LabelOptions{Write: beside}, reads: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			s.push(t, "a:v1", plain)
			label(t, s.open(t, "a:v1"), tc.first)
			before := s.count(http.MethodGet, "/blobs/"+layerDigest)
			want := label(t, s.open(t, "a:v1"), withDryRun(tc.then))
			reads := s.count(http.MethodGet, "/blobs/"+layerDigest)
			if reads != before+1 {
				t.Fatalf("without IfNeeded the layer was read %d times", reads-before)
			}
			tc.then.IfNeeded = true
			got := label(t, s.open(t, "a:v1"), tc.then)
			if n := s.count(http.MethodGet, "/blobs/"+layerDigest) - reads; n != tc.reads {
				t.Errorf("the layer was read %d times, want %d", n, tc.reads)
			}
			if got.Digest != want.Digest || got.Images[0].Believed != (tc.reads == 0) {
				t.Errorf("got %+v, want %s", got, want.Digest)
			}
		})
	}
}

func withDryRun(o cfslabel.LabelOptions) cfslabel.LabelOptions {
	o.DryRun = true
	return o
}

// TestIfNeededIsNotFooled: annotations that another image left, or that somebody
// changed, are not believed.
func TestIfNeededIsNotFooled(t *testing.T) {
	for name, change := range map[string][2]string{
		"the digest":       {minimal, strings.Repeat("0", 128)},
		"the key":          {minimalInput, "sha256:" + strings.Repeat("0", 64)},
		"the key is gone":  {`,"io.github.cfs-label.input":"` + minimalInput + `"`, ""},
		"the label's text": {"", ""},
	} {
		s := newStore(t)
		s.push(t, "a:v1", plain)
		label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
		d, config, manifest := s.pull(t, "a:v1")
		changed := handmade{config: string(config), manifest: strings.Replace(string(manifest), change[0], change[1], 1)}
		if name == "the label's text" {
			changed.config = strings.Replace(changed.config, minimal, strings.Repeat("0", 128), 1)
			changed.manifest = strings.Replace(string(manifest), digestOf(config).String(), "CONFIGDIGEST", 1)
		}
		s.push(t, "a:v1", changed)
		reads := s.count(http.MethodGet, "/blobs/"+layerDigest)
		sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{IfNeeded: true})
		if n := s.count(http.MethodGet, "/blobs/"+layerDigest) - reads; n != 1 {
			t.Errorf("%s: the layer was read %d times", name, n)
		}
		if name != "the key is gone" && sealed.Digest != d.Digest && s.labels(t, "a", sealed.Digest)["containers.composefs.fsverity"] != minimal {
			t.Errorf("%s: sealed as %s, want %s", name, sealed.Digest, d.Digest)
		}
	}
}
