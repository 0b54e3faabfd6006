// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// takers is a transport for those who take what they are sent: a request whose
// body nobody reads for the time of stall ends with an error. The transport below
// waits for an answer only once the body is gone.
type takers struct {
	next  http.RoundTripper
	stall time.Duration
}

func (t takers) RoundTrip(in *http.Request) (*http.Response, error) {
	if in.Body == nil || in.Body == http.NoBody {
		return t.next.RoundTrip(in)
	}
	ctx, cancel := context.WithCancelCause(in.Context())
	watch := newTakeWatch(t.stall, cancel)
	defer watch.stop()
	out := in.WithContext(ctx)
	out.Body = &takenBody{ReadCloser: in.Body, watch: watch, left: in.ContentLength}
	if in.GetBody != nil {
		// The transport below may send the request again by itself.
		out.GetBody = func() (io.ReadCloser, error) {
			body, err := in.GetBody()
			return &takenBody{ReadCloser: body, watch: watch, left: in.ContentLength}, err
		}
	}
	resp, err := t.next.RoundTrip(out)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errTakesNothing) {
			err = cause
		}
		cancel(nil)
		return nil, err
	}
	return resp, nil // the context ends with that of the request
}

// takenBody tells its watch when it is read.
type takenBody struct {
	io.ReadCloser
	watch *takeWatch
	left  int64
}

func (b *takenBody) Read(p []byte) (int, error) {
	b.watch.pause()
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	b.watch.resume(b.left <= 0)
	return n, err
}

// passingError is worth another try.
type passingError string

func (e passingError) Error() string { return string(e) }
func (passingError) Temporary() bool { return true }

// errTakesNothing is a request that the registry stopped to read.
var errTakesNothing = passingError(fmt.Sprintf("the registry took nothing for %v", stallTimeout))

// takeWatch ends a request whose body nobody reads. The time in which the body
// itself is waited for does not count.
type takeWatch struct {
	timer   *time.Timer
	timeout time.Duration
}

func newTakeWatch(timeout time.Duration, cancel context.CancelCauseFunc) *takeWatch {
	return &takeWatch{timeout: timeout, timer: time.AfterFunc(timeout, func() { cancel(errTakesNothing) })}
}

func (w *takeWatch) pause() { w.timer.Stop() }

// resume starts the watch. Behind the last byte, the registry has its time to
// answer besides.
func (w *takeWatch) resume(complete bool) {
	t := w.timeout
	if complete {
		t += answerTimeout
	}
	w.timer.Reset(t)
}

func (w *takeWatch) stop() { w.timer.Stop() }
