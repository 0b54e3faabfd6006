// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// inheritedImage has the label of another image.
func inheritedImage() *content {
	img := plainImage()
	config := img.refs[0]
	config.data = []byte(strings.Replace(string(config.data), `"Labels":{`,
		`"Labels":{"`+labelKey+`":"`+strings.Repeat("0", 128)+`",`, 1))
	return manifestOf(ociManifest, config, img.refs[1:])
}

// checkInherited: what a builder copied from a sealed base is replaced, or
// removed and named; what is no seal's stays.
func checkInherited(s server, repo string) {
	base := repo + ":base"
	s.store(plainImage(), base)
	s.ok(base, "--algorithm", "sha256,sha512")
	derived := derive(s, s.read(base))
	ref := repo + ":latest"
	s.store(derived, ref)
	before, want := s.read(ref), s.computed(ref)

	r := s.run(ref)
	if r.status != 0 {
		s.t.Fatalf("exit status %d: %s", r.status, r.stderr)
	}
	after := s.read(ref)
	s.judge(before, after, want)
	for _, removed := range []string{
		"containers.composefs.other",
		"composefs.merged.erofs.v1.fsverity-sha256-12",
		"composefs.config.fsverity-sha256-12",
		"composefs.merged.bootable.erofs.v1.fsverity-sha512-12",
	} {
		if !strings.Contains(r.stderr, removed) {
			s.t.Errorf("stderr does not name %s, which was removed: %s", removed, r.stderr)
		}
	}
	if got := after.labels(s.t); got["containers.composefs.other"] != "" || got["org.example.name"] != "odd" {
		s.t.Errorf("the labels are %v", got)
	}
	if after.Annotations["composefs.layer.x"] != "stays" {
		s.t.Errorf("the annotations are %v, want that of the layer among them", after.Annotations)
	}
}

// derive returns what a builder makes FROM an image with one more layer: it
// marshals config and manifest anew, and keeps what it does not know.
func derive(s server, base *node) *content {
	s.t.Helper()
	added := layerOf(ociGzip, "usr/bin/added")
	var config, manifest map[string]any
	must(s.t, json.Unmarshal(base.config, &config))
	must(s.t, json.Unmarshal(base.raw, &manifest))
	rootfs := config["rootfs"].(map[string]any)
	rootfs["diff_ids"] = append(rootfs["diff_ids"].([]any), added.diffID)
	config["config"].(map[string]any)["Labels"].(map[string]any)["containers.composefs.other"] = "x"
	text, err := json.Marshal(config)
	must(s.t, err)
	newConfig := &content{mediaType: ociConfig, data: text}

	described := manifest["config"].(map[string]any)
	described["digest"], described["size"] = newConfig.digest(), len(newConfig.data)
	manifest["layers"] = append(manifest["layers"].([]any), json.RawMessage(added.descriptor()))
	annotations := manifest["annotations"].(map[string]any)
	annotations["composefs.merged.bootable.erofs.v1.fsverity-sha512-12"] = strings.Repeat("0", 128)
	annotations["composefs.layer.x"] = "stays"
	text, err = json.MarshalIndent(manifest, "", "   ")
	must(s.t, err)
	return &content{mediaType: ociManifest, data: text, refs: append(plainImage().refs[1:], newConfig, added)}
}

// checkDocker: images and lists of Docker's get the label alone; with --oci they
// become OCI's and get annotations, too.
func checkDocker(s server, repo string) {
	for name, top := range map[string]*content{"image": dockerImage(), "list": dockerIndex()} {
		ref := repo + "/" + name + ":latest"
		s.store(top, ref)
		before, want := s.read(ref), s.computed(ref)
		s.ok(ref, "--oci", "--tag", "oci")
		after := s.read(repo + "/" + name + ":oci")
		s.judgeOCI(before, after, want)
		s.whole(repo+"/"+name, after)

		sealed := s.ok(ref)
		s.judge(before, s.read(ref), want)
		if again := s.ok(ref); again != sealed {
			s.t.Errorf("%s: the first run prints %s, the second %s", name, sealed, again)
		}
	}
}

// checkOdd: whatever is odd in an image, the registry stores it as it is, and
// every byte outside of the seal stays.
func checkOdd(s server, repo string) {
	for i, odd := range oddImages {
		if odd.many {
			continue
		}
		repo := fmt.Sprintf("%s/%d", repo, i)
		ref := repo + ":latest"
		if s.store(odd.make(), ref); odd.refused != nil {
			s.fails(notFound, odd.refused(), ref)
			continue
		}
		before, want := s.read(ref), s.computed(ref)
		s.ok(ref)
		after := s.read(ref)
		s.judge(before, after, want)
		s.whole(repo, after)
	}
}

// schema1 is a manifest of the kind that Docker wrote until 2016.
const schema1 = `{"schemaVersion":1,"name":"checks/old","tag":"latest","architecture":"amd64",` +
	`"fsLayers":[{"blobSum":"sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"}],` +
	`"history":[{"v1Compatibility":"{\"id\":\"0\",\"os\":\"linux\"}"}],"signatures":[]}`

// checkSchema1: an image of Docker's oldest kind is refused with a reason. No
// registry of today takes one, so the door says that it is there.
func checkSchema1(s server, repo string) {
	s.push(anyVector, repo+":latest")
	d := s.door()
	for _, mediaType := range []string{
		"application/vnd.docker.distribution.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.v1+prettyjws",
	} {
		d.intercept(func(w http.ResponseWriter, r *http.Request) bool {
			isManifest := strings.Contains(r.URL.Path, "/manifests/") &&
				slices.Contains([]string{http.MethodGet, http.MethodHead}, r.Method)
			if isManifest {
				w.Header().Set("Content-Type", mediaType)
				w.Header().Set("Docker-Content-Digest", digestOf([]byte(schema1)))
				_, _ = w.Write([]byte(schema1)) // who hangs up will say so
			}
			return isManifest
		})
		d.fails(failure, "schema 1", d.at(s, repo+":latest"))
		if w := d.passed(writes); len(w) != 0 {
			s.t.Errorf("%s: the run wrote %q", mediaType, w)
		}
	}
}
