// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// deaf is a transport to a registry that takes no bodies of requests.
type deaf struct{ sent int }

func (d *deaf) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPut {
		d.sent++
		defer func() { _ = req.Body.Close() }()
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	code := http.StatusOK
	if strings.Contains(req.URL.Path, "/a/") {
		code = http.StatusNotFound
	}
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

// TestNobodyTakesIt: a registry that reads no request does not make a run hang,
// whatever is sent; it is tried again as others are.
func TestNobodyTakesIt(t *testing.T) {
	wire := &deaf{}
	repo := testRepo(t, "127.0.0.1:1", wire, 10*time.Millisecond)
	d, data := content()
	d.MediaType = types.OCIManifestSchema1
	if err := repo.PushManifest(t.Context(), d, data); !errors.Is(err, errTakesNothing) {
		t.Errorf("got %v, want %v", err, errTakesNothing)
	}
	if wire.sent != 3 {
		t.Errorf("%d attempts, want 3", wire.sent)
	}
}

// TestWatchedBodyIsWhole: a watched body arrives whole, also where the transport below
// sends it a second time by itself.
func TestWatchedBodyIsWhole(t *testing.T) {
	_, data := content()
	var got [][]byte
	wire := taking(func(req *http.Request) (*http.Response, error) {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		got = append(got, b)
		again, err := req.GetBody() // as net/http does on a connection that was gone
		if err != nil {
			return nil, err
		}
		b, err = io.ReadAll(again)
		got = append(got, b)
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, err
	})
	for range 2 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://r.example/", bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := takers{next: wire, stall: time.Hour}.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if len(got) != 4 {
		t.Fatalf("%d bodies", len(got))
	}
	for _, b := range got {
		if !bytes.Equal(b, data) {
			t.Errorf("%d bytes, want %d", len(b), len(data))
		}
	}
}

type taking func(*http.Request) (*http.Response, error)

func (f taking) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// dripping is a body of which a byte comes at a time, each after a while.
type dripping struct {
	ctx  context.Context //nolint:containedctx // of the request, as in net/http
	left int
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.left--; d.left < 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(time.Millisecond):
		p[0] = 'x'
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func (d *dripping) Close() error { return nil }

// TestDrip: a byte now and then does not keep an answer open for ever.
func TestDrip(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	resp := &http.Response{Body: &dripping{ctx, 5000}}
	watchBody(resp, 20*time.Millisecond, cancel)
	b, err := io.ReadAll(resp.Body)
	var stall stallError
	if !errors.As(err, &stall) || len(b) > 100 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	_ = resp.Body.Close()
}

// closing is a body that knows that it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

// noKeys fails to say which credentials there are.
type noKeys struct{}

func (noKeys) Resolve(authn.Resource) (authn.Authenticator, error) { return nil, errors.New("no keys") }

// TestBodyOfUnsentRequest: a request that is not sent, for want of a login, has
// its body closed: streams end there.
func TestBodyOfUnsentRequest(t *testing.T) {
	repo := testRepo(t, "127.0.0.1:1", &deaf{}, time.Hour)
	repo.keys = noKeys{}
	body := &closing{Reader: strings.NewReader("x")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://127.0.0.1:1/", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := repo.session("pull").RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	if err == nil || !body.closed {
		t.Errorf("closed %t, %v", body.closed, err)
	}
}

// TestPrivateHosts: which hosts a registry may not make us write to.
func TestPrivateHosts(t *testing.T) {
	for _, tc := range []struct {
		host, own string
		want      bool
	}{
		{"localhost", "registry.example", true},
		{"localhost.", "registry.example", true},
		{"x.localhost", "10.0.0.1", true},
		{"localhost", "127.0.0.1", false},
		{"localhost", "::1", false},
		{"127.0.0.1", "localhost", true},
		{"10.1.2.3", "registry.example", true},
		{"fe80::1%eth0", "registry.example", true},
		{"::ffff:169.254.169.254", "registry.example", true},
		{"0.0.0.0", "registry.example", true},
		{"storage.example", "registry.example", false},
		{"192.0.2.1", "registry.example", false},
	} {
		if got := isPrivate(tc.host, tc.own); got != tc.want {
			t.Errorf("%s of %s: %t, want %t", tc.host, tc.own, got, tc.want)
		}
	}
}

// TestStoredByAnotherAlgorithm: what a registry says it stored by another algorithm
// is compared where the bytes are there.
func TestStoredByAnotherAlgorithm(t *testing.T) {
	d, data := content()
	right, err := hashOf("sha512", data)
	if err != nil {
		t.Fatal(err)
	}
	wrong := v1.Hash{Algorithm: "sha512", Hex: strings.Repeat("0", 128)}
	for _, tc := range []struct {
		of   source
		said string
		want bool
	}{
		{source{d: d, data: data}, right.String(), true},
		{source{d: d, data: data}, wrong.String(), false},
		{source{d: d, repo: &layout{}}, wrong.String(), true},
		{source{d: d, repo: &layout{}}, "sha256:" + strings.Repeat("0", 64), false},
		{source{d: d, repo: &layout{}}, "", true},
	} {
		if err := tc.of.checkStored(tc.said); (err == nil) != tc.want {
			t.Errorf("%.20s: %v", tc.said, err)
		}
	}
}
