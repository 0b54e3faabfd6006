// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// digestHeader is where a registry says which digest it stored or sends.
const digestHeader = "Docker-Content-Digest"

// acceptManifests asks for every kind of manifest and index.
func acceptManifests() http.Header {
	names := make([]string, len(manifestTypes))
	for i, m := range manifestTypes {
		names[i] = string(m)
	}
	return http.Header{"Accept": {strings.Join(names, ", ")}}
}

func (r *registry) Resolve(ctx context.Context, tag, digest string) (v1.Descriptor, []byte, error) {
	a := asked{what: aTag, name: tag}
	if digest != "" {
		a = asked{what: aManifest, name: digest}
	}
	d, raw, err := r.resolve(ctx, a)
	if err != nil {
		return v1.Descriptor{}, nil, r.fail(a, err)
	}
	return d, raw, nil
}

func (r *registry) resolve(ctx context.Context, a asked) (v1.Descriptor, []byte, error) {
	var want v1.Hash
	var err error
	if a.what == aManifest {
		if want, err = v1.NewHash(a.name); err != nil {
			return v1.Descriptor{}, nil, kinded(ErrReference, err)
		}
	} else if !tagSyntax.MatchString(a.name) {
		return v1.Descriptor{}, nil, kinded(ErrReference, fmt.Errorf("%q is no tag", a.name))
	}
	raw, header, err := r.getManifest(ctx, a.name)
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	d := v1.Descriptor{Size: int64(len(raw))}
	if d.MediaType, err = mediaType(header.Get("Content-Type"), raw); err != nil {
		return v1.Descriptor{}, nil, err
	}
	if a.what == aManifest {
		d.Digest = want
		return d, raw, checkResolved(d, raw)
	}
	d.Digest, err = r.taggedHash(ctx, header, d.MediaType, raw)
	return d, raw, err
}

// checkResolved checks the digest of a manifest. That of a signed schema 1
// manifest covers only a part of it.
func checkResolved(d v1.Descriptor, raw []byte) error {
	err := check(d, raw)
	if err != nil && d.MediaType == types.DockerManifestSchema1Signed {
		return kinded(ErrContent, fmt.Errorf("it is a %s, which is not supported: push the image again with a current tool", d.MediaType))
	}
	return err
}

// taggedHash returns the digest under which the registry knows a manifest that
// was read by a tag. If that is not the digest it said, the bytes were changed on
// the way, or the registry says it wrongly, as some do: then it is asked for the
// bytes by their own digest.
func (r *registry) taggedHash(ctx context.Context, header http.Header, m types.MediaType, raw []byte) (v1.Hash, error) {
	said, err := v1.NewHash(header.Get(digestHeader))
	if err == nil && isHash(said.String(), raw) {
		return said, nil
	}
	own, hashErr := hashOf("sha256", raw)
	if err != nil || hashErr != nil || m.IsSchema1() {
		return own, hashErr // none was said, or one of a part of it
	}
	there, _, err := r.getManifest(ctx, own.String())
	if err != nil && status(err) != http.StatusNotFound {
		return v1.Hash{}, err
	}
	if err != nil || !bytes.Equal(there, raw) {
		return v1.Hash{}, kinded(ErrContent, fmt.Errorf("it came with the digest %s and has %s: it was changed on the way, try again", said, own))
	}
	return own, nil
}

// getManifest returns the manifest that a tag or digest names, unchecked.
func (r *registry) getManifest(ctx context.Context, ident string) ([]byte, http.Header, error) {
	resp, err := r.do(ctx, request{
		method: http.MethodGet, path: "manifests/" + ident, header: acceptManifests(), ok: []int{http.StatusOK},
	})
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.ContentLength > MaxManifest {
		return nil, nil, tooLarge(MaxManifest)
	}
	raw, err := readLimited(resp.Body, MaxManifest)
	return raw, resp.Header, err
}

func (r *registry) Manifest(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	a := asked{what: aManifest, name: d.Digest.String()}
	if err := checkLimit(d, MaxManifest); err != nil {
		return nil, r.fail(a, err)
	}
	raw, _, err := r.getManifest(ctx, d.Digest.String())
	if err == nil {
		err = check(d, raw)
	}
	if err != nil {
		return nil, r.fail(a, err)
	}
	return raw, nil
}

func (r *registry) Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	a := asked{what: aBlob, name: d.Digest.String()}
	if err := checkLimit(d, math.MaxInt64); err != nil {
		return nil, r.fail(a, err)
	}
	body, err := r.openStream(ctx, d)
	if err != nil {
		return nil, r.fail(a, err)
	}
	return body, nil
}

func (r *registry) BlobBytes(ctx context.Context, d v1.Descriptor, limit int64) ([]byte, error) {
	a := asked{what: aBlob, name: d.Digest.String()}
	if err := checkLimit(d, limit); err != nil {
		return nil, r.fail(a, err)
	}
	body, err := r.Blob(ctx, d)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := readChecked(body, d)
	if err != nil {
		return nil, r.fail(a, err)
	}
	return b, nil
}
