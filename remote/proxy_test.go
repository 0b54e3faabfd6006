// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/cfs-label/cfs-label/remote"
)

// proxy takes every connection to one server, of which there are two: of http,
// and of https.
type proxy struct {
	plain, tls string // host and port

	mu   sync.Mutex
	seen []string // method, host and credentials of each request
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, req.Method+" "+req.Host+" "+req.Header.Get("Proxy-Authorization"))
	p.mu.Unlock()
	if req.Method != http.MethodConnect {
		httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: p.plain}).ServeHTTP(w, req)
		return
	}
	there, err := (&net.Dialer{}).DialContext(req.Context(), "tcp", p.tls)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer func() { _ = there.Close() }()
	w.WriteHeader(http.StatusOK)
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = here.Close() }()
	go func() {
		_, _ = io.Copy(there, buffered)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
}

// take returns what was seen since it was called last.
func (p *proxy) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = nil
	return seen
}

// TestProxy: the variables that tell of proxies are obeyed. They are read once
// per process, so each row is one.
func TestProxy(t *testing.T) {
	if ref := os.Getenv("CFS_LABEL_TEST_PROXY_REF"); ref != "" {
		o := remote.Options{PlainHTTP: os.Getenv("CFS_LABEL_TEST_PROXY_CA") == "", CAFile: os.Getenv("CFS_LABEL_TEST_PROXY_CA")}
		if _, _, err := open(t, ref, o).Resolve(t.Context()); !errors.Is(err, remote.ErrNotFound) {
			t.Fatal(err)
		}
		return
	}
	a := newAuthority(t, "authority")
	p := &proxy{plain: serve(t, newRegistry()), tls: serveTLS(t, newRegistry(), a, tls.NoClientCert, true)}
	addr := serve(t, p)
	ca := "CFS_LABEL_TEST_PROXY_CA=" + tempFile(t, a.pem)
	for _, tc := range []struct {
		ref  string
		env  []string
		want string // what the proxy sees first; "": nothing, and the name is not found
	}{
		{"registry.example:5000/a:v1", []string{"HTTP_PROXY=http://" + addr}, "GET registry.example:5000 "},
		{"registry.example:5000/a:v1", []string{"http_proxy=http://me:pw@" + addr}, "GET registry.example:5000 Basic " + basic("me", "pw")},
		{"registry.example/a:v1", []string{"HTTPS_PROXY=http://" + addr, ca}, "CONNECT registry.example:443 "},
		{"registry.example/a:v1", []string{"HTTPS_PROXY=http://" + addr, ca, "NO_PROXY=.example.net,registry.example"}, ""},
		{"registry.example:5000/a:v1", []string{"HTTP_PROXY=http://" + addr, "NO_PROXY=*"}, ""},
	} {
		p.take()
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxy$", "-test.v") //nolint:gosec // this program
		for _, v := range os.Environ() {
			if name, _, _ := strings.Cut(v, "="); !strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
				child.Env = append(child.Env, v)
			}
		}
		child.Env = append(append(child.Env, "CFS_LABEL_TEST_PROXY_REF="+tc.ref), tc.env...)
		out, err := child.CombinedOutput()
		if (err == nil) != (tc.want != "") {
			t.Errorf("%v: %v\n%s", tc.env, err, out)
		}
		if got := strings.Join(p.take(), "\n"); !strings.HasPrefix(got, tc.want) || (tc.want == "") != (got == "") {
			t.Errorf("%v: the proxy saw %q, want %q", tc.env, got, tc.want)
		}
	}
}
