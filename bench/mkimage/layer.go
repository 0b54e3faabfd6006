// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/klauspost/compress/zstd"
)

// codec is a compression, and the index of its layout.
type codec int

const (
	gzipCodec codec = iota
	zstdCodec
	codecs = 2
)

func (c codec) String() string { return [...]string{"gzip", "zstd"}[c] }

// A layer is what was made of a plan.
type layer struct {
	diffID      string
	size, files int64 // before compression
	blobs       [codecs]blob
}

// A blob is a compressed layer in its layout.
type blob struct {
	digest string
	size   int64
}

// errFull ends a layer that is large enough.
var errFull = errors.New("large enough")

// makeLayer writes one tar stream into a blob of each layout.
func makeLayer(p plan, images *[codecs]layout, maximum int64) (layer, error) {
	var files [codecs]*blobWriter
	defer func() {
		for _, w := range files {
			w.abandon()
		}
	}()
	for c := range files {
		var err error
		if files[c], err = newBlobWriter(images[c].blobs()); err != nil {
			return layer{}, err
		}
	}
	gz, err := gzip.NewWriterLevel(files[gzipCodec], 6)
	if err != nil {
		return layer{}, err
	}
	zs, err := zstd.NewWriter(files[zstdCodec], zstd.WithEncoderConcurrency(1))
	if err != nil {
		return layer{}, err
	}
	plain := &counter{sum: sha256.New()}

	t := &tarWriter{
		tar: tar.NewWriter(io.MultiWriter(plain, gz, zs)), counter: plain, maximum: maximum,
		seen: make(map[string]bool), links: make(map[uint64]string),
	}
	if err := t.writePlan(p); err != nil {
		return layer{}, err
	}
	for _, c := range []io.Closer{gz, zs} {
		if err := c.Close(); err != nil {
			return layer{}, err
		}
	}
	l := layer{diffID: plain.digest(), size: plain.size, files: t.files}
	for c, w := range files {
		if l.blobs[c], err = w.finish(); err != nil {
			return layer{}, err
		}
	}
	return l, nil
}

// A tarWriter writes files of the machine, each after the directories above it.
type tarWriter struct {
	tar     *tar.Writer
	counter *counter
	maximum int64
	files   int64
	seen    map[string]bool
	links   map[uint64]string // name of the first link, by inode number
}

func (t *tarWriter) writePlan(p plan) error {
	for _, s := range p.sources {
		roots, err := s.matches()
		if err != nil {
			return err
		}
		for _, root := range roots {
			if slices.Contains(p.skip, root) {
				continue
			}
			if err := t.writeTree(s, root, p.skip); err != nil && !errors.Is(err, errFull) {
				return err
			}
		}
	}
	for _, name := range p.whiteouts {
		dir, base := filepath.Split(name)
		if err := t.parents(dir + base); err != nil {
			return err
		}
		if err := t.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: dir + ".wh." + base, Mode: 0o644}); err != nil {
			return err
		}
	}
	return t.tar.Close()
}

// writeTree writes a directory of the machine, in the order of names.
func (t *tarWriter) writeTree(s source, root string, skip []string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && skipped(skip, path) {
			return fs.SkipDir
		}
		if t.counter.size > t.maximum {
			return errFull
		}
		info, err := d.Info()
		if err != nil || info.Mode()&fs.ModeSocket != 0 {
			return err
		}
		return t.writeFile(path, s.place(root, path), info)
	})
}

func skipped(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := filepath.Match(pattern, path)
		return ok && err == nil
	})
}

func (t *tarWriter) writeFile(path, name string, info fs.FileInfo) error {
	if t.seen[name] {
		return nil
	}
	if err := t.parents(name); err != nil {
		return err
	}
	t.seen[name] = true
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		var err error
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	h.Name, h.Format = name, tar.FormatPAX
	if info.IsDir() {
		h.Name += "/"
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() && stat.Nlink > 1 {
		if first, ok := t.links[stat.Ino]; ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			return t.tar.WriteHeader(h)
		}
		t.links[stat.Ino] = name
	}
	t.files++
	if err := t.tar.WriteHeader(h); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	return t.copyContent(path)
}

func (t *tarWriter) copyContent(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(t.tar, f)
	return err
}

// parents writes the directories above a name that have no entry yet. cfsctl
// refuses a file whose directory no layer has.
func (t *tarWriter) parents(name string) error {
	for i := range name {
		if name[i] != '/' || t.seen[name[:i]] {
			continue
		}
		t.seen[name[:i]] = true
		h := tar.Header{Typeflag: tar.TypeDir, Name: name[:i+1], Mode: 0o755}
		if err := t.tar.WriteHeader(&h); err != nil {
			return err
		}
	}
	return nil
}

// A counter counts and hashes what is written to it.
type counter struct {
	sum  hash.Hash
	size int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	return c.sum.Write(p)
}

func (c *counter) digest() string { return "sha256:" + hex.EncodeToString(c.sum.Sum(nil)) }

// A blobWriter writes a file that gets its digest as a name.
type blobWriter struct {
	counter
	file *os.File
}

func newBlobWriter(dir string) (*blobWriter, error) {
	f, err := os.CreateTemp(dir, ".blob-*")
	if err != nil {
		return nil, err
	}
	return &blobWriter{counter: counter{sum: sha256.New()}, file: f}, nil
}

func (w *blobWriter) Write(p []byte) (int, error) {
	if _, err := w.counter.Write(p); err != nil {
		return 0, err
	}
	return w.file.Write(p)
}

// finish names the file.
func (w *blobWriter) finish() (blob, error) {
	b := blob{digest: w.digest(), size: w.size}
	if err := w.file.Close(); err != nil {
		return b, err
	}
	name := filepath.Join(filepath.Dir(w.file.Name()), strings.TrimPrefix(b.digest, "sha256:"))
	if err := os.Rename(w.file.Name(), name); err != nil {
		return b, fmt.Errorf("blob: %w", err)
	}
	return b, nil
}

// abandon removes the file unless it has its name already.
func (w *blobWriter) abandon() {
	if w == nil {
		return
	}
	_ = w.file.Close()
	_ = os.Remove(w.file.Name())
}
