// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cfs-label/cfs-label/remote"
)

// faulty stands before a registry and answers with a fault what the filter lets
// through, as often as told. Less than 0 is always.
type faulty struct {
	next   http.Handler
	filter func(*http.Request) bool
	fault  func(http.ResponseWriter, *http.Request)
	left   atomic.Int32
	seen   atomic.Int32 // requests that the filter let through
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !f.filter(req) {
		f.next.ServeHTTP(w, req)
		return
	}
	f.seen.Add(1)
	if left := f.left.Load(); left == 0 || (left > 0 && f.left.Add(-1) < 0) {
		f.next.ServeHTTP(w, req)
		return
	}
	_, _ = io.Copy(io.Discard, req.Body)
	f.fault(w, req)
}

func statusFault(status int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func cutFault(w http.ResponseWriter, _ *http.Request) { cut(w) }

// cutAnswer promises more than it sends.
func cutAnswer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, "some")
}

func below(method, path string) func(*http.Request) bool {
	return func(req *http.Request) bool {
		return (method == "" || req.Method == method) && strings.Contains(req.URL.Path, path)
	}
}

// TestWhatIsRetried: an answer that may be another next time, or none, is asked
// for again as often as the options say; all others are not.
func TestWhatIsRetried(t *testing.T) {
	faults := map[string]struct {
		fault func(http.ResponseWriter, *http.Request)
		again bool
	}{"cut": {cutFault, true}, "cut answer": {cutAnswer, true}}
	for _, status := range []int{408, 429, 499, 500, 502, 503, 504, 522} {
		faults[fmt.Sprint(status)] = struct {
			fault func(http.ResponseWriter, *http.Request)
			again bool
		}{statusFault(status), true}
	}
	for _, status := range []int{400, 403, 404, 405, 410, 418, 451, 501} {
		faults[fmt.Sprint(status)] = struct {
			fault func(http.ResponseWriter, *http.Request)
			again bool
		}{statusFault(status), false}
	}
	for name, tc := range faults {
		for _, retries := range []int{-1, 0, 2} {
			reg := newRegistry()
			f := &faulty{next: reg, filter: below("GET", "/manifests/"), fault: tc.fault}
			host := serve(t, f)
			push(t, open(t, host+"/a", remote.Options{}).Repo, "v1", "x")
			want := 1
			if tc.again {
				want += max(0, retries)
				if retries == 0 {
					want += remote.DefaultRetries
				}
			}
			// One fault less than it takes: all is well. Over connections that are
			// kept, net/http sends again by itself.
			once := http.DefaultTransport.(*http.Transport).Clone()
			once.DisableKeepAlives = true
			repo := open(t, host+"/a", remote.Options{Retries: retries, Transport: once}).Repo
			if want > 1 {
				f.left.Store(int32(want - 1))
				if _, _, err := repo.Resolve(t.Context(), "v1", ""); err != nil {
					t.Errorf("%s, retries %d, %d faults: %v", name, retries, want-1, err)
				}
			}
			f.left.Store(-1)
			f.seen.Store(0)
			_, _, err := repo.Resolve(t.Context(), "v1", "")
			if n := int(f.seen.Load()); err == nil || n != want {
				t.Errorf("%s, retries %d: %d requests, want %d; %v", name, retries, n, want, err)
			}
		}
	}
}

// TestEachStepIsRetried: every request of a run that may be repeated is.
func TestEachStepIsRetried(t *testing.T) {
	for _, step := range []struct{ method, path string }{
		{"GET", "/v2/"},
		{"GET", "/token"},
		{"HEAD", "/blobs/"},
		{"POST", "/blobs/uploads/"},
		{"PUT", "/blobs/uploads/"},
		{"GET", "/blobs/"},
		{"HEAD", "/manifests/sha256:"},
		{"PUT", "/manifests/sha256:"},
		{"PUT", "/manifests/v1"},
	} {
		for name, fault := range map[string]func(http.ResponseWriter, *http.Request){
			"503": statusFault(503), "cut": cutFault, "429": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(http.StatusTooManyRequests)
			},
		} {
			t.Run(step.method+" "+step.path+" "+name, func(t *testing.T) {
				f := &faulty{next: newBearer(newRegistry()), filter: below(step.method, step.path), fault: fault}
				repo := open(t, serve(t, f)+"/a", remote.Options{Keychain: alice, Retries: 2}).Repo
				f.left.Store(2)
				c, config := blob("{}")
				if err := repo.PushBlob(t.Context(), c, config); err != nil {
					t.Fatal(err)
				}
				d, raw := push(t, repo, "v1", "x")
				if _, err := repo.BlobBytes(t.Context(), c, 10); err != nil {
					t.Fatal(err)
				}
				wantTag(t, repo, "v1", d, raw)
				if f.seen.Load() < 3 {
					t.Errorf("%d requests of the kind", f.seen.Load())
				}
			})
		}
	}
}

