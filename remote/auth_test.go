// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/cfs-label/cfs-label/remote"
)

// basicAuth lets alice pass.
func basicAuth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, password, _ := req.BasicAuth(); user != alice.Username || password != alice.Password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// bearer is a registry with its own token server: everybody may read, alice may
// write, and tokens are good for one scope.
type bearer struct {
	next   http.Handler
	mu     sync.Mutex
	scopes []string // that were asked for, in order
	good   map[string]string
}

func newBearer(next http.Handler) *bearer {
	return &bearer{next: next, good: map[string]string{}}
}

func (b *bearer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/token" {
		b.issue(w, req)
		return
	}
	b.mu.Lock()
	scope := b.good[strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")]
	b.mu.Unlock()
	read := req.Method == http.MethodGet || req.Method == http.MethodHead
	if strings.HasSuffix(scope, "push,pull") || (read && scope != "") {
		b.next.ServeHTTP(w, req)
		return
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s://%s/token",service="test"`, scheme(req), req.Host))
	w.WriteHeader(http.StatusUnauthorized)
}

func scheme(req *http.Request) string {
	if req.TLS != nil {
		return "https"
	}
	return "http"
}

func (b *bearer) issue(w http.ResponseWriter, req *http.Request) {
	user, password, given := req.BasicAuth()
	scope := req.URL.Query().Get("scope")
	isAlice := user == alice.Username && password == alice.Password
	if (given && !isAlice) || (!isAlice && strings.Contains(scope, "push")) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scopes = append(b.scopes, scope)
	token := fmt.Sprintf("token-%d", len(b.scopes))
	b.good[token] = scope
	_ = json.NewEncoder(w).Encode(map[string]string{"token": token})
}

func (b *bearer) expire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.good = map[string]string{}
}

func TestBasicAuth(t *testing.T) {
	host := serve(t, basicAuth(newRegistry()))
	repo := open(t, host+"/a", remote.Options{Keychain: alice}).Repo
	d, raw := push(t, repo, "v1", "x")
	wantTag(t, repo, "v1", d, raw)
	for _, tc := range []struct {
		keys authn.Keychain
		text string
	}{
		{mallory, "the credentials for " + host + " are wrong"},
		{anonymous, "there are no credentials for " + host},
	} {
		wantRefused(t, open(t, host+"/a", remote.Options{Keychain: tc.keys}).Repo, host, tc.text)
	}
}

// wantRefused fails unless every call is refused and says how to log in.
func wantRefused(t *testing.T, repo remote.Repo, host, text string) {
	t.Helper()
	d, raw := manifest("x")
	_, _, resolve := repo.Resolve(t.Context(), "v1", "")
	_, blob := repo.Blob(t.Context(), d)
	for name, err := range map[string]error{
		"Resolve":      resolve,
		"Blob":         blob,
		"CheckPush":    repo.CheckPush(t.Context()),
		"PushBlob":     repo.PushBlob(t.Context(), d, raw),
		"PushManifest": repo.PushManifest(t.Context(), d, raw),
		"Tag":          repo.Tag(t.Context(), "v1", d, raw, "sha256:"+someHex),
	} {
		if !errors.Is(err, remote.ErrUnauthorized) {
			t.Errorf("%s: %v, want ErrUnauthorized", name, err)
		}
		wantTexts(t, err, repo.Name(), text, "docker login "+host, "podman login "+host)
	}
}

func TestBearer(t *testing.T) {
	b := newBearer(newRegistry())
	host := serve(t, b)
	repo := open(t, host+"/a", remote.Options{Keychain: alice}).Repo
	if _, _, err := repo.Resolve(t.Context(), "v1", ""); !errors.Is(err, remote.ErrNotFound) {
		t.Fatalf("got %v, want ErrNotFound", err)
	}
	if want := []string{"repository:a:pull"}; !slices.Equal(b.scopes, want) {
		t.Errorf("a reader asked for %v, want %v", b.scopes, want)
	}
	d, raw := push(t, repo, "v1", "x")
	if want := []string{"repository:a:pull", "repository:a:push,pull"}; !slices.Equal(b.scopes, want) {
		t.Errorf("reading and writing asked for %v, want %v", b.scopes, want)
	}
	wantTag(t, open(t, host+"/a", remote.Options{Keychain: anonymous}).Repo, "v1", d, raw)
	wantRefused(t, open(t, host+"/a", remote.Options{Keychain: mallory}).Repo, host, "wrong, expired or may not")
}

// TestAnonymousMayReadOnly: permission to push is found missing before the work.
func TestAnonymousMayReadOnly(t *testing.T) {
	host := serve(t, newBearer(newRegistry()))
	repo := open(t, host+"/a", remote.Options{}).Repo
	if err := repo.CheckPush(t.Context()); !errors.Is(err, remote.ErrUnauthorized) {
		t.Errorf("CheckPush: %v, want ErrUnauthorized", err)
	}
}

