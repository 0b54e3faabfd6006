// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
)

// hexOf returns the hex digits of a made-up SHA-256 digest.
func hexOf(digit string) string { return strings.Repeat(digit, 64) }

// TestSetTag: the entry with the tag changes in digest and size and in nothing
// else; what has no entry gets one.
func TestSetTag(t *testing.T) {
	entry := func(mediaType, digit, tag string) string {
		return fmt.Sprintf(`{"size": 1, "mediaType": "application/vnd.%s", "annotations": {"x": "y", "org.opencontainers.image.ref.name": %q}, "digest": "sha256:%s", "platform": {"os": "linux", "architecture": "amd64"}}`, mediaType, tag, hexOf(digit))
	}
	sealed := func(entry, digit string) string {
		return strings.NewReplacer(`"size": 1`, `"size": 23`, hexOf(digit), hexOf("f")).Replace(entry)
	}
	const (
		manifest = "oci.image.manifest.v1+json"
		docker   = "docker.distribution.manifest.v2+json"
		head     = `{ "unknown": 1.0, "manifests": [`
		tail     = `], "schemaVersion": 2 }` + "\n"
		bare     = `{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:%s", "size": %d}`
	)
	a, b := entry(manifest, "a", "a"), entry(manifest, "b", "b")
	added := `{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":23,"digest":"sha256:` + hexOf("f") + `"%s}`
	named := fmt.Sprintf(added, `,"annotations":{"org.opencontainers.image.ref.name":"%s"}`)
	for name, tc := range map[string]struct{ index, tag, want, err string }{
		"existing":                {head + a + ", " + b + tail, "b", head + a + ", " + sealed(b, "b") + tail, ""},
		"existing, the first":     {head + a + ", " + b + tail, "a", head + sealed(a, "a") + ", " + b + tail, ""},
		"new":                     {head + a + tail, "c", head + a + ", " + fmt.Sprintf(named, "c") + tail, ""},
		"new, empty layout":       {head + tail, "c", head + " " + fmt.Sprintf(named, "c") + " " + tail, ""},
		"no tag, one entry":       {head + a + tail, "", head + sealed(a, "a") + tail, ""},
		"no tag, an unnamed one":  {head + fmt.Sprintf(bare, hexOf("a"), 1) + tail, "", head + fmt.Sprintf(bare, hexOf("f"), 23) + tail, ""},
		"no tag, empty layout":    {head + tail, "", head + " " + fmt.Sprintf(added, "") + " " + tail, ""},
		"no tag, many":            {head + a + ", " + b + tail, "", "", "several images: name one"},
		"ambiguous":               {head + a + ", " + entry(manifest, "b", "a") + tail, "a", "", `several images with the tag "a"`},
		"another media type":      {head + entry(docker, "a", "a") + ", " + b + tail, "a", head + fmt.Sprintf(named, "a") + ", " + b + tail, ""},
		"no index":                {`{"schemaVersion": 2, "config": {}}`, "a", "", "config"},
		"no JSON":                 {`{`, "a", "", "JSON"},
		"nothing to change":       {head + sealed(a, "a") + tail, "a", head + sealed(a, "a") + tail, ""},
		"a tag in JSON's escapes": {head + strings.Replace(a, `"a"`, `"\u0061"`, 1) + tail, "a", head + sealed(strings.Replace(a, `"a"`, `"\u0061"`, 1), "a") + tail, ""},
	} {
		d := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: v1.Hash{Algorithm: "sha256", Hex: hexOf("f")}, Size: 23}
		got, err := cfslabel.LayoutEditor{}.SetTag([]byte(tc.index), tc.tag, d)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: got %v, want an error with %q", name, err, tc.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantText(t, name, got, tc.want)
	}
}

// copyLayout returns the directory of a copy of a vector's layout.
func copyLayout(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS("testdata/conformance/"+name+"/oci")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openLayout(t *testing.T, ref string) *remote.Ref {
	t.Helper()
	r, err := remote.Open(t.Context(), ref, remote.Options{Layout: cfslabel.LayoutEditor{}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestLabelLayout: of index.json, only digest and size of the one descriptor
// change, and the second time nothing does.
func TestLabelLayout(t *testing.T) {
	for _, tag := range []string{":latest", ""} {
		dir := copyLayout(t, "minimal")
		before, err := os.ReadFile(filepath.Join(dir, "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		sealed := label(t, openLayout(t, "oci:"+dir+tag), cfslabel.LabelOptions{})
		d, raw, err := openLayout(t, "oci:"+dir+":latest").Resolve(t.Context())
		if err != nil || d.Digest != sealed.Digest {
			t.Fatalf("the tag names %s, want %s (%v)", d.Digest, sealed.Digest, err)
		}
		after, err := os.ReadFile(filepath.Join(dir, "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.NewReplacer(sealed.Source.String(), sealed.Digest.String(),
			`"size": 417`, fmt.Sprintf(`"size": %d`, len(raw))).Replace(string(before))
		wantText(t, "index.json", after, want)
		again := label(t, openLayout(t, "oci:"+dir+tag), cfslabel.LabelOptions{})
		if again.Changed || again.Digest != sealed.Digest {
			t.Errorf("the second run did something: %+v", again)
		}
	}
}
