// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// backing is the registry behind the faults: ggcr's, in memory, with what that
// lacks. A blob belongs to its repository, and can be mounted from another.
type backing struct {
	next   http.Handler
	blobs  *blobs
	mounts bool
}

func newBacking(referrers, mounts bool) *backing {
	b := &blobs{m: map[string][]byte{}}
	return &backing{
		next: registry.New(
			registry.Logger(log.New(io.Discard, "", 0)),
			registry.WithReferrersSupport(referrers),
			registry.WithBlobHandler(b),
		),
		blobs:  b,
		mounts: mounts,
	}
}

func (b *backing) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodPost && b.mounts && b.mount(w, req) {
		return
	}
	b.next.ServeHTTP(w, req)
}

// mount answers a request to mount a blob that the other repository has
// (distribution-spec, "Mounting a blob from another repository").
func (b *backing) mount(w http.ResponseWriter, req *http.Request) bool {
	q := req.URL.Query()
	repo := parsePath(req.URL.Path).repo
	content, ok := b.blobs.get(q.Get("from"), q.Get("mount"))
	if !ok || q.Get("mount") == "" {
		return false
	}
	b.blobs.put(repo, q.Get("mount"), content)
	w.Header().Set("Location", "/v2/"+repo+"/blobs/"+q.Get("mount"))
	w.WriteHeader(http.StatusCreated)
	return true
}

// answer is what a registry answers.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask sends a request straight to the registry.
func (b *backing) ask(method, target string, header http.Header, body []byte) answer {
	req := httptest.NewRequest(method, target, bytes.NewReader(body))
	if header != nil {
		req.Header = header.Clone()
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, req)
	return answer{w.Code, w.Header(), w.Body.Bytes()}
}

// RoundTrip lets the product read without a server in between.
func (b *backing) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
	}
	a := b.ask(req.Method, req.URL.RequestURI(), req.Header, body)
	return &http.Response{
		Status:        http.StatusText(a.status),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.header,
		Body:          io.NopCloser(bytes.NewReader(a.body)),
		ContentLength: int64(len(a.body)),
		Request:       req,
	}, nil
}

// blobs stores blobs by repository and digest.
type blobs struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (b *blobs) get(repo, digest string) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	content, ok := b.m[repo+"@"+digest]
	return content, ok
}

func (b *blobs) put(repo, digest string, content []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.m[repo+"@"+digest] = content
}

// trim removes what the library leaves of the path of an upload.
func trim(repo string) string { return strings.TrimSuffix(repo, "/blobs") }

func (b *blobs) Get(_ context.Context, repo string, h v1.Hash) (io.ReadCloser, error) {
	content, ok := b.get(trim(repo), h.String())
	if !ok {
		return nil, registry.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

func (b *blobs) Stat(_ context.Context, repo string, h v1.Hash) (int64, error) {
	content, ok := b.get(trim(repo), h.String())
	if !ok {
		return 0, registry.ErrNotFound
	}
	return int64(len(content)), nil
}

func (b *blobs) Put(_ context.Context, repo string, h v1.Hash, rc io.ReadCloser) error {
	content, err := io.ReadAll(rc) // it ends in an error unless it has the digest
	if err != nil {
		return err
	}
	b.put(trim(repo), h.String(), content)
	return rc.Close()
}
