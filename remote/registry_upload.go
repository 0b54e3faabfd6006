// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// cancelTimeout is how long a registry is given to forget an upload.
const cancelTimeout = 15 * time.Second

// errTooEarly is an answer to what was not sent.
const errTooEarly = passingError("the registry answered before it had the whole blob")

// source is where the content of a blob comes from.
type source struct {
	d    v1.Descriptor
	repo Repo   // nil: data is all of it, and was checked
	data []byte // nil if there is a repo
}

// store makes the repository have a blob, unless it has it, in as many attempts
// as a request has: an upload that failed starts again, from the first byte.
func (r *registry) store(ctx context.Context, s source) error {
	return r.patience.persist(ctx, lostUpload, func(ctx context.Context) error {
		// Also in later attempts: only the last answer may have been lost.
		there, err := r.hasBlob(ctx, s.d)
		if there || err != nil {
			return err
		}
		location, err := r.mount(ctx, s)
		if location == nil || err != nil {
			return err
		}
		return r.upload(ctx, location, s)
	})
}

// lostUpload reports whether the upload of a blob is worth starting anew. Lost
// sessions, tokens that expired under way and cut streams are; what the blob or
// its source is does not change.
func lostUpload(err error) bool {
	_, gone := errors.AsType[*goneError](err)
	return gone || transient(err)
}

// goneError is an upload that the registry started and then did not know, or of
// which it said no more.
type goneError struct{ err error }

func (e *goneError) Error() string { return e.err.Error() }
func (e *goneError) Unwrap() error { return e.err }

// ofUpload marks an error of a request to an upload.
func ofUpload(err error) error {
	switch status(err) {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable:
		return &goneError{err}
	case 0:
		if unclear(err) {
			return &goneError{err}
		}
	}
	return err
}

// hasBlob reports whether the repository has the blob. A registry that does not
// answer HEAD is taken not to have it: the upload will tell.
func (r *registry) hasBlob(ctx context.Context, d v1.Descriptor) (bool, error) {
	resp, err := r.do(ctx, request{
		method: http.MethodHead, path: "blobs/" + d.Digest.String(), action: transport.PushScope, ok: []int{http.StatusOK},
	})
	if err == nil {
		discard(resp)
		return true, nil
	}
	if s := status(err); s == 0 || passingStatus(s) {
		return false, err
	}
	return false, nil
}

// startUpload returns where the upload goes on.
func (r *registry) startUpload(ctx context.Context) (*url.URL, error) {
	resp, err := r.do(ctx, request{
		method: http.MethodPost, path: "blobs/uploads/", action: transport.PushScope, ok: []int{http.StatusAccepted},
	})
	if err != nil {
		return nil, err
	}
	discard(resp)
	return r.location(resp)
}

// upload sends a blob to an upload that was started. One that comes from
// elsewhere is streamed: one PATCH with all of it, then, when every byte was seen
// and is right, the PUT that makes it a blob. If anything goes wrong, the upload
// is called off.
func (r *registry) upload(ctx context.Context, location *url.URL, s source) error {
	var err error
	if s.repo != nil {
		var next *url.URL
		if next, err = r.patch(ctx, location, s); err == nil {
			location = next
		}
	}
	if err == nil {
		err = r.commit(ctx, location, s)
	}
	if err != nil {
		r.callOff(ctx, location)
	}
	return err
}

// callOff tells the registry to forget an upload, also when ctx is done. One that
// doesn't does so by itself after some days.
func (r *registry) callOff(ctx context.Context, location *url.URL) {
	if !isHost(location, r.repo.RegistryStr()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer cancel()
	resp, err := r.do(once(ctx), request{
		method: http.MethodDelete, url: location, action: transport.PushScope, ok: []int{http.StatusNoContent},
	})
	if err == nil {
		discard(resp)
	}
}

// patch sends all of the blob with one request and returns where the upload goes
// on.
func (r *registry) patch(ctx context.Context, location *url.URL, s source) (*url.URL, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var last atomic.Pointer[outgoing]
	resp, err := r.do(ctx, request{
		method: http.MethodPatch, url: location, action: transport.PushScope,
		header: http.Header{"Content-Type": {"application/octet-stream"}},
		body: func() io.ReadCloser {
			o := newOutgoing(ctx, s)
			last.Store(o)
			return o
		},
		size: s.d.Size,
		ok:   []int{http.StatusAccepted, http.StatusNoContent, http.StatusCreated},
	})
	if err == nil {
		discard(resp)
	}
	o := last.Load()
	switch {
	case o != nil && o.failure() != nil: // the request failed because of this
		return nil, o.failure()
	case err != nil:
		return nil, ofUpload(err)
	case !o.complete.Load():
		return nil, errTooEarly
	}
	return r.location(resp)
}

// commit makes the upload a blob, with what it has got or with the data.
func (r *registry) commit(ctx context.Context, location *url.URL, s source) error {
	query, err := url.ParseQuery(location.RawQuery)
	if err != nil {
		return fmt.Errorf("the registry's address of the upload: %w", err)
	}
	query.Set("digest", s.d.Digest.String())
	target := *location
	target.RawQuery = query.Encode()
	resp, err := r.do(ctx, request{
		method: http.MethodPut, url: &target, action: transport.PushScope,
		header: http.Header{"Content-Type": {"application/octet-stream"}},
		body:   bodyOf(s.data),
		size:   int64(len(s.data)),
		ok:     []int{http.StatusCreated, http.StatusOK, http.StatusNoContent},
	})
	if err != nil {
		return ofUpload(err)
	}
	discard(resp)
	return s.checkStored(resp.Header.Get(digestHeader))
}

// checkStored fails if a registry says that it stored something else. It may know
// a blob by another algorithm, which is not computed for a stream.
func (s source) checkStored(said string) error {
	if said == "" {
		return nil
	}
	h, err := v1.NewHash(said)
	if err == nil && (h == s.d.Digest || h.Algorithm != s.d.Digest.Algorithm && (s.repo != nil || isHash(said, s.data))) {
		return nil
	}
	return kinded(ErrContent, fmt.Errorf("the registry changed the blob: it stored %q", said))
}
