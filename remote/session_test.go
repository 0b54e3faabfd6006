// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/cfs-label/cfs-label/remote"
)

// TestOneTokenForAll: requests that find their token expired at the same time
// get one new token between them.
func TestOneTokenForAll(t *testing.T) {
	const n = 8
	b := newBearer(newRegistry())
	var waiting sync.WaitGroup
	var hold atomic.Bool
	// All n requests are refused before any of them goes on.
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if hold.Load() && strings.Contains(req.URL.Path, "/blobs/") && req.Header.Get("Authorization") != "Bearer token-3" {
			waiting.Done()
			waiting.Wait()
		}
		b.ServeHTTP(w, req)
	}))
	c, config := blob("{}")
	if err := open(t, host+"/a", remote.Options{Keychain: alice}).Repo.PushBlob(t.Context(), c, config); err != nil {
		t.Fatal(err)
	}
	repo := open(t, host+"/a", remote.Options{}).Repo
	if _, err := repo.BlobBytes(t.Context(), c, 10); err != nil {
		t.Fatal(err)
	}
	if len(b.scopes) != 2 {
		t.Fatalf("%d tokens before, want 2", len(b.scopes))
	}
	b.expire()
	waiting.Add(n)
	hold.Store(true)
	var done sync.WaitGroup
	for range n {
		done.Go(func() {
			if got, err := repo.BlobBytes(t.Context(), c, 10); err != nil || !bytes.Equal(got, config) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	done.Wait()
	if len(b.scopes) != 3 {
		t.Errorf("%d tokens, want 3", len(b.scopes))
	}
}

// TestTokenIsNeverGood: a registry that takes no token of its own is told so,
// and not asked for ever.
func TestTokenIsNeverGood(t *testing.T) {
	rec := &recorder{next: newBearer(newRegistry())}
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/token" && req.URL.Path != "/v2/" {
			rec.seen = append(rec.seen, recorded{method: req.Method, path: req.URL.Path})
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test",error="invalid_token"`, req.Host))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		rec.ServeHTTP(w, req)
	}))
	_, _, err := open(t, host+"/a:v1", remote.Options{Keychain: alice}).Resolve(t.Context())
	if !errors.Is(err, remote.ErrUnauthorized) {
		t.Errorf("got %v, want ErrUnauthorized", err)
	}
	wantTexts(t, err, "does not take the token that it has just given", "docker login")
	if n := rec.count("GET", "/token"); n != 2 {
		t.Errorf("%d tokens, want 2", n)
	}
	if n := rec.count("GET", "/manifests/v1"); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// TestWiderScope: a token for what the challenge asks for, besides what there
// is.
func TestWiderScope(t *testing.T) {
	b := newBearer(newRegistry())
	const wider = "repository:b:pull"
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.Contains(req.URL.Path, "/manifests/") && len(b.scopes) < 2 {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",scope=%q,error="insufficient_scope"`, req.Host, wider))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		b.ServeHTTP(w, req)
	}))
	_, _, err := open(t, host+"/a:v1", remote.Options{}).Resolve(t.Context())
	if !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if len(b.scopes) != 2 || b.scopes[1] != wider { // the server reads the first
		t.Errorf("scopes %v", b.scopes)
	}
}

// TestLoginIsBounded: an endless answer to the first questions is an error, not
// an endless run.
func TestLoginIsBounded(t *testing.T) {
	for _, path := range []string{"/v2/", "/token"} {
		b := newBearer(newRegistry())
		host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path != path {
				b.ServeHTTP(w, req)
				return
			}
			for {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}))
		if _, _, err := open(t, host+"/a:v1", remote.Options{}).Resolve(t.Context()); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}

// TestUserAgent: every request says who sends it, those for a token too.
func TestUserAgent(t *testing.T) {
	rec := &recorder{next: newBearer(newRegistry())}
	repo := open(t, serve(t, rec)+"/a", remote.Options{Keychain: alice, UserAgent: "cfs-label/1.0"}).Repo
	d, raw := push(t, repo, "v1", "x")
	wantTag(t, repo, "v1", d, raw)
	if rec.count("GET", "/token") == 0 {
		t.Error("there was no request for a token")
	}
	for _, s := range rec.seen {
		if !strings.HasPrefix(s.agent, "cfs-label/1.0 ") {
			t.Errorf("%s %s came from %q", s.method, s.path, s.agent)
		}
	}
}

// TestWarnings: what a registry warns of is told once per reference.
func TestWarnings(t *testing.T) {
	host := serve(t, registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithWarning(1, `your token\" will expire`)))
	var told []string
	repo := open(t, host+"/a", remote.Options{Warn: func(message string) { told = append(told, message) }}).Repo
	push(t, repo, "v1", "x")
	push(t, repo, "v2", "y")
	if want := host + `: your token" will expire`; len(told) != 1 || told[0] != want {
		t.Errorf("told %q, want %q once", told, want)
	}
}
