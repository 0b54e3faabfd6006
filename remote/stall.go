// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// stallTimeout is how long a registry may take, while it is waited for, to
	// send minPace bytes of a body, or what is left of it. The time in which
	// nobody asks for more does not count.
	stallTimeout = time.Minute
	minPace      = 16 << 10
)

// answers is a transport whose answers have bodies that end with an error when
// next to nothing comes for the time of stall. Under a context of whole they are read
// before the answer is given: whoever sends requests again does so for a body
// that broke, too.
type answers struct {
	next  http.RoundTripper
	stall time.Duration
}

type wholeKey struct{}

// whole returns a context under which answers are read whole, up to limit bytes
// and one more, by which the reader can tell that there are more.
func whole(ctx context.Context, limit int64) context.Context {
	return context.WithValue(ctx, wholeKey{}, limit)
}

// inParts takes whole back.
func inParts(ctx context.Context) context.Context {
	return context.WithValue(ctx, wholeKey{}, nil)
}

func (a answers) RoundTrip(in *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(in.Context())
	resp, err := a.next.RoundTrip(in.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	watchBody(resp, a.stall, cancel)
	limit, ok := ctx.Value(wholeKey{}).(int64)
	if !ok || resp.ContentLength > limit {
		return resp, nil // too large is not for here to say
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	// A refusal is one even if its text breaks off.
	if err != nil && (resp.StatusCode < http.StatusBadRequest || in.Context().Err() != nil) {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(b))
	return resp, nil
}

// watchBody makes the body of the response end with an error when the registry
// stalls. cancel ends the request; closing the body calls it.
func watchBody(resp *http.Response, timeout time.Duration, cancel context.CancelFunc) {
	b := &watchedBody{body: resp.Body, timeout: timeout, left: timeout, cancel: cancel}
	b.timer = time.AfterFunc(timeout, b.stall)
	b.timer.Stop()
	resp.Body = b
}

type watchedBody struct {
	body    io.ReadCloser
	timeout time.Duration
	left    time.Duration // for the next bytes to come
	got     int           // of minPace bytes
	cancel  context.CancelFunc
	timer   *time.Timer // runs while Read waits
	stalled atomic.Bool
}

func (b *watchedBody) stall() {
	b.stalled.Store(true)
	b.cancel()
}

func (b *watchedBody) Read(p []byte) (int, error) {
	start := time.Now()
	b.timer.Reset(max(0, b.left))
	n, err := b.body.Read(p)
	b.timer.Stop()
	b.left -= time.Since(start)
	if b.got += n; b.got >= minPace {
		b.got, b.left = 0, b.timeout
	}
	if err != nil && !errors.Is(err, io.EOF) && b.stalled.Load() {
		err = stallError(b.timeout)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.timer.Stop()
	err := b.body.Close()
	b.cancel()
	return err
}

// stallError is a body of which nothing came for a time, or next to nothing.
type stallError time.Duration

func (e stallError) Error() string {
	return fmt.Sprintf("the registry sent nothing for %v, or next to nothing", time.Duration(e))
}

// Temporary says that it is worth another try.
func (stallError) Temporary() bool { return true }
