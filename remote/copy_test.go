// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/remote"
)

// TestCopyBlobStreams: between two registries a blob is streamed once; the second
// time, one HEAD shows that it is there.
func TestCopyBlobStreams(t *testing.T) {
	big, bigData := large()
	empty, emptyData := blob("")
	tall, tallData := blob("tall")
	tall.Digest = v1.Hash{Algorithm: "sha512", Hex: sha512Hex(tallData)}
	for _, tc := range []struct {
		d    v1.Descriptor
		data []byte
	}{{big, bigData}, {empty, emptyData}, {tall, tallData}} {
		regA, a := newBlobRegistry(anyRepo)
		regB, b := newBlobRegistry(anyRepo)
		recA, recB := &recorder{next: regA}, &recorder{next: regB}
		a.set("x/y", tc.d.Digest, tc.data)
		from := open(t, serve(t, recA)+"/x/y", remote.Options{}).Repo
		to := open(t, serve(t, recB)+"/z", remote.Options{}).Repo
		for range 2 {
			if err := to.CopyBlob(t.Context(), tc.d, from); err != nil {
				t.Fatal(err)
			}
		}
		b.want(t, "z", tc.d, tc.data)
		if n := recA.count("GET", tc.d.Digest.String()); n > 1 || b.put != 1 || recB.count("HEAD", "") != 2 {
			t.Errorf("%d reads, %d uploads, %d HEADs", n, b.put, recB.count("HEAD", ""))
		}
	}
}

// TestCopyBlobMounts: within a registry nothing is sent; within a repository
// nothing is asked.
func TestCopyBlobMounts(t *testing.T) {
	d, data := blob("mounted")
	reg, b := newBlobRegistry(anyRepo)
	rec := &recorder{next: reg}
	host := serve(t, rec)
	b.set("from", d.Digest, data)
	from := open(t, host+"/from", remote.Options{}).Repo
	if err := open(t, host+"/to", remote.Options{}).Repo.CopyBlob(t.Context(), d, from); err != nil {
		t.Fatal(err)
	}
	b.want(t, "to", d, data)
	if b.mount != 1 || rec.count("GET", d.Digest.String()) != 0 || rec.count("PATCH", "") != 0 {
		t.Error("the blob was not mounted")
	}
	before := len(rec.seen)
	if err := open(t, host+"/from", remote.Options{}).Repo.CopyBlob(t.Context(), d, from); err != nil {
		t.Fatal(err)
	}
	if len(rec.seen) != before {
		t.Error("a copy to where the blob is asked the registry")
	}
}

// TestCopyBlobWithoutMount: a registry that mounts nothing, or takes the question
// amiss, gets a stream.
func TestCopyBlobWithoutMount(t *testing.T) {
	for _, status := range []int{0, 400, 401, 403, 404, 405} {
		d, data := large()
		reg, b := newBlobRegistry(func(*http.Request, string) bool { return false })
		rec := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if status != 0 && req.URL.Query().Has("mount") {
				w.WriteHeader(status)
				return
			}
			reg.ServeHTTP(w, req)
		})}
		host := serve(t, rec)
		b.set("from", d.Digest, data)
		from := open(t, host+"/from", remote.Options{}).Repo
		if err := open(t, host+"/to", remote.Options{}).Repo.CopyBlob(t.Context(), d, from); err != nil {
			t.Errorf("%d: %v", status, err)
		}
		b.want(t, "to", d, data)
		if posts := rec.count("POST", ""); (status == 0 && posts != 1) || posts > 2 {
			t.Errorf("%d: %d uploads were started", status, posts)
		}
	}
}

// TestMountScopes: the token of a mount may read the source and write the target;
// where the token server has none such, the blob is streamed.
func TestMountScopes(t *testing.T) {
	d, data := blob("mounted")
	for _, refuse := range []bool{false, true} {
		tokens := &tokenServer{good: map[string][]string{}, refuse: refuse}
		reg, b := newBlobRegistry(func(req *http.Request, repo string) bool {
			return tokens.allows(req, "repository:"+repo+":pull")
		})
		tokens.next = reg
		host := serve(t, tokens)
		b.set("from", d.Digest, data)
		o := remote.Options{Keychain: alice}
		if err := open(t, host+"/to", o).Repo.CopyBlob(t.Context(), d, open(t, host+"/from", o).Repo); err != nil {
			t.Fatal(err)
		}
		b.want(t, "to", d, data)
		if mounted := b.mount == 1; mounted == refuse {
			t.Errorf("refuse %v: mounted %v", refuse, mounted)
		}
	}
}

