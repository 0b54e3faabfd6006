// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cfs-label/cfs-label/remote"
)

// TestWriteBecomesRead: a redirect after which a PUT or POST is a GET, as to a
// page where people log in, stores nothing and is not taken for success.
func TestWriteBecomesRead(t *testing.T) {
	for _, status := range []int{301, 302, 303} {
		reg := newRegistry()
		var redirected atomic.Int32
		host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			switch {
			case req.URL.Path == "/login":
				_, _ = io.WriteString(w, "who are you?")
			case req.Method == http.MethodPut:
				redirected.Add(1)
				http.Redirect(w, req, "/login", status)
			default:
				reg.ServeHTTP(w, req)
			}
		}))
		repo := open(t, host+"/a", remote.Options{}).Repo
		d, raw := manifest("x")
		for name, err := range map[string]error{
			"PushBlob":     repo.PushBlob(t.Context(), d, raw),
			"PushManifest": repo.PushManifest(t.Context(), d, raw),
			"Tag":          repo.Tag(t.Context(), "v1", d, raw, ""),
		} {
			if err == nil {
				t.Errorf("%s: no error for %d", name, status)
				continue
			}
			wantTexts(t, err, "redirects a PUT", host, "becomes a GET")
		}
		if n := redirected.Load(); n != 3 {
			t.Errorf("%d PUTs, want 3: there is nothing to try again", n)
		}
	}
}

// TestWritesStayOffPrivateHosts: a redirect may not make us write where the
// location of an upload may not.
func TestWritesStayOffPrivateHosts(t *testing.T) {
	reg := newRegistry()
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut || req.Method == http.MethodPatch {
			http.Redirect(w, req, "http://127.0.0.2:1/secret", http.StatusTemporaryRedirect)
			return
		}
		reg.ServeHTTP(w, req)
	}))
	repo := open(t, host+"/a", remote.Options{}).Repo
	d, raw := manifest("x")
	for _, err := range []error{
		repo.PushBlob(t.Context(), d, raw),
		repo.PushManifest(t.Context(), d, raw),
		repo.CopyBlob(t.Context(), d, sourceOf(raw)),
	} {
		wantTexts(t, err, "redirects to the private address 127.0.0.2:1", "not followed")
	}
}

// TestUploadBehindProxy: a registry that does not know of the https in front of
// it names its own host in http; another host in http is refused.
func TestUploadBehindProxy(t *testing.T) {
	for location, fine := range map[string]bool{
		"http://example.com": true, "http://example.com:443": true, "http://example.net": false, "http://example.com:80": false,
	} {
		reg, b := newBlobRegistry(anyRepo)
		tr := exampleCom(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			reg.ServeHTTP(leading{w, location}, req)
		}))
		repo := open(t, "example.com/a", remote.Options{Transport: tr}).Repo
		small, smallData := blob("small")
		big, bigData := large()
		for _, err := range []error{
			repo.PushBlob(t.Context(), small, smallData),
			repo.CopyBlob(t.Context(), big, sourceOf(bigData)),
		} {
			if (err == nil) != fine {
				t.Errorf("%s: %v", location, err)
			}
		}
		if fine {
			b.want(t, "a", small, smallData)
			b.want(t, "a", big, bigData)
		}
	}
}

// leading puts a host before the path in a Location.
type leading struct {
	http.ResponseWriter
	before string
}

func (l leading) WriteHeader(status int) {
	if path := l.Header().Get("Location"); path != "" {
		l.Header().Set("Location", l.before+path)
	}
	l.ResponseWriter.WriteHeader(status)
}

// TestStoredBlobIsCompared: a registry that says that it stored something else is
// believed, whichever way the blob came.
func TestStoredBlobIsCompared(t *testing.T) {
	d, raw := blob("x")
	for _, said := range []string{"sha256:" + someHex, "nonsense"} {
		reg, _ := newBlobRegistry(anyRepo)
		rec := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method != http.MethodPut {
				reg.ServeHTTP(w, req)
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			w.Header().Set("Docker-Content-Digest", said)
			w.WriteHeader(http.StatusCreated)
		})}
		repo := open(t, serve(t, rec)+"/a", remote.Options{}).Repo
		for name, err := range map[string]error{
			"PushBlob": repo.PushBlob(t.Context(), d, raw),
			"CopyBlob": repo.CopyBlob(t.Context(), d, sourceOf(raw)),
		} {
			wantContentError(t, name, err)
			wantTexts(t, err, "changed the blob", said)
		}
		if n := rec.count("PUT", ""); n != 2 {
			t.Errorf("%d PUTs, want 2", n)
		}
	}
}

