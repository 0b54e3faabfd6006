// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// outgoing is a blob on its way from one repository to another: the body of a
// request. It is opened when first read, and its last bytes are handed out only
// when digest and size are right: a wrong blob never arrives whole.
type outgoing struct {
	d      v1.Descriptor
	origin string // the name of the source
	open   func() (io.ReadCloser, error)
	cancel context.CancelFunc // ends the source's stream

	complete atomic.Bool // every byte was handed out
	closed   atomic.Bool
	broke    atomic.Pointer[error]

	mu   sync.Mutex // for what follows: Close may come while Read waits
	src  io.ReadCloser
	hash hash.Hash
	n    int64 // bytes read
	end  error // of all further reads
}

func newOutgoing(ctx context.Context, s source) *outgoing {
	ctx, cancel := context.WithCancel(ctx)
	return &outgoing{
		d: s.d, origin: s.repo.Name(), cancel: cancel,
		// How often the request is sent is not how often the source is asked.
		open: func() (io.ReadCloser, error) { return s.repo.Blob(often(ctx), s.d) },
	}
}

// failure returns what was wrong with the source or its content, nil if nothing
// was.
func (o *outgoing) failure() error {
	if err := o.broke.Load(); err != nil {
		return *err
	}
	return nil
}

func (o *outgoing) Read(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.end != nil {
		return 0, o.end
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := o.read(p)
	if err != nil {
		o.end = err
		// What goes wrong because the request ended is not the source's fault.
		if !o.closed.Load() {
			if _, ok := errors.AsType[*Error](err); !ok {
				err = newError(o.origin, asked{what: aBlob, name: o.d.Digest.String()}.String(), err)
			}
			o.broke.Store(&err)
		}
		return 0, o.end
	}
	if o.n == o.d.Size {
		o.end = io.EOF
		o.complete.Store(true)
	}
	return n, nil
}

// read returns the next bytes of the source, checked if they are the last.
func (o *outgoing) read(p []byte) (int, error) {
	if o.src == nil {
		var err error
		if o.hash, err = v1.Hasher(o.d.Digest.Algorithm); err != nil {
			return 0, err
		}
		if o.src, err = o.open(); err != nil {
			return 0, err
		}
	}
	n, err := o.src.Read(p)
	o.n += int64(n)
	_, _ = o.hash.Write(p[:n])
	if o.n < o.d.Size {
		if errors.Is(err, io.EOF) {
			return 0, wrongSize(o.n, o.d)
		}
		return n, err
	}
	if err == nil && o.n == o.d.Size {
		// A connection that breaks behind the last byte did no harm.
		var extra [1]byte
		k, _ := io.ReadFull(o.src, extra[:])
		o.n += int64(k)
	}
	if o.n > o.d.Size {
		return 0, kinded(ErrContent, fmt.Errorf("the content has more than the %d bytes of its descriptor", o.d.Size))
	}
	got := v1.Hash{Algorithm: o.d.Digest.Algorithm, Hex: hex.EncodeToString(o.hash.Sum(nil))}
	if got != o.d.Digest {
		return 0, kinded(ErrContent, fmt.Errorf("the content has the digest %s", got))
	}
	return n, nil
}

func (o *outgoing) Close() error {
	o.closed.Store(true)
	o.cancel()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.end == nil {
		o.end = errors.New("the body is closed")
	}
	if o.src == nil {
		return nil
	}
	return o.src.Close()
}
