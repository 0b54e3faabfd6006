// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

const (
	labelKey = "containers.composefs.fsverity"
	inputKey = "io.github.cfs-label.input"
	// follows is the annotation by which buildx says what an attestation is of.
	follows = "vnd.docker.reference.digest"
	// embedMax is up to which size a new content is embedded where the old one
	// was, in bytes.
	embedMax = 4 << 10
)

// answers are the composefs digests of images by manifest and algorithm.
type answers map[string]map[string]string

// computed returns what cfs-label compute says of a reference.
func (s server) computed(ref string) answers {
	s.t.Helper()
	var out struct {
		Images []struct {
			Manifest string
			Digests  []struct{ Algorithm, Digest string }
		}
	}
	r := s.run("compute", ref, "-o", "json", "--algorithm", "sha512,sha256")
	if r.status != 0 {
		s.t.Fatalf("compute %s: exit status %d: %s", ref, r.status, r.stderr)
	}
	must(s.t, json.Unmarshal([]byte(r.stdout), &out))
	all := make(answers)
	for _, img := range out.Images {
		all[img.Manifest] = make(map[string]string)
		for _, d := range img.Digests {
			all[img.Manifest][d.Algorithm] = d.Digest
		}
	}
	return all
}

// A judge compares a tree with what it was before it was sealed.
type judge struct {
	server
	want       answers
	algorithms []string          // the first is the label's
	toOCI      bool              // Docker's media types became OCI's
	moved      map[string]string // digests of manifests, old to new
}

// judge checks that after is before, sealed with those algorithms (none is
// sha512), and that nothing else of it changed.
func (s server) judge(before, after *node, want answers, algorithms ...string) {
	s.t.Helper()
	if len(algorithms) == 0 {
		algorithms = []string{"sha512"}
	}
	j := &judge{server: s, want: want, algorithms: algorithms}
	j.run(before, after)
}

// judgeOCI checks the same of an image of Docker's that was converted, too.
func (s server) judgeOCI(before, after *node, want answers) {
	s.t.Helper()
	j := &judge{server: s, want: want, algorithms: []string{"sha512"}, toOCI: true}
	j.run(before, after)
}

func (j *judge) run(before, after *node) {
	j.t.Helper()
	if j.moved = map[string]string{}; !j.pair(before, after) {
		j.t.Errorf("the index has other children: %s\nnow %s", before.raw, after.raw)
		return
	}
	j.node(before, after)
}

// pair fills moved. It returns false where the trees have not one shape.
func (j *judge) pair(before, after *node) bool {
	if len(before.children) != len(after.children) {
		return false
	}
	j.moved[before.digest] = after.digest
	for i, c := range before.children {
		if !j.pair(c, after.children[i]) {
			return false
		}
	}
	return true
}

func (j *judge) node(before, after *node) {
	j.t.Helper()
	wantType := before.mediaType
	if j.toOCI {
		wantType = map[string]string{dockerManifest: ociManifest, dockerList: ociIndex}[wantType]
	}
	if after.mediaType != wantType {
		j.t.Errorf("%s was of type %s and is of type %s, want %s", before.digest, before.mediaType, after.mediaType, wantType)
	}
	switch {
	case len(before.children) > 0:
		j.index(before, after)
	case before.sealable():
		j.image(before, after)
	case before.digest != after.digest:
		j.t.Errorf("no image for Linux, and changed:\n%s\nnow %s", before.raw, after.raw)
	}
}

func (j *judge) index(before, after *node) {
	j.t.Helper()
	j.same("index", before.raw, after.raw, indexRule)
	for i, was := range before.Manifests {
		is := after.Manifests[i]
		if target, ok := was.Annotations[follows]; ok && is.Annotations[follows] != j.moved[target] {
			j.t.Errorf("the annotation %s of %s is %q, want %q", follows, is.Digest, is.Annotations[follows], j.moved[target])
		}
		j.embeds(was, is, after.children[i].raw)
		j.node(before.children[i], after.children[i])
	}
}

// embeds checks that a descriptor that embedded its content still does.
func (j *judge) embeds(was, is v1.Descriptor, content []byte) {
	j.t.Helper()
	if was.Data != nil && is.Data == nil && len(content) <= embedMax {
		j.t.Errorf("the descriptor %s embeds nothing any more", is.Digest)
	}
}

// inputValue is what the annotation of the input looks like.
var inputValue = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func (j *judge) image(before, after *node) {
	j.t.Helper()
	j.same("config", before.config, after.config, configRule)
	j.same("manifest", before.raw, after.raw, manifestRule)
	j.embeds(*before.Config, *after.Config, after.config)
	want := j.want[before.digest]
	if got := after.labels(j.t)[labelKey]; got != want[j.algorithms[0]] || got == "" {
		j.t.Errorf("the label of %s is %q, want %q", after.digest, got, want[j.algorithms[0]])
	}
	annotations := map[string]string{}
	if !strings.HasPrefix(after.mediaType, "application/vnd.docker.") {
		for _, a := range j.algorithms {
			annotations["composefs.merged.erofs.v1.fsverity-"+a+"-12"] = want[a]
			annotations["composefs.config.fsverity-"+a+"-12"] = sum(a, after.config)
		}
		if got := after.Annotations[inputKey]; !inputValue.MatchString(got) {
			j.t.Errorf("the annotation %s of %s is %q", inputKey, after.digest, got)
		}
	}
	got := map[string]string{}
	for _, place := range []map[string]string{after.Annotations, after.Config.Annotations} {
		for key, value := range place {
			if manifestRule("annotations/"+key) == cut && key != inputKey {
				got[key] = value
			}
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(annotations) {
		j.t.Errorf("the annotations of %s are %v\nwant %v", after.digest, got, annotations)
	}
}

// sum returns the fs-verity digest of data.
func sum(algorithm string, data []byte) string {
	a := fsverity.SHA512
	if algorithm == "sha256" {
		a = fsverity.SHA256
	}
	return fsverity.Sum(a, data).String()
}

// same checks that a document is the same outside of what a seal may change.
func (j *judge) same(what string, before, after []byte, rule func(string) fate) {
	j.t.Helper()
	if j.toOCI {
		if bytes.Contains(after, []byte("vnd.docker.")) {
			j.t.Errorf("the %s has media types of Docker's: %s", what, after)
		}
		rule = orMediaType(rule)
	}
	was, err := outside(before, rule)
	must(j.t, err)
	is, err := outside(after, rule)
	must(j.t, err)
	if was != is {
		j.t.Errorf("the %s changed elsewhere:\n%q\nnow\n%q", what, before, after)
	}
}

// orMediaType is a rule that lets media types change as well.
func orMediaType(rule func(string) fate) func(string) fate {
	return func(path string) fate {
		if path == "mediaType" || strings.HasSuffix(path, ".mediaType") {
			return blanked
		}
		return rule(path)
	}
}
