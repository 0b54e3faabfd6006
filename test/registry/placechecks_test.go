// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"maps"
	"path/filepath"
	"strings"
)

// checkTo: --to puts the sealed image elsewhere, whole, and leaves the source
// alone. Within a registry no layer is sent.
func checkTo(s server, repo string) {
	ref := repo + ":v1"
	source := s.store(wholeIndex(), ref)
	before, want := s.read(ref), s.computed(ref)
	other := startGGCR(s.t)
	d := s.door()
	for _, to := range []struct {
		server
		target, tag string
		through     *door // where the layers would be seen
	}{
		{s, repo + "/same", "v1", nil},
		{s, repo + "/named:v2", "v2", d},
		{other, other.host + "/else", "v1", nil},
		{other, other.host + "/else/named:v2", "v2", nil},
	} {
		target, _, _ := strings.Cut(strings.TrimPrefix(to.target, to.host), ":")
		target = to.host + target
		by, from, into := s, ref, to.target
		if to.through != nil {
			by, from, into = to.through.server, to.through.at(s, ref), to.through.at(s, to.target)
		}
		sealed := by.ok(from, "--to", into)
		after := to.read(target + ":" + to.tag)
		s.judge(before, after, want)
		to.whole(target, after)
		if !strings.HasSuffix(sealed, strings.TrimPrefix(target, to.host)+"@"+after.digest) {
			s.t.Errorf("stdout is %s, %s names %s", sealed, to.target, after.digest)
		}
		if got := to.tags(target); len(got) != 1 {
			s.t.Errorf("%s has the tags %v, want %s alone", target, got, to.tag)
		}
	}
	if r := d.passed(sends(before.layerDigests())); len(r) != 0 {
		s.t.Errorf("within the registry these sent layers: %q", r)
	}
	if got, want := s.tags(repo), map[string]string{"v1": source}; !maps.Equal(got, want) {
		s.t.Errorf("the tags of the source are %v, want %v", got, want)
	}
}

// checkTags: --tag names a sealed index; with --to it does so there.
func checkTags(s server, repo string) {
	source := s.store(plainIndex(), repo+":latest")
	sealed := s.ok(repo+":latest", "--tag", "a", "--tag", "b")
	digest := strings.TrimPrefix(sealed, repo+"@")
	want := map[string]string{"latest": source, "a": digest, "b": digest}
	if got := s.tags(repo); digest == source || !maps.Equal(got, want) {
		s.t.Errorf("the tags are %v, want %v", got, want)
	}
	s.ok(repo+":latest", "--to", repo+"/else", "--tag", "c")
	if got, want := s.tags(repo+"/else"), map[string]string{"c": digest}; !maps.Equal(got, want) {
		s.t.Errorf("the tags there are %v, want %v", got, want)
	}
}

// checkArchives: archives as skopeo writes them are sealed into the registry,
// and an archive is written that skopeo reads.
func checkArchives(s server, repo string) {
	skopeo := s.skopeo()
	dir := s.t.TempDir()
	for _, vector := range pushed {
		from := repo + ":" + vector
		s.push(vector, from)
		before, want := s.read(from), s.computed(from)

		oci := filepath.Join(dir, vector+".oci.tar")
		s.must(skopeo("copy", "--src-tls-verify=false", "docker://"+from, "oci-archive:"+oci+":v1"))
		sealed := s.ok("oci-archive:"+oci+":v1", "--to", repo+"/oci:"+vector)
		after := s.read(sealed)
		s.judge(before, after, want)
		s.whole(repo+"/oci", after)

		written := filepath.Join(dir, vector+".sealed.tar")
		s.ok(from, "--to", "oci-archive:"+written+":v1")
		s.must(skopeo("copy", "--dest-tls-verify=false", "oci-archive:"+written+":v1", "docker://"+repo+"/back:"+vector))
		if back := s.read(repo + "/back:" + vector); back.digest != after.digest {
			s.t.Errorf("%s: by an archive it is %s, want %s", vector, back.digest, after.digest)
		}

		if vector == "media-zstd" {
			continue // which a docker-archive cannot say
		}
		docker := filepath.Join(dir, vector+".docker.tar")
		s.must(skopeo("copy", "--src-tls-verify=false", "docker://"+from, "docker-archive:"+docker+":example.com/image:v1"))
		sealed = s.ok("docker-archive:"+docker, "--to", repo+"/docker:"+vector)
		after = s.read(sealed)
		if got := after.labels(s.t)[labelKey]; got != want[before.digest]["sha512"] {
			s.t.Errorf("%s: the label by a docker-archive is %q, want %q", vector, got, want[before.digest]["sha512"])
		}
		s.whole(repo+"/docker", after)
		s.fails(usage, "--to", "docker-archive:"+docker)
	}
}
