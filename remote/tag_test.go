// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cfs-label/cfs-label/remote"
)

func TestTagMoved(t *testing.T) {
	rec := &recorder{next: newRegistry()}
	host := serve(t, rec)
	repo := open(t, host+"/a", remote.Options{}).Repo
	read, _ := push(t, repo, "v1", "read")
	theirs, theirsRaw := push(t, repo, "v1", "theirs")
	ours, oursRaw := push(t, repo, "", "ours")
	err := repo.Tag(t.Context(), "v1", ours, oursRaw, read.Digest.String())
	if !errors.Is(err, remote.ErrTagMoved) {
		t.Errorf("got %v, want ErrTagMoved", err)
	}
	wantTexts(t, err, host+"/a", "tag v1", read.Digest.String(), theirs.Digest.String())
	wantTag(t, repo, "v1", theirs, theirsRaw)
	err = repo.Tag(t.Context(), "gone", ours, oursRaw, read.Digest.String())
	if !errors.Is(err, remote.ErrTagMoved) {
		t.Errorf("a deleted tag: got %v, want ErrTagMoved", err)
	}
	if n := rec.count("PUT", "/gone"); n != 0 {
		t.Errorf("the deleted tag was written")
	}
}

// TestTagIsOursAlready: no PUT is needed, and none is sent.
func TestTagIsOursAlready(t *testing.T) {
	rec := &recorder{next: newRegistry()}
	repo := open(t, serve(t, rec)+"/a", remote.Options{}).Repo
	d, raw := push(t, repo, "v1", "x")
	before := rec.count("PUT", "/v1")
	for _, was := range []string{d.Digest.String(), "sha256:" + someHex} {
		if err := repo.Tag(t.Context(), "v1", d, raw, was); err != nil {
			t.Error(err)
		}
	}
	if n := rec.count("PUT", "/v1"); n != before {
		t.Errorf("%d PUTs for a tag that is right", n-before)
	}
}

// TestTagDespiteHead: registries that answer HEAD with nonsense, or not at all,
// do not make it look as if the tag moved.
func TestTagDespiteHead(t *testing.T) {
	for name, head := range map[string]func(w http.ResponseWriter){
		"wrong digest": func(w http.ResponseWriter) { w.Header().Set("Docker-Content-Digest", "sha256:"+someHex) },
		"no digest":    func(http.ResponseWriter) {},
		"no HEAD":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusMethodNotAllowed) },
	} {
		t.Run(name, func(t *testing.T) {
			reg := newRegistry()
			repo := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodHead {
					head(w)
					return
				}
				reg.ServeHTTP(w, req)
			}))+"/a", remote.Options{}).Repo
			old, _ := push(t, repo, "v1", "old")
			d, raw := push(t, repo, "", "new")
			if err := repo.Tag(t.Context(), "v1", d, raw, old.Digest.String()); err != nil {
				t.Fatal(err)
			}
			wantTag(t, repo, "v1", d, raw)
		})
	}
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// loser stands before a registry. It loses the first PUTs of the tag v1, or
// only their answers.
type loser struct {
	next    http.Handler
	lose    atomic.Int32
	forward bool   // lose only the answer
	then    func() // called when something was lost
}

func (l *loser) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPut || !strings.HasSuffix(req.URL.Path, "/manifests/v1") || l.lose.Add(-1) < 0 {
		l.next.ServeHTTP(w, req)
		return
	}
	if l.forward {
		l.next.ServeHTTP(httptest.NewRecorder(), req)
	} else {
		_, _ = io.Copy(io.Discard, req.Body)
	}
	if l.then != nil {
		l.then()
	}
	cut(w)
}

