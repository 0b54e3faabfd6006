// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/cfs-label/cfs-label/boot"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers"
	"github.com/cfs-label/cfs-label/lint"
)

// captureHeads is capture for Lint, which also looks at compiled Python.
func (o *Options) captureHeads(path []byte, size uint64) (w io.Writer, keeps int) {
	if lint.WantsHead(path) {
		return &lint.Head{}, lint.HeadSize
	}
	return o.capture(path, size)
}

// capturedFiles is what was captured of an image's layers, as lint wants it.
type capturedFiles struct{ merged *layers.Merged }

// Head implements lint.Files.
func (f capturedFiles) Head(_ string, file tree.Ino) ([]byte, bool) {
	h, ok := layers.CapturedAs[*lint.Head](f.merged, file)
	if !ok {
		return nil, false
	}
	return h.Bytes(), true
}

// CommandLines implements lint.Files.
func (f capturedFiles) CommandLines(_ string, file tree.Ino) ([]boot.CommandLine, error) {
	s, ok := layers.CapturedAs[*boot.Scanner](f.merged, file)
	if !ok {
		return nil, errNotCaptured
	}
	return s.CommandLines()
}

// openDirectory opens a directory for its files.
func openDirectory(path string) (directoryFiles, error) {
	root, err := os.OpenRoot(path)
	return directoryFiles{root}, err
}

// directoryFiles are the files of a directory on disk, as lint wants them.
type directoryFiles struct{ *os.Root }

// errNoFile is what is no regular file any more.
var errNoFile = errors.New("no regular file")

// open opens a regular file. A fifo in its place is opened without waiting for
// somebody to write.
func (f directoryFiles) open(path string) (*os.File, error) {
	file, err := f.OpenFile(strings.TrimPrefix(path, "/"), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNoFile
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// Head implements lint.Files.
func (f directoryFiles) Head(path string, _ tree.Ino) ([]byte, bool) {
	file, err := f.open(path)
	if err != nil {
		return nil, false
	}
	defer file.Close()
	head := make([]byte, lint.HeadSize)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, false
	}
	return head[:n], true
}

// CommandLines implements lint.Files.
func (f directoryFiles) CommandLines(path string, _ tree.Ino) ([]boot.CommandLine, error) {
	file, err := f.open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return boot.CommandLines(file)
}
