// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// CopyBlob reads what the layout has already of a blob of that size: a damaged
// one is written anew.
func (l *layout) CopyBlob(ctx context.Context, d v1.Descriptor, from Repo) error {
	a := asked{what: aBlob, name: d.Digest.String(), write: true}
	return l.fail(a.String(), l.copyBlob(ctx, d, from))
}

func (l *layout) copyBlob(ctx context.Context, d v1.Descriptor, from Repo) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkLimit(d, math.MaxInt64); err != nil {
		return err
	}
	if from == Repo(l) {
		f, err := l.openBlob(d)
		if err != nil {
			return err
		}
		return f.Close()
	}
	if l.isSound(ctx, d) {
		return nil
	}
	return l.files.fill(ctx, blobName(d.Digest), d.Size, func(w io.Writer) error {
		// The source is asked here, and not before: whoever waits for his turn
		// must not keep a registry waiting.
		body, err := from.Blob(ctx, d)
		if err != nil {
			return err
		}
		defer body.Close()
		return copyChecked(ctx, w, body, d)
	})
}

// isSound reports whether the layout has the blob, with its digest and size.
func (l *layout) isSound(ctx context.Context, d v1.Descriptor) bool {
	f, err := l.openBlob(d)
	if err != nil {
		return false
	}
	defer f.Close()
	return copyChecked(ctx, io.Discard, f, d) == nil
}

// copyChecked writes the content of d to w. It fails unless all of it was there
// and has the digest and size.
func copyChecked(ctx context.Context, w io.Writer, r io.Reader, d v1.Descriptor) error {
	hasher, err := v1.Hasher(d.Digest.Algorithm)
	if err != nil {
		return kinded(ErrContent, err)
	}
	r = untilDone(ctx, r)
	n, err := io.Copy(io.MultiWriter(hasher, w), io.LimitReader(r, d.Size))
	if err != nil {
		return err
	}
	if n != d.Size {
		return wrongSize(n, d)
	}
	// One byte more is one too many; asking for it also ends a checked stream.
	switch more, err := io.ReadFull(r, make([]byte, 1)); {
	case more > 0:
		return kinded(ErrContent, fmt.Errorf("the content has more than the %d bytes of its descriptor", d.Size))
	case !errors.Is(err, io.EOF):
		return err
	}
	got := v1.Hash{Algorithm: d.Digest.Algorithm, Hex: hex.EncodeToString(hasher.Sum(nil))}
	if got != d.Digest {
		return kinded(ErrContent, fmt.Errorf("the content has the digest %s", got))
	}
	return nil
}

// untilDone returns a reader of r that ends with the context.
func untilDone(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(b)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
