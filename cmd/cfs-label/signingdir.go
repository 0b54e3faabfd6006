// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	cfslabel "github.com/cfs-label/cfs-label"
)

// A signing directory holds what a key elsewhere is to sign, its signatures, and
// index.json, which says what is what. Files are reached through an os.Root: no
// name, and no link, leads out of it.

const (
	signingIndex = "index.json"
	// signatureMax is the size of the largest file with a signature, in bytes. A
	// PKCS#7 message may have certificates, which are left out later.
	signatureMax = 64 << 10
)

// checkSigningDir finds out before the long work whether files can be put there,
// and returns what was there of an earlier run; nil if nothing was.
func checkSigningDir(dir string) (earlier *cfslabel.Detached, err error) {
	if dir == "" {
		return nil, &usageError{errors.New("where to? give --dir DIR")}
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0:
		return nil, nil
	case err != nil:
		return nil, &usageError{fmt.Errorf("--dir: %w", err)}
	}
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !isOurs(e) }) {
		return nil, nil // an earlier run was interrupted; writeSigningDir looks into them
	}
	if earlier, err = readSigningIndex(dir); err != nil {
		return nil, &usageError{fmt.Errorf("%w: the directory must be empty, or have what was to be signed of the same image", err)}
	}
	return earlier, nil
}

// isOurs reports whether an entry of a directory has the name of a file that is
// to be signed, or of one that was not finished.
func isOurs(e fs.DirEntry) bool {
	return e.Type().IsRegular() && (strings.HasSuffix(e.Name(), ".tbs") || unfinished.MatchString(e.Name()))
}

// unfinished is what files are called before they are there.
var unfinished = regexp.MustCompile(`^\.cfs-label-[A-Z2-7]{26}$`)

// readSigningIndex reads the index.json of a signing directory.
func readSigningIndex(dir string) (*cfslabel.Detached, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("--dir: %w", err)
	}
	defer func() { _ = root.Close() }()
	text, err := readIn(root, signingIndex, cfslabel.MaxDetachedSize)
	if err != nil {
		return nil, fmt.Errorf("--dir %s: %w", dir, err)
	}
	d, err := cfslabel.ParseDetached(text)
	if err != nil {
		return nil, fmt.Errorf("--dir %s: %s: %w", dir, signingIndex, err)
	}
	return d, nil
}

// readIn reads a file of at most limit bytes. What is no file, as a pipe, is not
// opened: it could block.
func readIn(root *os.Root, name string, limit int64) ([]byte, error) {
	info, err := root.Stat(name)
	if err != nil {
		link, lerr := root.Lstat(name)
		if lerr == nil && link.Mode()&fs.ModeSymlink != 0 && !errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: it is a link that leads out of the directory; copy the file into the directory", err)
		}
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return data, err
}

// writeSigningDir writes the files, index.json last, and returns its text. It
// fails rather than write over what an earlier run, or somebody else, put there
// and this run would not. What an interrupted run left unfinished is removed.
func writeSigningDir(dir string, d, earlier *cfslabel.Detached) (text []byte, err error) {
	if text, err = d.Marshal(); err != nil {
		return nil, err
	}
	if earlier != nil && !covers(d, earlier) {
		return nil, &usageError{fmt.Errorf("--dir %s has what was to be signed of another image, or by other options: give another directory", dir)}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("--dir: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("--dir: %w", err)
	}
	defer func() { _ = root.Close() }()
	if err := makeRoom(root, dir, d, earlier); err != nil {
		return nil, err
	}
	for i := range d.Entries {
		e := &d.Entries[i]
		if err := writeIn(root, e.File, e.ToBeSigned()); err != nil {
			return nil, err
		}
	}
	return text, writeIn(root, signingIndex, text)
}

// makeRoom fails if a file is in the way, and removes what was not finished. A run
// in the same directory at the same time can fail by that, and is to be repeated.
func makeRoom(root *os.Root, dir string, d, earlier *cfslabel.Detached) error {
	for i := range d.Entries {
		e := &d.Entries[i]
		there, err := readIn(root, e.File, signatureMax)
		if !errors.Is(err, fs.ErrNotExist) && !hasFile(earlier, e.File) && !bytes.Equal(there, e.ToBeSigned()) {
			return &usageError{fmt.Errorf("--dir %s has another %s already: give another directory", dir, e.File)}
		}
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	var remove []string
	for _, e := range entries {
		switch {
		case e.Type().IsRegular() && unfinished.MatchString(e.Name()):
			remove = append(remove, e.Name())
		case earlier == nil && !hasFile(d, e.Name()):
			return &usageError{fmt.Errorf("--dir %s has %s, which is not of this image, or of other options: give another directory", dir, e.Name())}
		}
	}
	for _, name := range remove {
		if err := root.Remove(name); err != nil {
			return fmt.Errorf("--dir: %w", err)
		}
	}
	return nil
}

// hasFile reports whether a file is one of those that are to be signed.
func hasFile(d *cfslabel.Detached, name string) bool {
	return d != nil && slices.ContainsFunc(d.Entries, func(e cfslabel.DetachedEntry) bool { return e.File == name })
}

// covers reports whether d is of the same image as the earlier one, and has all
// that it has.
func covers(d, earlier *cfslabel.Detached) bool {
	missing := func(e cfslabel.DetachedEntry) bool {
		isIt := func(o cfslabel.DetachedEntry) bool {
			return o.Manifest.Digest == e.Manifest.Digest && o.Role == e.Role && o.Digest == e.Digest &&
				o.Input == e.Input && o.File == e.File && o.Signature == e.Signature
		}
		return !slices.ContainsFunc(d.Entries, isIt)
	}
	return d.Digest == earlier.Digest && !slices.ContainsFunc(earlier.Entries, missing)
}

// writeIn writes a file that is there whole or not at all.
func writeIn(root *os.Root, name string, data []byte) (err error) {
	tmp := ".cfs-label-" + rand.Text() // as unfinished says
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = root.Remove(tmp)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = root.Rename(tmp, name)
	}
	return err
}
