// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"errors"
	"fmt"

	"github.com/cfs-label/cfs-label/layers/internal/tarscan"
)

// What can be wrong with a layer as a stream.
var (
	ErrDigest      = errors.New("the blob is not what its digest says: it was changed or damaged on the way; try again, or push the layer again")
	ErrSize        = errors.New("the blob does not have the size that the manifest says: the transfer was cut or the blob is damaged; try again, or push the layer again")
	ErrAlgorithm   = errors.New("a digest of an algorithm that the OCI image specification does not register; use sha256")
	ErrDiffID      = errors.New("the layer is not what the image's config says (diff ID): the image was put together wrongly; build and push it again")
	ErrCompression = errors.New("the layer is not compressed as its media type says; fix the media type in the manifest or build the image again")
	ErrCorrupt     = errors.New("the layer cannot be decompressed: it is damaged though its digest is right; build and push the image again")
	ErrForeign     = errors.New("a foreign layer, which the registry does not hold; its urls are never fetched: push it to the registry (docker: allow-nondistributable-artifacts)")
	ErrTooMany     = errors.New("the image has more files, names or bytes than any real one")
)

// What can be wrong with an entry. Hosts refuse an image for each of these.
var (
	ErrArchive      = errors.New("hosts do not accept the archive; build the layer again")
	ErrNoParent     = errors.New("no layer so far has that directory, and hosts refuse a file without its parents; add an entry for every directory to the layer")
	ErrNotDirectory = errors.New("not a directory, and hosts follow no links there; name the real directory")
	ErrDotDot       = errors.New("a path with ..; hosts refuse it: build the layer with plain paths")
	ErrRoot         = errors.New("an entry for / that is not a directory; build the layer again")
	ErrLinkTarget   = errors.New("a hard link to something that no layer so far has; put the target first, or make it a file of its own")
	ErrLinkToDir    = errors.New("a hard link to a directory; hosts refuse it: make it a symlink")
	ErrEntryType    = errors.New("an entry of a type that hosts do not know; remove it from the layer")
	ErrNoDevice     = errors.New("a device without numbers, in an archive whose dialect has none; build the layer with a newer tar")

	// ErrSparse is an ErrArchive.
	ErrSparse = tarscan.ErrSparse
)

// Error says where in an image something is wrong.
type Error struct {
	Layer  int    // position in the manifest, from 0
	Layers int    // how many there are
	Digest string // of the blob
	Path   string // as the archive writes it; empty if it is not about an entry
	Err    error
}

func (e *Error) Error() string {
	s := fmt.Sprintf("layer %d of %d (%s): ", e.Layer+1, e.Layers, e.Digest)
	if e.Path != "" {
		s += fmt.Sprintf("%q: ", e.Path)
	}
	return s + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// entryError is what goes wrong with one entry, before it is known which layer
// it is of.
type entryError struct {
	path string
	err  error
}

func (e *entryError) Error() string { return fmt.Sprintf("%q: %v", e.path, e.err) }

func (e *entryError) Unwrap() error { return e.err }

// adviceError is an ErrArchive that has advice of its own.
type adviceError struct{ err error }

func (e *adviceError) Error() string { return e.err.Error() }

func (e *adviceError) Unwrap() []error { return []error{ErrArchive, e.err} }
