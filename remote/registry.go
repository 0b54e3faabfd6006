// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// maxRedirects is how many hops a request may take, as for net/http.
const maxRedirects = 10

// registry is one repository of a registry.
type registry struct {
	repo name.Repository
	keys authn.Keychain
	base http.RoundTripper

	anonymous atomic.Bool   // the keychain had nothing for the registry
	turn      chan struct{} // held while logging in, and for the two below
	pull      *http.Client  // may read; nil until the first request
	push      *http.Client  // may read and write; nil until the first push
}

func newRegistry(repo name.Repository, o Options) *registry {
	keys := o.Keychain
	if keys == nil {
		keys = authn.DefaultKeychain
	}
	return &registry{repo: repo, keys: keys, base: baseTransport(o), turn: make(chan struct{}, 1)}
}

func (r *registry) Name() string { return r.repo.Name() }

// client returns the client whose token allows reading, or also writing. The
// first call logs in.
func (r *registry) client(ctx context.Context, write bool) (*http.Client, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var err error
	switch {
	case r.push != nil:
		return r.push, nil
	case write:
		r.push, err = r.login(ctx, transport.PushScope)
		return r.push, err
	case r.pull == nil:
		r.pull, err = r.login(ctx, transport.PullScope)
	}
	return r.pull, err
}

// login returns a client that has asked the registry how it wants to be
// authenticated to, and has a token for the scope if that is by token.
func (r *registry) login(ctx context.Context, scope string) (*http.Client, error) {
	auth, err := authn.Resolve(ctx, r.keys, r.repo)
	if err != nil {
		return nil, kinded(ErrUnauthorized, fmt.Errorf("get the credentials for %s: %w", r.repo.RegistryStr(), err))
	}
	r.anonymous.Store(auth == authn.Anonymous)
	t, err := transport.NewWithContext(ctx, r.repo.Registry, auth, r.base, []string{r.repo.Scope(scope)})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: t, CheckRedirect: r.checkRedirect}, nil
}

// checkRedirect lets a registry with a certificate redirect only to others that
// have one. The transport sends credentials to the registry's own host alone.
func (r *registry) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if r.repo.Scheme() == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("the registry redirects from https to %s://%s, which is not followed", req.URL.Scheme, req.URL.Host)
	}
	return nil
}

// request is one HTTP request to the repository.
type request struct {
	method string
	path   string // below /v2/NAME/
	header http.Header
	body   []byte
	write  bool  // the token must allow writing
	ok     []int // the statuses that are no errors
}

// do sends the request. The caller closes the body of the response, whose
// status is one of q.ok.
func (r *registry) do(ctx context.Context, q request) (*http.Response, error) {
	client, err := r.client(ctx, q.write)
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: r.repo.Scheme(), Host: r.repo.RegistryStr(), Path: "/v2/" + r.repo.RepositoryStr() + "/" + q.path}
	ctx, cancel := context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, q.method, u.String(), bytes.NewReader(q.body))
	if err != nil {
		cancel()
		return nil, err
	}
	if q.header != nil {
		req.Header = q.header
	}
	// Blobs are stored bytes: nobody may repack them on the way.
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := client.Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	watchBody(resp, stallTimeout, cancel)
	if err := transport.CheckError(resp, q.ok...); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
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
