// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

// source gives pieces of an image that is not held as a whole. It remembers
// some pages: what stands together is read together.
type source struct {
	r     io.ReaderAt
	size  uint64 // bytes
	pages [pageCount]page
	buf   []byte // for what is in several pages

	// What was taken so far. Nothing of an image serves twice, and so no more
	// than its size is ever taken.
	left  uint64 // bytes
	taken []extent
}

const (
	pageSize  = 16 << 10 // bytes
	pageCount = 64       // power of two; a page has one place
)

type page struct {
	at   uint64 // of its first byte
	data []byte // nil if there is none yet
}

// extent is where something stands, in bytes from the beginning.
type extent struct{ start, end uint64 }

func newSource(r io.ReaderAt, size uint64) *source {
	return &source{r: r, size: size, left: size}
}

// bytes returns n bytes, valid until the next call. The error is ErrBounds or
// the reader's.
func (s *source) bytes(at, n uint64) ([]byte, error) {
	if at > s.size || n > s.size-at {
		return nil, fmt.Errorf("%w: %d bytes at %#x, of %d", ErrBounds, n, at, s.size)
	}
	if n == 0 {
		return nil, nil
	}
	if at/pageSize == (at+n-1)/pageSize {
		data, err := s.page(at / pageSize)
		if err != nil {
			return nil, err
		}
		return data[at%pageSize:][:n], nil
	}
	s.buf = s.buf[:0]
	for n > 0 {
		data, err := s.page(at / pageSize)
		if err != nil {
			return nil, err
		}
		piece := data[at%pageSize:]
		piece = piece[:min(n, uint64(len(piece)))]
		s.buf = append(s.buf, piece...)
		at, n = at+uint64(len(piece)), n-uint64(len(piece))
	}
	return s.buf, nil
}

func (s *source) page(number uint64) ([]byte, error) {
	p := &s.pages[number%pageCount]
	at := number * pageSize
	if p.data != nil && p.at == at {
		return p.data, nil
	}
	data := slices.Grow(p.data[:0], pageSize)[:min(pageSize, s.size-at)]
	p.data = nil // whatever happens below, it no longer has what it had
	n, err := s.r.ReadAt(data, int64(at))
	if n < len(data) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // the size that was told is not the size
		}
		return nil, &readerError{err}
	}
	*p = page{at, data}
	return data, nil
}

// readerError is an error of the reader, which is not about the image.
type readerError struct{ err error }

func (e *readerError) Error() string { return e.err.Error() }

func (e *readerError) Unwrap() error { return e.err }

// take notes that the bytes are used. The error is ErrBounds, or ErrOverlap
// where something must have been taken before; checkTaken finds the rest.
func (s *source) take(at, n uint64) error {
	if n == 0 {
		return nil
	}
	if at > s.size || n > s.size-at {
		return fmt.Errorf("%w: %d bytes at %#x, of %d", ErrBounds, n, at, s.size)
	}
	if n > s.left {
		return ErrOverlap
	}
	s.left -= n
	s.taken = append(s.taken, extent{at, at + n})
	return nil
}

// checkTaken returns where something was taken twice, and whether there is such
// a place.
func (s *source) checkTaken() (at uint64, twice bool) {
	slices.SortFunc(s.taken, func(a, b extent) int { return cmp.Compare(a.start, b.start) })
	for i := 1; i < len(s.taken); i++ {
		if s.taken[i].start < s.taken[i-1].end {
			return s.taken[i].start, true
		}
	}
	return 0, false
}