// TestAnswerLost: the tag was written, so all is well; it is not written twice.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	l := &loser{next: newRegistry(), forward: true}
	rec := &recorder{next: l}
	repo := open(t, serve(t, rec)+"/a", remote.Options{}).Repo
	old, _ := push(t, repo, "v1", "old")
	d, raw := push(t, repo, "", "new")
	l.lose.Store(1)
	before := rec.count("PUT", "/v1")
	if err := repo.Tag(t.Context(), "v1", d, raw, old.Digest.String()); err != nil {
		t.Fatal(err)
	}
	wantTag(t, repo, "v1", d, raw)
	if n := rec.count("PUT", "/v1") - before; n != 1 {
		t.Errorf("the tag was written %d times", n)
	}
}

// TestAnswerLostAndImpatient: also when the user gave up meanwhile, the answer
// says what happened.
func TestAnswerLostAndImpatient(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	l := &loser{next: newRegistry(), forward: true, then: cancel}
	repo := open(t, serve(t, l)+"/a", remote.Options{}).Repo
	d, raw := push(t, repo, "", "new")
	l.lose.Store(1)
	if err := repo.Tag(ctx, "v1", d, raw, ""); err != nil {
		t.Fatal(err)
	}
	wantTag(t, repo, "v1", d, raw)
}

// TestRequestLost: the tag is read and written again.
func TestRequestLost(t *testing.T) {
	t.Parallel()
	l := &loser{next: newRegistry()}
	repo := open(t, serve(t, l)+"/a", remote.Options{}).Repo
	old, _ := push(t, repo, "v1", "old")
	d, raw := push(t, repo, "", "new")
	l.lose.Store(1)
	if err := repo.Tag(t.Context(), "v1", d, raw, old.Digest.String()); err != nil {
		t.Fatal(err)
	}
	wantTag(t, repo, "v1", d, raw)
}

// TestRequestLostAndMoved: a lost request is not sent again over somebody
// else's tag.
func TestRequestLostAndMoved(t *testing.T) {
	t.Parallel()
	reg := newRegistry()
	l := &loser{next: reg}
	theirs, theirsRaw := manifest("theirs")
	l.then = func() {
		req := httptest.NewRequest(http.MethodPut, "/v2/a/manifests/v1", strings.NewReader(string(theirsRaw)))
		req.Header.Set("Content-Type", string(theirs.MediaType))
		reg.ServeHTTP(httptest.NewRecorder(), req)
	}
	repo := open(t, serve(t, l)+"/a", remote.Options{}).Repo
	old, _ := push(t, repo, "v1", "old")
	d, raw := push(t, repo, "", "new")
	l.lose.Store(1)
	err := repo.Tag(t.Context(), "v1", d, raw, old.Digest.String())
	if !errors.Is(err, remote.ErrTagMoved) {
		t.Errorf("got %v, want ErrTagMoved", err)
	}
	wantTag(t, repo, "v1", theirs, theirsRaw)
}

// TestRequestLostForGood: an error, and the old tag.
func TestRequestLostForGood(t *testing.T) {
	t.Parallel()
	l := &loser{next: newRegistry()}
	repo := open(t, serve(t, l)+"/a", remote.Options{}).Repo
	old, oldRaw := push(t, repo, "v1", "old")
	d, raw := push(t, repo, "", "new")
	l.lose.Store(100)
	if err := repo.Tag(t.Context(), "v1", d, raw, old.Digest.String()); err == nil {
		t.Error("no error")
	}
	wantTag(t, repo, "v1", old, oldRaw)
}

// TestPassingTrouble: a registry that is away for a moment is asked again, with
// the whole body.
func TestPassingTrouble(t *testing.T) {
	t.Parallel()
	reg := newRegistry()
	var troubled atomic.Bool
	repo := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut && troubled.CompareAndSwap(false, true) {
			_, _ = io.Copy(io.Discard, req.Body)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		reg.ServeHTTP(w, req)
	}))+"/a", remote.Options{}).Repo
	d, raw := push(t, repo, "", "x")
	if got, err := repo.Manifest(t.Context(), d); err != nil || !bytes.Equal(got, raw) {
		t.Errorf("got %q, %v", got, err)
	}
}
