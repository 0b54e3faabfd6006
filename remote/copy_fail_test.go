// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/remote"
)

// TestCopyCorruptBlob: a blob that is not what its digest says is never
// committed; the upload is called off, and the error names the source.
func TestCopyCorruptBlob(t *testing.T) {
	d, data := large()
	flipped := bytes.Clone(data)
	flipped[len(flipped)-1] ^= 1
	for name, content := range map[string][]byte{
		"flipped": flipped, "short": data[:len(data)-1], "long": append(bytes.Clone(data), 0), "none": nil,
	} {
		t.Run(name, func(t *testing.T) {
			reg, b := newBlobRegistry(anyRepo)
			rec := &recorder{next: reg}
			to := open(t, serve(t, rec)+"/z", remote.Options{RetryPause: time.Millisecond}).Repo
			err := to.CopyBlob(t.Context(), d, fakeRepo{blob: func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(content)), nil
			}})
			if !errors.Is(err, remote.ErrContent) {
				t.Errorf("got %v, want ErrContent", err)
			}
			wantTexts(t, err, "oci:fake", d.Digest.String())
			if b.put != 0 || rec.count("PUT", "") != 0 {
				t.Error("the blob was committed")
			}
			if rec.count("POST", "") != 1 || rec.count("DELETE", "") != 1 {
				t.Error("the upload was started again, or not called off")
			}
		})
	}
}

// TestCopyBadDescriptor: what cannot be is found before anything is sent.
func TestCopyBadDescriptor(t *testing.T) {
	good, _ := blob("x")
	reg, b := newBlobRegistry(anyRepo)
	to := open(t, serve(t, reg)+"/z", remote.Options{}).Repo
	for _, d := range []v1.Descriptor{{}, {Digest: good.Digest, Size: -1}, {Digest: good.Digest, Size: 0}} {
		if err := to.CopyBlob(t.Context(), d, fakeRepo{}); !errors.Is(err, remote.ErrContent) {
			t.Errorf("%v: got %v, want ErrContent", d, err)
		}
	}
	if b.put != 0 {
		t.Error("a blob was committed")
	}
}

// TestCopyMissingBlob: the error says which repository has not what it should.
func TestCopyMissingBlob(t *testing.T) {
	d, _ := blob("missing")
	regA, _ := newBlobRegistry(anyRepo)
	regB, _ := newBlobRegistry(anyRepo)
	from := open(t, serve(t, regA)+"/x", remote.Options{}).Repo
	to := open(t, serve(t, regB)+"/z", remote.Options{}).Repo
	err := to.CopyBlob(t.Context(), d, from)
	if !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	wantTexts(t, err, from.Name(), d.Digest.String())
	if strings.Contains(err.Error(), to.Name()) {
		t.Errorf("the error %q blames the target", err)
	}
}

// TestCopyBrokenStream: a source that breaks is read again, into a new upload,
// but not for ever.
func TestCopyBrokenStream(t *testing.T) {
	d, data := large()
	for _, breaks := range []int32{2, 1000} {
		reg, b := newBlobRegistry(anyRepo)
		rec := &recorder{next: reg}
		to := open(t, serve(t, rec)+"/z", remote.Options{RetryPause: time.Millisecond, Retries: 2}).Repo
		var left atomic.Int32
		left.Store(breaks)
		err := to.CopyBlob(t.Context(), d, fakeRepo{blob: func(context.Context) (io.ReadCloser, error) {
			if left.Add(-1) >= 0 {
				return io.NopCloser(io.MultiReader(bytes.NewReader(data[:1<<20]), iotest.ErrReader(io.ErrUnexpectedEOF))), nil
			}
			return io.NopCloser(bytes.NewReader(data)), nil
		}})
		if breaks == 2 {
			if err != nil {
				t.Error(err)
			}
			b.want(t, "z", d, data)
		} else if !errors.Is(err, io.ErrUnexpectedEOF) || b.put != 0 {
			t.Errorf("got %v, %d blobs", err, b.put)
		}
		if n := rec.count("POST", ""); n != 3 {
			t.Errorf("%d uploads were started, want 3", n)
		}
	}
}

// TestCopyFaultyTarget: whatever request of an upload fails once, the blob
// arrives; what fails for good is an error.
func TestCopyFaultyTarget(t *testing.T) {
	d, data := large()
	status := func(s int) http.HandlerFunc { return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(s) } }
	for _, method := range []string{http.MethodPatch, http.MethodPut} {
		for name, tc := range map[string]struct {
			fault http.HandlerFunc
			final bool
		}{
			"503":           {status(http.StatusServiceUnavailable), false},
			"404":           {status(http.StatusNotFound), false},
			"cut":           {func(w http.ResponseWriter, _ *http.Request) { cut(w) }, false},
			"expired token": {status(http.StatusUnauthorized), false},
			"denied":        {status(http.StatusForbidden), true},
			"too large":     {status(http.StatusRequestEntityTooLarge), true},
		} {
			t.Run(method+" "+name, func(t *testing.T) {
				reg, b := newBlobRegistry(anyRepo)
				var failed atomic.Bool
				to := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if req.Method == method && failed.CompareAndSwap(false, true) {
						tc.fault(w, req)
						return
					}
					reg.ServeHTTP(w, req)
				}))+"/z", remote.Options{RetryPause: time.Millisecond}).Repo
				err := to.CopyBlob(t.Context(), d, sourceOf(data))
				if tc.final {
					if err == nil || b.put != 0 {
						t.Errorf("got %v, %d blobs", err, b.put)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				b.want(t, "z", d, data)
			})
		}
	}
}

