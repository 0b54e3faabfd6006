// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// DetachedVersion is the version of a Detached's text. It is raised when a reader
// of before would misunderstand it.
const DetachedVersion = 1

// Limits of a Detached's text.
const (
	// MaxDetachedSize is its size, in bytes.
	MaxDetachedSize = 8 << 20
	// MaxDetachedEntries is how many entries it may have: those of as many images
	// as an index may have, with every role under every algorithm.
	MaxDetachedEntries = manifestsMax * 8
)

// ErrDetached is what text gives that ToBeSigned did not make.
var ErrDetached = errors.New("not an index.json of cfs-label to-be-signed")

// detachedText is a Detached as JSON. Fields are a contract: a change of one
// raises the version.
type detachedText struct {
	Version   int                 `json:"version"`
	Reference string              `json:"reference"`
	Digest    string              `json:"digest"`
	Entries   []detachedEntryText `json:"entries"`
}

type detachedEntryText struct {
	Platform  string               `json:"platform"`
	Manifest  detachedManifestText `json:"manifest"`
	Role      string               `json:"role"`
	Algorithm string               `json:"algorithm"`
	Digest    string               `json:"digest"` // fs-verity
	Input     string               `json:"input"`
	File      string               `json:"file"`
	Signature string               `json:"signature"`
}

type detachedManifestText struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// Marshal returns the text: a JSON object. The same Detached has the same text.
// The error is ErrDetached where ParseDetached would not take it.
func (d *Detached) Marshal() ([]byte, error) {
	t := detachedText{Version: DetachedVersion, Reference: d.Reference, Digest: d.Digest.String(), Entries: []detachedEntryText{}}
	for _, e := range d.Entries {
		t.Entries = append(t.Entries, detachedEntryText{
			Platform:  e.Platform,
			Manifest:  detachedManifestText{string(e.Manifest.MediaType), e.Manifest.Digest.String(), e.Manifest.Size},
			Role:      e.Role.String(),
			Algorithm: e.Digest.Algorithm().String(),
			Digest:    e.Digest.String(),
			Input:     e.Input,
			File:      e.File,
			Signature: e.Signature,
		})
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(t); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDetached, err)
	}
	if _, err := ParseDetached(text.Bytes()); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// ParseDetached reads what Marshal wrote. What it says is not checked against any
// image. Names of files are plain: they have no directory, and each is there
// once. The error is ErrDetached.
func ParseDetached(text []byte) (*Detached, error) {
	d, err := parseDetached(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDetached, err)
	}
	return d, nil
}

func parseDetached(text []byte) (*Detached, error) {
	if len(text) > MaxDetachedSize {
		return nil, fmt.Errorf("it has more than %d bytes", MaxDetachedSize)
	}
	var version struct {
		Version *int `json:"version"`
	}
	// A later version may have other fields: what version it is comes first.
	switch err := json.Unmarshal(text, &version); {
	case err != nil:
		return nil, err
	case version.Version == nil:
		return nil, errors.New("it has no version")
	case *version.Version != DetachedVersion:
		return nil, fmt.Errorf("version %d is not known here, only %d: use the cfs-label that wrote it", *version.Version, DetachedVersion)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var t detachedText
	if err := dec.Decode(&t); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	d := &Detached{Reference: t.Reference}
	var err error
	switch {
	case len(t.Entries) == 0:
		return nil, errors.New("it has no entries")
	case len(t.Entries) > MaxDetachedEntries:
		return nil, fmt.Errorf("it has %d entries, of at most %d", len(t.Entries), MaxDetachedEntries)
	}
	if d.Digest, err = v1.NewHash(t.Digest); err != nil {
		return nil, fmt.Errorf("digest: %w", err)
	}
	names := map[string]bool{}
	for i, et := range t.Entries {
		e, err := et.entry(names)
		if err != nil {
			return nil, fmt.Errorf("entries[%d]: %w", i, err)
		}
		d.Entries = append(d.Entries, e)
	}
	return d, nil
}

// entry returns the entry. names are those of files that are taken.
func (t *detachedEntryText) entry(names map[string]bool) (e DetachedEntry, err error) {
	e = DetachedEntry{Platform: t.Platform, Input: t.Input, File: t.File, Signature: t.Signature}
	e.Manifest.MediaType, e.Manifest.Size = types.MediaType(t.Manifest.MediaType), t.Manifest.Size
	if e.Manifest.Digest, err = v1.NewHash(t.Manifest.Digest); err != nil {
		return e, fmt.Errorf("manifest: %w", err)
	}
	if e.Role, err = image.ParseRole(t.Role); err != nil {
		return e, err
	}
	alg, err := fsverity.ParseAlgorithm(t.Algorithm)
	if err != nil {
		return e, err
	}
	if e.Digest, err = fsverity.ParseDigest(alg, t.Digest); err != nil {
		return e, err
	}
	for _, name := range []string{e.File, e.Signature} {
		if !fileSyntax.MatchString(name) {
			return e, fmt.Errorf("%q is no name of a file here: it may have letters, digits, dots, dashes and underscores, and begins with a letter or digit", name)
		}
		folded := strings.ToLower(name) // some file systems do not tell case
		if names[folded] {
			return e, fmt.Errorf("the file %s is named twice", name)
		}
		names[folded] = true
	}
	return e, nil
}

// fileSyntax is what the names of files look like: they stay in their directory,
// wherever that is.
var fileSyntax = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$`)