// TestTotalOfAttempts: a call that takes several requests has no more attempts
// for that.
func TestTotalOfAttempts(t *testing.T) {
	for _, path := range []string{"/blobs/uploads/", "/manifests/v1"} {
		for _, retries := range []int{-1, 3} {
			f := &faulty{next: newRegistry(), filter: below("PUT", path), fault: statusFault(503)}
			f.left.Store(-1)
			repo := open(t, serve(t, f)+"/a", remote.Options{Retries: retries}).Repo
			c, config := blob("{}")
			err := repo.PushBlob(t.Context(), c, config)
			if path == "/manifests/v1" {
				d, raw := push(t, repo, "", "x")
				err = repo.Tag(t.Context(), "v1", d, raw, "")
			}
			if n := int(f.seen.Load()); err == nil || n != 1+max(0, retries) {
				t.Errorf("%s: %d requests with %d retries, %v", path, n, retries, err)
			}
			wantTexts(t, err, "503")
		}
	}
}

// TestUploadForgotten: an upload that the registry forgets is started anew, and
// one whose answer was lost is found to be done.
func TestUploadForgotten(t *testing.T) {
	c, config := blob("{}")
	reg := newRegistry()
	f := &faulty{next: reg, filter: below("PUT", "/blobs/uploads/"), fault: statusFault(404)}
	rec := &recorder{next: f}
	repo := open(t, serve(t, rec)+"/a", remote.Options{}).Repo
	f.left.Store(2)
	if err := repo.PushBlob(t.Context(), c, config); err != nil {
		t.Fatal(err)
	}
	if n := rec.count("POST", ""); n != 3 {
		t.Errorf("%d uploads were started, want 3", n)
	}
}

// TestPushWithoutHead: a registry that does not answer HEAD takes blobs and
// manifests all the same.
func TestPushWithoutHead(t *testing.T) {
	f := &faulty{next: newRegistry(), filter: below("HEAD", "/v2/"), fault: statusFault(http.StatusMethodNotAllowed)}
	f.left.Store(-1)
	repo := open(t, serve(t, f)+"/a", remote.Options{}).Repo
	c, config := blob("{}")
	if err := repo.PushBlob(t.Context(), c, config); err != nil {
		t.Fatal(err)
	}
	if got, err := repo.BlobBytes(t.Context(), c, 10); err != nil || !bytes.Equal(got, config) {
		t.Errorf("got %q, %v", got, err)
	}
	d, raw := push(t, repo, "v1", "x")
	wantTag(t, repo, "v1", d, raw)
}

// TestUploadElsewhere: content goes where the registry wants it, credentials
// don't.
func TestUploadElsewhere(t *testing.T) {
	c, config := blob("{}")
	reg := newRegistry()
	storage := &recorder{next: reg}
	target := serve(t, storage)
	host := serve(t, basicAuth(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPost {
			w.Header().Set("Location", "http://"+target+"/v2/a/blobs/uploads/7?state=x")
			w.WriteHeader(http.StatusAccepted)
			return
		}
		reg.ServeHTTP(w, req)
	})))
	if err := open(t, host+"/a", remote.Options{Keychain: alice}).Repo.PushBlob(t.Context(), c, config); err != nil {
		t.Fatal(err)
	}
	if len(storage.seen) != 1 || storage.seen[0].auth != "" {
		t.Errorf("the storage saw %v", storage.seen)
	}
}

// TestWaitsTooLong: an hour is not waited for, whoever asks for it.
func TestWaitsTooLong(t *testing.T) {
	for _, path := range []string{"/v2/", "/token", "/manifests/", "/blobs/"} {
		f := &faulty{next: newBearer(newRegistry()), filter: below("", path), fault: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}}
		f.left.Store(-1)
		repo := open(t, serve(t, f)+"/a", remote.Options{Keychain: alice}).Repo
		d, raw := manifest("x")
		for name, err := range map[string]error{
			"PushManifest": repo.PushManifest(t.Context(), d, raw),
			"Tag":          repo.Tag(t.Context(), "v1", d, raw, ""),
			"PushBlob":     repo.PushBlob(t.Context(), d, raw),
		} {
			if (name == "PushBlob") != (path == "/blobs/") && strings.Contains(path, "s/") {
				continue
			}
			wantTexts(t, err, "429", "1h0m0s", "too long", "wait, or log in")
		}
	}
}

// TestCanceledWhileWaiting: a run that is ended does not wait for its registry.
func TestCanceledWhileWaiting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &faulty{next: newRegistry(), filter: below("", "/manifests/"), fault: func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		time.AfterFunc(10*time.Millisecond, cancel)
	}}
	f.left.Store(-1)
	_, _, err := open(t, serve(t, f)+"/a:v1", remote.Options{RetryPause: time.Hour}).Resolve(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	wantTexts(t, err, "503")
}
