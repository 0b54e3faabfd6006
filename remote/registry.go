// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/singleflight"
)

// registry is one repository of a registry.
type registry struct {
	repo     name.Repository
	keys     authn.Keychain
	base     http.RoundTripper
	plain    bool // http and nothing else
	patience patience

	anonymous atomic.Bool         // the keychain had nothing for the registry
	mu        sync.Mutex          // for sessions
	sessions  map[string]*session // by scopes

	opts      Options
	referrers referrers
	copies    singleflight.Group // CopyBlob, by digest
}

func newRegistry(repo name.Repository, o Options) (*registry, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	keys, err := keychainOf(repo.Registry, o)
	if err != nil {
		return nil, err
	}
	base, err := baseTransport(repo.Registry, o)
	if err != nil {
		return nil, err
	}
	return &registry{
		repo: repo, keys: keys, base: base, plain: o.PlainHTTP, patience: patienceOf(o),
		opts: o, referrers: referrers{writing: make(chan struct{}, 1)},
	}, nil
}

func (r *registry) Name() string { return r.repo.Name() }

// request is one HTTP request to the repository.
type request struct {
	method string
	path   string     // below /v2/NAME/
	query  url.Values // behind it
	url    *url.URL   // in place of both, where the registry named it
	action string     // what the token must allow, as in a scope; "": reading
	scopes []string   // what it must be for besides
	header http.Header
	body   func() io.ReadCloser // from its start, each time; nil: none
	size   int64                // of the body, in bytes
	stream bool                 // the body of the answer is read as it comes
	ok     []int                // the statuses that are no errors
}

// do sends the request. The caller closes the body of the response, whose
// status is one of q.ok. Unless q is for a stream, no more than MaxManifest bytes
// of it are read, and one more.
func (r *registry) do(ctx context.Context, q request) (*http.Response, error) {
	client, err := r.client(ctx, q.action, q.scopes...)
	if err != nil {
		return nil, r.shown(err)
	}
	if ctx = inParts(ctx); !q.stream {
		ctx = whole(ctx, MaxManifest)
	}
	u := q.url
	if u == nil {
		u = r.urlOf(q.path, q.query)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, u.String(), http.NoBody)
	if err != nil {
		return nil, r.shown(err)
	}
	if q.header != nil {
		req.Header = q.header.Clone() // credentials are added to it on the way
	}
	// Blobs are stored bytes: nobody may repack them on the way.
	req.Header.Set("Accept-Encoding", "identity")
	if q.size > 0 {
		req.Body, req.ContentLength = q.body(), q.size
		req.GetBody = func() (io.ReadCloser, error) { return q.body(), nil }
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, r.shown(err)
	}
	if err := newAnswer(resp, q.ok...); err != nil {
		return nil, err
	}
	return resp, nil
}

// urlOf returns the address of what is below /v2/NAME/.
func (r *registry) urlOf(path string, query url.Values) *url.URL {
	return &url.URL{
		Scheme: r.repo.Scheme(), Host: r.repo.RegistryStr(),
		Path: "/v2/" + r.repo.RepositoryStr() + "/" + path, RawQuery: query.Encode(),
	}
}

// bodyOf returns the body of a request.
func bodyOf(data []byte) func() io.ReadCloser {
	return func() io.ReadCloser { return io.NopCloser(bytes.NewReader(data)) }
}

// discard ends a response whose body says nothing.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

// status returns what the registry answered; 0 if it did not.
func status(err error) int {
	if answer, ok := errors.AsType[*transport.Error](err); ok {
		return answer.StatusCode
	}
	return 0
}
