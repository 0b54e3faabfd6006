// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/remote"
)

// TestNotFound: a 404 says whether repository, tag, manifest or blob is missing.
func TestNotFound(t *testing.T) {
	host := serve(t, newRegistry())
	repo := open(t, host+"/there", remote.Options{}).Repo
	push(t, repo, "v1", "x")
	gone := open(t, host+"/gone", remote.Options{}).Repo
	d, _ := manifest("y")
	for name, tc := range map[string]struct {
		read  func() error
		texts []string
	}{
		"tag":        {func() error { _, _, err := repo.Resolve(t.Context(), "v2", ""); return err }, []string{"/there: read tag v2: no such tag"}},
		"manifest":   {func() error { _, err := repo.Manifest(t.Context(), d); return err }, []string{"no such manifest", d.Digest.String()}},
		"digest":     {func() error { _, _, err := repo.Resolve(t.Context(), "", d.Digest.String()); return err }, []string{"no such manifest"}},
		"blob":       {func() error { _, err := repo.Blob(t.Context(), d); return err }, []string{"not this blob", "image is incomplete", d.Digest.String()}},
		"repository": {func() error { _, _, err := gone.Resolve(t.Context(), "v1", ""); return err }, []string{host + "/gone", "no such repository"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.read()
			if !errors.Is(err, remote.ErrNotFound) {
				t.Errorf("got %v, want ErrNotFound", err)
			}
			wantTexts(t, err, tc.texts...)
		})
	}
}

// TestNoSuchRepositoryOnPush: some registries want repositories created.
func TestNoSuchRepositoryOnPush(t *testing.T) {
	repo := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/v2/" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"errors":[{"code":"NAME_UNKNOWN","message":"no"}]}`)
		}
	}))+"/a", remote.Options{}).Repo
	d, raw := manifest("x")
	for name, err := range map[string]error{
		"CheckPush":    repo.CheckPush(t.Context()),
		"PushBlob":     repo.PushBlob(t.Context(), d, raw),
		"PushManifest": repo.PushManifest(t.Context(), d, raw),
	} {
		if !errors.Is(err, remote.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
		wantTexts(t, err, "created before the first push")
	}
}

// TestNoRegistry: what is no answer of a registry is none of the known kinds,
// and a cancelled context stays one.
func TestNoRegistry(t *testing.T) {
	ref := open(t, "127.0.0.1:1/a:v1", remote.Options{})
	_, _, err := ref.Resolve(t.Context())
	wantTexts(t, err, "127.0.0.1:1/a", "read tag v1", "refused")
	for _, kind := range []error{remote.ErrNotFound, remote.ErrUnauthorized, remote.ErrContent} {
		if errors.Is(err, kind) {
			t.Errorf("%v is %v", err, kind)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := ref.Resolve(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// TestSecretsStayOut: the signed addresses of storage are no part of errors.
func TestSecretsStayOut(t *testing.T) {
	d, _ := manifest("x")
	for name, target := range map[string]string{
		"no server": "http://127.0.0.1:1/blob?sig=hidden",
		"a refusal": "http://" + serve(t, http.NotFoundHandler()) + "/blob?sig=hidden",
	} {
		repo := open(t, serve(t, answer("/blobs/", func(w http.ResponseWriter) {
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}))+"/a", remote.Options{}).Repo
		_, err := repo.Blob(t.Context(), d)
		if err == nil {
			t.Fatal(name + ": no error")
		}
		var e *remote.Error
		if !errors.As(err, &e) || contains(err, "hidden") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// says is a transport that answers everything below a path with a status.
type says struct {
	path   string
	status int
}

func (s says) RoundTrip(req *http.Request) (*http.Response, error) {
	status := http.StatusOK
	if strings.Contains(req.URL.Path, s.path) {
		status = s.status
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

// TestBareStatus: a status without an explanation has one here.
func TestBareStatus(t *testing.T) {
	for _, tc := range []struct {
		ref    string
		status int
		kind   error
		text   string
	}{
		{"fedora", http.StatusUnauthorized, remote.ErrUnauthorized, "log in with docker login docker.io or podman login docker.io"},
		{"quay.io/a/b", http.StatusForbidden, remote.ErrUnauthorized, "podman login quay.io"},
		{"quay.io/a/b:v1", http.StatusNotFound, remote.ErrNotFound, "no such tag or no such repository"},
		{"quay.io/a/b", http.StatusTeapot, nil, "418"},
	} {
		ref := open(t, tc.ref, remote.Options{Transport: says{"/manifests/", tc.status}})
		_, _, err := ref.Resolve(t.Context())
		if tc.kind != nil && !errors.Is(err, tc.kind) {
			t.Errorf("%s %d: got %v, want %v", tc.ref, tc.status, err, tc.kind)
		}
		wantTexts(t, err, tc.text, ref.Repo.Name())
	}
}

// TestTooManyRequests: the way out of a rate limit.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	_, _, err := open(t, "quay.io/a/b", remote.Options{Transport: says{"/manifests/", http.StatusTooManyRequests}}).Resolve(t.Context())
	wantTexts(t, err, "429", "wait, or log in")
}

func ExampleError() {
	_, err := remote.Open(background, "quay.io/Fedora/fedora-bootc:43", remote.Options{})
	fmt.Println(errors.Is(err, remote.ErrReference))
	if e, ok := errors.AsType[*remote.Error](err); ok {
		fmt.Println(e.Hint)
	}
	// Output:
	// true
	// repositories are written in lowercase
}

func ExampleOpen() {
	ref, err := remote.Open(background, "quay.io/fedora/fedora-bootc:43", remote.Options{UserAgent: "example/1.0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ref.Repo.Name(), ref.Tag)
	// Output: quay.io/fedora/fedora-bootc 43
}
