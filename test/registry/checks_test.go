// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// vectors has images with the reference's answers.
const vectors = moduleRoot + "/testdata/conformance"

// The vectors that are pushed: gzip, zstd, and whiteouts.
var pushed = []string{"typical", "media-zstd", "whiteout-basic"}

// anyVector is for where the content does not matter.
const anyVector = "typical"

// Exit statuses of cfs-label.
const (
	unauthorized = 4
	notFound     = 5
)

// combination is what a digest is computed by.
type combination struct{ format, algorithm, xattrs string }

// expected returns the reference's answers for a vector.
func expected(t *testing.T, vector string) map[combination]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectors, vector, "expected.json"))
	must(t, err)
	var v struct {
		Results []struct {
			EROFS, Hash, Xattrs, Digest string
			Bootable                    bool
		}
	}
	must(t, json.Unmarshal(data, &v))
	digests := make(map[combination]string)
	for _, r := range v.Results {
		if !r.Bootable && r.Digest != "" {
			digests[combination{r.EROFS, r.Hash, r.Xattrs}] = r.Digest
		}
	}
	if len(digests) == 0 {
		t.Fatalf("%s has no digests", vector)
	}
	return digests
}

// checkCompute: every digest, computed from the registry, is the reference's.
func checkCompute(s server, repo string) {
	for _, vector := range pushed {
		source := s.push(vector, repo+":"+vector)
		r := s.run("compute", repo+":"+vector, "-o", "json",
			"--format", "v0,v1,v2", "--algorithm", "sha512,sha256", "--xattrs", "allowlist-only,keep-user-xattrs")
		if r.status != 0 {
			s.t.Errorf("%s: exit status %d: %s", vector, r.status, r.stderr)
			continue
		}
		var answer struct {
			Images []struct {
				Manifest string
				Digests  []struct{ Format, Algorithm, Xattrs, Digest string }
			}
		}
		must(s.t, json.Unmarshal([]byte(r.stdout), &answer))
		if len(answer.Images) != 1 || answer.Images[0].Manifest != source {
			s.t.Errorf("%s: got %s, want the one image %s", vector, r.stdout, source)
			continue
		}
		got := make(map[combination]string)
		for _, d := range answer.Images[0].Digests {
			got[combination{d.Format, d.Algorithm, d.Xattrs}] = d.Digest
		}
		if want := expected(s.t, vector); !maps.Equal(got, want) {
			s.t.Errorf("%s: got %v\nwant %v", vector, got, want)
		}
	}
}

// checkSeal: stdout is one line that names the sealed image, so does the tag,
// and label and annotations hold the digests.
func checkSeal(s server, repo string) {
	for _, vector := range pushed {
		tag := repo + ":" + vector
		s.push(vector, tag)
		before := s.image(tag)
		computed := s.ok("compute", tag)
		sealed := s.ok(tag, "--algorithm", "sha512,sha256")
		if tags := s.tags(repo); sealed != repo+"@"+tags[vector] {
			s.t.Errorf("%s: stdout is %s, the tags are %v", vector, sealed, tags)
		}
		if again := s.ok("compute", sealed); again != computed {
			s.t.Errorf("%s: the digest was %s and is %s now", vector, computed, again)
		}

		after := s.image(sealed)
		if got := after.labels["containers.composefs.fsverity"]; got != computed {
			s.t.Errorf("%s: the label is %q, want %q", vector, got, computed)
		}
		want := expected(s.t, vector)
		for _, a := range []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256} {
			suffix := ".fsverity-" + a.String() + "-12"
			digest := want[combination{"v1", a.String(), "allowlist-only"}]
			if got := after.manifest.Annotations["composefs.merged.erofs.v1"+suffix]; got != digest {
				s.t.Errorf("%s: the %s annotation is %q, want %q", vector, a, got, digest)
			}
			digest = fsverity.Sum(a, after.config).String()
			if got := after.manifest.Config.Annotations["composefs.config"+suffix]; got != digest {
				s.t.Errorf("%s: the %s annotation of the config is %q, want %q", vector, a, got, digest)
			}
		}
		if got, want := layersOf(after), layersOf(before); !slices.Equal(got, want) {
			s.t.Errorf("%s: the layers are %v, want %v", vector, got, want)
		}
	}
}

// layersOf returns media type and digest of each layer.
func layersOf(i image) []string {
	var layers []string
	for _, l := range i.manifest.Layers {
		layers = append(layers, string(l.MediaType)+" "+l.Digest.String())
	}
	return layers
}

// checkSealAgain: a second run writes nothing and prints the same.
func checkSealAgain(s server, repo string) {
	door, writes := s.watched()
	s.push(anyVector, repo+":latest")
	there := strings.Replace(repo, s.host, door.host, 1)

	first := door.ok(there + ":latest")
	if w := writes(); len(w) == 0 || !strings.HasSuffix(w[len(w)-1], "/manifests/latest") {
		s.t.Errorf("the first run wrote %q, want the tag last", w)
	}
	tags := s.tags(repo)
	if second := door.ok(there + ":latest"); second != first {
		s.t.Errorf("the first run prints %s, the second %s", first, second)
	}
	if w := writes(); len(w) != 0 {
		s.t.Errorf("the second run wrote %q", w)
	}
	if now := s.tags(repo); !maps.Equal(now, tags) {
		s.t.Errorf("the tags were %v and are %v now", tags, now)
	}
}

