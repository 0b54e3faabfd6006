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
)

// openArchive opens the OCI layout in a tar, as skopeo and podman write it.
func openArchive(ctx context.Context, ref, rest string, o Options) (*Ref, error) {
	file, tag, digest, err := cutArchive(ref, rest)
	if err != nil {
		return nil, err
	}
	l := &layout{name: archivePrefix + file, editor: o.Layout}
	a, err := newArchive(ctx, file)
	if err != nil {
		return nil, l.fail(opOpen, err)
	}
	l.files = a
	if err := l.checkVersion(ctx); err != nil {
		if _, ok := a.now.table.find(dockerFile); ok {
			err = fmt.Errorf("%w; it is one of docker's archives: open it as docker-archive:FILE", err)
		}
		return nil, l.fail(opOpen, err)
	}
	return &Ref{Repo: l, Tag: tag, Digest: digest, text: ref}, nil
}

// newArchive opens an archive that is there.
func newArchive(ctx context.Context, file string) (*archive, error) {
	// What replaces the file must not replace a link to it.
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return nil, err
	}
	t, err := openTarball(ctx, path)
	if err != nil {
		return nil, err
	}
	return &archive{path: path, now: t, edit: newTurn(), growth: newTurn()}, nil
}

// tarball is a tar, of which nothing but the table is in memory.
type tarball struct {
	path  string
	info  fs.FileInfo // of the file that the table is about
	table *table
}

// isBlank reports whether there is no tar yet: no file, or one of no bytes, as
// mktemp makes it.
func (t *tarball) isBlank() bool { return t == nil || t.info.Size() == 0 }

func openTarball(ctx context.Context, path string) (*tarball, error) {
	f, size, err := openFile(path)
	if err != nil {
		if info, serr := os.Stat(path); serr == nil && info.IsDir() {
			err = fmt.Errorf("%s is a directory: write oci: for a layout that is no archive", path)
		}
		return nil, err
	}
	defer f.Close()
	if err := checkCompression(f, path); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	t, err := scanTar(ctx, f, size)
	if err != nil {
		return nil, err
	}
	return &tarball{path: path, info: info, table: t}, nil
}

// compressions are the formats in which archives are often found, by how such a
// file begins, with the program that unpacks it. A question mark is any byte:
// the level of bzip2, of which three letters alone could be a file's name.
var compressions = []struct{ magic, name, unpack string }{
	{"\x1f\x8b", "gzip", "gzip -dk"},
	{"\x28\xb5\x2f\xfd", "zstd", "zstd -dk"},
	{"\xfd7zXZ\x00", "xz", "xz -dk"},
	{"BZh?1AY&SY", "bzip2", "bzip2 -dk"},
}

// magicSize is the length of the longest of their magic numbers, in bytes.
const magicSize = 10

// checkCompression fails for a compressed archive: nothing in it can be found
// without unpacking all of it.
func checkCompression(f io.ReaderAt, path string) error {
	name, unpack, err := compressionOf(f, 0)
	if err != nil || name == "" {
		return err
	}
	return kinded(ErrContent, fmt.Errorf("the archive is compressed with %s, which is not supported: unpack it first, as in %s %s", name, unpack, path))
}

// compressionOf returns the name of the format of what begins at an offset; ""
// if it is none that is known.
func compressionOf(f io.ReaderAt, off int64) (name, unpack string, err error) {
	start := make([]byte, magicSize)
	n, err := f.ReadAt(start, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", "", err
	}
	for _, c := range compressions {
		if isMagic(start[:n], c.magic) {
			return c.name, c.unpack, nil
		}
	}
	return "", "", nil
}

func isMagic(start []byte, magic string) bool {
	if len(start) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && magic[i] != start[i] {
			return false
		}
	}
	return true
}

// open opens a file of the archive.
func (t *tarball) open(name string) (io.ReadCloser, int64, error) {
	where, ok := t.table.find(name)
	if !ok {
		return nil, 0, notInArchive(name)
	}
	f, err := t.reopen()
	if err != nil {
		return nil, 0, err
	}
	return section{io.NewSectionReader(f, where.off, where.size), f}, where.size, nil
}

func notInArchive(name string) error {
	return fmt.Errorf("%s is not in the archive: %w", name, fs.ErrNotExist)
}

// section is an open part of a file.
type section struct {
	*io.SectionReader
	io.Closer
}

// reopen opens the file, which must be the one that the table is about.
func (t *tarball) reopen() (*os.File, error) {
	f, _, err := openFile(t.path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !sameFile(info, t.info) {
		err = kinded(ErrContent, fmt.Errorf("%s was changed while it was read: run again", t.path))
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// sameFile reports whether a file is still what it was.
func sameFile(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// turn is a lock that is waited for no longer than a context.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) (done func(), err error) {
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
