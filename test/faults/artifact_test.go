// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// artifacts fails unless the image has an artifact for each algorithm, and not
// two, which carry its digests.
func (c *sealCheck) artifacts(img object, want digests, hasAPI bool) error {
	list, err := c.b.referrers(c.repo, img.desc.Digest, hasAPI)
	if err != nil {
		return err
	}
	found := map[string]string{}
	count := 0
	for _, r := range list {
		var m struct {
			ArtifactType string
			Layers       []v1.Descriptor
		}
		if err := json.Unmarshal(r.raw, &m); err != nil {
			return err
		}
		if m.ArtifactType != artifactType {
			continue
		}
		count++
		for _, l := range m.Layers {
			maps.Copy(found, l.Annotations)
		}
	}
	if count != len(want.v1) {
		return fmt.Errorf("%s has %d artifacts, not %d", img.desc.Digest, count, len(want.v1))
	}
	for alg, digest := range want.v1 {
		if got := found[fmt.Sprintf(mergedKey, alg)]; got != digest {
			return fmt.Errorf("%s: the artifact says %q for %s, not %s", img.desc.Digest, got, alg, digest)
		}
	}
	if _, ok := want.v1["sha512"]; ok {
		if got := found[fmt.Sprintf(manifestKey, "sha512")]; got != measure(img.raw) {
			return fmt.Errorf("%s: the artifact says %q for the manifest, not %s", img.desc.Digest, got, measure(img.raw))
		}
	}
	return nil
}

// allArtifacts fails unless each image of now, which is the original sealed, has
// its artifacts.
func (c *sealCheck) allArtifacts(o *original, now object, hasAPI bool) error {
	if !now.desc.MediaType.IsIndex() {
		return c.artifacts(now, c.want[o.top.desc.Digest], hasAPI)
	}
	var was, is v1.IndexManifest
	if err := errors.Join(json.Unmarshal(o.top.raw, &was), json.Unmarshal(now.raw, &is)); err != nil {
		return err
	}
	for i, d := range was.Manifests {
		want, ok := c.want[d.Digest]
		if !ok {
			continue // no image
		}
		img, err := c.b.child(c.repo, is.Manifests[i])
		if err != nil {
			return err
		}
		if err := c.artifacts(img, want, hasAPI); err != nil {
			return err
		}
	}
	return nil
}

// isListed fails unless r is still a referrer of what it was made for.
func (o *original) isListed(b *backing, hasAPI bool) error {
	list, err := b.referrers(sourceRepo, o.top.desc.Digest, hasAPI)
	if err != nil || o.referrer == nil {
		return err
	}
	if !slices.ContainsFunc(list, func(r object) bool { return r.desc.Digest == o.referrer.desc.Digest }) {
		return fmt.Errorf("the referrer %s was lost", o.referrer.desc.Digest)
	}
	return nil
}

// images returns the images that are to be sealed: the top, or the children
// that are images.
func (o *original) images() []object {
	if !o.top.desc.MediaType.IsIndex() {
		return []object{o.top}
	}
	return slices.DeleteFunc(slices.Clone(o.below), func(obj object) bool { return !o.isImage(obj) })
}

func (o *original) isImage(obj object) bool {
	var m v1.Manifest
	return json.Unmarshal(obj.raw, &m) == nil && o.configs[m.Config.Digest.String()]
}
