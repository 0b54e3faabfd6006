// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/remote"
)

// blobs keeps the blobs of each repository apart, which the registry in memory
// does not do by itself, and counts those that were put.
type blobs struct {
	mu    sync.Mutex
	of    map[string][]byte // repository and digest
	put   int
	mount int
}

// key names a blob of a repository. The registry calls one that is uploaded to
// NAME/blobs.
func key(repo string, h v1.Hash) string { return strings.TrimSuffix(repo, "/blobs") + "@" + h.String() }

func (b *blobs) Get(_ context.Context, repo string, h v1.Hash) (io.ReadCloser, error) {
	if data := b.get(repo, h); data != nil {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	return nil, registry.ErrNotFound
}

func (b *blobs) get(repo string, h v1.Hash) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of[key(repo, h)]
}

func (b *blobs) set(repo string, h v1.Hash, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of[key(repo, h)] = append([]byte{}, data...)
}

func (b *blobs) Put(_ context.Context, repo string, h v1.Hash, rc io.ReadCloser) error {
	defer rc.Close()
	data, err := io.ReadAll(rc)
	if err == nil {
		b.set(repo, h, data)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.put++
	}
	return err
}

// newBlobRegistry returns a registry that can mount from the repositories that
// the request may read, and its blobs.
func newBlobRegistry(mayRead func(req *http.Request, repo string) bool) (http.Handler, *blobs) {
	b := &blobs{of: map[string][]byte{}}
	reg := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithBlobHandler(b))
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h, err := v1.NewHash(req.URL.Query().Get("mount"))
		from := req.URL.Query().Get("from")
		if req.Method == http.MethodPost && err == nil && mayRead(req, from) {
			if data := b.get(from, h); data != nil {
				b.set(strings.TrimSuffix(strings.TrimPrefix(req.URL.Path, "/v2/"), "/blobs/uploads/"), h, data)
				b.mount++
				w.WriteHeader(http.StatusCreated)
				return
			}
		}
		reg.ServeHTTP(w, req)
	}), b
}

func anyRepo(*http.Request, string) bool { return true }

// wantBlob fails unless the repository has the blob.
func (b *blobs) want(t *testing.T, repo string, d v1.Descriptor, data []byte) {
	t.Helper()
	if got := b.get(repo, d.Digest); !bytes.Equal(got, data) || got == nil {
		t.Errorf("%s has %d bytes, want %d", key(repo, d.Digest), len(got), len(data))
	}
}

// large returns a blob that is more than any buffer on the way.
func large() (v1.Descriptor, []byte) { return blob(strings.Repeat("0123456789abcdef", 1<<17)) }

// fakeRepo is a source whose blob is what a function says.
type fakeRepo struct {
	remote.Repo
	blob func(ctx context.Context) (io.ReadCloser, error)
}

func (fakeRepo) Name() string { return "oci:fake" }

func (f fakeRepo) Blob(ctx context.Context, _ v1.Descriptor) (io.ReadCloser, error) {
	return f.blob(ctx)
}