// TestPushBlobTakesThreeRequests: is it there, where to, here it is.
func TestPushBlobTakesThreeRequests(t *testing.T) {
	rec := &recorder{next: newRegistry()}
	repo := open(t, serve(t, rec)+"/a", remote.Options{}).Repo
	d, raw := blob("x")
	if err := repo.PushBlob(t.Context(), d, raw); err != nil {
		t.Fatal(err)
	}
	var methods []string
	for _, s := range rec.seen {
		if s.path != "/v2/" {
			methods = append(methods, s.method)
		}
	}
	if !slices.Equal(methods, []string{"HEAD", "POST", "PUT"}) {
		t.Errorf("the requests were %v", methods)
	}
}

// TestCopyHeedsTheLimit: a registry that wants to be left alone is not asked to
// take an upload instead.
func TestCopyHeedsTheLimit(t *testing.T) {
	d, raw := blob("x")
	f := &faulty{next: newRegistry(), filter: below("HEAD", "/blobs/"), fault: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	}}
	f.left.Store(-1)
	rec := &recorder{next: f}
	err := open(t, serve(t, rec)+"/a", remote.Options{}).Repo.CopyBlob(t.Context(), d, sourceOf(raw))
	wantTexts(t, err, "429", "too long")
	if n := rec.count("POST", ""); n != 0 {
		t.Errorf("%d uploads were started", n)
	}
}

// TestCopySourceIsAskedAgain: the source of a copy has its own attempts.
func TestCopySourceIsAskedAgain(t *testing.T) {
	d, raw := blob("x")
	reg, a := newBlobRegistry(anyRepo)
	a.set("from", d.Digest, raw)
	f := &faulty{next: reg, filter: below("GET", "/blobs/"), fault: statusFault(503)}
	f.left.Store(2)
	regB, b := newBlobRegistry(anyRepo)
	rec := &recorder{next: regB}
	from := open(t, serve(t, f)+"/from", remote.Options{Retries: 2}).Repo
	if err := open(t, serve(t, rec)+"/to", remote.Options{Retries: -1}).Repo.CopyBlob(t.Context(), d, from); err != nil {
		t.Fatal(err)
	}
	b.want(t, "to", d, raw)
}

// TestRefererStaysHome: the next host does not see the address that led to it.
func TestRefererStaysHome(t *testing.T) {
	d, raw := blob("x")
	var referer atomic.Pointer[string]
	second := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		text := req.Referer()
		referer.Store(&text)
		_, _ = w.Write(raw)
	}))
	first := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, "http://"+second+"/stored", http.StatusFound)
	}))
	host := serve(t, answer("/blobs/", func(w http.ResponseWriter) {
		w.Header().Set("Location", "http://"+first+"/x?sig=hidden")
		w.WriteHeader(http.StatusFound)
	}))
	if _, err := open(t, host+"/a", remote.Options{}).Repo.BlobBytes(t.Context(), d, 10); err != nil {
		t.Fatal(err)
	}
	if got := *referer.Load(); got != "" {
		t.Errorf("the storage was sent %q", got)
	}
}

// TestLongRefusal: a refusal is one however long its text is, or if it breaks
// off; what is shown of it fits, and has nothing for a terminal to obey.
func TestLongRefusal(t *testing.T) {
	d, raw := manifest("x")
	page := "<html>\x1b[2J\x1b]0;title\a" + strings.Repeat("no such page ", 10_000)
	for _, broken := range []bool{false, true} {
		repo := open(t, serve(t, answer("/a/", func(w http.ResponseWriter) {
			if broken {
				w.Header().Set("Content-Length", "1000000")
			}
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, page)
		}))+"/a", remote.Options{}).Repo
		_, _, resolve := repo.Resolve(t.Context(), "v1", "")
		_, blob := repo.Blob(t.Context(), d)
		for name, err := range map[string]error{
			"Resolve": resolve, "Blob": blob, "PushManifest": repo.PushManifest(t.Context(), d, raw),
			"Tag": repo.Tag(t.Context(), "v1", d, raw, ""), "PushBlob": repo.PushBlob(t.Context(), d, raw),
		} {
			if !errors.Is(err, remote.ErrNotFound) {
				t.Errorf("%s, broken %t: got %.200q, want ErrNotFound", name, broken, err)
			}
			if err != nil && (len(err.Error()) > 3000 || strings.ContainsAny(err.Error(), "\x1b\a\n")) {
				t.Errorf("%s: the error has %d bytes: %.200q", name, len(err.Error()), err)
			}
		}
	}
}

// TestTypeIsQuoted: nor has the media type that a manifest gives itself.
func TestTypeIsQuoted(t *testing.T) {
	ref := open(t, serve(t, answer("/manifests/", func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		_, _ = io.WriteString(w, `{"mediaType":"\u001b[2Jx"}`)
	}))+"/a:v1", remote.Options{})
	_, _, err := ref.Resolve(context.WithoutCancel(t.Context()))
	wantContentError(t, "Resolve", err)
	if err != nil && strings.Contains(err.Error(), "\x1b") {
		t.Errorf("the error is %q", err)
	}
}