func sourceOf(data []byte) remote.Repo {
	return fakeRepo{blob: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// TestCopyAnswerLost: a blob whose last answer is lost is not sent again.
func TestCopyAnswerLost(t *testing.T) {
	d, data := large()
	reg, b := newBlobRegistry(anyRepo)
	to := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut {
			reg.ServeHTTP(httptest.NewRecorder(), req)
			cut(w)
			return
		}
		reg.ServeHTTP(w, req)
	}))+"/z", remote.Options{RetryPause: time.Millisecond}).Repo
	if err := to.CopyBlob(t.Context(), d, sourceOf(data)); err != nil {
		t.Fatal(err)
	}
	if b.put != 1 {
		t.Errorf("%d uploads", b.put)
	}
}

// TestCopyDenied: the right to push is missing: one question, and how to log in.
func TestCopyDenied(t *testing.T) {
	d, data := blob("x")
	rec := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.Method {
		case http.MethodPost:
			w.WriteHeader(http.StatusForbidden)
		case http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		}
	})}
	host := serve(t, rec)
	err := open(t, host+"/z", remote.Options{}).Repo.CopyBlob(t.Context(), d, sourceOf(data))
	if !errors.Is(err, remote.ErrUnauthorized) || rec.count("POST", "") != 1 {
		t.Errorf("got %v", err)
	}
	wantTexts(t, err, "docker login "+host)
}

// TestCopyEarlyAnswer: a registry that says yes before it has all has nothing.
func TestCopyEarlyAnswer(t *testing.T) {
	d, data := large()
	reg, b := newBlobRegistry(anyRepo)
	rec := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPatch {
			w.Header().Set("Location", req.URL.Path)
			w.WriteHeader(http.StatusAccepted)
			return
		}
		reg.ServeHTTP(w, req)
	})}
	to := open(t, serve(t, rec)+"/z", remote.Options{Retries: -1}).Repo
	from := fakeRepo{blob: func(ctx context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(data[:1000]), until{ctx.Done()})), nil
	}}
	if err := to.CopyBlob(t.Context(), d, from); err == nil || b.put != 0 || rec.count("PUT", "") != 0 {
		t.Errorf("got %v, %d blobs", err, b.put)
	}
}

// until is a reader that has nothing before the end.
type until struct{ end <-chan struct{} }

func (u until) Read([]byte) (int, error) {
	<-u.end
	return 0, context.Canceled
}

// TestCopyLocations: an upload may go on at another host, which sees no
// credentials, but not at an address that is not the registry's to name.
func TestCopyLocations(t *testing.T) {
	d, data := large()
	storage := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		w.Header().Set("Location", req.URL.Path+"?more=1")
		w.WriteHeader(http.StatusCreated)
	})}
	other := serve(t, storage)
	for location, fine := range map[string]bool{
		"http://" + other + "/up": true,
		"http://" + strings.Replace(other, "127.0.0.1", "localhost", 1) + "/up": true,
		"http://u:p@" + other + "/up":                                           true,
		"http://127.0.0.2:1/up":                                                 false,
		"http://[::ffff:10.0.0.1]/up":                                           false,
		"ftp://" + other + "/up":                                                false,
		"http://169.254.169.254/metadata":                                       false,
		"":                                                                      false,
	} {
		host := serve(t, basicAuth(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			switch req.Method {
			case http.MethodHead:
				w.WriteHeader(http.StatusNotFound)
			case http.MethodPost:
				if location != "" {
					w.Header().Set("Location", location)
				}
				w.WriteHeader(http.StatusAccepted)
			}
		})))
		to := open(t, host+"/z", remote.Options{Keychain: alice, Retries: -1}).Repo
		if err := to.CopyBlob(t.Context(), d, sourceOf(data)); (err == nil) != fine {
			t.Errorf("%q: %v", location, err)
		}
	}
	if storage.count("PATCH", "/up") != 3 || storage.count("PUT", "/up") != 3 {
		t.Error("the upload did not go on at the other host")
	}
	for _, s := range storage.seen {
		if s.auth != "" {
			t.Errorf("the storage was sent %q", s.auth)
		}
	}
}

// TestCopyExpiredToken: a token that expires between two requests of an upload is
// asked for again, and the blob sent from its start.
func TestCopyExpiredToken(t *testing.T) {
	d, data := large()
	for _, method := range []string{http.MethodPost, http.MethodPatch} {
		reg, blobs := newBlobRegistry(anyRepo)
		b := newBearer(reg)
		to := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			b.ServeHTTP(w, req)
			if req.Method == method {
				b.expire()
			}
		}))+"/z", remote.Options{Keychain: alice, RetryPause: time.Millisecond}).Repo
		if err := to.CopyBlob(t.Context(), d, sourceOf(data)); err != nil {
			t.Error(err)
		}
		blobs.want(t, "z", d, data)
	}
}
