// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// requestToken is what GitHub Actions gives a job to ask for tokens with.
const requestToken = "the-request-token-is-a-secret"

// startActions stands for GitHub Actions, which answers a request for a token.
func startActions(t *testing.T, give http.HandlerFunc) (asked *int) {
	t.Helper()
	asked = new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked++
		if r.Header.Get("Authorization") != "bearer "+requestToken || r.URL.Query().Get("audience") != "sigstore" {
			w.WriteHeader(http.StatusForbidden)
		}
		give(w, r)
	}))
	t.Cleanup(s.Close)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", requestToken)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", s.URL+"/?version=1")
	return asked
}

// TestTokenIsFresh: Check asks for a token, so that one that nobody gives is
// missed early; each signature asks again, as tokens are short-lived.
func TestTokenIsFresh(t *testing.T) {
	h, a := newHub(t, true), newAuthority(t)
	asked := startActions(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"value":%q}`, newToken(t, time.Now().Add(time.Minute)))
	})
	o := h.keyless(t, a)
	o.IdentityToken = ""
	s, err := newSigner(o)
	must(t, err)
	must(t, s.Check(t.Context()))
	if *asked != 1 {
		t.Errorf("Check asks %d times", *asked)
	}
	for n := range 2 {
		_, err = s.Sign(t.Context(), h.push(t, "a"))
		must(t, err)
		if *asked != n+2 {
			t.Errorf("asked %d times after %d signatures", *asked, n+1)
		}
	}
}

// TestNoToken: a token that is not given, or is too old, is found by Check, and
// the error has neither the token nor what it is asked for with.
func TestNoToken(t *testing.T) {
	old := newToken(t, time.Now().Add(-time.Minute))
	for name, tc := range map[string]struct {
		env  string // SIGSTORE_ID_TOKEN
		give http.HandlerFunc
	}{
		"denied":         {"", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, `{"message":"no"}`) }},
		"no JSON":        {"", func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.Header.Get("Authorization")) }},
		"too old":        {"", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, `{"value":%q}`, old) }},
		"too old, given": {old, nil},
		"none at all":    {"this-is-no-token", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.env != "" {
				t.Setenv("SIGSTORE_ID_TOKEN", tc.env)
			} else {
				startActions(t, tc.give)
			}
			s, err := cosign.NewSigner(cosign.SignOptions{})
			must(t, err)
			err = s.Check(t.Context())
			if !errors.Is(err, sign.ErrSecret) {
				t.Errorf("got %v, want ErrSecret", err)
			}
			for _, secret := range []string{requestToken, old, "this-is-no-token"} {
				if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err.Error()), secret) {
					t.Errorf("the error has %q", secret)
				}
			}
		})
	}
}

// TestTokenContext: who has given up does not wait for a token.
func TestTokenContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	startActions(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	s, err := cosign.NewSigner(cosign.SignOptions{})
	must(t, err)
	if err := s.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
}
