// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// CheckPush starts an upload and cancels it: a token alone does not say
// whether a registry will let its bearer push.
func (r *registry) CheckPush(ctx context.Context) error {
	resp, err := r.do(ctx, request{
		method: http.MethodPost, path: "blobs/uploads/", write: true, ok: []int{http.StatusAccepted, http.StatusCreated},
	})
	if err != nil {
		return r.fail(asked{what: anUpload}, err)
	}
	discard(resp)
	r.cancelUpload(ctx, resp)
	return nil
}

// cancelUpload tells the registry to forget an upload. One that doesn't does so
// by itself after some days.
func (r *registry) cancelUpload(ctx context.Context, started *http.Response) {
	location, err := started.Location()
	if err != nil || location.Host != r.repo.RegistryStr() {
		return
	}
	client, err := r.client(ctx, true)
	if err != nil {
		return
	}
	req, err := http.NewRequestWithContext(once(ctx), http.MethodDelete, location.String(), http.NoBody)
	if err != nil {
		return
	}
	if resp, err := client.Do(req); err == nil {
		discard(resp)
	}
}

func (r *registry) PushBlob(ctx context.Context, d v1.Descriptor, data []byte) error {
	a := asked{what: aBlob, name: d.Digest.String(), write: true}
	if err := check(d, data); err != nil {
		return r.fail(a, err)
	}
	client, err := r.client(ctx, true)
	if err != nil {
		return r.fail(a, err)
	}
	err = ggcr.WriteLayer(r.repo, stored{d, data}, ggcr.WithContext(ctx), ggcr.WithTransport(client.Transport))
	return r.fail(a, err)
}

// stored is a blob as the registry library wants it: the bytes as they are.
type stored struct {
	d    v1.Descriptor
	data []byte
}

func (s stored) Digest() (v1.Hash, error) { return s.d.Digest, nil }
func (s stored) DiffID() (v1.Hash, error) { return s.d.Digest, nil }
func (s stored) Size() (int64, error)     { return s.d.Size, nil }
func (s stored) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s.data)), nil
}
func (s stored) Uncompressed() (io.ReadCloser, error) { return s.Compressed() }

// MediaType hides what the blob is: the library skips some types.
func (s stored) MediaType() (types.MediaType, error) { return "application/octet-stream", nil }

func (r *registry) PushManifest(ctx context.Context, d v1.Descriptor, raw []byte) error {
	a := asked{what: aManifest, name: d.Digest.String(), write: true}
	if err := checkManifest(d, raw); err != nil {
		return r.fail(a, err)
	}
	if there, err := r.headDigest(ctx, d.Digest.String()); err == nil && isHash(there, raw) {
		return nil
	}
	return r.fail(a, r.putManifest(ctx, d.Digest.String(), d, raw))
}

// checkManifest fails for what must not be pushed as d.
func checkManifest(d v1.Descriptor, raw []byte) error {
	if len(raw) > MaxManifest {
		return kinded(ErrTooLarge, fmt.Errorf("it has more than the %d bytes that registries take", MaxManifest))
	}
	if d.MediaType == "" {
		return kinded(ErrContent, errors.New("its descriptor has no media type"))
	}
	return check(d, raw)
}

// headDigest returns the digest that the registry says a tag or digest has; ""
// if it says none.
func (r *registry) headDigest(ctx context.Context, ident string) (string, error) {
	resp, err := r.do(ctx, request{
		method: http.MethodHead, path: "manifests/" + ident, header: acceptManifests(), write: true, ok: []int{http.StatusOK},
	})
	if err != nil {
		return "", err
	}
	discard(resp)
	return resp.Header.Get(digestHeader), nil
}

// putManifest stores raw under a tag or digest and checks what the registry
// says it stored.
func (r *registry) putManifest(ctx context.Context, ident string, d v1.Descriptor, raw []byte) error {
	resp, err := r.do(ctx, request{
		method: http.MethodPut,
		path:   "manifests/" + ident,
		header: http.Header{"Content-Type": {string(d.MediaType)}},
		body:   raw,
		write:  true,
		ok:     []int{http.StatusOK, http.StatusCreated, http.StatusAccepted},
	})
	if err != nil {
		return err
	}
	discard(resp)
	if said := resp.Header.Get(digestHeader); said != "" && !isHash(said, raw) {
		return kinded(ErrContent, fmt.Errorf("the registry changed the manifest: it stored %s", said))
	}
	return nil
}
