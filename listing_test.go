// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
)

// listing is how an index names a manifest, on a line of its own. more are
// further members, with a comma before them.
func listing(d v1.Descriptor, more string) string {
	return fmt.Sprintf("\n{\"mediaType\":%q,\"size\":%d,\"digest\":%q%s}", d.MediaType, d.Size, d.Digest, more)
}

// on is the member of a listing that says a platform, as in linux/arm/v7.
func on(platform string) string {
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		panic(err)
	}
	variant := ""
	if p.Variant != "" {
		variant = fmt.Sprintf(`,"variant":%q`, p.Variant)
	}
	return fmt.Sprintf(`,"platform":{"os":%q,"architecture":%q%s}`, p.OS, p.Architecture, variant)
}

// indexOf is an index with those entries.
func indexOf(entries ...string) string {
	return `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + strings.Join(entries, ",") + "\n]}"
}

// only narrows an index to platforms.
func only(platforms ...string) cfslabel.Options {
	var o cfslabel.Options
	for _, text := range platforms {
		p, err := v1.ParsePlatform(text)
		if err != nil {
			panic(err)
		}
		o.Platforms = append(o.Platforms, *p)
	}
	return o
}

// openOnce opens a reference by which nothing is asked twice.
func (s *store) openOnce(t *testing.T, name string) *remote.Ref {
	t.Helper()
	ref, err := remote.Open(t.Context(), s.host+"/"+name, remote.Options{
		Keychain: authn.NewMultiKeychain(), Retries: -1, Layout: cfslabel.LayoutEditor{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// answer makes the store answer a GET of what the path ends with by a status.
func (s *store) answer(suffix string, status int) {
	s.intercept = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet || !strings.HasSuffix(req.URL.Path, suffix) {
			return false
		}
		http.Error(w, "", status)
		return true
	}
}

// TestListedAsImage: what a listing says of a manifest decides whether it is an
// image that is looked for: neither an artifact nor what is about another, also
// where its platform is one of ours. A platform that names no system leaves it
// to the config.
func TestListedAsImage(t *testing.T) {
	about := `,"annotations":{"vnd.docker.reference.%s":%q}`
	for name, tc := range map[string]struct {
		more   string
		sealed bool
	}{
		"of a platform":          {on("linux/arm64"), true},
		"without one":            {"", true},
		"of an empty platform":   {`,"platform":{"os":"","architecture":""}`, true},
		"an artifact":            {on("linux/arm64") + `,"artifactType":"application/x.sbom"`, false},
		"typed as its config":    {on("linux/arm64") + `,"artifactType":"application/vnd.oci.image.config.v1+json"`, true},
		"typed as its manifest":  {on("linux/arm64") + `,"artifactType":"application/vnd.oci.image.manifest.v1+json"`, true},
		"about another":          {on("linux/arm64") + fmt.Sprintf(about, "digest", layerDigest), false},
		"an attestation by type": {on("linux/arm64") + fmt.Sprintf(about, "type", "attestation-manifest"), false},
		"of another system":      {on("windows/amd64"), false},
	} {
		s := newStore(t)
		amd, arm := s.push(t, "a:amd", plain), s.push(t, "a:arm", platform("linux", "arm64"))
		s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(amd, on("linux/amd64")), listing(arm, tc.more)))
		images, err := cfslabel.Compute(t.Context(), s.open(t, "a:v1"), cfslabel.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := map[bool]int{false: 1, true: 2}[tc.sealed]; len(images) != want {
			t.Errorf("%s: found are %+v, want %d", name, images, want)
		}
	}
}

// TestArtifactBesideImage: a manifest that has only the media type of an image's
// config, but no system and no layers of one, is no image, and no reason to fail.
func TestArtifactBesideImage(t *testing.T) {
	s := newStore(t)
	amd := s.push(t, "a:amd", plain)
	h := attestation
	h.config = `{"x":1}`
	s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(s.push(t, "a:x", h), ""), listing(amd, on("linux/amd64"))))
	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
	if len(sealed.Images) != 1 || sealed.Images[0].Manifest != amd.Digest || len(sealed.Skipped) > 0 {
		t.Errorf("got %+v", sealed)
	}
}

// TestListedTwice: each listing counts by itself: what one of them hides, another
// finds.
func TestListedTwice(t *testing.T) {
	for name, tc := range map[string]struct {
		mediaType   types.MediaType // in the first listing
		first, then string
		o           cfslabel.Options
	}{
		"without a platform, then with one":               {types.OCIManifestSchema1, "", on("linux/arm/v7"), only("linux/arm/v7")},
		"of an unknown media type, then of the right one": {"application/x.y", "", on("linux/amd64"), cfslabel.Options{}},
		"of another system, then of ours":                 {types.OCIManifestSchema1, on("windows/amd64"), on("linux/amd64"), cfslabel.Options{}},
		"an artifact, then an image":                      {types.OCIManifestSchema1, `,"artifactType":"x/y"`, "", cfslabel.Options{}},
	} {
		s := newStore(t)
		d := s.push(t, "a:amd", plain)
		odd := d
		odd.MediaType = tc.mediaType
		first, then := listing(odd, tc.first), listing(d, tc.then)
		s.putText(t, "a:v1", types.OCIImageIndex, indexOf(first, then))
		sealed, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{Options: tc.o})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := indexOf(first, s.wantReplaced(t, "a", then, d, sealed.Images[0].Sealed))
		wantText(t, name, s.text(t, "a", sealed.Digest), want)
	}
}

// TestListedPerPlatform: one manifest that is listed for several platforms
// changes where it is listed for one that is wanted, and stays what it was
// elsewhere; both are there afterwards, also in another repository.
func TestListedPerPlatform(t *testing.T) {
	for name, tc := range map[string]struct {
		o       cfslabel.Options
		changes []string
	}{
		"one platform": {only("linux/arm64"), []string{"linux/arm64"}},
		"all of linux": {cfslabel.Options{}, []string{"linux/amd64", "linux/arm64"}},
	} {
		for _, to := range []string{"", "b:v1"} {
			s, other := newStore(t), newStore(t)
			d := s.push(t, "a:amd", plain)
			entries := map[string]string{}
			var list []string
			for _, p := range []string{"linux/amd64", "linux/arm64", "windows/amd64"} {
				entries[p] = listing(d, on(p))
				list = append(list, entries[p])
			}
			text := indexOf(list...)
			s.putText(t, "a:v1", types.OCIImageIndex, text)
			at, repo, lo := s, "a", cfslabel.LabelOptions{Options: tc.o}
			if to != "" {
				at, repo, lo.To = other, "b", target(t, other.host+"/"+to)
			}
			sealed := label(t, s.open(t, "a:v1"), lo)
			if len(sealed.Images) != 1 {
				t.Fatalf("%s: sealed are %+v", name, sealed.Images)
			}
			want := text
			for _, p := range tc.changes {
				want = strings.Replace(want, entries[p], at.wantReplaced(t, repo, entries[p], d, sealed.Images[0].Sealed), 1)
			}
			wantText(t, name+" to "+to, at.text(t, repo, sealed.Digest), want)
			_, manifest := plain.texts()
			wantText(t, name+": as it was", at.text(t, repo, d.Digest), string(manifest))
			if got := at.labels(t, repo, d.Digest); len(got) > 0 {
				t.Errorf("%s to %q: what was not to change has labels %v", name, to, got)
			}
		}
	}
}

// TestPlatformMissing: a platform that is asked for and not there is an error
// that names it, though others are there.
func TestPlatformMissing(t *testing.T) {
	s := newStore(t)
	pushFamily(t, s, "a:v1")
	_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{Options: only("linux/amd64", "linux/s390x")})
	if !errors.Is(err, cfslabel.ErrPlatform) || !strings.Contains(err.Error(), "asked for linux/s390x, there is") || !strings.Contains(err.Error(), "linux/amd64") {
		t.Errorf("got %v", err)
	}
	if n := s.count(http.MethodPut, ""); n != 0 {
		t.Errorf("it wrote %d times", n)
	}
}
