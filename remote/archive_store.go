// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// maxHeld is how many bytes of new files are kept in memory before they go into
// the temporary file.
const maxHeld = 16 << 20

// archive is a layout in a tar. What is new is in memory and in a temporary file
// beside it, until flush makes that the archive.
type archive struct {
	path   string // without symbolic links
	edit   turn   // held while index.json is edited
	growth turn   // held while the temporary file grows

	mu     sync.Mutex
	now    *tarball          // nil if there is no such file yet; blank if it is empty
	held   map[string][]byte // the new files that are in memory
	size   int64             // of all of them, in bytes
	temp   *tarFile          // nil until it is needed
	failed error             // why nothing can be written any more
}

// errClosed is what writing after Close gives.
var errClosed = errors.New("it was closed")

func (a *archive) open(name string) (io.ReadCloser, int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b, ok := a.held[name]; ok {
		return inMemory(b)
	}
	if a.temp != nil {
		if e, ok := a.temp.members[name]; ok {
			return a.temp.open(e)
		}
	}
	switch {
	case !a.now.isBlank():
		return a.now.open(name)
	case name == layoutFile:
		return inMemory([]byte(newLayoutFile))
	case name == indexFile:
		return inMemory([]byte(newIndex))
	}
	return nil, 0, notInArchive(name)
}

// put keeps b in memory, unless there is much already. The index is there in any
// case: it may change once more.
func (a *archive) put(ctx context.Context, name string, b []byte) error {
	if a.hold(name, b) {
		return ctx.Err()
	}
	return a.fill(ctx, name, int64(len(b)), func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

func (a *archive) hold(name string, b []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	size := a.size + int64(len(b)-len(a.held[name]))
	if size > maxHeld && name != indexFile {
		return false
	}
	if a.held == nil {
		a.held = make(map[string][]byte)
	}
	a.held[name], a.size = slices.Clone(b), size
	return true
}

// fill appends to the temporary file, one after another. A file whose writing
// fails is overwritten by the next.
func (a *archive) fill(ctx context.Context, name string, size int64, write func(io.Writer) error) error {
	done, err := a.growth.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	t, err := a.begin(ctx)
	if err != nil {
		return err
	}
	if _, ok := t.members[name]; ok {
		return nil
	}
	e, err := t.append(name, size, write)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t.members[name] = e
	return nil
}

// begin returns the temporary file. A new one has what the archive has, but for
// index.json, and its permissions from the beginning. Growth is taken.
func (a *archive) begin(ctx context.Context) (*tarFile, error) {
	a.mu.Lock()
	t, now, err := a.temp, a.now, a.failed
	a.mu.Unlock()
	if t != nil || err != nil {
		return t, err
	}
	if err := a.checkUnchanged(); err != nil {
		return nil, err
	}
	var f *os.File
	if dir := filepath.Dir(a.path); now != nil {
		f, err = createLike(dir, now.info)
	} else {
		f, err = createTemp(dir, filePerm)
	}
	if err != nil {
		return nil, err
	}
	t = &tarFile{f: f, members: make(map[string]extent)}
	if !now.isBlank() {
		err = t.copyOld(ctx, now)
	} else {
		_, err = t.append(layoutFile, int64(len(newLayoutFile)), writing([]byte(newLayoutFile)))
	}
	if err != nil {
		t.remove()
		if moved := a.checkUnchanged(); moved != nil {
			err = moved
		}
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.temp = t
	return t, nil
}

// writing returns the function that writes b.
func writing(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

// lock fails if somebody else has changed the archive: an edit of what it said
// before would undo that.
func (a *archive) lock(ctx context.Context) (unlock func(), err error) {
	done, err := a.edit.take(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.checkUnchanged(); err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// checkUnchanged fails unless the archive is the file that was opened, or is
// still missing if it was.
func (a *archive) checkUnchanged() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now
	info, err := os.Lstat(a.path)
	switch {
	case now == nil && errors.Is(err, fs.ErrNotExist):
		return nil
	case now == nil && err == nil:
		return kinded(ErrTagMoved, fmt.Errorf("%s was made by somebody else in the meantime: run again", a.path))
	case now != nil && errors.Is(err, fs.ErrNotExist):
		return kinded(ErrTagMoved, fmt.Errorf("%s is gone since it was read", a.path))
	case err != nil:
		return err
	case !sameFile(info, now.info):
		return kinded(ErrTagMoved, fmt.Errorf("%s was changed since it was read: run again", a.path))
	}
	return nil
}

func (a *archive) checkWrite() error {
	a.mu.Lock()
	now := a.now
	a.mu.Unlock()
	if now != nil {
		return checkReplace(a.path)
	}
	return checkCreate(filepath.Dir(a.path))
}

// close waits for what is being written.
func (a *archive) close() error {
	done, err := a.growth.take(context.Background())
	if err != nil {
		return err
	}
	defer done()
	a.abandon(errClosed)
	return nil
}

// abandon removes the temporary file. Growth is taken.
func (a *archive) abandon(reason error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.temp != nil {
		a.temp.remove()
	}
	a.temp, a.failed = nil, reason
}
