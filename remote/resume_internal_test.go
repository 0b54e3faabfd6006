// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// stalling serves one blob and falls silent in the middle of it, as often as
// told.
func stalling(t *testing.T, data []byte, times int32) (host string) {
	t.Helper()
	var n atomic.Int32
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.Contains(req.URL.Path, "/blobs/") {
			return
		}
		if n.Add(1) <= times {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(data[:100])
			_ = http.NewResponseController(w).Flush()
			select {
			case <-release:
			case <-req.Context().Done():
			}
			return
		}
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data))
	}))
	t.Cleanup(func() {
		close(release)
		srv.Close()
	})
	return strings.TrimPrefix(srv.URL, "http://")
}

func testRepo(t *testing.T, host string, wire http.RoundTripper, stall time.Duration) *registry {
	t.Helper()
	repo, err := name.NewRepository(host + "/a")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Retries: 2, RetryPause: time.Millisecond}
	return &registry{
		repo: repo, keys: authn.NewMultiKeychain(), patience: patienceOf(o),
		base: chain(byHost{host: host, own: wire, others: wire}, repo.Registry, o, stall),
	}
}

func content() (v1.Descriptor, []byte) {
	data := bytes.Repeat([]byte("0123456789"), 100)
	sum := sha256.Sum256(data)
	return v1.Descriptor{Digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}, Size: int64(len(data))}, data
}

// TestStalledStreamGoesOn: silence is a break like others.
func TestStalledStreamGoesOn(t *testing.T) {
	d, data := content()
	wire := newTransport()
	defer wire.CloseIdleConnections()
	repo := testRepo(t, stalling(t, data, 1), wire, 50*time.Millisecond)
	if got, err := repo.BlobBytes(t.Context(), d, 1000); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestCloseEndsRead: a stream that waits for its registry can be closed, and
// says that it was.
func TestCloseEndsRead(t *testing.T) {
	d, data := content()
	wire := newTransport()
	defer wire.CloseIdleConnections()
	stream, err := testRepo(t, stalling(t, data, 9), wire, time.Minute).Blob(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stream, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := stream.Read(make([]byte, 1))
		ended <- err
	}()
	_ = stream.Close()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want os.ErrClosed", err)
	}
	if _, err := stream.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want os.ErrClosed", err)
	}
}

// TestNothingStaysBehind: streams that broke, stalled, or were closed early
// leave no goroutine.
func TestNothingStaysBehind(t *testing.T) {
	d, data := content()
	wire := newTransport()
	before := runtime.NumGoroutine()
	host := stalling(t, data, 6)
	for range 4 {
		repo := testRepo(t, host, wire, 20*time.Millisecond)
		_, _ = repo.BlobBytes(t.Context(), d, 1000) // the first two fail
		stream, err := repo.Blob(t.Context(), d)
		if err == nil {
			_, _ = stream.Read(make([]byte, 10))
			_ = stream.Close()
		}
	}
	wire.CloseIdleConnections()
	for range 200 {
		// Those of the server, and their ends, are over in a moment.
		if runtime.NumGoroutine() <= before+2 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	all := make([]byte, 1<<16)
	t.Errorf("%d goroutines before, now\n%s", before, all[:runtime.Stack(all, true)])
}