// TestTokenExpires: a body is sent whole again after its token was refused.
func TestTokenExpires(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		b := newBearer(newRegistry())
		// The token expires between the question whether the manifest is there
		// and the manifest.
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if http2 != (req.ProtoMajor == 2) {
				t.Errorf("the protocol is %s", req.Proto)
			}
			b.ServeHTTP(w, req)
			if req.Method == http.MethodHead {
				b.expire()
			}
		}))
		srv.EnableHTTP2 = http2
		srv.StartTLS()
		t.Cleanup(srv.Close)
		host := strings.TrimPrefix(srv.URL, "https://")
		repo := open(t, host+"/a", remote.Options{Keychain: alice, Insecure: true}).Repo
		d, raw := push(t, repo, "v1", "x")
		wantTag(t, repo, "v1", d, raw)
		c, config := blob(`{}`)
		if err := repo.PushBlob(t.Context(), c, config); err != nil {
			t.Error(err)
		}
	}
}

type brokenKeychain struct{}

func (brokenKeychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return nil, errors.New("the helper is not installed")
}

func TestBrokenKeychain(t *testing.T) {
	_, _, err := open(t, serve(t, newRegistry())+"/a:v1", remote.Options{Keychain: brokenKeychain{}}).Resolve(t.Context())
	if !errors.Is(err, remote.ErrUnauthorized) {
		t.Errorf("got %v, want ErrUnauthorized", err)
	}
	wantTexts(t, err, "the helper is not installed")
}

// TestCredentialsStayHome: storage that a blob is redirected to sees neither
// password nor token, be it another port, another name or a challenge there.
func TestCredentialsStayHome(t *testing.T) {
	c, config := blob("{}")
	for name, guard := range map[string]func(http.Handler) http.Handler{
		"basic":  basicAuth,
		"bearer": func(h http.Handler) http.Handler { return newBearer(h) },
	} {
		for _, challenge := range []string{"", `Basic realm="storage"`, `Bearer realm="http://localhost:1/token"`} {
			t.Run(name+" "+challenge, func(t *testing.T) {
				storage := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					if challenge != "" {
						w.Header().Set("WWW-Authenticate", challenge)
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
					_, _ = w.Write(config)
				})}
				target := strings.Replace(serve(t, storage), "127.0.0.1", "localhost", 1)
				for _, target := range []string{target, strings.Replace(target, "localhost", "127.0.0.1", 1)} {
					host := serve(t, guard(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
						if strings.Contains(req.URL.Path, "/blobs/") {
							http.Redirect(w, req, "http://"+target+"/stored", http.StatusTemporaryRedirect)
						}
					})))
					got, err := open(t, host+"/a", remote.Options{Keychain: alice}).Repo.BlobBytes(t.Context(), c, 100)
					if challenge == "" && (err != nil || !bytes.Equal(got, config)) {
						t.Errorf("got %q, %v", got, err)
					}
				}
				if len(storage.seen) < 2 {
					t.Fatal("nobody was redirected")
				}
				for _, s := range storage.seen {
					if s.auth != "" {
						t.Errorf("the storage was sent %q", s.auth)
					}
				}
			})
		}
	}
}

// TestInsecure: a certificate that nobody vouches for needs Insecure.
func TestInsecure(t *testing.T) {
	srv := httptest.NewUnstartedServer(newRegistry())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	host := strings.TrimPrefix(srv.URL, "https://")
	_, _, err := open(t, host+"/a:v1", remote.Options{}).Resolve(t.Context())
	wantTexts(t, err, "certificate", "--insecure")
	repo := open(t, host+"/a", remote.Options{Insecure: true}).Repo
	d, raw := push(t, repo, "v1", "x")
	wantTag(t, repo, "v1", d, raw)
	own := http.DefaultTransport.(*http.Transport).Clone()
	wantTag(t, open(t, host+"/a", remote.Options{Insecure: true, Transport: own}).Repo, "v1", d, raw)
	if own.TLSClientConfig != nil && own.TLSClientConfig.InsecureSkipVerify {
		t.Error("the caller's transport was changed")
	}
}

// exampleCom returns a transport to a TLS server that says it is example.com.
func exampleCom(t *testing.T, h http.Handler) *http.Transport {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		Dial:            func(string, string) (net.Conn, error) { return net.Dial("tcp", srv.Listener.Addr().String()) }, //nolint:staticcheck // short
	}
}

// TestNoRedirectToHTTP: what came over https does not go on over http.
func TestNoRedirectToHTTP(t *testing.T) {
	seen := &recorder{next: http.NotFoundHandler()}
	target := "http://" + serve(t, seen) + "/"
	d, raw := manifest("x")
	tr := exampleCom(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case strings.Contains(req.URL.Path, "/blobs/"):
			http.Redirect(w, req, target, http.StatusFound)
		case strings.Contains(req.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", string(d.MediaType))
			_, _ = w.Write(raw)
		}
	}))
	repo := open(t, "example.com/a", remote.Options{Transport: tr}).Repo
	wantTag(t, repo, "v1", d, raw)
	_, err := repo.Blob(t.Context(), d)
	wantTexts(t, err, "redirects from https to http")
	if len(seen.seen) != 0 {
		t.Error("the redirect was followed")
	}
}

func TestRedirectLoop(t *testing.T) {
	d, _ := manifest("x")
	repo := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/v2/" {
			http.Redirect(w, req, req.URL.Path, http.StatusFound)
		}
	}))+"/a", remote.Options{}).Repo
	_, err := repo.Blob(t.Context(), d)
	wantTexts(t, err, "more than 10 redirects")
}
