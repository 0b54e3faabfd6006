// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Flush does nothing: what a registry took, it has.
func (r *registry) Flush(context.Context) error { return nil }

// CopyBlob does the same copy once, however many ask for it at a time.
func (r *registry) CopyBlob(ctx context.Context, d v1.Descriptor, from Repo) error {
	a := asked{what: aBlob, name: d.Digest.String(), write: true}
	err := wellFormed(d.Digest)
	if err == nil && d.Size < 0 {
		err = kinded(ErrContent, fmt.Errorf("its descriptor says %d bytes", d.Size))
	}
	if err != nil {
		return r.fail(a, err)
	}
	if from.Name() == r.Name() {
		return nil
	}
	of := source{d: d, repo: from}
	if d.Size == 0 {
		if err := checkHash(d.Digest, nil); err != nil {
			return r.fail(a, err)
		}
		of.repo = nil
	}
	for {
		var mine atomic.Bool
		result := r.copies.DoChan(fmt.Sprint(d.Digest, " ", d.Size, " ", from.Name()), func() (any, error) {
			mine.Store(true)
			return nil, r.store(ctx, of)
		})
		select {
		case done := <-result:
			err = done.Err
		case <-ctx.Done():
			err = ctx.Err()
			if mine.Load() {
				err = (<-result).Err // it has to call the upload off
			}
		}
		// Another caller may have given up. This one has not.
		if mine.Load() || err == nil || ctx.Err() != nil || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			return r.fail(a, err)
		}
	}
}

// mount asks the registry to take the blob from another of its repositories, if
// that is where it comes from (distribution-spec, "Mounting a blob from another
// repository"). It returns nil if it did, and else where an upload goes on.
func (r *registry) mount(ctx context.Context, s source) (*url.URL, error) {
	from, ok := s.repo.(*registry)
	if !ok || from.repo.RegistryStr() != r.repo.RegistryStr() {
		return r.startUpload(ctx)
	}
	resp, err := r.do(ctx, request{
		method: http.MethodPost, path: "blobs/uploads/",
		query:  url.Values{"mount": {s.d.Digest.String()}, "from": {from.repo.RepositoryStr()}},
		action: transport.PushScope,
		// Some registries start an upload, and ask for no other token, when this
		// one may not read the source: ask for both rights before.
		scopes: []string{from.repo.Scope(transport.PullScope)},
		ok:     []int{http.StatusCreated, http.StatusAccepted},
	})
	if err != nil {
		return r.startUpload(ctx)
	}
	discard(resp)
	if resp.StatusCode == http.StatusCreated {
		return nil, s.checkStored(resp.Header.Get(digestHeader))
	}
	return r.location(resp)
}
