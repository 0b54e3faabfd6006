// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// flush makes the temporary file the archive, if there is anything new. What is
// put while it runs waits for the next flush.
func (a *archive) flush(ctx context.Context) error {
	done, err := a.growth.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	a.mu.Lock()
	held, failed := maps.Clone(a.held), a.failed
	nothing := a.temp == nil && len(held) == 0
	a.mu.Unlock()
	if nothing || failed != nil {
		return failed
	}
	if err := a.write(ctx, held); err != nil {
		a.abandon(fmt.Errorf("writing it has failed before: %w", err))
		return err
	}
	return nil
}

// write writes and publishes the archive, with the files of held in the order of
// their names and the index behind them.
func (a *archive) write(ctx context.Context, held map[string][]byte) error {
	t, err := a.begin(ctx)
	if err != nil {
		return err
	}
	index, ok := held[indexFile]
	if !ok {
		if index, err = a.oldIndex(); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(held)) {
		if name == indexFile {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := t.append(name, int64(len(held[name])), writing(held[name])); err != nil {
			return err
		}
	}
	if _, err := t.append(indexFile, int64(len(index)), writing(index)); err != nil {
		return err
	}
	if err := t.finish(); err != nil {
		return err
	}
	return a.publish(ctx, t, held)
}

// oldIndex returns the index of the archive as it is: one that was put since may
// name what is not written yet.
func (a *archive) oldIndex() ([]byte, error) {
	a.mu.Lock()
	now := a.now
	a.mu.Unlock()
	if now.isBlank() {
		return []byte(newIndex), nil
	}
	return readStored(now, indexFile, MaxManifest)
}

// publish gives the temporary file the archive's name, unless that is not the
// file any more that was opened. The files of held are in it.
func (a *archive) publish(ctx context.Context, t *tarFile, held map[string][]byte) error {
	if err := finish(t.f); err != nil {
		return err
	}
	// The table is that of what was really written. The file is looked at after
	// it was closed, which can change its time on a network.
	now, err := openTarball(ctx, t.f.Name())
	if err != nil {
		return fmt.Errorf("read what was written: %w", err)
	}
	now.path = a.path
	a.mu.Lock()
	old := a.now
	a.mu.Unlock()
	if old != nil {
		unlock, err := lockFile(ctx, a.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil {
			defer unlock()
		}
		if err := a.checkUnchanged(); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if old == nil {
		err = publish(t.f.Name(), a.path)
		if errors.Is(err, fs.ErrExist) {
			err = kinded(ErrTagMoved, fmt.Errorf("somebody else made it in the meantime: %w", err))
		}
	} else if err = os.Rename(t.f.Name(), a.path); err == nil {
		syncDir(filepath.Dir(a.path))
	}
	if err != nil {
		return err
	}
	a.now, a.temp = now, nil
	a.forget(held)
	return nil
}

// forget drops from memory the files that were written, but for those that were
// put anew meanwhile. The caller has the lock.
func (a *archive) forget(written map[string][]byte) {
	for name, b := range written {
		if bytes.Equal(a.held[name], b) {
			delete(a.held, name)
			a.size -= int64(len(b))
		}
	}
}

// tarFile is a tar that is being written.
type tarFile struct {
	f       *os.File
	end     int64 // of its entries; what is behind is of no use
	members map[string]extent
}

// open opens the content of an entry. The file may be closed and get another
// name while it is read.
func (t *tarFile) open(e extent) (io.ReadCloser, int64, error) {
	f, _, err := openFile(t.f.Name())
	if err != nil {
		return nil, 0, err
	}
	return section{io.NewSectionReader(f, e.off, e.size), f}, e.size, nil
}

// append appends an entry with the size bytes that write writes. The header has
// no time and no owner. Archives with the same content differ in nothing but the
// order of the blobs that did not fit into memory or were streamed: they lie as
// they came.
func (t *tarFile) append(name string, size int64, write func(io.Writer) error) (extent, error) {
	w := io.NewOffsetWriter(t.f, t.end)
	entries := tar.NewWriter(w)
	err := entries.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0),
	})
	if err != nil {
		return extent{}, err
	}
	header, err := w.Seek(0, io.SeekCurrent)
	if err != nil {
		return extent{}, err
	}
	if err := write(entries); err != nil {
		return extent{}, err
	}
	// Flush pads, and fails if write wrote too little.
	if err := entries.Flush(); err != nil {
		return extent{}, err
	}
	content := extent{t.end + header, size}
	t.end = roundUp(content.end())
	return content, nil
}

// copyChunk is how many bytes are copied before the context is asked again.
const copyChunk = 64 << 20

// copyOld copies the entries of the old archive as they are. File systems that
// can will share the bytes.
func (t *tarFile) copyOld(ctx context.Context, old *tarball) error {
	f, err := old.reopen()
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := t.f.Seek(t.end, io.SeekStart); err != nil {
		return err
	}
	for _, e := range old.table.keep {
		if _, err := f.Seek(e.off, io.SeekStart); err != nil {
			return err
		}
		for left := e.size; left > 0; {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := io.CopyN(t.f, f, min(left, copyChunk))
			if err != nil {
				return err
			}
			left -= n
		}
		t.end += e.size
	}
	return nil
}

// finish ends the tar.
func (t *tarFile) finish() error {
	w := io.NewOffsetWriter(t.f, t.end)
	if err := tar.NewWriter(w).Close(); err != nil {
		return err
	}
	n, err := w.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	return t.f.Truncate(t.end + n)
}

// remove removes the file.
func (t *tarFile) remove() {
	_ = t.f.Close()
	_ = os.Remove(t.f.Name())
}
