// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"bytes"
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
	xml := `{"mediaType": "application/xml", "digest": "sha384:` + hexOf("ab") + `", "size": 7000000}`
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
		"no tag, another file":    {head + xml + ", " + a + tail, "", head + xml + ", " + sealed(a, "a") + tail, ""},
		"no tag, only others":     {head + xml + tail, "", head + xml + ", " + fmt.Sprintf(added, "") + tail, ""},
		"of an unknown digest":    {head + strings.Replace(a, "sha256:", "sha384:", 1) + tail, "a", "", "not a digest"},
		"ambiguous":               {head + a + ", " + entry(manifest, "b", "a") + tail, "a", "", `several images with the tag "a"`},
		"another media type":      {head + entry(docker, "a", "a") + ", " + b + tail, "a", head + sealed(a, "a") + ", " + b + tail, ""},
		"no index any more":       {head + entry("oci.image.index.v1+json", "a", "a") + ", " + b + tail, "a", head + fmt.Sprintf(named, "a") + ", " + b + tail, ""},
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

// TestSetReferrer: the entry comes last unless its digest is there, those that
// are gone go, and all else stays.
func TestSetReferrer(t *testing.T) {
	const (
		head = `{ "unknown": 1.0, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [`
		tail = `], "schemaVersion": 2 }` + "\n"
		none = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[`
	)
	entry := func(digit string) string {
		return fmt.Sprintf(`{"x": 1.50, "size": 7, "digest": "sha256:%s", "mediaType": "a/b"}`, hexOf(digit))
	}
	added := `{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":23,"digest":"sha256:` + hexOf("f") +
		`","annotations":{"b":"1","c":"2"},"artifactType":"x/y"}`
	a, b, c, f := entry("a"), entry("b"), entry("c"), entry("f")
	list := strings.Replace(head, "oci.image.index.v1", "docker.distribution.manifest.list.v2", 1)
	for name, tc := range map[string]struct{ index, gone, want, err string }{
		"a new index":               {"", "", none + added + "]}", ""},
		"a new index, gone":         {"", "ab", none + added + "]}", ""},
		"an empty one":              {head + tail, "", head + " " + added + " " + tail, ""},
		"null":                      {`{"manifests":null,"schemaVersion":2}`, "", `{"manifests":[` + added + `],"schemaVersion":2}`, ""},
		"behind others":             {head + a + ", " + b + tail, "", head + a + ", " + b + ", " + added + tail, ""},
		"there already":             {head + f + ",  " + a + tail, "", head + f + ",  " + a + tail, ""},
		"there already, one gone":   {head + f + ",  " + a + tail, "a", head + f + tail, ""},
		"one gone":                  {head + a + ", " + b + ", " + c + tail, "b", head + a + ", " + c + ", " + added + tail, ""},
		"all gone":                  {head + a + ", " + b + tail, "abc", head + " " + added + " " + tail, ""},
		"twice there, gone":         {head + a + ", " + b + ", " + a + tail, "a", head + b + ", " + added + tail, ""},
		"gone, but to be there":     {head + f + tail, "f", head + f + tail, ""},
		"a list of Docker's":        {list + a + tail, "", "", "Docker manifest list"},
		"a manifest":                {`{"schemaVersion": 2, "config": {"mediaType": "m", "size": 0, "digest": "sha256:` + hexOf("a") + `"}, "layers": []}`, "", "", "OCI image manifest"},
		"no JSON":                   {`{`, "", "", "JSON"},
		"nothing but white space":   {"\n", "", "", "JSON"},
		"a key twice":               {`{"schemaVersion":2,"manifests":[],"manifests":[]}`, "", "", "twice"},
		"an entry without a digest": {`{"schemaVersion":2,"manifests":[{"mediaType":"m","size":0}]}`, "", "", "manifests[0]"},
	} {
		d := v1.Descriptor{
			MediaType: types.OCIManifestSchema1, Digest: v1.Hash{Algorithm: "sha256", Hex: hexOf("f")}, Size: 23,
			ArtifactType: "x/y", Annotations: map[string]string{"c": "2", "b": "1"},
			Data: []byte("x"), URLs: []string{"https://example.com"}, Platform: &v1.Platform{OS: "linux"},
		}
		var gone []v1.Hash
		for digit := range strings.SplitSeq(tc.gone, "") {
			gone = append(gone, v1.Hash{Algorithm: "sha256", Hex: hexOf(digit)})
		}
		got, err := cfslabel.LayoutEditor{}.SetReferrer([]byte(tc.index), d, gone)
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
		again, err := cfslabel.LayoutEditor{}.SetReferrer(got, d, gone)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantText(t, name+", again", again, tc.want)
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

// TestLabelLayoutAmongOthers: other entries of index.json, also such as nobody
// could read, are neither in the way nor changed.
func TestLabelLayoutAmongOthers(t *testing.T) {
	dir := copyLayout(t, "minimal")
	path := filepath.Join(dir, "index.json")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	others := fmt.Sprintf(`{"mediaType": "application/xml", "size": 7000000, "digest": "sha256:%s"},`, hexOf("a")) +
		fmt.Sprintf(` {"digest": "sha384:%s", "mediaType": "application/octet-stream", "size": 3},`, strings.Repeat("a", 96))
	i := bytes.IndexByte(before, '[') + 1
	if err := os.WriteFile(path, []byte(string(before[:i])+others+string(before[i:])), 0o600); err != nil {
		t.Fatal(err)
	}
	o := cfslabel.LabelOptions{Write: []cfslabel.Place{cfslabel.InLabel, cfslabel.InArtifact}}
	for _, changes := range []bool{true, false} {
		if sealed := label(t, openLayout(t, "oci:"+dir), o); sealed.Changed != changes {
			t.Errorf("changed: %v, want %v", sealed.Changed, changes)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(after), "["+others) {
		t.Errorf("the index is %s", after)
	}
}
