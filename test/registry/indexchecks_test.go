// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Exit statuses of cfs-label, further to those of checks_test.go.
const (
	failure  = 1
	usage    = 2
	mismatch = 3
)

// checkIndex: every image for Linux in an index gets its own digests, at any
// depth; all else stays; the tag comes last; a second run pushes nothing.
func checkIndex(s server, repo string) {
	ref := repo + ":latest"
	s.store(wholeIndex(), ref)
	before, want := s.read(ref), s.computed(ref)
	d := s.door()
	first := d.ok(d.at(s, ref), "--algorithm", "sha512,sha256")
	s.tagIsLast(d.passed(writes))

	after := s.read(ref)
	s.judge(before, after, want, "sha512", "sha256")
	s.whole(repo, after)
	if first != d.at(s, repo)+"@"+after.digest {
		s.t.Errorf("stdout is %s, the tag names %s", first, after.digest)
	}
	if len(want) != 2 {
		s.t.Errorf("compute knows %d images of the index, want 2: %v", len(want), want)
	}

	if second := d.ok(d.at(s, ref), "--algorithm", "sha512,sha256"); second != first {
		s.t.Errorf("the first run prints %s, the second %s", first, second)
	}
	if w := d.passed(writes); len(w) != 0 {
		s.t.Errorf("the second run wrote %q", w)
	}
}

// tagIsLast checks the order of what a run wrote: blobs, manifests by digest,
// and the tag at the end of all.
func (s server) tagIsLast(w []request) {
	s.t.Helper()
	kind := func(r request) int {
		switch {
		case strings.Contains(r.path, "/blobs/"):
			return 0
		case strings.Contains(r.path, "/manifests/sha256:"):
			return 1
		}
		return 2
	}
	byKind := func(a, b request) int { return kind(a) - kind(b) }
	tags := slices.DeleteFunc(slices.Clone(w), func(r request) bool { return kind(r) < 2 })
	if !slices.IsSortedFunc(w, byKind) || len(tags) != 1 {
		s.t.Errorf("the run wrote %q, want blobs, manifests by digest, and one tag", w)
	}
}

// checkIfNeeded: --if-needed reads no layer of what is sealed already, and seals
// what is not.
func checkIfNeeded(s server, repo string) {
	ref := repo + ":latest"
	s.store(plainIndex(), ref)
	before, want := s.read(ref), s.computed(ref)
	layers := before.layerDigests()
	d := s.door()
	first := d.ok(d.at(s, ref), "--if-needed")
	after := s.read(ref)
	s.judge(before, after, want)
	if r := d.passed(reads(layers)); len(r) != len(layers) {
		s.t.Errorf("the first run read %q, want each of %d layers once", r, len(layers))
	}
	if second := d.ok(d.at(s, ref), "--if-needed"); second != first {
		s.t.Errorf("the first run prints %s, the second %s", first, second)
	}
	if r := d.passed(func(r request) bool { return writes(r) || reads(layers)(r) }); len(r) != 0 {
		s.t.Errorf("the second run was not needed and did %q", r)
	}
	// Another algorithm was not asked for then.
	d.ok(d.at(s, ref), "--if-needed", "--algorithm", "sha256")
	s.judge(before, s.read(ref), want, "sha256")
}

// checkCheck: --check pushes nothing, ends with 3 for what is not sealed, or
// wrongly, and says which.
func checkCheck(s server, repo string) {
	ref := repo + ":latest"
	s.store(plainIndex(), ref)
	before := s.read(ref)
	d := s.door()
	for _, named := range []string{"linux/amd64", "linux/arm64", labelKey, "composefs.config.fsverity-sha512-12"} {
		d.ends(mismatch, named, d.at(s, ref), "--check")
	}
	if w := d.passed(asksMore); len(w) != 0 {
		s.t.Errorf("--check did %q", w)
	}
	if now := s.read(ref); now.digest != before.digest {
		s.t.Errorf("the tag named %s and names %s", before.digest, now.digest)
	}

	sealed := d.ok(d.at(s, ref))
	d.passed(writes)
	if got := d.ok(d.at(s, ref), "--check"); got != sealed {
		s.t.Errorf("--check prints %s, want %s", got, sealed)
	}
	if w := d.passed(asksMore); len(w) != 0 {
		s.t.Errorf("--check of what is sealed did %q", w)
	}

	// A wrong label looks like a right one.
	s.store(inheritedImage(), repo+":inherited")
	s.ends(mismatch, labelKey, repo+":inherited", "--check")
}

// ends runs cfs-label, which must end with the exit status and name the thing
// on stderr.
func (s server) ends(status int, named string, args ...string) {
	s.t.Helper()
	r := s.run(args...)
	if r.status != status || !strings.Contains(r.stderr, named) {
		s.t.Errorf("cfs-label %q: exit status %d, want %d and %q\nstdout: %s\nstderr: %s",
			args, r.status, status, named, r.stdout, r.stderr)
	}
}

// checkMoved: a tag that somebody else moves during a run stays where they put
// it, and the run fails; with --force it is ours.
func checkMoved(s server, repo string) {
	ref := repo + ":latest"
	source := s.push(anyVector, ref)
	theirs := s.store(plainImage(), repo+":theirs")
	d := s.door()
	// The tag moves when the new manifest is there, which is right before ours.
	move := func() {
		var once sync.Once
		d.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256:") {
				once.Do(func() { s.store(plainImage(), ref) })
			}
			return false
		})
	}

	move()
	d.fails(failure, "moved", d.at(s, ref))
	want := map[string]string{"latest": theirs, "theirs": theirs}
	if got := s.tags(repo); !maps.Equal(got, want) {
		s.t.Errorf("the tags are %v, want %v", got, want)
	}

	// The manifest that the failed run left behind would not be pushed again.
	again := strings.Replace(repo, "/moved", "/moved-again", 1)
	ref = again + ":latest"
	s.push(anyVector, ref)
	move()
	sealed := d.ok(d.at(s, ref), "--force")
	if got := s.tags(again)["latest"]; !strings.HasSuffix(sealed, "@"+got) || got == theirs || got == source {
		s.t.Errorf("the tag names %s, want what was printed, %s", got, sealed)
	}
}
