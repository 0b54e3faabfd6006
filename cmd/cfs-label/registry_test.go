// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"
)

// serve starts a registry, out of sight of the user's own credentials, and returns
// its name.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	for _, v := range []string{"HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"} {
		t.Setenv(v, t.TempDir())
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
	return strings.TrimPrefix(server.URL, "http://")
}

// TestNoRetries: --retries 0 is none: a registry that fails is asked once.
func TestNoRetries(t *testing.T) {
	var asked atomic.Int32
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.Contains(req.URL.Path, "/manifests/") {
			asked.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"compute", host + "/a:v1", "--retries", "0"}, &stdout, &stderr)
	if status != exitFailure || asked.Load() != 1 {
		t.Errorf("exit status %d, it was asked %d times: %s", status, asked.Load(), &stderr)
	}
}

// TestWarnedOnce: what a registry says in Warning headers is shown once, also if
// the image goes to the same registry.
func TestWarnedOnce(t *testing.T) {
	h := newHub()
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Add("Warning", `299 - "closed on Sunday"`)
		h.ServeHTTP(w, req)
	}))
	index, err := layout.ImageIndexFromPath(filepath.Join("..", "..", "testdata", "conformance", "minimal", "oci"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(host + "/a:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := ggcr.Write(ref, img, ggcr.WithTransport(h)); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{host + "/a:v1", "--to", host + "/b:v1"}, &stdout, &stderr); status != exitDone {
		t.Fatalf("exit status %d: %s", status, &stderr)
	}
	if n := strings.Count(stderr.String(), "closed on Sunday"); n != 1 {
		t.Errorf("it was shown %d times: %s", n, &stderr)
	}
}
