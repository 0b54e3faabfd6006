// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

// The one layer of the vector minimal, and what it gives.
const (
	layerDigest = "sha256:3adb3aab55cdb42b82c883512eaa5d8887ab3d560e092211a852848229281f67"
	layerDiffID = "sha256:640a3c9eb3b99aa36bdcac1aabbe179325151ad1ce16d75feb2a2af2026ef2ce"
	layerFile   = "testdata/conformance/minimal/oci/blobs/sha256/3adb3aab55cdb42b82c883512eaa5d8887ab3d560e092211a852848229281f67"
	minimal     = "7ccc9b502ca7ee08f92b45c1a1d48dd217753a7aa50789f3c05fce828dfa35f9380c50cfd6b046cd0829cbce7f2e6c8e0efc03254e6531e87c339ff52d4d56a7"
)

// minimalInput is the input key of a seal by default, as docs/writing.md
// describes it.
var minimalInput = "sha256:" + digestOf([]byte("cfs-label input 1\n"+
	"layer "+layerDigest+" "+layerDiffID+" gzip\n"+
	"digest merged v1 sha512 allowlist-only "+minimal+"\n")).Hex

// store is a registry in memory that remembers what it was asked. intercept,
// if set, sees each request first and may answer it.
type store struct {
	host      string
	registry  http.Handler
	intercept func(w http.ResponseWriter, req *http.Request) (done bool)

	mu    sync.Mutex
	asked []string // method and path
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{registry: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

func (s *store) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, req.Method+" "+req.URL.Path)
	s.mu.Unlock()
	if s.intercept == nil || !s.intercept(w, req) {
		s.registry.ServeHTTP(w, req)
	}
}

// count returns how many requests had that method and a path with that part.
func (s *store) count(method, part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.asked {
		if strings.HasPrefix(r, method+" ") && strings.Contains(r, part) {
			n++
		}
	}
	return n
}

// inside is the store without its door: what goes through is not seen.
func (s *store) inside() http.RoundTripper { return inProcess{s.registry} }

type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, in)
	answer := w.Result()
	answer.Request = req
	return answer, nil
}

// open opens a reference to the store as a user does.
func (s *store) open(t *testing.T, name string) *remote.Ref {
	t.Helper()
	return s.openBy(t, name, nil)
}

func (s *store) openBy(t *testing.T, name string, by http.RoundTripper) *remote.Ref {
	t.Helper()
	ref, err := remote.Open(t.Context(), s.host+"/"+name, remote.Options{
		Keychain: authn.NewMultiKeychain(), Transport: by, Layout: cfslabel.LayoutEditor{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// handmade is an image whose JSON is written by hand. In it, DIFFID and
// LAYERDIGEST, LAYERSIZE are those of the one layer, CONFIGDIGEST, CONFIGSIZE
// those of the config.
type handmade struct {
	config    string
	manifest  string
	mediaType types.MediaType // the default is OCI's
}

// plain is an ordinary handmade image.
var plain = handmade{
	config:   `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["DIFFID"]}}`,
	manifest: `{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"CONFIGDIGEST","size":CONFIGSIZE},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"LAYERDIGEST","size":LAYERSIZE}]}`,
}

func digestOf(data []byte) v1.Hash {
	sum := sha256.Sum256(data)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// texts returns config and manifest with all values filled in.
func (h handmade) texts() (config, manifest []byte) {
	config = []byte(strings.ReplaceAll(h.config, "DIFFID", layerDiffID))
	manifest = []byte(strings.NewReplacer(
		"CONFIGDIGEST", digestOf(config).String(),
		"CONFIGSIZE", fmt.Sprint(len(config)),
		"LAYERDIGEST", layerDigest,
		"LAYERSIZE", "78",
	).Replace(h.manifest))
	return config, manifest
}

// push pushes the image unseen and returns its descriptor.
func (s *store) push(t *testing.T, name string, h handmade) v1.Descriptor {
	t.Helper()
	ref := s.openBy(t, name, s.inside())
	layer, err := os.ReadFile(layerFile)
	if err != nil {
		t.Fatal(err)
	}
	config, manifest := h.texts()
	for _, b := range [][]byte{layer, config} {
		if err := ref.Repo.PushBlob(t.Context(), v1.Descriptor{Digest: digestOf(b), Size: int64(len(b))}, b); err != nil {
			t.Fatal(err)
		}
	}
	d := v1.Descriptor{MediaType: h.mediaType, Digest: digestOf(manifest), Size: int64(len(manifest))}
	if d.MediaType == "" {
		d.MediaType = types.OCIManifestSchema1
	}
	if err := ref.Repo.Tag(t.Context(), ref.Tag, d, manifest, ""); err != nil {
		t.Fatal(err)
	}
	return d
}

// pull returns what a tag names.
func (s *store) pull(t *testing.T, name string) (d v1.Descriptor, config, manifest []byte) {
	t.Helper()
	ref := s.openBy(t, name, s.inside())
	d, manifest, err := ref.Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := image.ParseManifest(manifest, d.MediaType)
	if err != nil {
		t.Fatal(err)
	}
	if config, err = ref.Repo.BlobBytes(t.Context(), m.Config, image.MaxConfigSize); err != nil {
		t.Fatal(err)
	}
	return d, config, manifest
}

// wantTag fails unless the tag names what has the digest.
func (s *store) wantTag(t *testing.T, name string, want v1.Hash) {
	t.Helper()
	d, _, err := s.openBy(t, name, s.inside()).Resolve(t.Context())
	if err != nil || d.Digest != want {
		t.Errorf("%s names %s, want %s (%v)", name, d.Digest, want, err)
	}
}

// label seals an image that must be sealed.
func label(t *testing.T, ref *remote.Ref, o cfslabel.LabelOptions) *cfslabel.Sealed {
	t.Helper()
	sealed, err := cfslabel.Label(t.Context(), ref, o)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// wantText fails with both texts unless they are equal.
func wantText(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if !bytes.Equal(got, []byte(want)) {
		t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
	}
}

// wantChanges fails unless these are the changes, each by the beginning of its
// text, in any order.
func wantChanges(t *testing.T, got []image.Change, want ...string) {
	t.Helper()
	rest := slices.Clone(want)
	for _, c := range got {
		i := slices.IndexFunc(rest, func(w string) bool { return strings.HasPrefix(c.String(), w) })
		if i < 0 {
			t.Errorf("unexpected change: %s", c)
			continue
		}
		rest = slices.Delete(rest, i, i+1)
	}
	if len(rest) > 0 {
		t.Errorf("not told of: %q", rest)
	}
}