// tokenServer is a registry whose tokens are good for the scopes that were asked
// for, each a parameter, and which starts an upload where the right to mount is
// missing. It may refuse more than one scope at a time.
type tokenServer struct {
	next   http.Handler
	refuse bool
	mu     sync.Mutex
	good   map[string][]string
}

func (s *tokenServer) allows(req *http.Request, scopes ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, have := range s.good[strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")] {
		if slices.Contains(scopes, have) {
			return true
		}
	}
	return false
}

func (s *tokenServer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/token" {
		scopes := req.URL.Query()["scope"]
		if s.refuse && len(scopes) > 1 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		s.mu.Lock()
		token := "t" + strings.Join(scopes, "+")
		s.good[token] = scopes
		s.mu.Unlock()
		_, _ = w.Write([]byte(`{"token":"` + token + `"}`))
		return
	}
	repo, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/v2/"), "/")
	scopes := []string{"repository:" + repo + ":push,pull"}
	if req.Method == http.MethodGet {
		scopes = append(scopes, "repository:"+repo+":pull")
	}
	if s.allows(req, scopes...) {
		s.next.ServeHTTP(w, req)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+req.Host+`/token",service="test"`)
	w.WriteHeader(http.StatusUnauthorized)
}

// TestCopyBlobAtOnce: however many want a blob, it is sent once.
func TestCopyBlobAtOnce(t *testing.T) {
	d, data := large()
	reg, b := newBlobRegistry(anyRepo)
	to := open(t, serve(t, reg)+"/z", remote.Options{}).Repo
	all := make(chan struct{})
	var opened atomic.Int32
	from := fakeRepo{blob: func(context.Context) (io.ReadCloser, error) {
		opened.Add(1)
		<-all
		return io.NopCloser(bytes.NewReader(data)), nil
	}}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := to.CopyBlob(t.Context(), d, from); err != nil {
				t.Error(err)
			}
		})
	}
	close(all)
	wg.Wait()
	b.want(t, "z", d, data)
	if n := opened.Load(); n != 1 || b.put != 1 {
		t.Errorf("%d reads, %d uploads", n, b.put)
	}
}

// TestCopyBlobOutlivesAnotherCaller: one who waits for another's copy does not
// fail because that one gives up.
func TestCopyBlobOutlivesAnotherCaller(t *testing.T) {
	d, data := large()
	reg, b := newBlobRegistry(anyRepo)
	to := open(t, serve(t, reg)+"/z", remote.Options{RetryPause: time.Millisecond}).Repo
	first, giveUp := context.WithCancel(t.Context())
	started := make(chan struct{})
	var opened atomic.Int32
	from := fakeRepo{blob: func(ctx context.Context) (io.ReadCloser, error) {
		if opened.Add(1) == 1 {
			close(started)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return io.NopCloser(bytes.NewReader(data)), nil
	}}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := to.CopyBlob(first, d, from); !errors.Is(err, context.Canceled) {
			t.Errorf("the first: got %v", err)
		}
	})
	<-started
	wg.Go(func() {
		if err := to.CopyBlob(t.Context(), d, from); err != nil {
			t.Errorf("the second: %v", err)
		}
	})
	giveUp()
	wg.Wait()
	b.want(t, "z", d, data)
}

// TestCopyBlobOverHTTP2: streams of HTTP/2 end as they should, too: a right blob
// arrives, of a wrong one nothing is left.
func TestCopyBlobOverHTTP2(t *testing.T) {
	d, data := large()
	reg, b := newBlobRegistry(anyRepo)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.ProtoMajor != 2 {
			t.Errorf("the protocol is %s", req.Proto)
		}
		reg.ServeHTTP(w, req)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	to := open(t, strings.TrimPrefix(srv.URL, "https://")+"/z", remote.Options{Insecure: true}).Repo
	if err := to.CopyBlob(t.Context(), d, sourceOf(data[1:])); !errors.Is(err, remote.ErrContent) || b.put != 0 {
		t.Errorf("got %v, %d blobs", err, b.put)
	}
	if err := to.CopyBlob(t.Context(), d, sourceOf(data)); err != nil {
		t.Fatal(err)
	}
	b.want(t, "z", d, data)
}
