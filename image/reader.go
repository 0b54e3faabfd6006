// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// reader reads fields and keeps the first error; after it, all it returns is
// zero. A field that is null is taken for one that is not there.
type reader struct{ err error }

func (r *reader) fail(n node, err error) {
	if r.err == nil {
		r.err = n.fail(err)
	}
}

// keep returns v, and zero if it came with an error or after one.
func keep[T any](r *reader, v T, err error) T {
	if r.err == nil {
		r.err = err
	}
	if r.err != nil {
		var zero T
		return zero
	}
	return v
}

// object returns the object that n is; the zero object if n is not given.
func (r *reader) object(n node) object {
	if !n.given() || r.err != nil {
		return object{}
	}
	o, err := n.object()
	return keep(r, o, err)
}

// array returns the elements of the array that n is; none if n is not given.
func (r *reader) array(n node) []node {
	if !n.given() || r.err != nil {
		return nil
	}
	a, err := n.array()
	return keep(r, a, err)
}

// str returns the string that key names; "" if there is none.
func (r *reader) str(o object, key string) string {
	n := o.get(key)
	if !n.given() || r.err != nil {
		return ""
	}
	s, err := n.str()
	return keep(r, s, err)
}

// word returns the string that key names. It goes to terminals and into
// references, so it must be made of plain characters.
func (r *reader) word(o object, key string) string {
	s := r.str(o, key)
	for _, c := range s {
		if !strings.ContainsRune(wordChars, c) {
			r.fail(o.get(key), fmt.Errorf("%w: %s", ErrWord, quote(s)))
			return ""
		}
	}
	return s
}

const wordChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

// strs returns the strings of the array that key names.
func (r *reader) strs(o object, key string) []string {
	var strs []string
	for _, n := range r.array(o.get(key)) {
		s, err := n.str()
		strs = append(strs, keep(r, s, err))
	}
	return strs
}

// stringMap returns the object of strings that n is; nil if n is not given.
func (r *reader) stringMap(n node) map[string]string {
	if !n.given() || r.err != nil {
		return nil
	}
	m, err := n.stringMap()
	return keep(r, m, err)
}

// required returns what key names, which must be given.
func (r *reader) required(o object, key string) node {
	n := o.get(key)
	if !n.given() && r.err == nil {
		r.fail(o.node, fmt.Errorf("%w: %s", ErrMissing, key))
	}
	return n
}

// size returns the required number of bytes that key names.
func (r *reader) size(o object, key string) int64 {
	n := r.required(o, key)
	if r.err != nil {
		return 0
	}
	size, err := n.size()
	return keep(r, size, err)
}

// digest returns the digest that n is.
func (r *reader) digest(n node) v1.Hash {
	if r.err != nil {
		return v1.Hash{}
	}
	s, err := n.str()
	if err != nil {
		return keep(r, v1.Hash{}, err)
	}
	h, err := v1.NewHash(s)
	if err != nil {
		r.fail(n, fmt.Errorf("%w: %s (sha256 and sha512 are known)", ErrDigest, quote(s)))
		return v1.Hash{}
	}
	return h
}

// anyDigest is digest for what may never be read: an algorithm that is not known
// passes, as descriptor.md ("Digests") asks, if the text is a digest at all.
func (r *reader) anyDigest(n node) v1.Hash {
	if r.err != nil {
		return v1.Hash{}
	}
	s, err := n.str()
	if err != nil {
		return keep(r, v1.Hash{}, err)
	}
	algorithm, encoded, _ := strings.Cut(s, ":")
	if isKnown(algorithm) || !digestSyntax.MatchString(s) {
		return r.digest(n)
	}
	return v1.Hash{Algorithm: algorithm, Hex: encoded}
}

// digestSyntax is the grammar of digests (OCI image spec, descriptor.md,
// "Digests").
var digestSyntax = regexp.MustCompile(`^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$`)

// isKnown reports whether content can be compared with a digest of the
// algorithm.
func isKnown(algorithm string) bool {
	_, err := v1.Hasher(algorithm)
	return err == nil
}

// descriptor returns the descriptor that n is (OCI image spec, descriptor.md).
func (r *reader) descriptor(n node) v1.Descriptor { return r.describe(n, r.digest) }

// child returns the descriptor of an index that n is. Its digest is as anyDigest
// says.
func (r *reader) child(n node) v1.Descriptor { return r.describe(n, r.anyDigest) }

// describe returns the descriptor that n is, whose digest is what digest returns.
func (r *reader) describe(n node, digest func(node) v1.Hash) v1.Descriptor {
	if r.err != nil {
		return v1.Descriptor{}
	}
	full, err := n.object()
	o := keep(r, full, err)
	r.required(o, "mediaType")
	d := v1.Descriptor{
		MediaType:    types.MediaType(r.str(o, "mediaType")),
		Digest:       digest(r.required(o, "digest")),
		Size:         r.size(o, "size"),
		URLs:         r.strs(o, "urls"),
		Annotations:  r.stringMap(o.get("annotations")),
		Platform:     r.platform(o.get("platform")),
		ArtifactType: r.str(o, "artifactType"),
	}
	d.Data = r.data(o, d)
	return d
}

// descriptors returns the descriptors of the array that n is, each read by one.
func (r *reader) descriptors(n node, one func(node) v1.Descriptor) []v1.Descriptor {
	var ds []v1.Descriptor
	for _, e := range r.array(n) {
		ds = append(ds, one(e))
		if r.err != nil {
			return nil
		}
	}
	return ds
}

func (r *reader) platform(n node) *v1.Platform {
	if !n.given() || r.err != nil {
		return nil
	}
	o := r.object(n)
	return &v1.Platform{
		Architecture: r.str(o, "architecture"),
		OS:           r.str(o, "os"),
		OSVersion:    r.str(o, "os.version"),
		OSFeatures:   r.strs(o, "os.features"),
		Variant:      r.str(o, "variant"),
		Features:     r.strs(o, "features"),
	}
}

// data returns the content that the descriptor d, read from o, embeds; nil if
// it embeds none, or what cannot be compared with the digest.
func (r *reader) data(o object, d v1.Descriptor) []byte {
	text := r.str(o, "data")
	if text == "" || r.err != nil {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		r.fail(o.get("data"), fmt.Errorf("%w: %w", ErrData, err))
		return nil
	}
	if !isKnown(d.Digest.Algorithm) {
		return nil
	}
	if err := verify(data, d.Digest, d.Size); err != nil {
		r.fail(o.get("data"), fmt.Errorf("%w: %w", ErrData, err))
		return nil
	}
	return data
}

// verify returns an error if digest and size are not content's.
func verify(content []byte, digest v1.Hash, size int64) error {
	if int64(len(content)) != size {
		return fmt.Errorf("it has %d bytes, not %d", len(content), size)
	}
	h, err := v1.Hasher(digest.Algorithm)
	if err != nil {
		return err
	}
	_, _ = h.Write(content) // never fails
	if got := fmt.Sprintf("%s:%x", digest.Algorithm, h.Sum(nil)); got != digest.String() {
		return fmt.Errorf("its digest is %s, not %s", got, digest)
	}
	return nil
}
