// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
)

// TestNesting: 8 indexes in one another are read and 9 are not, in whatever order
// they are come across.
func TestNesting(t *testing.T) {
	s := newStore(t)
	d := s.push(t, "a:image", plain)
	var entries []string // of a chain of one index, of two, ...
	for i := range 9 {
		text := indexOf(listing(d, ""))
		d = s.putText(t, fmt.Sprintf("a:chain%d", i+1), types.OCIImageIndex, text)
		entries = append(entries, listing(d, ""))
	}
	inner := slices.Clone(entries[:8])
	s.putText(t, "a:first8", types.OCIImageIndex, indexOf(inner[:7]...))
	s.putText(t, "a:first9", types.OCIImageIndex, indexOf(inner...))
	slices.Reverse(inner)
	s.putText(t, "a:last8", types.OCIImageIndex, indexOf(inner[1:]...))
	s.putText(t, "a:last9", types.OCIImageIndex, indexOf(inner...))
	for tag, want := range map[string]error{
		"chain8": nil, "first8": nil, "last8": nil,
		"chain9": cfslabel.ErrNested, "first9": cfslabel.ErrNested, "last9": cfslabel.ErrNested,
	} {
		if _, err := cfslabel.Compute(t.Context(), s.open(t, "a:"+tag), cfslabel.Options{}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", tag, err, want)
		}
	}
}

// TestTooMuchText: 64 MiB of manifests and configs are read, and no more.
func TestTooMuchText(t *testing.T) {
	s := newStore(t)
	const size = 4 << 20
	entries := []string{listing(s.push(t, "a:image", plain), "")}
	for i := range 16 {
		text := indexOf()
		text = text[:len(text)-1] + strings.Repeat(" ", size-len(text)-i) + "}" // the length makes it another one
		entries = append(entries, listing(s.putText(t, "a:inner", types.OCIImageIndex, text), ""))
	}
	for n, want := range map[int]error{15: nil, 16: cfslabel.ErrTooMuch} {
		s.putText(t, "a:v1", types.OCIImageIndex, indexOf(entries[:n+1]...))
		if _, err := cfslabel.Compute(t.Context(), s.open(t, "a:v1"), cfslabel.Options{}); !errors.Is(err, want) {
			t.Errorf("%d times %d bytes: got %v, want %v", n, size, err, want)
		}
	}
}

// TestSkipChild: a manifest that is missing or malformed is passed over with
// SkipUnsealable; a registry that fails to give it says nothing of the image. A
// manifest that cannot be read is asked for once, however often it is listed.
func TestSkipChild(t *testing.T) {
	for name, tc := range map[string]struct {
		status  int // 0: the manifest is there
		text    string
		skipped bool
	}{
		"missing":     {http.StatusNotFound, "{}", true},
		"malformed":   {0, `{"schemaVersion":2,"config":1}`, true},
		"no JSON":     {0, `{`, true},
		"unavailable": {http.StatusServiceUnavailable, "{}", false},
		"forbidden":   {http.StatusForbidden, "{}", false},
	} {
		s := newStore(t)
		good := s.push(t, "a:amd", plain)
		bad := s.putText(t, "a:bad", types.OCIManifestSchema1, tc.text)
		entry := listing(bad, on("linux/arm64"))
		text := indexOf(entry, listing(good, on("linux/amd64")), entry, entry)
		s.putText(t, "a:v1", types.OCIImageIndex, text)
		if tc.status != 0 {
			s.answer("/manifests/"+bad.Digest.String(), tc.status)
		}
		if _, err := cfslabel.Label(t.Context(), s.openOnce(t, "a:v1"), cfslabel.LabelOptions{}); err == nil {
			t.Errorf("%s: no error without SkipUnsealable", name)
		}
		before := s.count(http.MethodGet, bad.Digest.String())
		sealed, err := cfslabel.Label(t.Context(), s.openOnce(t, "a:v1"), cfslabel.LabelOptions{SkipUnsealable: true})
		if n := s.count(http.MethodGet, bad.Digest.String()) - before; n != 1 {
			t.Errorf("%s: it was asked for %d times", name, n)
		}
		if !tc.skipped {
			if err == nil || s.count(http.MethodPut, "") != 0 {
				t.Errorf("%s: got %+v, %v", name, sealed, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(sealed.Skipped) != 1 || sealed.Skipped[0].Manifest != bad.Digest || sealed.Skipped[0].Platform != "linux/arm64" {
			t.Errorf("%s: skipped are %+v", name, sealed.Skipped)
		}
		wantText(t, name, s.text(t, "a", sealed.Digest), s.wantReplaced(t, "a", text, good, sealed.Images[0].Sealed))
	}
}

// TestSkipPlatform: a platform that was asked for, and whose image was skipped, is
// not one that the index lacks.
func TestSkipPlatform(t *testing.T) {
	s := newStore(t)
	good := s.push(t, "a:amd", plain)
	bad := s.putText(t, "a:bad", types.OCIManifestSchema1, "{}")
	s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(good, on("linux/amd64")), listing(bad, on("linux/arm64"))))
	s.answer("/manifests/"+bad.Digest.String(), http.StatusNotFound)
	asked := cfslabel.LabelOptions{SkipUnsealable: true}
	asked.Platforms = []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
	sealed, err := cfslabel.Label(t.Context(), s.openOnce(t, "a:v1"), asked)
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed.Images) != 1 || len(sealed.Skipped) != 1 || sealed.Skipped[0].Manifest != bad.Digest {
		t.Errorf("got %+v", sealed)
	}
	asked.Platforms = []v1.Platform{{OS: "linux", Architecture: "s390x"}}
	if _, err := cfslabel.Label(t.Context(), s.openOnce(t, "a:v1"), asked); !errors.Is(err, cfslabel.ErrPlatform) {
		t.Errorf("for a platform that is not there: %v", err)
	}
}

