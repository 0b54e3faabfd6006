// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// maxPause is how long the pauses grow that a registry did not ask for.
	maxPause = time.Minute
	// maxTold is the longest pause that a registry gets by asking for it. One
	// that wants more is not waited for: the error says how much.
	maxTold = 5 * time.Minute
)

// patience is how often a registry is asked again, and after which time.
type patience struct {
	retries int // after the first attempt
	pause   time.Duration
	sleep   func(context.Context, time.Duration) error
}

func patienceOf(o Options) patience {
	return patience{
		retries: max(0, cmp.Or(o.Retries, DefaultRetries)),
		pause:   cmp.Or(o.RetryPause, DefaultRetryPause),
		sleep:   pause,
	}
}

// length returns what lies before retry n, which is counted from 0: what the
// registry asked for if it did, or twice of what was before retry n-1. A part is
// random: those who were sent away together shall not come back together.
func (p patience) length(n int, told time.Duration) time.Duration {
	if told > 0 {
		return told + jitter(p.pause)
	}
	d := p.pause
	for range n {
		d = min(2*d, max(maxPause, p.pause))
	}
	return d/2 + jitter(d/2)
}

func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}

// after waits before retry n, where cause is why it is needed. An error says
// that there will be none.
func (p patience) after(ctx context.Context, n int, cause error) error {
	told := toldBy(cause)
	if n >= p.retries || told > maxTold || ctx.Err() != nil {
		return cause
	}
	if err := p.sleep(ctx, p.length(n, told)); err != nil {
		return fmt.Errorf("%w while waiting to ask again: %w", err, cause)
	}
	return nil
}

// persist calls f until it succeeds or fails for good. Each request of f's is
// sent once: what is repeated is all of f.
func (p patience) persist(ctx context.Context, passing func(error) bool, f func(context.Context) error) error {
	for n := 0; ; n++ {
		err := f(once(ctx))
		if err == nil || ctx.Err() != nil || !passing(err) {
			return orEnd(ctx, err)
		}
		if err := p.after(ctx, n, err); err != nil {
			return err
		}
	}
}

// orEnd says so of an error that ctx was done meanwhile: a connection that
// breaks because of it may say something else.
func orEnd(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}

// pause waits, unless ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retrier sends a request again that failed for reasons which pass, unless its
// context says once.
type retrier struct {
	next http.RoundTripper
	patience
}

type onceKey struct{}

// once returns a context under which each request is sent but once.
func once(ctx context.Context) context.Context {
	return context.WithValue(ctx, onceKey{}, true)
}

// often takes once back.
func often(ctx context.Context) context.Context {
	return context.WithValue(ctx, onceKey{}, false)
}

func (r retrier) RoundTrip(in *http.Request) (*http.Response, error) {
	ctx := in.Context()
	if ctx.Value(onceKey{}) == true || !repeatable(in) {
		resp, err := r.next.RoundTrip(in)
		return resp, orEnd(ctx, err)
	}
	for n := 0; ; n++ {
		resp, err := r.next.RoundTrip(in)
		if ctx.Err() != nil || (err != nil && !passes(err)) || (err == nil && !passingStatus(resp.StatusCode)) {
			return resp, orEnd(ctx, err)
		}
		if err == nil {
			// The last answer is the caller's, unless it is one to which nobody
			// above would see how long the registry wants to be left alone.
			if n >= r.retries && retryAfter(resp.Header, time.Now()) <= maxTold {
				return resp, nil
			}
			err = newAnswer(resp)
		}
		if err := r.after(ctx, n, err); err != nil {
			return nil, err
		}
	}
}

// repeatable reports whether a request that was sent twice does what it does
// once. A tag is not written twice: it could have become somebody else's in
// between. Neither is a part of an upload.
func repeatable(in *http.Request) bool {
	if !rewindable(in) {
		return false
	}
	switch in.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
		return true // a POST asks for a token, or starts an upload
	case http.MethodPut:
		_, manifest, _ := strings.Cut(in.URL.Path, "/manifests/")
		return strings.Contains(manifest, ":") || in.URL.Query().Has("digest")
	}
	return false
}

func rewindable(in *http.Request) bool {
	return in.Body == nil || in.Body == http.NoBody || in.GetBody != nil
}

// passingStatus reports whether an answer is likely to be another next time.
func passingStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		499, // of nginx: the client went away, which was a proxy in front of it
		522: // of Cloudflare: the server behind it did not answer
		return true
	}
	return false
}

// passes reports whether an error without an answer is likely to be gone next
// time.
func passes(err error) bool {
	for _, cause := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, cause) {
			return true
		}
	}
	var t interface{ Temporary() bool }
	if errors.As(err, &t) && t.Temporary() {
		return true
	}
	// These have no types outside of net/http.
	text := err.Error()
	return strings.Contains(text, "http2: ") || strings.Contains(text, "stream error: ") ||
		strings.Contains(text, "server closed idle connection")
}

// transient is passes for answers, too.
func transient(err error) bool {
	if s := status(err); s != 0 {
		return passingStatus(s)
	}
	return passes(err)
}

// retryAfter returns how long the registry wants not to be asked: seconds, or
// until a date (RFC 9110, 10.2.3). Zero is that it does not say.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		const most = 1 << 31 // 68 years, and no overflow
		return time.Duration(min(seconds, most)) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

// answerError is an answer that is no success.
type answerError struct {
	answer *transport.Error
	wait   time.Duration // what the registry asked for; 0 if it did not
	stale  bool          // it was about a token that the registry had just given
}

// maxAnswer is how much of an answer that is no success is read, in bytes. The
// library takes no more for an answer at all.
const maxAnswer = 64 << 10

// newAnswer returns the error of an answer and closes its body, unless its status
// is one of ok. What breaks off or is too long is an answer all the same.
func newAnswer(resp *http.Response, ok ...int) error {
	if slices.Contains(ok, resp.StatusCode) {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	read := *resp
	read.Body = io.NopCloser(bytes.NewReader(text))
	err := transport.CheckError(&read)
	answer, isAnswer := errors.AsType[*transport.Error](err)
	if !isAnswer {
		return err
	}
	return &answerError{
		answer: answer,
		wait:   retryAfter(resp.Header, time.Now()),
		stale:  resp.StatusCode == http.StatusUnauthorized && strings.Contains(resp.Header.Get(challengeHeader), `error="invalid_token"`),
	}
}

func (e *answerError) Error() string {
	text := brief(e.answer.Error())
	switch {
	case e.wait > maxTold:
		return fmt.Sprintf("%s (it wants to be left alone for %v, which is too long to wait)", text, e.wait.Round(time.Second))
	case e.wait > 0:
		return fmt.Sprintf("%s (it wants to be left alone for %v)", text, e.wait.Round(time.Second))
	case e.stale:
		return text + " (the registry does not take the token that it has just given)"
	}
	return text
}

func (e *answerError) Unwrap() error { return e.answer }

// toldBy returns how long the registry wants to be left alone, by an error.
func toldBy(err error) time.Duration {
	if e, ok := errors.AsType[*answerError](err); ok {
		return e.wait
	}
	return 0
}
