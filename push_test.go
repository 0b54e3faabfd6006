// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

// TestGoesAlong: what is not sealed goes elsewhere whole, or not at all. A layer
// that is foreign need not be there; of a media type that nobody knows, the
// manifest goes along, and that is told.
func TestGoesAlong(t *testing.T) {
	const gone = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	windows := platform("windows", "amd64").manifest
	lost := strings.Replace(windows, "LAYERDIGEST", gone, 1)
	foreign := "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
	for name, tc := range map[string]struct {
		manifest  string
		mediaType types.MediaType
		err, warn string
	}{
		"whole":                    {windows, types.OCIManifestSchema1, "", ""},
		"a layer is missing":       {lost, types.OCIManifestSchema1, gone, ""},
		"a foreign one is missing": {strings.Replace(lost, "application/vnd.oci.image.layer.v1.tar+gzip", foreign, 1), types.OCIManifestSchema1, "", ""},
		"malformed":                {`{"schemaVersion":2,"layers":1}`, types.OCIManifestSchema1, "which goes along", ""},
		"of an unknown media type": {`{"x":1}`, "application/x.y", "", `nobody knows the media type "application/x.y"`},
	} {
		s, other := newStore(t), newStore(t)
		amd := s.push(t, "a:amd", plain)
		d := s.push(t, "a:win", handmade{platform("windows", "amd64").config, tc.manifest, tc.mediaType})
		s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(amd, on("linux/amd64")), listing(d, on("windows/amd64"))))
		warnings := &talk{}
		o := cfslabel.LabelOptions{To: target(t, other.host+"/b:v1"), Options: cfslabel.Options{Warn: warnings.warn}}
		_, err := cfslabel.Label(t.Context(), s.openOnce(t, "a:v1"), o)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: got %v, want an error with %q", name, err, tc.err)
			}
			if n := other.count(http.MethodPut, "/manifests/"); n != 0 {
				t.Errorf("%s: %d manifests were pushed", name, n)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if other.count(http.MethodPut, "/manifests/"+d.Digest.String()) != 1 {
			t.Errorf("%s: it was not pushed", name)
		}
		if said := strings.Join(warnings.said, "\n"); !strings.Contains(said, tc.warn) || tc.warn == "" && said != "" {
			t.Errorf("%s: warned of %q, want %q", name, said, tc.warn)
		}
	}
}

// TestFailureEndsCopies: what cannot go elsewhere ends the copies that are on their
// way, rather than wait for a registry that is slow to give them.
func TestFailureEndsCopies(t *testing.T) {
	s, other := newStore(t), newStore(t)
	amd := s.push(t, "a:amd", plain)
	windows := s.push(t, "a:win", handmade{platform("windows", "amd64").config, `{"schemaVersion":2,"layers":1}`, types.OCIManifestSchema1})
	s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(amd, on("linux/amd64")), listing(windows, on("windows/amd64"))))
	_, _, manifest := s.pull(t, "a:amd")
	m, err := image.ParseManifest(manifest, types.OCIManifestSchema1)
	if err != nil {
		t.Fatal(err)
	}
	layer := "/blobs/" + m.Layers[0].Digest.String()
	copying := make(chan struct{})
	s.intercept = func(_ http.ResponseWriter, req *http.Request) bool {
		switch {
		case req.Method != http.MethodGet:
			return false
		case strings.HasSuffix(req.URL.Path, layer) && s.count(http.MethodGet, layer) == 2: // the copy; the first was the digest
			close(copying)
			<-req.Context().Done()
			return true
		case strings.HasSuffix(req.URL.Path, windows.Digest.String()) && s.count(http.MethodGet, layer) > 0:
			<-copying
		}
		return false
	}
	_, err = cfslabel.Label(t.Context(), s.openOnce(t, "a:v1"), cfslabel.LabelOptions{To: target(t, other.host+"/b:v1")})
	if err == nil || !strings.Contains(err.Error(), "which goes along") {
		t.Errorf("got %v", err)
	}
}

// TestDigestMovesNoTag: an image that is named by its digest, with a tag or
// without, is sealed without a tag; one that is given with Tags is moved,
// whatever it names.
func TestDigestMovesNoTag(t *testing.T) {
	for _, tag := range []string{"", ":v1"} {
		s := newStore(t)
		d := s.push(t, "a:v1", plain)
		name := "a" + tag + "@" + d.Digest.String()
		sealed := label(t, s.open(t, name), cfslabel.LabelOptions{})
		if !sealed.Changed || len(sealed.Tags) > 0 || len(s.text(t, "a", sealed.Digest)) == 0 {
			t.Errorf("%s: got %+v", name, sealed)
		}
		s.wantTag(t, "a:v1", d.Digest)

		s.push(t, "a:v1", another())
		sealed = label(t, s.open(t, name), cfslabel.LabelOptions{Tags: []string{"v1"}})
		s.wantTag(t, "a:v1", sealed.Digest)
	}
}

