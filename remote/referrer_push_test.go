// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/remote"
)

// TestFallbackKeepsOthers: entries and fields of others stay in the index behind
// the tag; what is replaced goes, but its manifest stays.
func TestFallbackKeepsOthers(t *testing.T) {
	host := serve(t, newRegistry())
	repo := open(t, host+"/a", editing()).Repo
	subject, _ := push(t, repo, "", "subject")
	theirs := entry(1)
	theirs.MediaType = "application/vnd.example.theirs"
	raw := strings.Replace(indexOf(t, theirs), `{`, `{"unknown":{"x":[1.0]},`, 1)
	put(t, host, "a", fallback(subject), string(types.OCIImageIndex), raw)
	old := pushReferrer(t, repo, "old", typeA, subject)
	now := pushReferrer(t, repo, "new", typeA, subject, old.Digest)
	wantListed(t, repo, subject, "", theirs, now)
	d, got, err := repo.Resolve(t.Context(), fallback(subject), "")
	if err != nil || d.MediaType != types.OCIImageIndex || !strings.Contains(string(got), `"x":[1.0]`) {
		t.Errorf("the tag names a %s, %s, %v", d.MediaType, got, err)
	}
	if _, err := repo.Manifest(t.Context(), old); err != nil {
		t.Error(err)
	}
	wantBareEntry(t, got, now)
}

// wantBareEntry fails unless the entry has what the specification wants in it,
// and nothing else.
func wantBareEntry(t *testing.T, raw []byte, d v1.Descriptor) {
	t.Helper()
	var list struct{ Manifests []map[string]json.RawMessage }
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Manifests {
		if string(e["digest"]) != `"`+d.Digest.String()+`"` {
			continue
		}
		for _, key := range []string{"mediaType", "digest", "size", "artifactType", "annotations"} {
			if e[key] == nil {
				t.Errorf("the entry has no %s", key)
			}
		}
		if len(e) != 5 {
			t.Errorf("the entry is %v", e)
		}
		return
	}
	t.Errorf("%s is not in the list", d.Digest)
}

// TestFallbackOfSHA512: the tag has 64 characters of the digest at most.
func TestFallbackOfSHA512(t *testing.T) {
	rec := &recorder{next: newRegistry()}
	repo := open(t, serve(t, rec)+"/a", editing()).Repo
	subject, raw := manifest("subject")
	subject.Digest = v1.Hash{Algorithm: "sha512", Hex: sha512Hex(raw)}
	d := pushReferrer(t, repo, "x", typeA, subject)
	wantListed(t, repo, subject, "", d)
	if rec.count("PUT", "/manifests/sha512-"+subject.Digest.Hex[:64]) != 1 {
		t.Error("the tag is another")
	}
}

// TestHostileFallback: what is no list of referrers is an error that names the
// tag, and stays what it is.
func TestHostileFallback(t *testing.T) {
	for name, tc := range map[string]struct {
		mediaType types.MediaType
		raw       string
		kind      error
	}{
		"a manifest":         {types.OCIManifestSchema1, `{"config":{},"layers":[]}`, remote.ErrContent},
		"a manifest list":    {types.DockerManifestList, `{"manifests":[]}`, remote.ErrContent},
		"two media types":    {types.OCIImageIndex, `{"mediaType":"application/vnd.oci.image.manifest.v1+json"}`, remote.ErrContent},
		"no JSON":            {types.OCIImageIndex, `nonsense`, remote.ErrContent},
		"manifests a string": {types.OCIImageIndex, `{"manifests":"x"}`, remote.ErrContent},
		"over 4 MiB":         {types.OCIImageIndex, `{"manifests":[]}` + strings.Repeat("\n", remote.MaxManifest), remote.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			subject, _ := manifest("subject")
			reg := newRegistry()
			rec := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, fallback(subject)) {
					w.Header().Set("Content-Type", string(tc.mediaType))
					_, _ = w.Write([]byte(tc.raw))
					return
				}
				reg.ServeHTTP(w, req)
			})}
			repo := open(t, serve(t, rec)+"/a", editing()).Repo
			d, raw := referrer("x", typeA, subject)
			_, list := repo.Referrers(t.Context(), subject.Digest, "")
			for _, err := range []error{list, repo.PushReferrer(t.Context(), subject.Digest, d, raw, nil)} {
				if !errors.Is(err, tc.kind) {
					t.Errorf("got %v, want %v", err, tc.kind)
				}
				wantTexts(t, err, repo.Name(), "tag "+fallback(subject))
			}
			if rec.count("PUT", fallback(subject)) != 0 {
				t.Error("the tag was overwritten")
			}
		})
	}
}

// wrongEditor returns what it was given, or something else.
type wrongEditor struct {
	editor
	out string
}

