// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// What a layout without images consists of, besides its directories.
const (
	newLayoutFile = `{"imageLayoutVersion":"` + layoutVersion + `"}`
	newIndex      = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
)

// storage is where the files of a layout are. Their names are those of
// image-layout.md, as in blobs/sha256/…, and come from code or from well-formed
// digests. Its methods may be called at the same time.
type storage interface {
	readable

	// put makes the file have the content b.
	put(ctx context.Context, name string, b []byte) error

	// fill makes the file have the size bytes that write writes. When write
	// fails, the file is as it was.
	fill(ctx context.Context, name string, size int64, write func(io.Writer) error) error

	// lock keeps others from editing index.json until unlock is called.
	lock(ctx context.Context) (unlock func(), err error)

	// checkWrite fails if put would, for want of permission.
	checkWrite() error

	// flush makes last what was put and filled.
	flush(ctx context.Context) error

	// close removes what was begun and will not be flushed.
	close() error
}

// readable is where files are read.
type readable interface {
	// open returns the content of a file and its size in bytes. The error is
	// fs.ErrNotExist for a file that is not there.
	open(name string) (io.ReadCloser, int64, error)
}

// readStored returns the content of a file of at most limit bytes.
func readStored(s readable, name string, limit int64) ([]byte, error) {
	f, _, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := readLimited(f, limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// inMemory returns b as open returns files.
func inMemory(b []byte) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

// directory is a layout on a file system.
type directory struct {
	dir    string // as the user wrote it
	target bool   // what a layout needs is made, where it is missing
}

func (s *directory) path(name string) string {
	return filepath.Join(s.dir, filepath.FromSlash(name))
}

func (s *directory) open(name string) (io.ReadCloser, int64, error) {
	f, size, err := openFile(s.path(name))
	if err == nil {
		return f, size, nil
	}
	if s.target && errors.Is(err, fs.ErrNotExist) {
		switch name {
		case layoutFile:
			return inMemory([]byte(newLayoutFile))
		case indexFile:
			return inMemory([]byte(newIndex))
		}
	}
	return nil, 0, err
}

func (s *directory) put(ctx context.Context, name string, b []byte) error {
	return s.fill(ctx, name, int64(len(b)), func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// fill writes next to index.json first: in blobs/, what a killed run leaves
// behind would be taken for a blob by other programs.
func (s *directory) fill(ctx context.Context, name string, _ int64, write func(io.Writer) error) error {
	if err := s.create(); err != nil {
		return err
	}
	temp, path := s.dir, s.path(name)
	if name == indexFile {
		var err error
		if path, err = realPath(path); err != nil {
			return err
		}
		temp = filepath.Dir(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), dirPerm); err != nil {
		return err
	}
	return replaceFile(ctx, temp, path, filePerm, write)
}

func (s *directory) lock(ctx context.Context) (unlock func(), err error) {
	if err := s.create(); err != nil {
		return nil, err
	}
	return lockFile(ctx, s.path(layoutFile))
}

// create makes what is missing of a target. What another program has made
// meanwhile stays.
func (s *directory) create() error {
	if !s.target {
		return nil
	}
	if err := os.MkdirAll(s.dir, dirPerm); err != nil {
		return err
	}
	// oci-layout comes first: whoever finds anything else finds it, too.
	for _, file := range []struct{ name, content string }{{layoutFile, newLayoutFile}, {indexFile, newIndex}} {
		path := s.path(file.name)
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		if err := createFile(path, []byte(file.content), filePerm); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return os.MkdirAll(s.path(blobsDir), dirPerm)
}

// checkWrite creates a file in the directory, or, before it is made, where it
// will be, and looks whether index.json may be replaced.
func (s *directory) checkWrite() error {
	dir := s.dir
	for s.target {
		_, err := os.Stat(dir)
		up := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || up == dir {
			break
		}
		dir = up
	}
	if err := checkCreate(dir); err != nil {
		return err
	}
	index, err := realPath(s.path(indexFile))
	if err != nil {
		return err
	}
	return checkReplace(index)
}

func (s *directory) flush(context.Context) error { return nil }

func (s *directory) close() error { return nil }

// maxStrays is how many files may lie in a directory that counts as empty.
const maxStrays = 64

// checkTarget fails unless the directory is a layout, can become one, or is yet
// to be made.
func (s *directory) checkTarget() error {
	dir, err := os.OpenFile(s.dir, os.O_RDONLY|noWait, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxStrays)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if _, err := os.Lstat(s.path(layoutFile)); err == nil {
		return nil
	}
	for _, name := range names {
		if !strings.HasPrefix(name, tempPrefix) {
			return fmt.Errorf("the directory is neither empty nor an OCI layout: it has %s, but no file %s", name, layoutFile)
		}
	}
	return nil
}
