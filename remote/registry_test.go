// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/remote"
)

func TestRegistryRoundTrip(t *testing.T) {
	rec := &recorder{next: newRegistry()}
	ref := open(t, serve(t, rec)+"/a/b:v1", remote.Options{UserAgent: "cfs-label/1.0"})
	repo := ref.Repo
	if err := repo.CheckPush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, config := blob(`{"a": 1}`)
	for range 2 {
		if err := repo.PushBlob(t.Context(), c, config); err != nil {
			t.Fatal(err)
		}
	}
	if n := rec.count("POST", ""); n != 2 {
		t.Errorf("%d uploads were started, want 2: that of CheckPush and one of the blob", n)
	}
	got, err := repo.BlobBytes(t.Context(), c, 100)
	if err != nil || !bytes.Equal(got, config) {
		t.Errorf("BlobBytes = %q, %v", got, err)
	}
	r, err := repo.Blob(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, config) || r.Close() != nil {
		t.Errorf("Blob = %q, %v", got, err)
	}
	old, oldRaw := push(t, repo, "v1", "old")
	now, nowRaw := push(t, repo, "", "new")
	wantTag(t, repo, "v1", old, oldRaw)
	if got, err := repo.Manifest(t.Context(), now); err != nil || !bytes.Equal(got, nowRaw) {
		t.Errorf("Manifest = %q, %v", got, err)
	}
	if err := repo.Tag(t.Context(), "v1", now, nowRaw, old.Digest.String()); err != nil {
		t.Fatal(err)
	}
	wantTag(t, repo, "v1", now, nowRaw)
	for _, s := range rec.seen {
		if !strings.HasPrefix(s.agent, "cfs-label/1.0 ") {
			t.Fatalf("%s %s came from %q", s.method, s.path, s.agent)
		}
	}
}

// TestPushManifestLeavesTagsAlone: pushing by digest is one PUT to the digest,
// and none at all the second time.
func TestPushManifestLeavesTagsAlone(t *testing.T) {
	rec := &recorder{next: newRegistry()}
	repo := open(t, serve(t, rec)+"/a", remote.Options{}).Repo
	old, oldRaw := push(t, repo, "latest", "old")
	for range 2 {
		push(t, repo, "", "new")
	}
	wantTag(t, repo, "latest", old, oldRaw)
	if n := rec.count("PUT", ""); n != 3 {
		t.Errorf("%d PUTs, want 3: the old manifest, its tag, the new manifest", n)
	}
}

// TestDigestWins: of a tag and a digest, the digest is what is read.
func TestDigestWins(t *testing.T) {
	host := serve(t, newRegistry())
	repo := open(t, host+"/a", remote.Options{}).Repo
	old, oldRaw := push(t, repo, "v1", "old")
	push(t, repo, "v1", "new")
	d, raw, err := open(t, host+"/a:v1@"+old.Digest.String(), remote.Options{}).Resolve(t.Context())
	if err != nil || d.Digest != old.Digest || !bytes.Equal(raw, oldRaw) {
		t.Errorf("got %s, %v, want %s", d.Digest, err, old.Digest)
	}
}

func TestSha512(t *testing.T) {
	d, raw := manifest("x")
	d.Digest = v1.Hash{Algorithm: "sha512", Hex: sha512Hex(raw)}
	host := serve(t, answer("manifests/", func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", string(d.MediaType))
		w.Header().Set("Docker-Content-Digest", d.Digest.String())
		_, _ = w.Write(raw)
	}))
	for _, ref := range []string{host + "/a:v1", host + "/a@" + d.Digest.String()} {
		got, _, err := open(t, ref, remote.Options{}).Resolve(t.Context())
		if err != nil || got.Digest != d.Digest {
			t.Errorf("%s: got %s, %v", ref, got.Digest, err)
		}
	}
}

// answer is a registry that answers every request below a path alike.
func answer(path string, f func(w http.ResponseWriter)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.Contains(req.URL.Path, path) {
			f(w)
		}
	})
}

