// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// wellFormed fails for a digest that did not come through the parser: only
// sha256 and sha512 with all their hex digits may become part of a path.
func wellFormed(h v1.Hash) error {
	if _, err := v1.NewHash(h.String()); err != nil {
		return kinded(ErrContent, err)
	}
	return nil
}

// hashOf returns the digest of b under the named algorithm.
func hashOf(algorithm string, b []byte) (v1.Hash, error) {
	hasher, err := v1.Hasher(algorithm)
	if err != nil {
		return v1.Hash{}, err
	}
	_, _ = hasher.Write(b)
	return v1.Hash{Algorithm: algorithm, Hex: hex.EncodeToString(hasher.Sum(nil))}, nil
}

// isHash reports whether b has the digest text, whatever its algorithm.
func isHash(text string, b []byte) bool {
	want, err := v1.NewHash(text)
	if err != nil {
		return false
	}
	got, err := hashOf(want.Algorithm, b)
	return err == nil && got == want
}

// check fails unless b has the digest and the size of d.
func check(d v1.Descriptor, b []byte) error {
	if int64(len(b)) != d.Size {
		return wrongSize(int64(len(b)), d)
	}
	return checkHash(d.Digest, b)
}

func checkHash(want v1.Hash, b []byte) error {
	got, err := hashOf(want.Algorithm, b)
	if err != nil {
		return kinded(ErrContent, err)
	}
	if got != want {
		return kinded(ErrContent, fmt.Errorf("the content has the digest %s", got))
	}
	return nil
}

func wrongSize(got int64, d v1.Descriptor) error {
	return kinded(ErrContent, fmt.Errorf("the content has %d bytes, its descriptor says %d", got, d.Size))
}

// checkLimit fails for a descriptor whose content is not to be read.
func checkLimit(d v1.Descriptor, limit int64) error {
	if err := wellFormed(d.Digest); err != nil {
		return err
	}
	if d.Size < 0 {
		return kinded(ErrContent, fmt.Errorf("its descriptor says %d bytes", d.Size))
	}
	if d.Size > limit {
		return tooLarge(limit)
	}
	return nil
}

func tooLarge(limit int64) error {
	return kinded(ErrTooLarge, fmt.Errorf("it has more than the %d bytes that are read at most", limit))
}

// readLimited reads all of r, but no more than limit bytes.
func readLimited(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, tooLarge(limit)
	}
	return b, nil
}

// readChecked reads the content of d, which checkLimit has let pass.
func readChecked(r io.Reader, d v1.Descriptor) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, d.Size+1))
	if err != nil {
		return nil, err
	}
	if n > d.Size {
		return nil, kinded(ErrContent, fmt.Errorf("the content has more than the %d bytes of its descriptor", d.Size))
	}
	return b.Bytes(), check(d, b.Bytes())
}

// manifestTypes are the media types of manifests and indexes, of which schema 1
// is read only to be named.
var manifestTypes = []types.MediaType{
	types.OCIManifestSchema1,
	types.OCIImageIndex,
	types.DockerManifestSchema2,
	types.DockerManifestList,
	types.DockerManifestSchema1,
	types.DockerManifestSchema1Signed,
}

func isManifestType(m types.MediaType) bool {
	return slices.Contains(manifestTypes, m)
}

// mediaType returns what a manifest is: what the Content-Type says, or the
// manifest itself if that says nothing. Two answers are an error.
func mediaType(contentType string, raw []byte) (types.MediaType, error) {
	if parsed, _, err := mime.ParseMediaType(contentType); err == nil {
		contentType = parsed
	}
	var body struct {
		MediaType types.MediaType `json:"mediaType"`
		Config    json.RawMessage `json:"config"`
		Manifests json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return types.MediaType(contentType), nil //nolint:nilerr // whoever parses it says so better
	}
	said := types.MediaType(contentType)
	switch {
	case isManifestType(said):
		if body.MediaType != "" && body.MediaType != said {
			return "", kinded(ErrContent, fmt.Errorf("it came as %s but says of itself that it is %q", said, body.MediaType))
		}
		return said, nil
	case body.MediaType != "":
		return body.MediaType, nil
	case body.Manifests != nil && body.Config == nil:
		return types.OCIImageIndex, nil
	case body.Config != nil && body.Manifests == nil:
		return types.OCIManifestSchema1, nil
	}
	return said, nil
}
