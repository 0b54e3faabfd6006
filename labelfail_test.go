// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
)

// another is an image other than plain.
func another() handmade {
	h := plain
	h.config = strings.Replace(h.config, "amd64", "arm64", 1)
	return h
}

// readsLayer reports whether a request is for the layer of the handmade images.
func readsLayer(req *http.Request) bool {
	return req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/blobs/"+layerDigest)
}

// TestLabelTagMoved: a tag that somebody else moves while the layers are read
// stays where they put it, also if it is named by Tags.
func TestLabelTagMoved(t *testing.T) {
	for name, o := range map[string]cfslabel.LabelOptions{
		"the tag that was read": {},
		"the same as a tag":     {Tags: []string{"v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			s.push(t, "a:v1", plain)
			var moved atomic.Bool
			s.intercept = func(_ http.ResponseWriter, req *http.Request) bool {
				if readsLayer(req) && !moved.Swap(true) {
					s.push(t, "a:v1", another())
				}
				return false
			}
			_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), o)
			if !errors.Is(err, remote.ErrTagMoved) {
				t.Errorf("got %v, want ErrTagMoved", err)
			}
			_, theirs := another().texts()
			s.wantTag(t, "a:v1", digestOf(theirs))
			if n := s.count(http.MethodPut, "/manifests/v1"); n != 0 {
				t.Errorf("the tag was written %d times", n)
			}
		})
	}
}

// TestLabelPushFails: whatever the registry refuses, the tag stays.
func TestLabelPushFails(t *testing.T) {
	for name, refused := range map[string]struct{ method, part string }{
		"the config":               {http.MethodPut, "/blobs/uploads/"},
		"the manifest, its digest": {http.MethodPut, "/manifests/sha256:"},
		"the tag":                  {http.MethodPut, "/manifests/v1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			before := s.push(t, "a:v1", plain)
			s.intercept = func(w http.ResponseWriter, req *http.Request) bool {
				if req.Method != refused.method || !strings.Contains(req.URL.Path, refused.part) {
					return false
				}
				http.Error(w, `{"errors":[{"code":"UNSUPPORTED","message":"not today"}]}`, http.StatusBadRequest)
				return true
			}
			_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{})
			if err == nil || !strings.Contains(err.Error(), "not today") {
				t.Errorf("got %v", err)
			}
			s.wantTag(t, "a:v1", before.Digest)
			s.intercept = nil
			sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
			s.wantTag(t, "a:v1", sealed.Digest)
		})
	}
}

// TestLabelAsksFirst: that one may not push is found before a layer is read. A
// dry run does not ask.
func TestLabelAsksFirst(t *testing.T) {
	s := newStore(t)
	before := s.push(t, "a:v1", plain)
	s.intercept = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost {
			return false
		}
		http.Error(w, `{"errors":[{"code":"DENIED","message":"read only"}]}`, http.StatusForbidden)
		return true
	}
	_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{})
	if !errors.Is(err, remote.ErrUnauthorized) {
		t.Errorf("got %v, want ErrUnauthorized", err)
	}
	if n := s.count(http.MethodGet, layerDigest); n != 0 {
		t.Errorf("the layer was read %d times", n)
	}
	s.wantTag(t, "a:v1", before.Digest)
	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{DryRun: true})
	if !sealed.Changed || len(sealed.Tags) > 0 {
		t.Errorf("the dry run says %+v", sealed)
	}
}

// TestLabelBadTag: a tag that is none is found before anything is asked.
func TestLabelBadTag(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	for _, tag := range []string{"", "a/b", "-x", "a b", "v1@" + layerDigest, strings.Repeat("x", 129)} {
		_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{Tags: []string{"ok", tag}})
		if !errors.Is(err, remote.ErrReference) {
			t.Errorf("%q: got %v, want ErrReference", tag, err)
		}
	}
	if n := s.count("GET", ""); n != 0 {
		t.Errorf("there were %d requests", n)
	}
}

// TestLabelLayerCount: manifest and config must speak of the same layers.
func TestLabelLayerCount(t *testing.T) {
	for name, diffIDs := range map[string]string{
		"too few":  ``,
		"too many": `"DIFFID","DIFFID"`,
	} {
		s := newStore(t)
		h := plain
		h.config = strings.Replace(h.config, `"DIFFID"`, diffIDs, 1)
		before := s.push(t, "a:v1", h)
		_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{})
		if !errors.Is(err, cfslabel.ErrLayerCount) {
			t.Errorf("%s: got %v, want ErrLayerCount", name, err)
		}
		s.wantTag(t, "a:v1", before.Digest)
	}
}

// TestLabelCancel: whenever the user gives up, the tag stays.
func TestLabelCancel(t *testing.T) {
	for name, at := range map[string]func(*http.Request) bool{
		"while the layers are read": readsLayer,
		"while the config is pushed": func(req *http.Request) bool {
			return req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/blobs/uploads/")
		},
		"while the manifest is pushed": func(req *http.Request) bool {
			return req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/manifests/sha256:")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			before := s.push(t, "a:v1", plain)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s.intercept = func(_ http.ResponseWriter, req *http.Request) bool {
				if at(req) {
					cancel()
					_, _ = io.Copy(io.Discard, req.Body)
					<-req.Context().Done()      // the client has gone,
					panic(http.ErrAbortHandler) // without an answer
				}
				return false
			}
			_, err := cfslabel.Label(ctx, s.open(t, "a:v1"), cfslabel.LabelOptions{})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
			s.wantTag(t, "a:v1", before.Digest)
			if n := s.count(http.MethodPut, "/manifests/v1"); n != 0 {
				t.Errorf("the tag was written %d times", n)
			}
		})
	}
}

// refuseTag refuses to write one tag.
type refuseTag struct{ tag string }

func (r refuseTag) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/"+r.tag) {
		w := httptest.NewRecorder()
		w.WriteHeader(http.StatusForbidden)
		return w.Result(), nil
	}
	return http.DefaultTransport.RoundTrip(req)
}

// TestSecondTagFails: of several tags those that were moved are told, also when
// the next one fails.
func TestSecondTagFails(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	ref := s.openBy(t, "a:v1", refuseTag{"y"})
	sealed, err := cfslabel.Label(t.Context(), ref, cfslabel.LabelOptions{Tags: []string{"x", "y", "z"}})
	if !errors.Is(err, remote.ErrUnauthorized) {
		t.Fatalf("got %v", err)
	}
	if sealed == nil || !slices.Equal(sealed.Tags, []string{"x"}) {
		t.Fatalf("told of %+v", sealed)
	}
	s.wantTag(t, "a:x", sealed.Digest)
}
