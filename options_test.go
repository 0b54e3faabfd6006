// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/layers"
)

// TestContradictions: options that contradict one another are found before
// anything is asked.
func TestContradictions(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	v2 := cfslabel.Options{Formats: []erofs.Format{erofs.V2}}
	for name, o := range map[string]cfslabel.LabelOptions{
		"two modes":             {Options: cfslabel.Options{Xattrs: []transform.Xattrs{transform.AllowlistOnly, transform.KeepUserXattrs}}},
		"a label without a key": {LabelKeys: []string{"x", ""}},
		"Check, IfNeeded":       {Check: true, IfNeeded: true},
		"Check, To":             {Check: true, To: s.open(t, "b:v1")},
		"Check, Tags":           {Check: true, Tags: []string{"x"}},
		"annotations of v2":     {Options: v2, Write: []cfslabel.Place{cfslabel.InAnnotations}},
		"artifact, OCI":         {Write: beside, OCI: true},
	} {
		_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), o)
		if !errors.Is(err, cfslabel.ErrOptions) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if len(s.asked) > 0 {
		t.Errorf("asked was %q", s.asked)
	}
	for name, o := range map[string]cfslabel.LabelOptions{
		"label of v2":     {Options: v2, Write: []cfslabel.Place{cfslabel.InLabel}},
		"artifact of v2":  {Options: v2, Write: beside},
		"both places, v2": {Options: v2},
		"label, OCI":      {Write: []cfslabel.Place{cfslabel.InLabel, cfslabel.InArtifact}, OCI: true},
	} {
		if _, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), withDryRun(o)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestArtifactAddsV1: an artifact holds digests of V1, so those are computed
// though others were asked for, and the caller's list stays what it is.
func TestArtifactAddsV1(t *testing.T) {
	s := newStore(t)
	d := s.push(t, "a:v1", plain)
	formats := append(make([]erofs.Format, 0, 4), erofs.V2)
	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside, Options: cfslabel.Options{Formats: formats}})
	var got []erofs.Format
	for _, one := range sealed.Images[0].Digests {
		got = append(got, one.Format)
	}
	if !slices.Equal(got, []erofs.Format{erofs.V2, erofs.V1}) {
		t.Errorf("computed are %v", got)
	}
	if whole := formats[:2]; whole[1] == erofs.V1 {
		t.Errorf("the caller's list was written to: %v", whole)
	}
	list := s.referrers(t, "a", d.Digest)
	if len(list) != 1 || !strings.Contains(string(s.text(t, "a", list[0].Digest)), minimal) {
		t.Errorf("there are %v", list)
	}
}

// TestDockerAnnotations: a Docker manifest has no annotations: those alone are
// an error before a layer is read, unless it is converted.
func TestDockerAnnotations(t *testing.T) {
	s := newStore(t)
	before := s.push(t, "a:v1", docker)
	o := cfslabel.LabelOptions{Write: []cfslabel.Place{cfslabel.InAnnotations}}
	if _, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), o); !errors.Is(err, cfslabel.ErrDocker) {
		t.Errorf("got %v", err)
	}
	o.Write = append(o.Write, cfslabel.InArtifact)
	if _, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), o); !errors.Is(err, cfslabel.ErrDocker) {
		t.Errorf("with an artifact: got %v", err)
	}
	if n := s.count(http.MethodGet, "/blobs/"+layerDigest); n != 0 {
		t.Errorf("the layer was read %d times", n)
	}
	s.wantTag(t, "a:v1", before.Digest)
	o.OCI = true
	sealed := label(t, s.open(t, "a:v1"), o)
	if text := string(s.text(t, "a", sealed.Digest)); !strings.Contains(text, minimal) {
		t.Errorf("the manifest is %s", text)
	}
}

// TestIfNeededReadsLayerTypes: digests of layers that are called something else
// now are not believed: hosts would read them otherwise, or not at all.
func TestIfNeededReadsLayerTypes(t *testing.T) {
	for suffix, want := range map[string]error{
		"tar+zstd": layers.ErrCompression,
		"tar":      layers.ErrCompression,
		"tar+lzma": image.ErrUnknownLayer,
	} {
		s := newStore(t)
		s.push(t, "a:v1", plain)
		label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
		_, config, manifest := s.pull(t, "a:v1")
		s.push(t, "a:v1", handmade{config: string(config), manifest: strings.Replace(string(manifest), "tar+gzip", suffix, 1)})
		sealed, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{IfNeeded: true})
		if !errors.Is(err, want) {
			t.Errorf("%s: got %+v, %v", suffix, sealed, err)
		}
	}
}
