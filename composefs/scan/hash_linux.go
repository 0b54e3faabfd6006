// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"fmt"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// job is a file that is to be hashed.
type job struct {
	file fd
	is   inode // as it was when the walk came to it
	ino  tree.Ino
	path string
}

// external adds a file that is not in the image itself, and hands it over to
// be hashed.
func (s *scanner) external(ctx context.Context, f fd, is *inode, meta tree.Meta, parent tree.Ino, name string) (tree.Ino, error) {
	file, err := f.reopen()
	if err != nil {
		return 0, err
	}
	ino := s.add(parent, name, func() tree.Ino { return s.tree.NewExternal(meta, is.size, s.zeroSums) })
	select {
	case s.jobs <- job{file, *is, ino, string(s.path)}:
		return ino, nil
	case <-ctx.Done():
		file.close()
		return 0, context.Cause(ctx)
	}
}

// readSize is how much of a file is read at once, in bytes.
const readSize = 256 << 10

// hashAll hashes files until there are none to come.
func (s *scanner) hashAll(ctx context.Context) error {
	sums := make([]byte, 0, len(s.zeroSums))
	batch := fsverity.NewBatch(s.options.Algorithms, func(_ int, of []byte) { sums = append(sums[:0], of...) })
	buf := make([]byte, readSize)
	for j := range s.jobs {
		err := s.hash(ctx, &j, batch, buf)
		j.file.close()
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return &Error{j.path, err}
		}
		s.mu.Lock()
		s.tree.SetSums(j.ino, sums)
		s.mu.Unlock()
	}
	return nil
}

// hash reads the file into the batch, and checks that it is what it was.
func (s *scanner) hash(ctx context.Context, j *job, batch *fsverity.Batch, buf []byte) error {
	var size uint64
	batch.Begin(0)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := j.file.read(buf)
		if err != nil {
			return err
		}
		_, _ = batch.Write(buf[:n]) // never fails
		size += uint64(n)
		s.options.Progress(n)
		if n < len(buf) || size > j.is.size {
			break
		}
	}
	batch.End()
	batch.Flush()
	if size != j.is.size {
		return fmt.Errorf("%w: it has %d bytes, and had %d", ErrChanged, size, j.is.size)
	}
	return j.file.unchanged(&j.is)
}
