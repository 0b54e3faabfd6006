// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxBreaks is how often a stream may break that gets further each time: a
// registry that sends a byte per connection is not listened to for ever.
const maxBreaks = 1000

// stream is the content of a blob. When the registry ends it too early, it is
// asked for the rest, at its own address: the one that it redirects to may be
// good for a few minutes only.
//
// The bytes are as the registry sends them, none twice and none left out, and
// at most one more than the descriptor says. Whether they are the right ones, the
// digest over all of them tells the caller.
type stream struct {
	size   int64
	open   func(offset int64) (io.ReadCloser, error) // under the stream's context
	wait   func(n int, cause error) error            // likewise; fails if there is no retry n
	done   func() error                              // of the stream's context
	fail   func(error) error
	cancel context.CancelFunc

	mu     sync.Mutex // for the two below, which Close reaches while Read waits
	body   io.ReadCloser
	closed bool

	offset  int64 // of the next byte
	breaks  int
	futile  int   // breaks since the last byte
	endedAt int64 // where a body ended as if it were whole; -1: none did
	cause   error // of the last break
	err     error // what Read says from now on
}

// streamError is a stream that did not go on.
type streamError struct {
	offset, size int64
	futile       int
	err          error
}

func (e *streamError) Error() string {
	return fmt.Sprintf("it broke off after %d of %d bytes, and %d attempts to go on failed: %v", e.offset, e.size, e.futile, e.err)
}

func (e *streamError) Unwrap() error { return e.err }

// openStream returns the content of d.
func (r *registry) openStream(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	a := asked{what: aBlob, name: d.Digest.String()}
	parent := ctx
	ctx, cancel := context.WithCancel(ctx)
	body, err := r.blobFrom(ctx, d, 0)
	if err != nil {
		cancel()
		return nil, err
	}
	return &stream{
		size: d.Size, cancel: cancel, body: body, endedAt: -1,
		open: func(offset int64) (io.ReadCloser, error) { return r.blobFrom(once(ctx), d, offset) },
		wait: func(n int, cause error) error { return r.patience.after(ctx, n, cause) },
		done: parent.Err,
		fail: func(err error) error { return r.fail(a, err) },
	}, nil
}

func (s *stream) Read(p []byte) (int, error) {
	left := s.size - s.offset
	if left < 0 {
		return 0, io.EOF // one byte too many: the caller has seen it
	}
	if int64(len(p))-1 > left {
		p = p[:left+1]
	}
	for s.err == nil {
		body := s.current()
		if body == nil {
			s.resume()
			continue
		}
		n, err := body.Read(p)
		s.offset += int64(n)
		if n > 0 {
			s.futile = 0
		}
		switch {
		case err == nil:
			return n, nil
		case s.offset >= s.size:
			s.err = io.EOF // however it ended: all is here
		default:
			s.broke(err)
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, s.err
}

// current returns the body that is read; nil if it broke.
func (s *stream) current() io.ReadCloser {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.err = os.ErrClosed
	}
	return s.body
}

// broke ends a body that ended too early.
func (s *stream) broke(err error) {
	s.mu.Lock()
	_ = s.body.Close()
	s.body = nil
	s.mu.Unlock()
	switch {
	case s.done() != nil:
		s.end(s.done())
	case errors.Is(err, io.EOF) && s.endedAt == s.offset:
		// Twice the same end is the end.
		s.end(wrongSize(s.offset, v1.Descriptor{Size: s.size}))
	case errors.Is(err, io.EOF):
		s.endedAt = s.offset
		s.cause = io.ErrUnexpectedEOF
	default:
		s.cause = err
	}
	s.breaks++
}

// end makes err what Read says, unless it is that the stream was closed.
func (s *stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = s.fail(err)
	if s.closed {
		s.err = os.ErrClosed
	}
}

// resume asks for the rest. If that fails for now, Read calls it again.
func (s *stream) resume() {
	if s.breaks > maxBreaks {
		s.end(fmt.Errorf("the connection broke %d times: %w", s.breaks, s.cause))
		return
	}
	if err := s.wait(s.futile, s.cause); err != nil {
		s.end(&streamError{offset: s.offset, size: s.size, futile: s.futile, err: err})
		return
	}
	s.futile++
	body, err := s.open(s.offset)
	switch {
	case err == nil:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			_ = body.Close()
			return
		}
		s.body = body
	case s.done() != nil:
		s.end(s.done())
	case errors.Is(err, ErrContent), errors.Is(err, ErrUnauthorized), status(err) != 0 && !passingStatus(status(err)):
		s.end(err)
	default:
		s.cause = err // no answer is as good as a break: there was one before
	}
}

// Close ends a Read that waits.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.cancel()
	if s.body == nil {
		return nil
	}
	return s.body.Close()
}

// blobFrom returns the content of d from a byte on.
func (r *registry) blobFrom(ctx context.Context, d v1.Descriptor, offset int64) (io.ReadCloser, error) {
	q := request{method: http.MethodGet, path: "blobs/" + d.Digest.String(), stream: true, ok: []int{http.StatusOK}}
	if offset > 0 {
		// With its end, for registries that want to be told.
		q.header = http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", offset, d.Size-1)}}
		q.ok = append(q.ok, http.StatusPartialContent)
	}
	resp, err := r.do(ctx, q)
	if status(err) == http.StatusRequestedRangeNotSatisfiable {
		return nil, kinded(ErrContent, fmt.Errorf("the registry sent %d bytes and says that there are no more, its descriptor says %d", offset, d.Size))
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusPartialContent {
		err = checkRange(resp.Header.Get("Content-Range"), d, offset)
	} else {
		err = skip(resp, d, offset)
	}
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// skip reads what is before the offset in an answer that has all of d.
func skip(resp *http.Response, d v1.Descriptor, offset int64) error {
	if resp.ContentLength >= 0 && resp.ContentLength != d.Size {
		return wrongSize(resp.ContentLength, d)
	}
	n, err := io.CopyN(io.Discard, resp.Body, offset)
	if err != nil {
		return fmt.Errorf("after %d bytes that were there already: %w", n, err)
	}
	return nil
}

// checkRange fails unless a Content-Range (RFC 9110, 14.4) is of d, from the
// offset on.
func checkRange(text string, d v1.Descriptor, offset int64) error {
	span, total, _ := strings.Cut(strings.TrimPrefix(text, "bytes "), "/")
	first, last, ok := strings.Cut(span, "-")
	from, err := strconv.ParseInt(first, 10, 64)
	if _, lastErr := strconv.ParseInt(last, 10, 64); !ok || err != nil || lastErr != nil || !strings.HasPrefix(text, "bytes ") {
		return kinded(ErrContent, fmt.Errorf("the registry sends a part of the blob and does not say which: Content-Range is %q", text))
	}
	if from != offset {
		return kinded(ErrContent, fmt.Errorf("the registry was asked for the blob from byte %d on and sends it from byte %d on", offset, from))
	}
	if total == "*" {
		return nil
	}
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return kinded(ErrContent, fmt.Errorf("the registry sends a part of the blob and does not say of how much: Content-Range is %q", text))
	}
	if size != d.Size {
		return wrongSize(size, d)
	}
	return nil
}
