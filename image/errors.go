// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limits of what is read.
const (
	// MaxManifestSize is the size of the largest manifest or index, in bytes.
	// Registries have the same limit (OCI distribution spec, "Pushing
	// Manifests").
	MaxManifestSize = 4 << 20
	// MaxConfigSize is the size of the largest config, in bytes.
	MaxConfigSize = 8 << 20
	// MaxDepth is how many arrays and objects may stand one in the other.
	// The reference's parser (serde_json) stops there as well.
	MaxDepth = 127
)

// What can be wrong with a document's text; errors.Is finds them in an Error.
var (
	ErrTooLarge     = errors.New("too large")
	ErrTooDeep      = fmt.Errorf("nested more than %d deep", MaxDepth)
	ErrSyntax       = errors.New("not valid JSON")
	ErrEncoding     = errors.New("not valid Unicode text")
	ErrTrailing     = errors.New("more text after the end of the JSON document")
	ErrDuplicateKey = errors.New("the same key twice in one object, which readers take differently: remove one")
)

// What can be wrong with a document's content.
var (
	ErrType        = errors.New("wrong type of JSON value")
	ErrWord        = errors.New("not a name of letters, digits, dots, dashes and underscores")
	ErrMissing     = errors.New("a required field is missing")
	ErrDigest      = errors.New("not a digest")
	ErrSize        = errors.New("not a size in bytes")
	ErrData        = errors.New("the embedded data is not what digest and size say")
	ErrMediaType   = errors.New("media types disagree")
	ErrUnknownKind = errors.New("neither an image manifest nor an index")
	ErrAmbiguous   = errors.New("both an image manifest and an index, which readers take differently")
	ErrSchema1     = errors.New("a Docker schema 1 manifest, which has no config to label: push the image again with a current tool")
)

// What can be wrong with an edit.
var (
	// ErrWrongKind: an edit of a manifest was given an index, or the other way
	// round.
	ErrWrongKind = errors.New("the edit does not fit the document")
	// ErrNoAnnotations: Docker's formats know no annotations.
	ErrNoAnnotations = errors.New("a Docker manifest takes no annotations: write the label only, or convert the image to OCI")
	// ErrEdit: what is to be written is wrong in itself.
	ErrEdit = errors.New("invalid edit")
)

// Error says what is wrong with a document, and where.
type Error struct {
	Document string // "config", "manifest" and so on
	Place    string // path of the value, like layers[2].digest; "" is the whole
	Offset   int    // of the byte at fault; -1 where it is not one byte
	Err      error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("image: ")
	b.WriteString(e.Document)
	if e.Place != "" {
		b.WriteString(": ")
		b.WriteString(e.Place)
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, ": at byte %d", e.Offset)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// quotedMax is how much of a document's text an error shows, in bytes: a digest
// in full, and some more.
const quotedMax = 160

// quote returns text so that a terminal can show it, cut where it is long.
func quote(text string) string {
	if len(text) > quotedMax {
		return strconv.Quote(text[:quotedMax]) + "…"
	}
	return strconv.Quote(text)
}

// placeOf returns the path of the member that key names in the object at
// place.
func placeOf(place, key string) string {
	if !isWord(key) {
		return place + "[" + quote(key) + "]"
	}
	if place == "" {
		return key
	}
	return place + "." + key
}

// placeAt returns the path of element i of the array at place.
func placeAt(place string, i int) string {
	return fmt.Sprintf("%s[%d]", place, i)
}

func isWord(key string) bool {
	for _, c := range key {
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return key != "" && len(key) <= quotedMax
}