// countedRepo counts the layers that are read of it.
type countedRepo struct {
	remote.Repo
	reads *int
}

func (r countedRepo) Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	*r.reads++
	return r.Repo.Blob(ctx, d)
}

// TestTagsElsewhere: without a tag, the image gets that of the source elsewhere:
// of a whole name its tag. One that is no tag is found before a layer is read;
// that there is none at all is told.
func TestTagsElsewhere(t *testing.T) {
	for name, tc := range map[string]struct {
		source string // as the layout calls it
		to     string // HOST is that of a registry, DIR of a new directory
		want   []string
		err    error
		warn   string
	}{
		"a tag":            {"v1", "HOST/b", []string{"v1"}, nil, ""},
		"a whole name":     {"docker.io/library/foo:v1", "HOST/b", []string{"v1"}, nil, ""},
		"a port, no tag":   {"localhost:5000/foo", "HOST/b", nil, remote.ErrReference, ""},
		"no tag":           {"a b", "HOST/b", nil, remote.ErrReference, ""},
		"another tag":      {"a b", "HOST/b:v2", []string{"v2"}, nil, ""},
		"no name":          {"", "HOST/b", nil, nil, "no tag names the image in"},
		"no name, in file": {"", "oci:DIR", []string{"latest"}, nil, ""},
	} {
		s := newStore(t)
		dir := copyLayout(t, "minimal")
		file := filepath.Join(dir, "index.json")
		index, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if tc.source != "" {
			index = []byte(strings.Replace(string(index), `"latest"`, `"`+tc.source+`"`, 1))
		}
		if err := os.WriteFile(file, index, 0o600); err != nil {
			t.Fatal(err)
		}
		reads := 0
		ref := &remote.Ref{Repo: countedRepo{openLayout(t, "oci:"+dir).Repo, &reads}, Tag: tc.source}
		warnings := &talk{}
		to := strings.NewReplacer("HOST", s.host, "DIR", filepath.Join(t.TempDir(), "new")).Replace(tc.to)
		sealed, err := cfslabel.Label(t.Context(), ref, cfslabel.LabelOptions{To: target(t, to), Options: cfslabel.Options{Warn: warnings.warn}})
		if !errors.Is(err, tc.err) {
			t.Errorf("%s: got %v, want %v", name, err, tc.err)
		}
		if tc.err != nil {
			if reads > 0 || err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%q is no tag", tc.source)) {
				t.Errorf("%s: got %v, after %d layers were read", name, err, reads)
			}
			continue
		}
		if err == nil && !slices.Equal(sealed.Tags, tc.want) {
			t.Errorf("%s: tags are %q, want %q", name, sealed.Tags, tc.want)
		}
		if said := strings.Join(warnings.said, "\n"); !strings.Contains(said, tc.warn) || tc.warn == "" && said != "" {
			t.Errorf("%s: warned of %q, want %q", name, said, tc.warn)
		}
	}
}

// TestCheckAnswers: a check answers with the image that is there, not with what
// a run would make of it, whether something is wrong with it or not. That the
// input key is missing is nothing wrong: hosts do not ask for it.
func TestCheckAnswers(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:bare", plain)
	s.push(t, "a:v1", plain)
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
	_, config, manifest := s.pull(t, "a:v1")
	keyless := strings.Replace(string(manifest), `,"`+image.InputKey+`":"`+minimalInput+`"`, "", 1)
	if keyless == string(manifest) {
		t.Fatalf("there is no key in %s", manifest)
	}
	s.push(t, "a:keyless", handmade{config: string(config), manifest: keyless})
	for tag, want := range map[string]error{"bare": cfslabel.ErrMismatch, "v1": nil, "keyless": nil} {
		d, _, _ := s.pull(t, "a:"+tag)
		sealed, err := cfslabel.Label(t.Context(), s.open(t, "a:"+tag), cfslabel.LabelOptions{Check: true})
		if !errors.Is(err, want) || sealed == nil {
			t.Errorf("%s: got %v, want %v", tag, err, want)
			continue
		}
		if sealed.Changed || sealed.Digest != d.Digest || sealed.Source != d.Digest || sealed.Images[0].Sealed != d.Digest {
			t.Errorf("%s is %s; got %+v", tag, d.Digest, sealed)
		}
	}
}