func (b wrongEditor) SetReferrer(_ []byte, _ v1.Descriptor, _ []v1.Hash) ([]byte, error) {
	if b.out == "" {
		return nil, errors.New("cannot edit")
	}
	return []byte(b.out), nil
}

// TestFallbackNeedsAnEditor: only where there is no API, and it has to do its
// work.
func TestFallbackNeedsAnEditor(t *testing.T) {
	subject, _ := manifest("subject")
	pushReferrer(t, open(t, serve(t, newAPIRegistry())+"/a", remote.Options{}).Repo, "x", typeA, subject)
	for text, e := range map[string]remote.IndexEditor{
		"Options.Layout":         nil,
		"cannot edit":            wrongEditor{},
		"not what was asked for": wrongEditor{out: `{"manifests":[]}`},
		"invalid character":      wrongEditor{out: `nonsense`},
		"registries take":        wrongEditor{out: strings.Repeat(" ", remote.MaxManifest+1)},
	} {
		rec := &recorder{next: newRegistry()}
		repo := open(t, serve(t, rec)+"/a", remote.Options{Layout: e}).Repo
		d, raw := referrer("x", typeA, subject)
		wantTexts(t, repo.PushReferrer(t.Context(), subject.Digest, d, raw, nil), text, fallback(subject))
		if rec.count("PUT", fallback(subject)) != 0 {
			t.Error("the tag was written")
		}
	}
}

// TestLostRace: somebody else writes the tag right after us, from what it was
// before. Both entries end in the list.
func TestLostRace(t *testing.T) {
	subject, _ := manifest("subject")
	theirs := entry(1)
	theirs.MediaType = "application/vnd.example.theirs"
	for _, times := range []int32{1, 3, 100} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			reg := newRegistry()
			var left atomic.Int32
			left.Store(times)
			list := indexOf(t, theirs)
			repo := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				reg.ServeHTTP(w, req)
				if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, fallback(subject)) && left.Add(-1) >= 0 {
					over := httptest.NewRequest(http.MethodPut, req.URL.Path, strings.NewReader(list))
					over.Header.Set("Content-Type", string(types.OCIImageIndex))
					reg.ServeHTTP(httptest.NewRecorder(), over)
				}
			}))+"/a", editing()).Repo
			d, raw := referrer("ours", typeA, subject)
			err := repo.PushReferrer(t.Context(), subject.Digest, d, raw, nil)
			if times == 100 {
				if !errors.Is(err, remote.ErrTagMoved) {
					t.Errorf("got %v, want ErrTagMoved", err)
				}
				wantTexts(t, err, fallback(subject), "run again")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantListed(t, repo, subject, "", theirs, d)
		})
	}
}

// TestFallbackAnswerLost: a write whose answer is lost is not sent again blindly.
func TestFallbackAnswerLost(t *testing.T) {
	subject, _ := manifest("subject")
	reg := newRegistry()
	var lost atomic.Int32
	rec := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, fallback(subject)) && lost.Add(1) == 1 {
			reg.ServeHTTP(httptest.NewRecorder(), req)
			cut(w)
			return
		}
		reg.ServeHTTP(w, req)
	})}
	repo := open(t, serve(t, rec)+"/a", editing()).Repo
	d := pushReferrer(t, repo, "x", typeA, subject)
	wantListed(t, repo, subject, "", d)
	if n := rec.count("PUT", fallback(subject)); n != 1 {
		t.Errorf("the tag was written %d times", n)
	}
}

