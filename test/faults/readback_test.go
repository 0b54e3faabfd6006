// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// What is in this file reads from the registry itself, by plain requests. It
// knows nothing of the product.

// manifest returns what a tag or a digest names. A digest must be true.
func (b *backing) manifest(repo, ident string) (object, error) {
	a := b.ask(http.MethodGet, manifestPath(repo, ident), nil, nil)
	if a.status != http.StatusOK {
		return object{}, fmt.Errorf("%s %s: status %d", repo, ident, a.status)
	}
	obj := object{describe(a.body, types.MediaType(a.header.Get("Content-Type"))), a.body}
	if strings.Contains(ident, ":") && ident != obj.desc.Digest.String() {
		return object{}, fmt.Errorf("%s %s: its digest is %s", repo, ident, obj.desc.Digest)
	}
	return obj, nil
}

// blob returns a blob, which must be what its descriptor says.
func (b *backing) blob(repo string, d v1.Descriptor) ([]byte, error) {
	a := b.ask(http.MethodGet, "/v2/"+repo+"/blobs/"+d.Digest.String(), nil, nil)
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("%s %s: status %d", repo, d.Digest, a.status)
	}
	return a.body, matches(a.body, d)
}

func matches(content []byte, d v1.Descriptor) error {
	if got := describe(content, ""); got.Digest != d.Digest || got.Size != d.Size {
		return fmt.Errorf("%s of %d bytes is %s of %d bytes", d.Digest, d.Size, got.Digest, got.Size)
	}
	return nil
}

// whole fails unless everything is there that a manifest or index needs:
// children, configs and layers, each what its descriptor says.
func (b *backing) whole(repo string, obj object) error {
	var m struct {
		MediaType types.MediaType `json:"mediaType"`
		Config    *v1.Descriptor  `json:"config"`
		Layers    []v1.Descriptor `json:"layers"`
		Manifests []v1.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(obj.raw, &m); err != nil {
		return fmt.Errorf("%s: %w", obj.desc.Digest, err)
	}
	if m.MediaType != "" && m.MediaType != obj.desc.MediaType {
		return fmt.Errorf("%s was stored as %s", obj.desc.Digest, obj.desc.MediaType)
	}
	if obj.desc.MediaType.IsIndex() != (m.Config == nil) {
		return fmt.Errorf("%s is neither an index nor a manifest", obj.desc.Digest)
	}
	for _, d := range m.Manifests {
		child, err := b.child(repo, d)
		if err != nil {
			return err
		}
		if err := b.whole(repo, child); err != nil {
			return err
		}
	}
	if m.Config != nil {
		m.Layers = append(m.Layers, *m.Config)
	}
	for _, d := range m.Layers {
		if _, err := b.blob(repo, d); err != nil {
			return fmt.Errorf("%s: %w", obj.desc.Digest, err)
		}
	}
	return nil
}

// child returns what a descriptor of an index names.
func (b *backing) child(repo string, d v1.Descriptor) (object, error) {
	obj, err := b.manifest(repo, d.Digest.String())
	if err != nil {
		return object{}, err
	}
	if obj.desc.MediaType != d.MediaType {
		return object{}, fmt.Errorf("%s is a %s, its descriptor says %s", d.Digest, obj.desc.MediaType, d.MediaType)
	}
	return obj, matches(obj.raw, d)
}

// tags returns what each tag names, but for those that stand in for the
// referrers API. A repository that is not there has none.
func (b *backing) tags(repo string) (map[string]object, error) {
	a := b.ask(http.MethodGet, "/v2/"+repo+"/tags/list", nil, nil)
	if a.status == http.StatusNotFound {
		return map[string]object{}, nil
	}
	var list struct{ Tags []string }
	if err := json.Unmarshal(a.body, &list); err != nil {
		return nil, fmt.Errorf("tags of %s: %d %w", repo, a.status, err)
	}
	tags := map[string]object{}
	for _, tag := range list.Tags {
		if isFallback(tag) {
			continue
		}
		obj, err := b.manifest(repo, tag)
		if err != nil {
			return nil, err
		}
		tags[tag] = obj
	}
	return tags, nil
}

// referrers returns the manifests that a client finds for a subject: by the API
// or, where there is none, by the tag that stands in for it. Each is whole and
// has the subject, and is there once.
func (b *backing) referrers(repo string, subject v1.Hash, hasAPI bool) ([]object, error) {
	target := manifestPath(repo, fallbackTag(subject))
	if hasAPI {
		target = "/v2/" + repo + "/referrers/" + subject.String()
	}
	a := b.ask(http.MethodGet, target, nil, nil)
	if a.status == http.StatusNotFound {
		return nil, nil
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(a.body, &index); err != nil {
		return nil, fmt.Errorf("referrers of %s: %d %w", subject, a.status, err)
	}
	found := map[string]object{}
	for _, d := range index.Manifests {
		obj, err := b.child(repo, d)
		if err != nil {
			return nil, fmt.Errorf("referrers of %s: %w", subject, err)
		}
		if _, twice := found[d.Digest.String()]; twice {
			return nil, fmt.Errorf("referrers of %s: %s is listed twice", subject, d.Digest)
		}
		var m struct{ Subject *v1.Descriptor }
		if err := json.Unmarshal(obj.raw, &m); err != nil || m.Subject == nil || m.Subject.Digest != subject {
			return nil, fmt.Errorf("referrers of %s: %s does not refer to it (%w)", subject, d.Digest, err)
		}
		if err := b.whole(repo, obj); err != nil {
			return nil, fmt.Errorf("referrers of %s: %w", subject, err)
		}
		found[d.Digest.String()] = obj
	}
	list := make([]object, 0, len(found))
	for _, digest := range slices.Sorted(maps.Keys(found)) {
		list = append(list, found[digest])
	}
	return list, nil
}
