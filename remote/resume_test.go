// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/remote"
)

// breaker serves one blob and cuts the connection after so many bytes of each
// answer as cuts says; -1, and the end of cuts, is not at all.
type breaker struct {
	data        []byte
	ignoreRange bool
	chunked     bool

	mu     sync.Mutex
	cuts   []int
	ranges []string // the Range of each request
}

func (b *breaker) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !strings.Contains(req.URL.Path, "/blobs/") && req.URL.Path != "/stored" {
		return
	}
	b.mu.Lock()
	keep := -1
	if len(b.cuts) > 0 {
		keep, b.cuts = b.cuts[0], b.cuts[1:]
	}
	b.ranges = append(b.ranges, req.Header.Get("Range"))
	b.mu.Unlock()
	from, data := 0, b.data
	if text, ok := strings.CutPrefix(req.Header.Get("Range"), "bytes="); ok && !b.ignoreRange {
		first, _, _ := strings.Cut(text, "-")
		from, _ = strconv.Atoi(first)
		if from >= len(data) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		data = data[from:]
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(b.data)-1, len(b.data)))
	}
	if !b.chunked {
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	}
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	_ = http.NewResponseController(w).Flush()
	if keep < 0 || keep > len(data) {
		_, _ = w.Write(data)
		return
	}
	_, _ = w.Write(data[:keep])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// noise returns n bytes that repeat nowhere, and their descriptor.
func noise(seed uint64, n int) (v1.Descriptor, []byte) {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	data := make([]byte, n)
	_, _ = r.Read(data)
	return blob(string(data))
}

// TestStreamGoesOn: a blob whose connection breaks at random places comes
// without a byte twice or missing, read in pieces of any size, be it that the
// registry understands Range or sends all of it again.
func TestStreamGoesOn(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		d, data := noise(seed, 1+r.IntN(200_000))
		b := &breaker{data: data, ignoreRange: seed%2 == 1, chunked: seed%4 >= 2}
		for range r.IntN(8) {
			b.cuts = append(b.cuts, r.IntN(len(data)))
		}
		if seed%5 == 0 {
			b.cuts = append(b.cuts, 0, 0, 0)
		}
		// Random cuts of answers that start over may not get further each time.
		repo := open(t, serve(t, b)+"/a", remote.Options{Retries: 12}).Repo
		stream, err := repo.Blob(t.Context(), d)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		var in io.Reader = stream
		if seed%3 == 0 {
			in = iotest.HalfReader(stream)
		}
		got, err := io.ReadAll(in)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("seed %d: %d of %d bytes, equal %t, %v", seed, len(got), len(data), bytes.Equal(got, data), err)
		}
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRangeAtTheBreak: the registry is asked for what is missing, and for no
// more.
func TestRangeAtTheBreak(t *testing.T) {
	d, data := noise(1, 1000)
	b := &breaker{data: data, cuts: []int{300, 200, 499}}
	got, err := open(t, serve(t, b)+"/a", remote.Options{Retries: 1}).Repo.BlobBytes(t.Context(), d, 1000)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if want := fmt.Sprint([]string{"", "bytes=300-999", "bytes=500-999", "bytes=999-999"}); fmt.Sprint(b.ranges) != want {
		t.Errorf("asked for %v, want %v", b.ranges, want)
	}
}

// TestStreamGivesUp: attempts that get no further are as many as the options
// say, and the error says where it ended.
func TestStreamGivesUp(t *testing.T) {
	d, data := noise(2, 1000)
	for _, retries := range []int{-1, 3} {
		b := &breaker{data: data, cuts: []int{100, 50, 0, 0, 0, 0, 0, 0, 0}}
		repo := open(t, serve(t, b)+"/a", remote.Options{Retries: retries}).Repo
		_, err := repo.BlobBytes(t.Context(), d, 1000)
		want, at := 1, "100 of 1000 bytes"
		if retries > 0 {
			want, at = 2+retries, "150 of 1000 bytes"
		}
		if len(b.ranges) != want {
			t.Errorf("%d requests with %d retries, want %d", len(b.ranges), retries, want)
		}
		wantTexts(t, err, repo.Name(), d.Digest.String(), at, "EOF")
	}
}

// TestNothingBehindTheEnd: a blob that does not end is read one byte too far,
// for the caller to see, and no further.
func TestNothingBehindTheEnd(t *testing.T) {
	d, data := noise(3, 1000)
	b := &breaker{data: append(data, make([]byte, 1000)...), chunked: true}
	stream, err := open(t, serve(t, b)+"/a", remote.Options{}).Repo.Blob(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if got, err := io.ReadAll(stream); len(got) != 1001 || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestAnySize: a descriptor may say what it likes.
func TestAnySize(t *testing.T) {
	d, data := noise(10, 1000)
	repo := open(t, serve(t, &breaker{data: data, chunked: true})+"/a", remote.Options{Retries: -1}).Repo
	d.Size = math.MaxInt64
	stream, err := repo.Blob(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if got, err := io.ReadAll(stream); !bytes.Equal(got, data) || err == nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	d.Size = -1
	_, err = repo.Blob(t.Context(), d)
	wantContentError(t, "Blob", err)
}

// TestBlobChanges: what goes on is the same blob, or an error that says how it
// is not.
func TestBlobChanges(t *testing.T) {
	d, data := noise(4, 1000)
	for name, tc := range map[string]struct {
		second func(w http.ResponseWriter)
		texts  []string
	}{
		"shorter": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusRequestedRangeNotSatisfiable) }, []string{"sent 400 bytes", "no more"}},
		"other size": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 400-1200/1201")
			w.WriteHeader(http.StatusPartialContent)
		}, []string{"1201 bytes", "says 1000"}},
		"other start": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 0-999/1000")
			w.WriteHeader(http.StatusPartialContent)
		}, []string{"from byte 400 on", "from byte 0 on"}},
		"no start": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusPartialContent) }, []string{"does not say which"}},
		"no total": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 400-999/x")
			w.WriteHeader(http.StatusPartialContent)
		}, []string{"of how much"}},
		"whole": {func(w http.ResponseWriter) { _, _ = w.Write(data[:700]) }, []string{"700 bytes", "says 1000"}},
		"other bytes": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 400-999/1000")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data[:600])
		}, []string{"the content has the digest"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &breaker{data: data, cuts: []int{400}}
			var n atomic.Int32
			repo := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if strings.Contains(req.URL.Path, "/blobs/") && n.Add(1) > 1 {
					tc.second(w)
					return
				}
				b.ServeHTTP(w, req)
			}))+"/a", remote.Options{}).Repo
			_, err := repo.BlobBytes(t.Context(), d, 1000)
			wantContentError(t, "BlobBytes", err)
			wantTexts(t, err, tc.texts...)
			if n.Load() != 2 {
				t.Errorf("%d requests, want 2", n.Load())
			}
		})
	}
}