// TestReferrersAtOnce: pushes of one process wait for each other.
func TestReferrersAtOnce(t *testing.T) {
	rec := &recorder{next: newRegistry()}
	repo := open(t, serve(t, rec)+"/a", editing()).Repo
	subject, _ := push(t, repo, "", "subject")
	var all []v1.Descriptor
	var wg sync.WaitGroup
	for i := range 5 {
		d, raw := referrer(fmt.Sprint(i), typeA, subject)
		all = append(all, d)
		wg.Go(func() {
			if err := repo.PushReferrer(t.Context(), subject.Digest, d, raw, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantListed(t, repo, subject, "", all...)
	if n := rec.count("PUT", fallback(subject)); n != len(all) {
		t.Errorf("the tag was written %d times for %d referrers", n, len(all))
	}
}

// TestReplacedByAPI: what is replaced is deleted, if it is listed, and never what
// replaces it or the subject.
func TestReplacedByAPI(t *testing.T) {
	for _, reg := range []http.Handler{newAPIRegistry(), withSubjectHeader(newAPIRegistry())} {
		rec := &recorder{next: reg}
		o := editing()
		var warned warnLog
		o.Warn = warned.add
		repo := open(t, serve(t, rec)+"/a", o).Repo
		subject, _ := push(t, repo, "", "subject")
		bystander, _ := push(t, repo, "", "bystander")
		old := pushReferrer(t, repo, "old", typeA, subject)
		self, _ := referrer("new", typeA, subject)
		gone := []v1.Hash{old.Digest, self.Digest, subject.Digest, bystander.Digest}
		now := pushReferrer(t, repo, "new", typeA, subject, gone...)
		wantListed(t, repo, subject, "", now)
		before := rec.writes()
		pushReferrer(t, repo, "new", typeA, subject, gone...)
		if n := rec.writes() - before; n != 0 {
			t.Errorf("the second run sent %d requests that write", n)
		}
		if n := rec.count("DELETE", ""); n != 1 || len(warned.all) != 0 {
			t.Errorf("%d were deleted, warnings %q", n, warned.all)
		}
	}
}

// TestNoDeletion: a registry that deletes nothing is no failure, but a warning.
func TestNoDeletion(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 501} {
		reg := newAPIRegistry()
		o := editing()
		var warned warnLog
		o.Warn = warned.add
		repo := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodDelete {
				w.WriteHeader(status)
				return
			}
			reg.ServeHTTP(w, req)
		}))+"/a", o).Repo
		subject, _ := push(t, repo, "", "subject")
		old := pushReferrer(t, repo, "old", typeA, subject)
		now := pushReferrer(t, repo, "new", typeA, subject, old.Digest)
		wantListed(t, repo, subject, "", old, now)
		if len(warned.all) != 1 {
			t.Fatalf("%d: warnings %q", status, warned.all)
		}
		for _, text := range []string{repo.Name(), "still lists " + old.Digest.String(), fmt.Sprint(status)} {
			if !strings.Contains(warned.all[0], text) {
				t.Errorf("the warning %q does not say %q", warned.all[0], text)
			}
		}
		quiet := open(t, repo.Name(), editing()).Repo
		pushReferrer(t, quiet, "new", typeA, subject, old.Digest)
	}
}

// TestDeleteScope: deleting has a token of its own; nothing else asks for that
// right.
func TestDeleteScope(t *testing.T) {
	b := newBearer(newAPIRegistry())
	o := editing()
	o.Keychain = alice
	repo := open(t, serve(t, scoped(b))+"/a", o).Repo
	subject, _ := push(t, repo, "", "subject")
	old := pushReferrer(t, repo, "old", typeA, subject)
	if slices.ContainsFunc(b.scopes, func(s string) bool { return strings.Contains(s, "delete") }) {
		t.Errorf("the scopes are %q", b.scopes)
	}
	now := pushReferrer(t, repo, "new", typeA, subject, old.Digest)
	wantListed(t, repo, subject, "", now)
	if !slices.Contains(b.scopes, "repository:a:push,pull,delete") {
		t.Errorf("the scopes are %q", b.scopes)
	}
}

// scoped lets DELETE pass only with a token for it.
func scoped(b *bearer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodDelete {
			token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
			b.mu.Lock()
			scope := b.good[token]
			scope, ok := strings.CutSuffix(scope, ",delete")
			if ok {
				b.good[token] = scope // what the registry knows of
			}
			b.mu.Unlock()
			if !ok {
				w.WriteHeader(http.StatusForbidden)
				return
			}
		}
		b.ServeHTTP(w, req)
	})
}

// TestSubjectUnknown: a registry that has the API but lists nothing that was
// pushed gets the tag.
func TestSubjectUnknown(t *testing.T) {
	reg := newRegistry()
	rec := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.Contains(req.URL.Path, "/referrers/") {
			answerIndex(w, `{"manifests":[]}`)
			return
		}
		reg.ServeHTTP(w, req)
	})}
	repo := open(t, serve(t, rec)+"/a", editing()).Repo
	subject, _ := push(t, repo, "", "subject")
	pushReferrer(t, repo, "x", typeA, subject)
	if rec.count("PUT", fallback(subject)) != 1 {
		t.Error("the tag was not written")
	}
}

// TestReferrerChanged: a registry that stores other bytes is an error, and
// nothing lists them.
func TestReferrerChanged(t *testing.T) {
	reg := newRegistry()
	rec := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut {
			w.Header().Set("Docker-Content-Digest", "sha256:"+someHex)
			w.WriteHeader(http.StatusCreated)
			return
		}
		reg.ServeHTTP(w, req)
	})}
	repo := open(t, serve(t, rec)+"/a", editing()).Repo
	subject, _ := manifest("subject")
	d, raw := referrer("x", typeA, subject)
	err := repo.PushReferrer(t.Context(), subject.Digest, d, raw, nil)
	if !errors.Is(err, remote.ErrContent) || rec.count("PUT", "") != 1 {
		t.Errorf("got %v", err)
	}
	d.Size++
	if err := repo.PushReferrer(t.Context(), subject.Digest, d, raw, nil); !errors.Is(err, remote.ErrContent) {
		t.Errorf("wrong descriptor: got %v", err)
	}
}
