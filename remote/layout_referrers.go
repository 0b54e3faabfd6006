// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxSearched is how many bytes of manifests are read in search of those
// that refer to a subject: a layout has no list of them.
const maxSearched = 256 << 20

// Referrers reads the manifests that index.json names: those with the subject
// are the referrers. That is how oras lists them.
func (l *layout) Referrers(ctx context.Context, subject v1.Hash, artifactType string) ([]v1.Descriptor, error) {
	found, err := l.referrers(ctx, subject)
	if err != nil {
		return nil, l.fail("list the referrers of "+subject.String(), err)
	}
	if artifactType != "" {
		found = slices.DeleteFunc(found, func(d v1.Descriptor) bool { return d.ArtifactType != artifactType })
	}
	return found, nil
}

func (l *layout) referrers(ctx context.Context, subject v1.Hash) ([]v1.Descriptor, error) {
	if err := wellFormed(subject); err != nil {
		return nil, err
	}
	_, entries, err := l.readIndex()
	if err != nil {
		return nil, err
	}
	var found []v1.Descriptor
	seen := make(map[v1.Hash]bool, len(entries))
	left := int64(maxSearched)
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !e.mayBeManifest() || !e.hasKnownDigest() || e.Size > MaxManifest {
			continue // nobody could read it as a manifest
		}
		d, err := e.descriptor()
		if err != nil {
			return nil, err
		}
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		if left -= max(d.Size, 0); left < 0 {
			return nil, kinded(ErrTooLarge, fmt.Errorf("%s names more than the %d bytes of manifests that are searched", indexFile, maxSearched))
		}
		refers, err := l.describe(&d, subject)
		if err != nil {
			return nil, fmt.Errorf("manifest %s: %w", d.Digest, err)
		}
		if refers {
			found = append(found, d)
		}
	}
	return found, nil
}

// describe reports whether a manifest refers to the subject, and completes its
// descriptor then. One that the layout names but does not have refers to nothing.
func (l *layout) describe(d *v1.Descriptor, subject v1.Hash) (refers bool, err error) {
	raw, err := l.read(*d, MaxManifest)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return false, err
	}
	var m attached
	if err := json.Unmarshal(raw, &m); err != nil {
		return false, nil //nolint:nilerr // what is no manifest refers to nothing
	}
	if m.Subject.Digest != subject.String() {
		return false, nil
	}
	d.ArtifactType, d.Annotations = m.artifactType(), m.Annotations
	d.MediaType, err = mediaType(string(d.MediaType), raw)
	return true, err
}

// attached is the part of a manifest that its entry in a list of referrers is
// made of (distribution-spec, "Listing Referrers").
type attached struct {
	ArtifactType string `json:"artifactType"`
	Config       struct {
		MediaType types.MediaType `json:"mediaType"`
	} `json:"config"`
	Subject struct {
		Digest string `json:"digest"`
	} `json:"subject"`
	Annotations map[string]string `json:"annotations"`
}

func (a attached) artifactType() string {
	if a.ArtifactType == "" {
		return string(a.Config.MediaType)
	}
	return a.ArtifactType
}

// PushReferrer makes the manifest an entry of index.json that has no tag.
func (l *layout) PushReferrer(ctx context.Context, subject v1.Hash, d v1.Descriptor, raw []byte, replaced []v1.Hash) error {
	a := asked{what: aManifest, name: d.Digest.String(), write: true}
	if err := checkSubject(subject, raw); err != nil {
		return l.fail(a.String(), err)
	}
	return l.list(ctx, a, d, raw, func() error { return l.setReferrer(ctx, d, replaced) })
}

func checkSubject(subject v1.Hash, raw []byte) error {
	var m attached
	if err := json.Unmarshal(raw, &m); err != nil {
		return kinded(ErrContent, err)
	}
	if m.Subject.Digest != subject.String() {
		return kinded(ErrContent, fmt.Errorf("its subject is %q, not %s", m.Subject.Digest, subject))
	}
	return nil
}

func (l *layout) setReferrer(ctx context.Context, d v1.Descriptor, replaced []v1.Hash) error {
	// What replaces itself stays.
	replaced = slices.DeleteFunc(slices.Clone(replaced), func(h v1.Hash) bool { return h == d.Digest })
	index, entries, err := l.readIndex()
	if err != nil {
		return err
	}
	// An annotation of the manifest must not become a tag.
	d = v1.Descriptor{
		MediaType: d.MediaType, Digest: d.Digest, Size: d.Size,
		ArtifactType: d.ArtifactType, Annotations: maps.Clone(d.Annotations),
	}
	delete(d.Annotations, refName)
	edited, err := l.editor.SetReferrer(index, d, replaced)
	if err != nil {
		return err
	}
	if err := checkReferrer(entries, edited, d, replaced); err != nil {
		return fmt.Errorf("after the edit of %s: %w", indexFile, err)
	}
	return l.putIndex(ctx, index, edited)
}

// checkReferrer fails if an edited index does not list d, or not all that is to
// stay, or what is to go.
func checkReferrer(before []entry, index []byte, d v1.Descriptor, gone []v1.Hash) error {
	after, err := parseEdited(index)
	if err != nil {
		return err
	}
	has := func(h v1.Hash) bool {
		return slices.ContainsFunc(after, func(e entry) bool { return e.Digest == h.String() })
	}
	if !has(d.Digest) {
		return fmt.Errorf("it does not list %s", d.Digest)
	}
	if i := slices.IndexFunc(gone, has); i >= 0 {
		return fmt.Errorf("it still lists %s", gone[i])
	}
	return checkOthers(before, after, func(e entry) bool {
		return e.Digest == d.Digest.String() ||
			slices.ContainsFunc(gone, func(h v1.Hash) bool { return e.Digest == h.String() })
	})
}

// Flush writes an archive.
func (l *layout) Flush(ctx context.Context) error {
	return l.fail("write the archive", l.files.flush(ctx))
}

// Close removes the temporary file of an archive that was not flushed.
func (l *layout) Close() error {
	return l.fail("close", l.files.close())
}
