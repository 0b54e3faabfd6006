// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	fetchBuffer  = 256 << 10 // bytes
	fetchBuffers = 6         // that may wait to be decoded
)

// stream is a blob on its way from the network to the decoder: a reader over
// buffers that fetch fills ahead.
type stream struct {
	layer    *Layer
	progress func(n int)

	full chan []byte
	free chan []byte
	err  error // how fetch ended; to be read when full is closed

	current []byte // what Read has left of a buffer
	buffer  []byte // that buffer

	// slots has room for as many as may decode at once. A slot is held while
	// Read is called, and let go of while it waits.
	slots chan struct{}
}

func newStream(layer *Layer, slots chan struct{}, progress func(n int)) *stream {
	s := &stream{
		layer:    layer,
		progress: progress,
		slots:    slots,
		full:     make(chan []byte, fetchBuffers),
		free:     make(chan []byte, fetchBuffers),
	}
	for range fetchBuffers {
		s.free <- nil // allocated on first use
	}
	return s
}

// fetch reads the blob to its end and checks it.
func (s *stream) fetch(ctx context.Context) error {
	s.err = s.copy(ctx)
	close(s.full)
	return s.err
}

func (s *stream) copy(ctx context.Context) error {
	body, err := s.layer.Open(ctx)
	if err != nil {
		if s.layer.Foreign && errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w (%w)", ErrForeign, err)
		}
		return err
	}
	defer body.Close()
	stop := context.AfterFunc(ctx, func() { _ = body.Close() }) // ends a Read that hangs
	defer stop()

	hash, err := newHash(s.layer.Digest)
	if err != nil {
		return err
	}
	var size int64
	for {
		buf, err := s.freeBuffer(ctx)
		if err != nil {
			return err
		}
		n, err := fill(body, buf)
		size += int64(n)
		if size > s.layer.Size {
			return fmt.Errorf("%w: more than %d bytes", ErrSize, s.layer.Size)
		}
		_, _ = hash.Write(buf[:n])
		s.progress(n)
		if n > 0 {
			select {
			case s.full <- buf[:n]:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err == io.EOF { //nolint:errorlint // a reader ends with io.EOF itself
			return s.verify(size, hash.Sum(nil))
		}
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("the transfer broke after %d of %d bytes; try again: %w", size, s.layer.Size, err)
		}
	}
}

func (s *stream) verify(size int64, sum []byte) error {
	if size != s.layer.Size {
		return fmt.Errorf("%w: %d bytes, not %d", ErrSize, size, s.layer.Size)
	}
	if got := hex.EncodeToString(sum); got != s.layer.Digest.Hex {
		return fmt.Errorf("%w: its digest is %s:%s", ErrDigest, s.layer.Digest.Algorithm, got)
	}
	return nil
}

// newHash returns the hash function of a digest (OCI image specification,
// descriptor.md, "Registered algorithms").
func newHash(digest v1.Hash) (hash.Hash, error) {
	switch digest.Algorithm {
	case "sha256":
		return sha256.New(), nil
	case "sha512":
		return sha512.New(), nil
	}
	return nil, fmt.Errorf("%w: %s", ErrAlgorithm, digest)
}

func (s *stream) freeBuffer(ctx context.Context) ([]byte, error) {
	select {
	case buf := <-s.free:
		if buf == nil {
			buf = make([]byte, fetchBuffer)
		}
		return buf[:fetchBuffer], nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Read gives what was fetched, and at the end what fetch found: io.EOF only if
// the blob is whole and right.
func (s *stream) Read(p []byte) (int, error) {
	if len(s.current) == 0 && !s.next() {
		if s.err != nil {
			return 0, s.err
		}
		return 0, io.EOF
	}
	n := copy(p, s.current)
	s.current = s.current[n:]
	return n, nil
}

// next makes the next buffer the current one, and reports whether there is
// one.
func (s *stream) next() bool {
	if s.buffer != nil {
		s.free <- s.buffer // has room for all buffers there are
		s.buffer = nil
	}
	var ok bool
	select {
	case s.buffer, ok = <-s.full:
	default:
		<-s.slots
		s.buffer, ok = <-s.full
		s.slots <- struct{}{}
	}
	s.current = s.buffer
	return ok
}

// finish reads what the decoder left, and returns what fetch found.
func (s *stream) finish() error {
	for s.next() {
	}
	return s.err
}