// TestSkipIndex: an index in the index is no image: that it cannot be read is an
// error, whatever may be skipped.
func TestSkipIndex(t *testing.T) {
	s := newStore(t)
	good := s.push(t, "a:amd", plain)
	inner := s.putText(t, "a:inner", types.OCIImageIndex, indexOf(listing(good, "")))
	s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(good, ""), listing(inner, "")))
	s.answer("/manifests/"+inner.Digest.String(), http.StatusNotFound)
	_, err := cfslabel.Label(t.Context(), s.openOnce(t, "a:v1"), cfslabel.LabelOptions{SkipUnsealable: true})
	if err == nil || s.count(http.MethodPut, "") != 0 {
		t.Errorf("got %v", err)
	}
}

// TestSkipAll: an index of which nothing is left says why, not that there is no
// image.
func TestSkipAll(t *testing.T) {
	s := newStore(t)
	bad := s.putText(t, "a:bad", types.OCIManifestSchema1, "{")
	s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(bad, on("linux/arm64"))))
	_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{SkipUnsealable: true})
	if err == nil || errors.Is(err, cfslabel.ErrPlatform) || !strings.Contains(err.Error(), "no image in it can be sealed; linux/arm64: ") {
		t.Errorf("got %v", err)
	}
}

// TestIndexDescriptors: digests that an index itself gives for a child are of
// the child of before; they go when it changes, and other annotations stay.
func TestIndexDescriptors(t *testing.T) {
	s := newStore(t)
	d := s.push(t, "a:amd", plain)
	stale := `"composefs.merged.erofs.v1.fsverity-sha512-12":"00"`
	entry := listing(d, on("linux/amd64")+`,"annotations":{`+stale+`,"k":"v"}`)
	windows := listing(s.push(t, "a:win", platform("windows", "amd64")), on("windows/amd64")+`,"annotations":{`+stale+`}`)
	text := indexOf(entry, windows)
	s.putText(t, "a:v1", types.OCIImageIndex, text)
	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
	want := strings.Replace(text, entry, strings.Replace(entry, stale+",", "", 1), 1)
	wantText(t, "index", s.text(t, "a", sealed.Digest), s.wantReplaced(t, "a", want, d, sealed.Images[0].Sealed))
}

// TestOCILeavesLists: of Docker's lists those are converted that hold a sealed
// image, at whatever depth.
func TestOCILeavesLists(t *testing.T) {
	s := newStore(t)
	win := docker
	win.config = platform("windows", "amd64").config
	list := func(tag string, d v1.Descriptor, platform string) v1.Descriptor {
		text := strings.Replace(indexOf(listing(d, on(platform))), string(types.OCIImageIndex), string(types.DockerManifestList), 1)
		return s.putText(t, "a:"+tag, types.DockerManifestList, text)
	}
	linux := list("linux", s.push(t, "a:amd", docker), "linux/amd64")
	windows := list("windows", s.push(t, "a:win", win), "windows/amd64")
	top := strings.Replace(indexOf(listing(windows, ""), listing(linux, "")), string(types.OCIImageIndex), string(types.DockerManifestList), 1)
	s.putText(t, "a:v1", types.DockerManifestList, top)
	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{OCI: true})
	text := string(s.text(t, "a", sealed.Digest))
	if !strings.Contains(text, listing(windows, "")) {
		t.Errorf("the list without a sealed image changed: %s", text)
	}
	if strings.Count(text, string(types.DockerManifestList)) != 1 {
		t.Errorf("the lists above one were not converted: %s", text)
	}
}

// TestAttestationOfIndex: what is about an index in the index follows it, too.
func TestAttestationOfIndex(t *testing.T) {
	s := newStore(t)
	d := s.push(t, "a:amd", plain)
	inner := s.putText(t, "a:inner", types.OCIImageIndex, indexOf(listing(d, on("linux/amd64"))))
	about := fmt.Sprintf(`,"annotations":{"vnd.docker.reference.digest":%q}`, inner.Digest)
	att := listing(s.push(t, "a:att", attestation), on("unknown/unknown")+about)
	text := indexOf(att, listing(inner, ""))
	s.putText(t, "a:v1", types.OCIImageIndex, text)
	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
	now := digestOf([]byte(s.wantReplaced(t, "a", indexOf(listing(d, on("linux/amd64"))), d, sealed.Images[0].Sealed)))
	want := strings.Replace(text, about, strings.Replace(about, inner.Digest.String(), now.String(), 1), 1)
	wantText(t, "index", s.text(t, "a", sealed.Digest), s.wantReplaced(t, "a", want, inner, now))
}

// TestAttestationsAreTold: with Keep as with Relink something names the digest
// of before, and that is told; with Drop nothing does, and what is dropped does
// not go along elsewhere.
func TestAttestationsAreTold(t *testing.T) {
	for _, choice := range []cfslabel.Attestations{cfslabel.Relink, cfslabel.Keep, cfslabel.Drop} {
		s, other := newStore(t), newStore(t)
		f := pushFamily(t, s, "a:v1")
		warnings := &talk{}
		label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{
			Attestations: choice, To: target(t, other.host+"/b:v1"), Options: cfslabel.Options{Warn: warnings.warn},
		})
		dropped := choice == cfslabel.Drop
		if told := strings.Contains(strings.Join(warnings.said, "\n"), "1 attestation still names"); told == dropped {
			t.Errorf("%s: warned of %q", choice, warnings.said)
		}
		if n := other.count(http.MethodPut, "/manifests/"+f.att.Digest.String()); (n == 0) != dropped {
			t.Errorf("%s: the attestation was pushed %d times", choice, n)
		}
	}
}
