// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cfs-label/cfs-label/remote"
)

// TestForLibrary: each request of a library has our name and, once the registry
// asks for them, the credentials; one that failed in passing is sent again, as
// often as we would and no oftener; what is in no registry no library reaches.
func TestForLibrary(t *testing.T) {
	next := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	var mu sync.Mutex
	failed := 0 // GETs of the manifest that got a 503
	left := 0   // of those that are to get one
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if agent := req.UserAgent(); !strings.HasPrefix(agent, "cfs-label/test") {
			t.Errorf("%s %s comes from %q", req.Method, req.URL.Path, agent)
		}
		if user, password, _ := req.BasicAuth(); user != "me" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/manifests/v1") && left > 0 {
			left, failed = left-1, failed+1
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, req)
	}))
	defer server.Close()
	ref, err := remote.Open(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/a:v1", remote.Options{
		Keychain: authn.NewMultiKeychain(), Username: "me", Password: "secret",
		UserAgent: "cfs-label/test", Retries: 2, RetryPause: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	lib, err := remote.ForLibrary(ref.Repo)
	if err != nil {
		t.Fatal(err)
	}
	im, err := random.Image(10, 1)
	if err != nil {
		t.Fatal(err)
	}
	tag := lib.Repository.Tag("v1")
	if err := ggcr.Write(tag, im, lib.Options...); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{2, 3} {
		left, failed = n, 0
		_, err := ggcr.Get(tag, lib.Options...)
		if (err == nil) != (n == 2) || failed != n {
			t.Errorf("%d failures: got %v after %d", n, err, failed)
		}
	}

	layout, err := remote.OpenTarget(t.Context(), "oci:"+filepath.Join(t.TempDir(), "new"), remote.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.ForLibrary(layout.Repo); !errors.Is(err, remote.ErrReference) {
		t.Errorf("of a layout: got %v", err)
	}
}