// checkSealTag: --tag names the sealed image; the tag that was read stays.
func checkSealTag(s server, repo string) {
	source := s.push(anyVector, repo+":latest")
	sealed := s.ok(repo+":latest", "--tag", "sealed", "--tag", "v1")
	digest := strings.TrimPrefix(sealed, repo+"@")
	want := map[string]string{"latest": source, "sealed": digest, "v1": digest}
	if got := s.tags(repo); digest == source || !maps.Equal(got, want) {
		s.t.Errorf("the tags are %v, want %v", got, want)
	}
}

// checkSealDigest: an image that is named by its digest is sealed by its
// digest; no tag moves unless one is asked for.
func checkSealDigest(s server, repo string) {
	source := s.push(anyVector, repo+":latest")
	sealed := s.ok(repo + "@" + source)
	if got := s.image(sealed).labels["containers.composefs.fsverity"]; got == "" {
		s.t.Errorf("%s has no label", sealed)
	}
	want := map[string]string{"latest": source}
	if got := s.tags(repo); !maps.Equal(got, want) {
		s.t.Errorf("the tags are %v, want %v", got, want)
	}
	if again := s.ok(repo+"@"+source, "--tag", "sealed"); again != sealed {
		s.t.Errorf("got %s, want %s", again, sealed)
	}
	want["sealed"] = strings.TrimPrefix(sealed, repo+"@")
	if got := s.tags(repo); !maps.Equal(got, want) {
		s.t.Errorf("the tags are %v, want %v", got, want)
	}
}

// checkNotFound: what is not there ends with 5 and is named.
func checkNotFound(s server, repo string) {
	s.push(anyVector, repo+":latest")
	tags := s.tags(repo)
	nobody := "@sha256:" + strings.Repeat("0", 64)
	for _, ref := range []string{repo + ":none", repo + nobody, repo + "/none:latest"} {
		s.fails(notFound, repo, ref)
		s.fails(notFound, repo, "compute", ref)
	}
	if now := s.tags(repo); !maps.Equal(now, tags) {
		s.t.Errorf("the tags were %v and are %v now", tags, now)
	}
}

// checkMissingBlob: an image whose layer or config the registry has lost is not
// sealed, and the blob is named.
func checkMissingBlob(s server, repo string) {
	for _, place := range []string{"layer", "config"} {
		repo := repo + "/" + place
		s.push(anyVector, repo+":latest")
		tags := s.tags(repo)
		m := s.image(repo + ":latest").manifest
		lost := m.Config.Digest.String()
		if place == "layer" {
			lost = m.Layers[len(m.Layers)-1].Digest.String()
		}
		s.lose(repo, lost)
		s.fails(notFound, lost, repo+":latest")
		s.fails(notFound, lost, "compute", repo+":latest")
		if now := s.tags(repo); !maps.Equal(now, tags) {
			s.t.Errorf("%s: the tags were %v and are %v now", place, tags, now)
		}
	}
}

// checkSkopeo: skopeo takes the sealed image for what it is, and the digest of
// its copy is the same.
func checkSkopeo(s server, repo string) {
	skopeo := s.skopeo()
	for _, vector := range pushed {
		s.push(vector, repo+":"+vector)
		computed := s.ok("compute", repo+":"+vector)
		sealed := s.ok(repo + ":" + vector)

		var seen struct {
			Digest string
			Labels map[string]string
		}
		out := s.must(skopeo("inspect", "--tls-verify=false", "docker://"+repo+":"+vector))
		must(s.t, json.Unmarshal([]byte(out), &seen))
		if repo+"@"+seen.Digest != sealed || seen.Labels["containers.composefs.fsverity"] != computed {
			s.t.Errorf("%s: skopeo sees %+v, want %s and the label %s", vector, seen, sealed, computed)
		}

		copied := "oci:" + filepath.Join(s.t.TempDir(), "layout") + ":copy"
		s.must(skopeo("copy", "--src-tls-verify=false", "docker://"+sealed, copied))
		if got := s.ok("compute", copied); got != computed {
			s.t.Errorf("%s: the copy's digest is %s, want %s", vector, got, computed)
		}
	}
}

// checkCredentials: without credentials, or with wrong ones, the end is 4 and
// nothing was changed; those of docker login do.
func checkCredentials(s server, repo string) {
	s.push(anyVector, repo+":latest")
	tags := s.tags(repo)
	for _, stranger := range []server{s.as("", ""), s.as(user, "guess"), s.as("bob", password)} {
		door, writes := stranger.watched()
		ref := strings.Replace(repo, s.host, door.host, 1) + ":latest"
		door.fails(unauthorized, "docker login "+door.host, ref)
		door.fails(unauthorized, "docker login "+door.host, "compute", ref)
		if w := writes(); len(w) != 0 {
			s.t.Errorf("%q wrote %q", door.user.Username, w)
		}
		if now := s.tags(repo); !maps.Equal(now, tags) {
			s.t.Errorf("%q: the tags were %v and are %v now", door.user.Username, tags, now)
		}
	}
	sealed := s.ok(repo + ":latest")
	if now := s.tags(repo); maps.Equal(now, tags) || sealed != repo+"@"+now["latest"] {
		s.t.Errorf("stdout is %s, the tags were %v and are %v now", sealed, tags, now)
	}
}
