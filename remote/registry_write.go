// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// CheckPush starts an upload and calls it off: a token alone does not say
// whether a registry will let its bearer push.
func (r *registry) CheckPush(ctx context.Context) error {
	resp, err := r.do(ctx, request{
		method: http.MethodPost, path: "blobs/uploads/", action: transport.PushScope,
		ok: []int{http.StatusAccepted, http.StatusCreated},
	})
	if err != nil {
		return r.fail(asked{what: anUpload}, err)
	}
	discard(resp)
	if location, err := r.location(resp); err == nil {
		r.callOff(ctx, location)
	}
	return nil
}

// PushBlob sends data in one piece, as blobs are that fit into memory
// (distribution-spec, "Pushing a blob monolithically").
func (r *registry) PushBlob(ctx context.Context, d v1.Descriptor, data []byte) error {
	err := check(d, data)
	if err == nil {
		err = r.store(ctx, source{d: d, data: data})
	}
	return r.fail(asked{what: aBlob, name: d.Digest.String(), write: true}, err)
}

func (r *registry) PushManifest(ctx context.Context, d v1.Descriptor, raw []byte) error {
	a := asked{what: aManifest, name: d.Digest.String(), write: true}
	if err := checkManifest(d, raw); err != nil {
		return r.fail(a, err)
	}
	if there, err := r.headDigest(ctx, d.Digest.String()); err == nil && isHash(there, raw) {
		return nil
	}
	_, err := r.putManifest(ctx, d.Digest.String(), d, raw)
	return r.fail(a, err)
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
		method: http.MethodHead, path: "manifests/" + ident, header: acceptManifests(), action: transport.PushScope, ok: []int{http.StatusOK},
	})
	if err != nil {
		return "", err
	}
	discard(resp)
	return resp.Header.Get(digestHeader), nil
}

// putManifest stores raw under a tag or digest, checks what the registry says it
// stored, and returns the header of its answer.
func (r *registry) putManifest(ctx context.Context, ident string, d v1.Descriptor, raw []byte) (http.Header, error) {
	resp, err := r.do(ctx, request{
		method: http.MethodPut,
		path:   "manifests/" + ident,
		action: transport.PushScope,
		header: http.Header{"Content-Type": {string(d.MediaType)}},
		body:   bodyOf(raw),
		size:   int64(len(raw)),
		ok:     []int{http.StatusOK, http.StatusCreated, http.StatusAccepted},
	})
	if err != nil {
		return nil, err
	}
	discard(resp)
	if said := resp.Header.Get(digestHeader); said != "" && !isHash(said, raw) {
		return nil, kinded(ErrContent, fmt.Errorf("the registry changed the manifest: it stored %q", said))
	}
	return resp.Header, nil
}
