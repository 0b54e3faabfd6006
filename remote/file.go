// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
)

// Permissions of what is created, before the umask.
const (
	filePerm = 0o666
	dirPerm  = 0o777
)

// tempPrefix is how the names of temporary files begin.
const tempPrefix = ".cfs-label-"

// openFile opens a regular file, or a symbolic link to one, and returns its
// size in bytes. Anything else could block for ever.
func openFile(path string) (*os.File, int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is no regular file", path)
	}
	return openRegular(path)
}

// openRegular is openFile for what is most likely a regular file: if somebody
// has put something else there meanwhile, it does not wait for it.
func openRegular(path string) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noWait, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// realPath returns where symbolic links lead, so that what replaces a file does
// not replace a link to it. What is not there is where its path says, but a link
// to what is not there is an error.
func realPath(path string) (string, error) {
	to, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return to, err
	}
	if _, lerr := os.Lstat(path); errors.Is(lerr, fs.ErrNotExist) {
		return path, nil
	}
	return "", fmt.Errorf("%s is a symbolic link to what is not there: remove it, or make what it leads to: %w", path, err)
}

// replaceFile makes path have the content that fill writes, with the permissions
// perm or, if it is there, those it has. It is written in the directory temp
// first. After a failure, and after a crash, path has either its old content or
// that, and nothing else is left behind by a failure.
func replaceFile(ctx context.Context, temp, path string, perm fs.FileMode, fill func(io.Writer) error) (err error) {
	var f *os.File
	if info, serr := os.Stat(path); serr == nil {
		f, err = createLike(temp, info)
	} else {
		f, err = createTemp(temp, perm)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := fill(f); err != nil {
		return err
	}
	if err := finish(f); err != nil {
		return err
	}
	if err := move(ctx, f.Name(), path); err != nil {
		return err
	}
	syncDir(filepath.Dir(path))
	return nil
}

// move gives the finished file temp the name path, also on another file system:
// a layout's blobs may be a link or a mount.
func move(ctx context.Context, temp, path string) error {
	err := os.Rename(temp, path)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	from, _, err := openFile(temp)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	f, err := createLike(filepath.Dir(path), info)
	if err != nil {
		return err
	}
	if _, err = io.Copy(f, untilDone(ctx, from)); err == nil {
		err = finish(f)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return err
	}
	_ = os.Remove(temp)
	return nil
}

// createFile makes path, which must not be there (fs.ErrExist), have the content
// b. Nobody ever sees a part of it.
func createFile(path string, b []byte, perm fs.FileMode) error {
	f, err := createTemp(filepath.Dir(path), perm)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // the file has its name by then, or there was an error
	if _, err = f.Write(b); err == nil {
		err = finish(f)
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	return publish(f.Name(), path)
}

// publish gives the file temp the name path, which nothing may have yet
// (fs.ErrExist).
func publish(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil {
		_ = os.Remove(temp)
	} else if !errors.Is(err, fs.ErrExist) {
		// A file system without hard links: what is left is not quite safe from
		// others.
		if _, err := os.Lstat(path); err == nil {
			return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
		}
		err = os.Rename(temp, path)
	}
	if err == nil {
		syncDir(filepath.Dir(path))
	}
	return err
}

// finish makes the content of a file last and closes it.
func finish(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// checkReplace fails if path is there and may not be replaced. A file that its
// owner has made read-only is not, although its directory would allow it.
func checkReplace(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|noWait, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_ = f.Close()
	return checkCreate(filepath.Dir(path))
}

// checkCreate fails if no file can be created in dir.
func checkCreate(dir string) error {
	f, err := createTemp(dir, filePerm)
	if err != nil {
		return err
	}
	_ = f.Close()
	return os.Remove(f.Name())
}

// createTemp creates a file of a new name in dir. Unlike os.CreateTemp, it
// leaves the permissions to the umask: others may read layouts.
func createTemp(dir string, perm fs.FileMode) (*os.File, error) {
	for {
		path := filepath.Join(dir, fmt.Sprintf("%s%016x", tempPrefix, rand.Uint64()))
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// createLike is createTemp for what is to replace the file that old is about. It
// has that file's permissions before it has any content.
func createLike(dir string, old fs.FileInfo) (*os.File, error) {
	perm := old.Mode().Perm()
	f, err := createTemp(dir, perm)
	if err != nil {
		return nil, err
	}
	// The umask may have taken some of them away.
	if err := f.Chmod(perm); err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, err
	}
	return f, nil
}

// syncDir makes a rename in dir last. Not every file system can, and by then
// nothing is half-written.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
