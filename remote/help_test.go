// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/remote"
)

// blob returns data and its descriptor.
func blob(data string) (v1.Descriptor, []byte) {
	sum := sha256.Sum256([]byte(data))
	return v1.Descriptor{
		MediaType: types.OCIConfigJSON,
		Digest:    v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])},
		Size:      int64(len(data)),
	}, []byte(data)
}

// manifest returns a manifest that differs from those of other names, and its
// descriptor. Its spelling is one that no marshaller would choose.
func manifest(name string) (v1.Descriptor, []byte) {
	d, raw := blob(fmt.Sprintf("{ \"schemaVersion\" : 2.0,\n\"x\": %q, \"mediaType\":%q, \"config\":{}, \"layers\":[]}\n", name, types.OCIManifestSchema1))
	d.MediaType = types.OCIManifestSchema1
	return d, raw
}

// keychain gives the same credentials to every registry.
type keychain authn.AuthConfig

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	if k == (keychain{}) {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(authn.AuthConfig(k)), nil
}

var (
	anonymous = keychain{}
	alice     = keychain{Username: "alice", Password: "secret"}
	mallory   = keychain{Username: "mallory", Password: "guess"}
)

// recorded is a request that a server saw.
type recorded struct{ method, path, auth, agent string }

// recorder keeps what passed through a handler.
type recorder struct {
	mu   sync.Mutex
	seen []recorded
	next http.Handler
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.seen = append(r.seen, recorded{req.Method, req.URL.Path, req.Header.Get("Authorization"), req.UserAgent()})
	r.mu.Unlock()
	r.next.ServeHTTP(w, req)
}

// count returns how many requests had the method and a path with that end.
func (r *recorder) count(method, end string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, s := range r.seen {
		if s.method == method && strings.HasSuffix(s.path, end) {
			n++
		}
	}
	return n
}

// newRegistry returns the handler of an empty registry in memory.
func newRegistry() http.Handler {
	return registry.New(registry.Logger(log.New(io.Discard, "", 0)))
}

// serve starts a server and returns its host and port. At the end it waits for
// the handlers, but not as httptest does for the connections: net/http keeps one
// open for half a second whose request was not read to the end.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	var running sync.RWMutex
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		running.RLock()
		defer running.RUnlock()
		h.ServeHTTP(w, req)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(func() {
		_ = srv.Config.Close()
		running.Lock()
		defer running.Unlock()
	})
	return strings.TrimPrefix(srv.URL, "http://")
}

// open opens a reference without the credentials of whoever runs the tests, and
// without their patience.
func open(t *testing.T, ref string, o remote.Options) *remote.Ref {
	t.Helper()
	if o.Keychain == nil && o.AuthFile == "" {
		o.Keychain = anonymous
	}
	if o.RetryPause == 0 {
		o.RetryPause = time.Millisecond
	}
	r, err := remote.Open(t.Context(), ref, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// push stores a manifest and, unless the tag is "", makes the tag name it.
func push(t *testing.T, repo remote.Repo, tag, name string) (v1.Descriptor, []byte) {
	t.Helper()
	d, raw := manifest(name)
	if err := repo.PushManifest(t.Context(), d, raw); err != nil {
		t.Fatal(err)
	}
	if tag != "" {
		if err := repo.Tag(t.Context(), tag, d, raw, ""); err != nil {
			t.Fatal(err)
		}
	}
	return d, raw
}

// wantTag fails unless the tag names the manifest raw.
func wantTag(t *testing.T, repo remote.Repo, tag string, want v1.Descriptor, raw []byte) {
	t.Helper()
	d, got, err := repo.Resolve(t.Context(), tag, "")
	if err != nil {
		t.Fatal(err)
	}
	if d.Digest != want.Digest || d.Size != want.Size || d.MediaType != want.MediaType || !bytes.Equal(got, raw) {
		t.Errorf("tag %q names %s %s, want %s %s", tag, d.MediaType, d.Digest, want.MediaType, want.Digest)
	}
}

// wantTexts fails unless the error says all of it.
func wantTexts(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error %q does not say %q", err, text)
		}
	}
}

// editor is an IndexEditor that marshals the index anew.
type editor struct{}

// index is an index as the editor knows it.
type index struct {
	SchemaVersion int                        `json:"schemaVersion"`
	MediaType     types.MediaType            `json:"mediaType,omitempty"`
	Manifests     []v1.Descriptor            `json:"manifests"`
	Unknown       map[string]json.RawMessage `json:"unknown,omitempty"`
}

func (editor) SetTag(raw []byte, tag string, d v1.Descriptor) ([]byte, error) {
	var file index
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, err
	}
	if tag != "" {
		d.Annotations = map[string]string{refName: tag}
	}
	for i, m := range file.Manifests {
		if m.Annotations[refName] == tag {
			file.Manifests[i] = d
			return json.Marshal(file)
		}
	}
	file.Manifests = append(file.Manifests, d)
	return json.Marshal(file)
}

func (editor) SetReferrer(raw []byte, d v1.Descriptor, gone []v1.Hash) ([]byte, error) {
	file := index{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &file); err != nil {
			return nil, err
		}
	}
	file.Manifests = slices.DeleteFunc(file.Manifests, func(m v1.Descriptor) bool {
		return m.Digest == d.Digest || slices.Contains(gone, m.Digest)
	})
	file.Manifests = append(file.Manifests, d)
	return json.Marshal(file)
}

const refName = "org.opencontainers.image.ref.name"

var background = context.Background()

func sha512Hex(b []byte) string {
	sum := sha512.Sum512(b)
	return hex.EncodeToString(sum[:])
}

func contains(err error, text string) bool { return strings.Contains(err.Error(), text) }