// TestLies: content that is not what the digest or size says is an error,
// whatever the headers say.
func TestLies(t *testing.T) {
	d, raw := manifest("true")
	lie := bytes.Replace(raw, []byte("true"), []byte("lies"), 1)
	for name, body := range map[string][]byte{"other bytes": lie, "longer": append(raw, ' '), "shorter": raw[1:], "nothing": nil} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %t", name, chunked), func(t *testing.T) {
				repo := open(t, serve(t, answer("/a/", func(w http.ResponseWriter) {
					w.Header().Set("Content-Type", string(d.MediaType))
					w.Header().Set("Docker-Content-Digest", d.Digest.String())
					if chunked {
						w.(http.Flusher).Flush()
					}
					_, _ = w.Write(body)
				}))+"/a", remote.Options{}).Repo
				_, err := repo.Manifest(t.Context(), d)
				wantContentError(t, "Manifest", err)
				_, _, err = repo.Resolve(t.Context(), "", d.Digest.String())
				wantContentError(t, "Resolve", err)
				_, err = repo.BlobBytes(t.Context(), d, 1000)
				wantContentError(t, "BlobBytes", err)
				r, err := repo.Blob(t.Context(), d)
				if early := !chunked && name != "other bytes"; early != (err != nil) {
					t.Errorf("Blob: %v, want an early error: %t", err, early)
				}
				if err == nil {
					_ = r.Close()
				}
			})
		}
	}
}

func wantContentError(t *testing.T, call string, err error) {
	t.Helper()
	if !errors.Is(err, remote.ErrContent) {
		t.Errorf("%s: got %v, want ErrContent", call, err)
	}
}

func TestTooLarge(t *testing.T) {
	var sent atomic.Int64
	for _, chunked := range []bool{false, true} {
		repo := open(t, serve(t, answer("/a/", func(w http.ResponseWriter) {
			if !chunked {
				w.Header().Set("Content-Length", fmt.Sprint(remote.MaxManifest+1))
			}
			for range 1 << 10 {
				n, err := w.Write(make([]byte, 1<<20))
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		}))+"/a", remote.Options{}).Repo
		_, _, err := repo.Resolve(t.Context(), "v1", "")
		if !errors.Is(err, remote.ErrTooLarge) {
			t.Errorf("Resolve: %v, want ErrTooLarge", err)
		}
		wantTexts(t, err, "4194304 bytes")
	}
	if n := sent.Load(); n > 100<<20 {
		t.Errorf("%d bytes were read", n)
	}
	repo := open(t, "localhost:1/a", remote.Options{}).Repo
	d, _ := blob(strings.Repeat("x", 11))
	_, err := repo.BlobBytes(t.Context(), d, 10)
	if !errors.Is(err, remote.ErrTooLarge) {
		t.Errorf("BlobBytes: %v, want ErrTooLarge", err)
	}
	d.Size = remote.MaxManifest + 1
	if _, err := repo.Manifest(t.Context(), d); !errors.Is(err, remote.ErrTooLarge) {
		t.Errorf("Manifest: %v, want ErrTooLarge", err)
	}
	d, raw := blob(strings.Repeat("x", remote.MaxManifest+1))
	if err := repo.PushManifest(t.Context(), d, raw); !errors.Is(err, remote.ErrTooLarge) {
		t.Errorf("PushManifest: %v, want ErrTooLarge", err)
	}
}

// TestMediaType: the header says what a manifest is, the manifest itself where
// the header does not, and both at once only what is the same.
func TestMediaType(t *testing.T) {
	for _, tc := range []struct {
		header, body string
		want         types.MediaType
	}{
		{"application/vnd.oci.image.index.v1+json; charset=utf-8", `{"manifests":[]}`, types.OCIImageIndex},
		{string(types.DockerManifestSchema2), `{"config":{}}`, types.DockerManifestSchema2},
		{"application/json", `{"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json"}`, types.DockerManifestList},
		{"", `{"manifests":[]}`, types.OCIImageIndex},
		{"text/plain", `{"config":{}}`, types.OCIManifestSchema1},
		{"text/html", `<html>`, "text/html"},
		{string(types.DockerManifestSchema1Signed), `{}`, types.DockerManifestSchema1Signed},
		{string(types.OCIManifestSchema1), `{"mediaType":"application/vnd.oci.image.index.v1+json"}`, ""},
	} {
		ref := open(t, serve(t, answer("/manifests/", func(w http.ResponseWriter) {
			w.Header()["Content-Type"] = []string{tc.header}
			_, _ = io.WriteString(w, tc.body)
		}))+"/a:v1", remote.Options{})
		d, _, err := ref.Resolve(t.Context())
		if tc.want == "" {
			wantContentError(t, tc.header, err)
			continue
		}
		if err != nil || d.MediaType != tc.want {
			t.Errorf("%q %s: got %q, %v, want %q", tc.header, tc.body, d.MediaType, err, tc.want)
		}
	}
}

// TestSchema1ByDigest: the digest of a signed schema 1 manifest does not cover
// its bytes, so the error has to say what it is.
func TestSchema1ByDigest(t *testing.T) {
	ref := open(t, serve(t, answer("/manifests/", func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", string(types.DockerManifestSchema1Signed))
		_, _ = io.WriteString(w, `{"schemaVersion":1}`)
	}))+"/a@sha256:"+someHex, remote.Options{})
	_, _, err := ref.Resolve(t.Context())
	wantContentError(t, "Resolve", err)
	wantTexts(t, err, "prettyjws", "not supported")
}

