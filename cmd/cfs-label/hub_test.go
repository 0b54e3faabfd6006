// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
)

// hub is a registry in memory that remembers what it was asked and can have
// spoiled blobs.
type hub struct {
	registry http.Handler

	mu      sync.Mutex
	asked   []string            // method and path of each request
	spoiled map[string]spoiling // by the digest of the blob
}

// spoiling is how a blob is spoiled.
type spoiling string

const (
	flipped spoiling = "flipped" // one byte in the middle is another
	cut     spoiling = "cut"     // the connection ends in the middle
	gone    spoiling = "gone"    // 404
)

func newHub() *hub {
	return &hub{
		registry: registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)),
		spoiled:  map[string]spoiling{},
	}
}

func (h *hub) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h.mu.Lock()
	h.asked = append(h.asked, req.Method+" "+req.URL.Path)
	how := h.spoiled[path.Base(req.URL.Path)]
	h.mu.Unlock()
	if how == "" || req.Method != http.MethodGet {
		h.registry.ServeHTTP(w, req)
		return
	}
	answer := httptest.NewRecorder()
	h.registry.ServeHTTP(answer, req)
	body := answer.Body.Bytes()
	switch how {
	case flipped:
		body = bytes.Clone(body)
		body[len(body)/2] ^= 0x55
	case cut:
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	case gone:
		http.Error(w, `{"errors": [{"code": "BLOB_UNKNOWN", "message": "unknown"}]}`, http.StatusNotFound)
		return
	}
	_, _ = w.Write(body)
}

// RoundTrip answers the tests' own requests, of which nothing is remembered.
func (h *hub) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	h.registry.ServeHTTP(w, in)
	answer := w.Result()
	answer.Request = req
	return answer, nil
}

// requests returns what the hub was asked since forget.
func (h *hub) requests() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.asked)
}

func (h *hub) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = nil
}

// pushed says what the requests did: none, if all were for reading; asked, if
// an upload was started and cancelled, which is how one asks for permission;
// else some.
func (h *hub) pushed() string {
	result := "none"
	for _, r := range h.requests() {
		method, where, _ := strings.Cut(r, " ")
		isUpload := strings.Contains(where, "/blobs/uploads/")
		switch {
		case method == http.MethodGet || method == http.MethodHead:
		case isUpload && (method == http.MethodPost || method == http.MethodDelete):
			result = "asked"
		default:
			return "some"
		}
	}
	return result
}

// Who may come in where a password is asked for, and whether to push.
var guests = map[string]struct {
	password string
	mayPush  bool
}{
	"alice": {"secret", true},
	"bob":   {"public", false},
	"user":  {"push-password-0451", true},
}

// guard lets guests through.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, ok := req.BasicAuth()
		guest := guests[user]
		isReading := req.Method == http.MethodGet || req.Method == http.MethodHead
		switch {
		case !ok || guest.password == "" || guest.password != password:
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]}`, http.StatusUnauthorized)
		case !isReading && !guest.mayPush:
			http.Error(w, `{"errors": [{"code": "DENIED", "message": "you may only read"}]}`, http.StatusForbidden)
		default:
			next.ServeHTTP(w, req)
		}
	})
}
