// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/remote"
)

// TestReferrers: on each kind of registry, what was pushed is listed, by type if
// asked, and a second run writes nothing.
func TestReferrers(t *testing.T) {
	for name, reg := range map[string]http.Handler{
		"none":           newRegistry(),
		"api":            newAPIRegistry(),
		"api and header": withSubjectHeader(newAPIRegistry()),
	} {
		t.Run(name, func(t *testing.T) {
			rec := &recorder{next: reg}
			repo := open(t, serve(t, rec)+"/a/b", editing()).Repo
			subject, _ := manifest("subject")
			wantListed(t, repo, subject, "")
			push(t, repo, "v1", "subject")
			wantListed(t, repo, subject, "")
			wantListed(t, repo, subject, typeA)
			a := pushReferrer(t, repo, "a", typeA, subject)
			b := pushReferrer(t, repo, "b", typeB, subject)
			other, _ := push(t, repo, "", "other")
			pushReferrer(t, repo, "c", typeA, other)
			wantListed(t, repo, subject, "", a, b)
			wantListed(t, repo, subject, typeA, a)
			wantListed(t, repo, subject, "application/other")
			if tags := rec.count("PUT", fallback(subject)); (tags > 0) != (name == "none") {
				t.Errorf("the fallback tag was written %d times", tags)
			}
			before := rec.writes()
			pushReferrer(t, repo, "a", typeA, subject)
			pushReferrer(t, open(t, repo.Name(), editing()).Repo, "b", typeB, subject)
			if n := rec.writes() - before; n != 0 {
				t.Errorf("the second run sent %d requests that write", n)
			}
		})
	}
}

// TestReferrersOfOldTools: entries without a type get that of their manifest,
// or of its config; what is gone stays without.
func TestReferrersOfOldTools(t *testing.T) {
	host := serve(t, newRegistry())
	repo := open(t, host+"/a", editing()).Repo
	subject, _ := push(t, repo, "", "subject")
	typed, raw := referrer("typed", typeA, subject)
	if err := repo.PushManifest(t.Context(), typed, raw); err != nil {
		t.Fatal(err)
	}
	config, raw := blob(`{"config":{"mediaType":"` + typeB + `"},"annotations":{"name":"config"}}`)
	config.MediaType = types.OCIManifestSchema1
	if err := repo.PushManifest(t.Context(), config, raw); err != nil {
		t.Fatal(err)
	}
	gone := v1.Descriptor{MediaType: "application/vnd.example.gone", Digest: v1.Hash{Algorithm: "sha256", Hex: someHex}, Size: 7}
	put(t, host, "a", fallback(subject), string(types.OCIImageIndex), indexOf(t,
		v1.Descriptor{MediaType: typed.MediaType, Digest: typed.Digest, Size: typed.Size},
		v1.Descriptor{MediaType: config.MediaType, Digest: config.Digest, Size: config.Size}, gone))
	config.ArtifactType, config.Annotations = typeB, map[string]string{"name": "config"}
	wantListed(t, repo, subject, "", typed, config, gone)
	wantListed(t, repo, subject, typeA, typed)
	wantListed(t, repo, subject, typeB, config)
}

func indexOf(t *testing.T, entries ...v1.Descriptor) string {
	t.Helper()
	raw, err := json.Marshal(index{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: entries})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestReferrersOfGoneManifest: a list that outlives a manifest is no error.
func TestReferrersOfGoneManifest(t *testing.T) {
	gone, _ := manifest("gone")
	raw := indexOf(t, gone)
	repo := open(t, serve(t, referrersAPI(func(w http.ResponseWriter, _ *http.Request) {
		answerIndex(w, raw)
	}))+"/a", remote.Options{}).Repo
	wantListed(t, repo, gone, "", gone)
	wantListed(t, repo, gone, typeA)
}

// referrersAPI is a registry with nothing but the referrers API.
func referrersAPI(f http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case strings.Contains(req.URL.Path, "/referrers/"):
			f(w, req)
		case req.URL.Path != "/v2/":
			http.NotFound(w, req)
		}
	})
}

func answerIndex(w http.ResponseWriter, raw string) {
	w.Header().Set("Content-Type", string(types.OCIImageIndex))
	_, _ = w.Write([]byte(raw))
}

// entry returns the n-th of many descriptors.
func entry(n int) v1.Descriptor {
	d, _ := referrer(fmt.Sprint(n), typeA, v1.Descriptor{})
	return d
}

// TestReferrersPages: all pages are read, an entry on two of them is one, and
// the filter is sent, be it heeded or not.
func TestReferrersPages(t *testing.T) {
	subject, _ := manifest("subject")
	other := entry(9)
	other.ArtifactType = typeB
	pages := map[string]struct{ raw, next string }{
		"":  {indexOf(t, entry(0), entry(1)), `</v2/a/referrers/` + subject.Digest.String() + `?n=2>; rel="next"`},
		"2": {indexOf(t, entry(1), entry(2)), `<?n=1>; rel="prev", <?n=3&x=%2F>; title="a"; rel=next`},
		"3": {indexOf(t, entry(3), other), `<?n=2>; rel="prev"`},
	}
	filters := 0
	repo := open(t, serve(t, referrersAPI(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Get("artifactType") == typeA {
			filters++
			w.Header().Set("OCI-Filters-Applied", "artifactType")
		}
		p := pages[req.URL.Query().Get("n")]
		w.Header().Set("Link", p.next)
		answerIndex(w, p.raw)
	}))+"/a", remote.Options{}).Repo
	wantListed(t, repo, subject, "", entry(0), entry(1), entry(2), entry(3), other)
	wantListed(t, repo, subject, typeA, entry(0), entry(1), entry(2), entry(3))
	if filters == 0 {
		t.Error("the registry was not asked for the type")
	}
}