// TestRegistryChangesManifest: a registry that stores other bytes is found out.
func TestRegistryChangesManifest(t *testing.T) {
	repo := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut {
			w.Header().Set("Docker-Content-Digest", "sha256:"+someHex)
			w.WriteHeader(http.StatusCreated)
		} else if req.URL.Path != "/v2/" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))+"/a", remote.Options{}).Repo
	d, raw := manifest("x")
	err := repo.PushManifest(t.Context(), d, raw)
	wantContentError(t, "PushManifest", err)
	wantTexts(t, err, "changed the manifest", someHex)
	wantContentError(t, "Tag", repo.Tag(t.Context(), "v1", d, raw, ""))
}

// TestPushChecksItsArguments: nothing is sent under a name that is not its own.
func TestPushChecksItsArguments(t *testing.T) {
	rec := &recorder{next: newRegistry()}
	repo := open(t, serve(t, rec)+"/a", remote.Options{}).Repo
	d, raw := manifest("x")
	other, _ := manifest("y")
	untyped := d
	untyped.MediaType = ""
	for name, err := range map[string]error{
		"PushBlob":     repo.PushBlob(t.Context(), other, raw),
		"PushManifest": repo.PushManifest(t.Context(), other, raw),
		"Tag":          repo.Tag(t.Context(), "v1", other, raw, ""),
		"untyped":      repo.PushManifest(t.Context(), untyped, raw),
	} {
		wantContentError(t, name, err)
	}
	for _, tag := range []string{"", "a/b", "../x", "@", strings.Repeat("x", 129)} {
		if err := repo.Tag(t.Context(), tag, d, raw, ""); !errors.Is(err, remote.ErrReference) {
			t.Errorf("Tag(%q) = %v, want ErrReference", tag, err)
		}
		if _, _, err := repo.Resolve(t.Context(), tag, ""); !errors.Is(err, remote.ErrReference) {
			t.Errorf("Resolve(%q) = %v, want ErrReference", tag, err)
		}
	}
	for _, hex := range []string{"../../x", someHex + "/..", "", strings.ToUpper(someHex)} {
		d.Digest.Hex = hex
		if _, err := repo.Blob(t.Context(), d); !errors.Is(err, remote.ErrContent) {
			t.Errorf("Blob(%q) = %v, want ErrContent", hex, err)
		}
		if _, err := repo.Manifest(t.Context(), d); !errors.Is(err, remote.ErrContent) {
			t.Errorf("Manifest(%q) = %v, want ErrContent", hex, err)
		}
	}
	if len(rec.seen) != 0 {
		t.Errorf("%d requests were sent", len(rec.seen))
	}
}
