// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// challengeHeader is where a 401 says what it wants.
	challengeHeader = "WWW-Authenticate"
	// maxLogin is how much of an answer is read while logging in, in bytes. The
	// library wants no more of a token.
	maxLogin = 64 << 10
	// maxScopes is how many scopes a registry may add to those of a token.
	maxScopes = 8
)

// session is a transport to one registry that is logged in, and logs in again
// when its token is refused: once for all requests that find it expired.
type session struct {
	r    *registry
	open atomic.Bool   // it has been logged in
	turn chan struct{} // held while logging in, and for the two below
	// scopes are what the token is for.
	scopes []string
	now    http.RoundTripper // nil: not logged in
}

// login returns a transport that has logged in since was, with a token that is
// for the scope as well.
func (s *session) login(ctx context.Context, was http.RoundTripper, scope string) (http.RoundTripper, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.now != nil && s.now != was {
		return s.now, nil
	}
	if scope != "" && !slices.Contains(s.scopes, scope) && len(s.scopes) < maxScopes {
		// First: some registries look at no other.
		s.scopes = slices.Insert(s.scopes, 0, scope)
	}
	t, err := s.r.login(ctx, s.scopes...)
	if err != nil {
		return nil, err
	}
	s.now = t
	s.open.Store(true)
	return t, nil
}

func (s *session) RoundTrip(in *http.Request) (*http.Response, error) {
	t, err := s.login(in.Context(), nil, "")
	if err != nil {
		closeBody(in)
		return nil, err
	}
	resp, c, err := sendDiscreetly(t, in)
	if err != nil || !c.isBearer() || !rewindable(in) {
		return resp, err
	}
	_ = resp.Body.Close()
	if t, err = s.login(in.Context(), t, c.scope()); err != nil {
		return nil, err
	}
	in.Header.Del("Authorization")
	resp, _, err = sendDiscreetly(t, in)
	return resp, err
}

// login asks the registry how it wants to be authenticated to, and gets a token
// for the scopes if that is by token.
func (r *registry) login(ctx context.Context, scopes ...string) (http.RoundTripper, error) {
	auth, err := authn.Resolve(ctx, r.keys, r.repo)
	if err != nil {
		return nil, kinded(ErrUnauthorized, fmt.Errorf("get the credentials for %s: %w", r.repo.RegistryStr(), err))
	}
	r.anonymous.Store(auth == authn.Anonymous)
	// Logging in changes nothing: it is tried as often as may be, also for a
	// request that is sent but once.
	t, err := transport.NewWithContext(whole(often(ctx), maxLogin), r.repo.Registry, auth, r.base, scopes)
	if ue, ok := errors.AsType[*url.Error](err); ok && r.plain && status(err) == 0 {
		err = ue // the library asked in https and in http, and both were sent in http
	}
	return t, err
}

// challenge is what a 401 of the registry wants. The library's answer to it, a
// new token per request, is not safe to ask for at the same time.
type challenge struct{ values []string }

type challengeKey struct{}

// sendDiscreetly sends the request such that the library does not see what a
// 401 of the registry wants.
func sendDiscreetly(t http.RoundTripper, in *http.Request) (*http.Response, *challenge, error) {
	c := &challenge{}
	resp, err := t.RoundTrip(in.WithContext(context.WithValue(in.Context(), challengeKey{}, c)))
	if err == nil && c.values != nil {
		resp.Header[http.CanonicalHeaderKey(challengeHeader)] = c.values
	}
	return resp, c, err
}

func (c *challenge) isBearer() bool {
	return slices.ContainsFunc(c.values, func(v string) bool {
		return len(v) > 6 && strings.EqualFold(v[:7], "bearer ")
	})
}

// scopeParameter finds the scope in a challenge (RFC 6750, section 3).
var scopeParameter = regexp.MustCompile(`(?i)[ ,]scope="([^"]{1,500})"`)

func (c *challenge) scope() string {
	if m := scopeParameter.FindStringSubmatch(strings.Join(c.values, ", ")); m != nil {
		return m[1]
	}
	return ""
}

// discreet hands the challenge of the registry's host over to whom the context
// names, and to nobody else.
type discreet struct {
	next http.RoundTripper
	host string
}

func (d discreet) RoundTrip(in *http.Request) (*http.Response, error) {
	resp, err := d.next.RoundTrip(in)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !isHost(in.URL, d.host) {
		return resp, err
	}
	if c, ok := in.Context().Value(challengeKey{}).(*challenge); ok && c != nil {
		c.values = resp.Header.Values(challengeHeader)
		resp.Header.Del(challengeHeader)
	}
	return resp, nil
}

// client returns a client whose token is for an action on this repository, which
// is reading if it is "", and for more scopes. The first call logs in.
func (r *registry) client(ctx context.Context, action string, more ...string) (*http.Client, error) {
	if action == "" {
		action = transport.PullScope
		// Who may write may read.
		if r.session(transport.PushScope).open.Load() {
			action = transport.PushScope
		}
	}
	s := r.session(action, more...)
	if _, err := s.login(ctx, nil, ""); err != nil {
		return nil, err
	}
	return &http.Client{Transport: s, CheckRedirect: r.checkRedirect}, nil
}

// session returns the one for an action and more scopes, which may not be logged
// in.
func (r *registry) session(action string, more ...string) *session {
	scopes := append([]string{r.repo.Scope(action)}, more...)
	key := strings.Join(scopes, " ")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions == nil {
		r.sessions = map[string]*session{}
	}
	s := r.sessions[key]
	if s == nil {
		s = &session{r: r, turn: make(chan struct{}, 1), scopes: scopes}
		r.sessions[key] = s
	}
	return s
}
