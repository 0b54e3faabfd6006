// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"fmt"
	"maps"
	"strings"
)

const (
	sbomType     = "application/vnd.example.sbom"
	metadataType = "application/vnd.composefs.metadata.v1"
)

// referrerOf returns an artifact that refers to an image.
func referrerOf(n *node, artifactType string) *content {
	empty := &content{mediaType: "application/vnd.oci.empty.v1+json", data: []byte("{}")}
	subject := fmt.Sprintf(`"subject":{"mediaType":%q,"digest":%q,"size":%d}`, n.mediaType, n.digest, len(n.raw))
	return manifestOf(ociManifest, empty, []*content{empty}, fmt.Sprintf(`"artifactType":%q`, artifactType), subject)
}

// checkArtifact: --write artifact leaves image and tag alone, and adds an
// artifact per algorithm to what refers to the image already. A second run
// pushes nothing.
func checkArtifact(s server, repo string) {
	for name, top := range map[string]*content{"image": plainImage(), "index": plainIndex()} {
		repo := repo + "/" + name
		ref := repo + ":latest"
		s.store(top, ref)
		before, want := s.read(ref), s.computed(ref)
		images := before.images()
		for _, n := range images {
			sbom := referrerOf(n, sbomType)
			s.store(sbom, repo+"@"+sbom.digest())
		}
		tags := s.tags(repo)
		d := s.door()
		args := []string{d.at(s, ref), "--write", "artifact", "--algorithm", "sha512,sha256"}
		first := d.ok(args...)
		if first != d.at(s, repo)+"@"+before.digest {
			s.t.Errorf("stdout is %s, want the image as it was, %s", first, before.digest)
		}
		if now := s.read(ref); now.digest != before.digest {
			s.t.Errorf("the tag names %s, want the image as it was, %s", now.digest, before.digest)
		}
		for _, n := range images {
			s.carries(repo, n, want[n.digest])
		}
		if now := s.tags(repo); len(now) != len(tags) {
			s.t.Errorf("the tags were %v and are %v", tags, now)
		}

		d.passed(writes)
		if second := d.ok(args...); second != first {
			s.t.Errorf("the first run prints %s, the second %s", first, second)
		}
		if w := d.passed(writes); len(w) != 0 {
			s.t.Errorf("the second run wrote %q", w)
		}
	}
}

// images returns the images for Linux of a tree.
func (n *node) images() []*node {
	var list []*node
	n.walk(func(n *node) {
		if n.sealable() {
			list = append(list, n)
		}
	})
	return list
}

// carries checks what refers to an image: the SBOM from before, and an artifact
// for each algorithm with the digests of manifest, config and merged tree, in
// that order.
func (s server) carries(repo string, n *node, want map[string]string) {
	s.t.Helper()
	seen := map[string]int{}
	for _, r := range s.referrers(repo, n.digest) {
		if r.ArtifactType != metadataType {
			seen[r.ArtifactType]++
			continue
		}
		var keys []string
		got := map[string]string{}
		for _, l := range r.Layers {
			for key, value := range l.Annotations {
				keys = append(keys, key)
				got[key] = value
			}
		}
		algorithm := "sha256"
		if strings.Contains(strings.Join(keys, " "), "sha512") {
			algorithm = "sha512"
		}
		seen[algorithm]++
		suffix := ".fsverity-" + algorithm + "-12"
		wantKeys := []string{"composefs.manifest" + suffix, "composefs.config" + suffix, "composefs.merged.erofs.v1" + suffix}
		digests := map[string]string{
			wantKeys[0]: sum(algorithm, n.raw),
			wantKeys[1]: sum(algorithm, n.config),
			wantKeys[2]: want[algorithm],
		}
		if fmt.Sprint(keys) != fmt.Sprint(wantKeys) || !maps.Equal(got, digests) {
			s.t.Errorf("the artifact %s has %v\nwant %v", r.digest, got, digests)
		}
		s.whole(repo, r)
	}
	if want := map[string]int{sbomType: 1, "sha512": 1, "sha256": 1}; !maps.Equal(seen, want) {
		s.t.Errorf("%s is referred to by %v, want %v", n.digest, seen, want)
	}
}

// checkOldSignatures: what refers to the old digest is counted and named, and
// stays as it is. Nothing is said where the digest stays.
func checkOldSignatures(s server, repo string) {
	ref := repo + ":latest"
	s.store(plainImage(), ref)
	before := s.read(ref)
	signature := strings.Replace(before.digest, ":", "-", 1) + ".sig"
	s.store(artifactOf("a signature"), repo+":"+signature)
	sbom := referrerOf(before, sbomType)
	s.store(sbom, repo+"@"+sbom.digest())
	tags := s.tags(repo)

	r := s.run(ref, "--write", "artifact")
	if r.status != 0 || strings.Contains(r.stderr, signature) {
		s.t.Errorf("the artifact leaves the signature right: exit status %d, %s", r.status, r.stderr)
	}
	r = s.run(ref)
	for _, named := range []string{"3 signatures and referrers", signature, sbomType, metadataType, "--write artifact"} {
		if r.status != 0 || !strings.Contains(r.stderr, named) {
			s.t.Errorf("want %q on stderr: exit status %d, %s", named, r.status, r.stderr)
		}
	}
	now := s.tags(repo)
	if now["latest"] == before.digest || now[signature] != tags[signature] {
		s.t.Errorf("the tags were %v and are %v", tags, now)
	}
	if list := s.referrers(repo, now["latest"]); len(list) != 0 {
		s.t.Errorf("%d manifests refer to the new image, want none", len(list))
	}
	if list := s.referrers(repo, before.digest); len(list) != 2 {
		s.t.Errorf("%d manifests refer to the old image, want SBOM and artifact", len(list))
	}
}