// TestShortBlob: an end that comes twice in the same place is the blob's.
func TestShortBlob(t *testing.T) {
	d, data := noise(5, 1000)
	for _, ignoreRange := range []bool{false, true} {
		b := &breaker{data: data[:600], chunked: true, ignoreRange: ignoreRange}
		_, err := open(t, serve(t, b)+"/a", remote.Options{}).Repo.BlobBytes(t.Context(), d, 1000)
		wantContentError(t, "BlobBytes", err)
		wantTexts(t, err, "600 bytes")
		if len(b.ranges) != 2 {
			t.Errorf("%d requests, want 2", len(b.ranges))
		}
	}
}

// TestStreamGoesOnElsewhere: after a break the registry is asked, not the
// storage it redirected to, whose address may have expired. The storage is sent
// the Range and no credentials.
func TestStreamGoesOnElsewhere(t *testing.T) {
	d, data := noise(6, 1000)
	var asked atomic.Int32
	storage := &breaker{data: data, cuts: []int{100, 0, 300}}
	seen := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Get("sig") != fmt.Sprint(asked.Load()) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		storage.ServeHTTP(w, req)
	})}
	target := serve(t, seen)
	for _, guard := range []func(http.Handler) http.Handler{basicAuth, func(h http.Handler) http.Handler { return newBearer(h) }} {
		host := serve(t, guard(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if strings.Contains(req.URL.Path, "/blobs/") {
				http.Redirect(w, req, fmt.Sprintf("http://%s/stored?sig=%d", target, asked.Add(1)), http.StatusTemporaryRedirect)
			}
		})))
		got, err := open(t, host+"/a", remote.Options{Keychain: alice}).Repo.BlobBytes(t.Context(), d, 1000)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		storage.cuts = []int{500}
	}
	if len(seen.seen) != 6 {
		t.Errorf("the storage was asked %d times, want 6", len(seen.seen))
	}
	for _, s := range seen.seen {
		if s.auth != "" {
			t.Errorf("the storage was sent %q", s.auth)
		}
	}
}

// TestTokenExpiresInTheMiddle: the rest is asked for with a new token.
func TestTokenExpiresInTheMiddle(t *testing.T) {
	d, data := noise(7, 1000)
	cutter := &breaker{data: data, cuts: []int{100, 200, 300}}
	var b *bearer
	b = newBearer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b.expire()
		cutter.ServeHTTP(w, req)
	}))
	got, err := open(t, serve(t, b)+"/a", remote.Options{Retries: 1}).Repo.BlobBytes(t.Context(), d, 1000)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if len(b.scopes) != 4 {
		t.Errorf("%d tokens, want 4", len(b.scopes))
	}
}

// TestTroubleOnTheWayBack: answers that pass are waited out before a stream goes
// on, and those that don't end it.
func TestTroubleOnTheWayBack(t *testing.T) {
	d, data := noise(8, 1000)
	for status, want := range map[int]error{503: nil, 429: nil, 404: remote.ErrNotFound, 403: remote.ErrUnauthorized} {
		var n atomic.Int32
		b := &breaker{data: data, cuts: []int{500}}
		repo := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if strings.Contains(req.URL.Path, "/blobs/") {
				if k := n.Add(1); k == 2 || k == 3 {
					w.WriteHeader(status)
					return
				}
			}
			b.ServeHTTP(w, req)
		}))+"/a", remote.Options{Retries: 3}).Repo
		got, err := repo.BlobBytes(t.Context(), d, 1000)
		if !errors.Is(err, want) || (want == nil && !bytes.Equal(got, data)) {
			t.Errorf("%d: %d bytes, %v, want %v", status, len(got), err, want)
		}
	}
}

// TestStreamIsCanceled: a run that ends does not go on with its streams, and
// says that it was ended.
func TestStreamIsCanceled(t *testing.T) {
	d, data := noise(9, 1000)
	b := &breaker{data: data, cuts: []int{500}}
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := open(t, serve(t, b)+"/a", remote.Options{}).Repo.Blob(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if _, err := io.ReadFull(stream, make([]byte, 400)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(stream); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if len(b.ranges) != 1 {
		t.Errorf("%d requests, want 1", len(b.ranges))
	}
}