// TestHostileReferrers: lists without end, elsewhere, or of nonsense are errors
// that name the subject.
func TestHostileReferrers(t *testing.T) {
	subject, _ := manifest("subject")
	endless := 0
	page := func(link string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", link)
			answerIndex(w, indexOf(t))
		}
	}
	text := func(raw string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { answerIndex(w, raw) }
	}
	untyped := make([]v1.Descriptor, 300)
	for i := range untyped {
		untyped[i], _ = manifest(fmt.Sprint(i))
	}
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		kind   error
	}{
		"pages without end": {func(w http.ResponseWriter, _ *http.Request) {
			endless++
			w.Header().Set("Link", fmt.Sprintf(`<?n=%d>; rel="next"`, endless))
			answerIndex(w, indexOf(t, entry(endless)))
		}, remote.ErrTooLarge},
		"another host":         {page(`<http://example.com/v2/a/referrers/x>; rel="next"`), remote.ErrContent},
		"another repository":   {page(`</v2/b/referrers/x>; rel="next"`), remote.ErrContent},
		"another by dots":      {page(`</v2/a/../b/referrers/x>; rel="next"`), remote.ErrContent},
		"no address":           {page(`<%zz>; rel="next"`), remote.ErrContent},
		"no JSON":              {text("nonsense"), remote.ErrContent},
		"no array":             {text(`{"manifests": {}}`), remote.ErrContent},
		"entry is no object":   {text(`{"manifests": [1]}`), remote.ErrContent},
		"entry without digest": {text(`{"manifests": [{"size": 1}]}`), remote.ErrContent},
		"negative size":        {text(`{"manifests": [{"size": -1, "digest": "sha256:` + someHex + `"}]}`), remote.ErrContent},
		"4 MiB and more":       {text(`{"manifests": []}` + strings.Repeat(" ", remote.MaxManifest)), remote.ErrTooLarge},
		"entries without end": {text(`{"manifests": [` + strings.Repeat(`{"size":1,"digest":"sha256:`+someHex+`"},`, 10_000) +
			`{"size":1,"digest":"sha256:` + someHex + `"}]}`), remote.ErrTooLarge},
		"untyped without end": {text(indexOf(t, untyped...)), remote.ErrTooLarge},
		"credentials": {func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Link", `<http://u:p@`+req.Host+`/v2/a/referrers/x>; rel="next"`)
			answerIndex(w, indexOf(t))
		}, remote.ErrContent},
		"changes its mind": {func(w http.ResponseWriter, req *http.Request) {
			if req.URL.RawQuery == "" {
				w.Header().Set("Link", `<?n=1>; rel="next"`)
				answerIndex(w, indexOf(t))
			}
		}, remote.ErrContent},
	} {
		t.Run(name, func(t *testing.T) {
			repo := open(t, serve(t, referrersAPI(tc.answer))+"/a", remote.Options{}).Repo
			_, err := repo.Referrers(t.Context(), subject.Digest, "")
			if !errors.Is(err, tc.kind) {
				t.Errorf("got %v, want %v", err, tc.kind)
			}
			wantTexts(t, err, repo.Name(), subject.Digest.String())
		})
	}
}

// TestNoReferrersAPI: what registries without the API answer is no error, and
// they are asked for it once.
func TestNoReferrersAPI(t *testing.T) {
	subject, _ := manifest("subject")
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		asked  int
	}{
		"plain 404":   {http.NotFound, 1},
		"a web page":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>hello</html>")) }, 1},
		"other JSON":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"errors": []}`)) }, 1},
		"not allowed": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) }, 1},
		"bad request": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }, 2},
		"unknown name": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"errors": [{"code": "NAME_UNKNOWN"}]}`))
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			rec := &recorder{next: referrersAPI(tc.answer)}
			repo := open(t, serve(t, rec)+"/a", remote.Options{}).Repo
			wantListed(t, repo, subject, "")
			wantListed(t, repo, subject, "")
			if n := rec.count("GET", "/referrers/"+subject.Digest.String()); n != tc.asked {
				t.Errorf("the registry was asked %d times, want %d", n, tc.asked)
			}
		})
	}
}

// TestReferrersDenied: a registry that hides the list is not one without.
func TestReferrersDenied(t *testing.T) {
	subject, _ := manifest("subject")
	repo := open(t, serve(t, referrersAPI(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))+"/a", remote.Options{}).Repo
	if _, err := repo.Referrers(t.Context(), subject.Digest, ""); !errors.Is(err, remote.ErrUnauthorized) {
		t.Errorf("got %v, want ErrUnauthorized", err)
	}
	if _, err := repo.Referrers(t.Context(), v1.Hash{}, ""); !errors.Is(err, remote.ErrContent) {
		t.Errorf("no digest: got %v, want ErrContent", err)
	}
}
