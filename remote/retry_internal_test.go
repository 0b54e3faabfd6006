// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRetryAfter: both forms of RFC 9110, 10.2.3, and nothing for what is neither.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"7":                              7 * time.Second,
		" 120 ":                          2 * time.Minute,
		"-1":                             0,
		"1.5":                            0,
		"soon":                           0,
		"99999999999999999999":           1 << 31 * time.Second,
		"Fri, 02 Jan 2026 03:04:35 GMT":  30 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT":  0,
		"Friday, 02-Jan-26 03:05:05 GMT": time.Minute,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// TestPausesGrow: each is about twice the one before, up to a limit, with a
// random part; one that was asked for is never shorter than that.
func TestPausesGrow(t *testing.T) {
	p := patience{pause: time.Second}
	for n, seconds := range []int{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		most := time.Duration(seconds) * time.Second
		for range 50 {
			if d := p.length(n, 0); d < most/2 || d >= most {
				t.Fatalf("retry %d waits %v, want %v to %v", n, d, most/2, most)
			}
			if d := p.length(n, 10*time.Second); d < 10*time.Second || d >= 11*time.Second {
				t.Fatalf("retry %d waits %v when asked for 10s", n, d)
			}
		}
	}
	if d := (patience{pause: 1}).length(1000, 0); d < 0 || d > maxPause {
		t.Errorf("retry 1000 waits %v", d)
	}
}

// sleeper records what is slept instead of sleeping.
type sleeper struct{ slept []time.Duration }

func (s *sleeper) sleep(_ context.Context, d time.Duration) error {
	s.slept = append(s.slept, d)
	return nil
}

// scripted answers with one header after the other.
type scripted struct {
	answers []http.Header
	status  int
	sent    int
}

func (s *scripted) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: req}
	if s.sent < len(s.answers) {
		resp.StatusCode, resp.Header = s.status, s.answers[s.sent]
		resp.Body = io.NopCloser(strings.NewReader("no"))
	}
	s.sent++
	return resp, nil
}

func get(t *testing.T, ctx context.Context) *http.Request { //nolint:revive // t comes first in tests
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://r.example/v2/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// TestRetryAfterIsHonoured: it is waited for at least as long as the registry
// asked for, in either form.
func TestRetryAfterIsHonoured(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		var s sleeper
		wire := &scripted{status: status, answers: []http.Header{
			{"Retry-After": {"3"}},
			{"Retry-After": {time.Now().Add(100 * time.Second).UTC().Format(http.TimeFormat)}},
			{},
		}}
		r := retrier{next: wire, patience: patience{retries: 3, pause: time.Millisecond, sleep: s.sleep}}
		resp, err := r.RoundTrip(get(t, t.Context()))
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("got %v, %v", resp, err)
		}
		_ = resp.Body.Close()
		if len(s.slept) != 3 || s.slept[0] < 3*time.Second || s.slept[1] < 90*time.Second || s.slept[2] > time.Second {
			t.Errorf("%d: slept %v, want 3s, 100s and some milliseconds", status, s.slept)
		}
	}
}

// TestRetryAfterTooLong: nobody waits for an hour; the error says that the
// registry wants it, also where no retry is left.
func TestRetryAfterTooLong(t *testing.T) {
	for retries := range 2 {
		var s sleeper
		wire := &scripted{status: http.StatusTooManyRequests, answers: []http.Header{{"Retry-After": {"3600"}}}}
		r := retrier{next: wire, patience: patience{retries: retries, sleep: s.sleep}}
		resp, err := r.RoundTrip(get(t, t.Context()))
		if err == nil {
			_ = resp.Body.Close()
			t.Fatal("no error")
		}
		if status(err) != http.StatusTooManyRequests || !strings.Contains(err.Error(), "1h0m0s") {
			t.Errorf("got %v", err)
		}
		if len(s.slept) != 0 || wire.sent != 1 {
			t.Errorf("slept %v, sent %d", s.slept, wire.sent)
		}
	}
}

// TestRetriesEndWithTheContext: a wait does not outlast the run, and the error
// says what was waited for.
func TestRetriesEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	wire := &scripted{status: http.StatusServiceUnavailable, answers: make([]http.Header, 9)}
	r := retrier{next: wire, patience: patience{retries: 8, pause: time.Hour, sleep: func(ctx context.Context, d time.Duration) error {
		cancel()
		return pause(ctx, d)
	}}}
	resp, err := r.RoundTrip(get(t, ctx))
	if err == nil {
		_ = resp.Body.Close()
		t.Fatal("no error")
	}
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "503") || wire.sent != 1 {
		t.Errorf("got %v after %d requests", err, wire.sent)
	}
}

// TestRepeatable: what must not happen twice is sent once.
func TestRepeatable(t *testing.T) {
	for _, tc := range []struct {
		method, path string
		body         io.Reader
		want         bool
	}{
		{http.MethodGet, "manifests/v1", nil, true},
		{http.MethodHead, "manifests/v1", nil, true},
		{http.MethodPost, "blobs/uploads/", nil, true},
		{http.MethodPut, "manifests/sha256:00", strings.NewReader("x"), true},
		{http.MethodPut, "blobs/uploads/1?digest=sha256:00", strings.NewReader("x"), true},
		{http.MethodPut, "manifests/v1", strings.NewReader("x"), false},
		{http.MethodPatch, "blobs/uploads/1", strings.NewReader("x"), false},
		{http.MethodDelete, "blobs/uploads/1", nil, false},
		{http.MethodPut, "manifests/sha256:00", io.MultiReader(strings.NewReader("x")), false},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tc.method, "http://r.example:5000/v2/a/"+tc.path, tc.body)
		if err != nil {
			t.Fatal(err)
		}
		if got := repeatable(req); got != tc.want {
			t.Errorf("%s %s: %t, want %t", tc.method, tc.path, got, tc.want)
		}
	}
}

// TestIsHost: a port may be left out on either side, and nothing else.
func TestIsHost(t *testing.T) {
	for _, tc := range []struct {
		url, registry string
		want          bool
	}{
		{"https://quay.io/v2/", "quay.io", true},
		{"https://quay.io:443/v2/", "quay.io", true},
		{"http://quay.io/v2/", "quay.io:80", true},
		{"https://quay.io:5000/v2/", "quay.io", false},
		{"https://cdn.quay.io/v2/", "quay.io", false},
		{"https://quay.io.example/v2/", "quay.io", false},
		{"http://[::1]:5000/v2/", "[::1]:5000", true},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tc.url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if got := isHost(req.URL, tc.registry); got != tc.want {
			t.Errorf("%s is %s: %t, want %t", tc.url, tc.registry, got, tc.want)
		}
	}
}

// TestChallengeScope: the scope that a 401 asks for, and only as a parameter.
func TestChallengeScope(t *testing.T) {
	for text, want := range map[string]string{
		`Bearer realm="https://a/t",service="a",scope="repository:x:pull"`: "repository:x:pull",
		`Bearer Scope="x", realm="https://a/t"`:                            "x",
		`Bearer realm="https://a/t?scope=y"`:                               "",
		fmt.Sprintf(`Bearer scope=%q`, strings.Repeat("x", 501)):           "",
	} {
		c := challenge{values: []string{text}}
		if got := c.scope(); got != want || !c.isBearer() {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
