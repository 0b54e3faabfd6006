// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// A request is one that came through a door.
type request struct {
	method, path string
	query        url.Values
	body         string // digest of what was sent, "" if that was nothing
}

func (r request) String() string { return r.method + " " + r.path }

// A door is another way into a registry: one that sees who passes.
type door struct {
	server

	mu   sync.Mutex
	seen []request
	// before is called before a request goes on; it may answer in place of the
	// registry, and returns whether it did.
	before func(w http.ResponseWriter, r *http.Request) bool
}

// door opens one.
func (s server) door() *door {
	s.t.Helper()
	d := &door{}
	registry := &url.URL{Scheme: "http", Host: s.host}
	next := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(registry)
		r.Out.Host = r.In.Host // registries say by it where an upload goes on
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		seen := request{method: r.Method, path: r.URL.Path, query: r.URL.Query()}
		if len(body) > 0 {
			seen.body = digestOf(body)
		}
		d.mu.Lock()
		d.seen = append(d.seen, seen)
		before := d.before
		d.mu.Unlock()
		if before == nil || !before(w, r) {
			next.ServeHTTP(w, r)
		}
	}))
	s.t.Cleanup(front.Close)
	s.host = strings.TrimPrefix(front.URL, "http://")
	d.server = s.as(s.user.Username, s.user.Password)
	return d
}

// at returns a reference to the same by the door.
func (d *door) at(s server, ref string) string { return strings.Replace(ref, s.host, d.host, 1) }

// passed returns the requests since the last time for which want holds.
func (d *door) passed(want func(request) bool) []request {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() { d.seen = nil }()
	var list []request
	for _, r := range d.seen {
		if want(r) {
			list = append(list, r)
		}
	}
	return list
}

// intercept sets what is called before each request.
func (d *door) intercept(before func(w http.ResponseWriter, r *http.Request) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = before
}

// writes are the requests that write. To ask whether one may push, an upload is
// started and cancelled: that writes nothing.
func writes(r request) bool { return r.method == http.MethodPut || r.method == http.MethodPatch }

// asksMore reports whether a request may do more than read.
func asksMore(r request) bool { return r.method != http.MethodGet && r.method != http.MethodHead }

// reads returns what says whether a request reads one of the blobs.
func reads(blobs map[string]bool) func(request) bool {
	return func(r request) bool {
		_, digest, isBlob := strings.Cut(r.path, "/blobs/")
		return isBlob && r.method == http.MethodGet && blobs[digest]
	}
}

// sends returns what says whether a request has one of the blobs as its body.
func sends(blobs map[string]bool) func(request) bool {
	return func(r request) bool { return blobs[r.body] }
}

// layerDigests returns the digests of all layers of a tree.
func (n *node) layerDigests() map[string]bool {
	set := make(map[string]bool)
	n.walk(func(n *node) {
		for _, l := range n.Layers {
			set[l.Digest.String()] = true
		}
	})
	return set
}

// watched returns a second door to the registry, and a function that returns
// the requests that wrote through it since the last time.
func (s server) watched() (server, func() []string) {
	s.t.Helper()
	d := s.door()
	return d.server, func() []string {
		var list []string
		for _, r := range d.passed(writes) {
			list = append(list, r.String())
		}
		return list
	}
}
