// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestStall: a body of which nothing comes any more ends with an error, on a
// connection that stays up; one that is only asked for slowly does not.
func TestStall(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "begin")
		_ = http.NewResponseController(w).Flush()
		<-release
		_, _ = io.WriteString(w, "end")
	}))
	defer server.Close()
	get := func(timeout time.Duration) io.ReadCloser {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		watchBody(resp, timeout, cancel)
		return resp.Body
	}

	body := get(50 * time.Millisecond)
	data, err := io.ReadAll(body)
	if string(data) != "begin" || err == nil || !strings.Contains(err.Error(), "sent nothing for 50ms") {
		t.Errorf("read %q, %v", data, err)
	}
	_ = body.Close()

	body = get(time.Minute)
	if _, err := io.ReadFull(body, make([]byte, 5)); err != nil {
		t.Error(err)
	}
	close(release)
	if data, err := io.ReadAll(body); string(data) != "end" || err != nil {
		t.Errorf("read %q, %v", data, err)
	}
	_ = body.Close()
}
