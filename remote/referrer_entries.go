// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// entryList collects the entries of a subject's referrers, each digest once.
type entryList struct {
	entries []v1.Descriptor
	seen    map[v1.Hash]bool
	pages   int
	bytes   int
}

// add adds the entries of one index.
func (l *entryList) add(index []byte) error {
	l.pages++
	l.bytes += len(index)
	if l.pages > maxReferrerPages || l.bytes > maxReferrerBytes {
		return kinded(ErrTooLarge, fmt.Errorf("the list of referrers has more than the %d pages or %d bytes that are read at most", maxReferrerPages, maxReferrerBytes))
	}
	var body struct {
		Manifests json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(index, &body); err != nil {
		return kinded(ErrContent, fmt.Errorf("the list of referrers: %w", err))
	}
	if len(body.Manifests) == 0 || string(body.Manifests) == "null" {
		return nil
	}
	if err := l.addEntries(body.Manifests); err != nil {
		return fmt.Errorf("the list of referrers: %w", err)
	}
	return nil
}

// addEntries reads one entry at a time: a small index can have more of them than
// fit into memory.
func (l *entryList) addEntries(array json.RawMessage) error {
	dec := json.NewDecoder(bytes.NewReader(array))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return kinded(ErrContent, errors.New("its manifests are no array"))
	}
	for n := 0; dec.More(); n++ {
		var d v1.Descriptor
		if err := dec.Decode(&d); err != nil {
			return kinded(ErrContent, fmt.Errorf("entry %d: %w", n, err))
		}
		if err := wellFormed(d.Digest); err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
		if d.Size < 0 {
			return kinded(ErrContent, fmt.Errorf("entry %d has %d bytes", n, d.Size))
		}
		if len(l.entries) == maxReferrers || n == maxReferrers {
			return kinded(ErrTooLarge, fmt.Errorf("it has more than the %d entries that are read at most", maxReferrers))
		}
		if l.seen == nil {
			l.seen = map[v1.Hash]bool{}
		}
		if !l.seen[d.Digest] {
			l.seen[d.Digest] = true
			l.entries = append(l.entries, d)
		}
	}
	return nil
}

// ociEmpty is the media type of a config that is none. It types no artifact
// (image-spec, manifest.md, "Guidelines for Artifact Usage"), yet some
// registries list it as one's type.
const ociEmpty = "application/vnd.oci.empty.v1+json"

// describe reads the manifests of the entries that the list tells no type of,
// and completes them as the referrers API would.
func (r *registry) describe(ctx context.Context, entries []v1.Descriptor) error {
	read := 0
	for i := range entries {
		d := &entries[i]
		if (d.ArtifactType != "" && d.ArtifactType != ociEmpty) || !d.MediaType.IsImage() && !d.MediaType.IsIndex() {
			continue
		}
		if read++; read > maxDescribed {
			return kinded(ErrTooLarge, fmt.Errorf("more than %d referrers are listed without their type", maxDescribed))
		}
		raw, err := r.Manifest(ctx, *d)
		switch {
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrTooLarge):
			// A list may outlive what it lists.
			continue
		case err != nil:
			return err
		}
		if err := completeEntry(d, raw); err != nil {
			return fmt.Errorf("manifest %s: %w", d.Digest, err)
		}
	}
	return nil
}

// completeEntry gives a descriptor the type and the annotations of its manifest
// raw (distribution-spec, "Listing Referrers").
func completeEntry(d *v1.Descriptor, raw []byte) error {
	var m struct {
		ArtifactType string `json:"artifactType"`
		Config       struct {
			MediaType types.MediaType `json:"mediaType"`
		} `json:"config"`
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return kinded(ErrContent, err)
	}
	if d.ArtifactType = m.ArtifactType; d.ArtifactType == "" {
		d.ArtifactType = string(m.Config.MediaType)
	}
	if len(d.Annotations) == 0 {
		d.Annotations = m.Annotations
	}
	return nil
}
