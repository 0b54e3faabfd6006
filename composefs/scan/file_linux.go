// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// File returns what a regular file below the directory holds, for who read the
// directory and now wants to look into one file. The path has slashes and
// begins with a name; no link is followed on it, and nothing but a regular file
// is opened. One of more than most bytes is an error.
//
// The file can be another one by now: hold what it has to the digest that the
// tree has.
//
// Its errors are of type *Error.
func File(dir, path string, most int) ([]byte, error) {
	data, err := readBelow(dir, path, most)
	if err != nil {
		return nil, &Error{strings.TrimRight(dir, "/") + "/" + path, err}
	}
	return data, nil
}

func readBelow(dir, path string, most int) ([]byte, error) {
	f, err := open(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer func() { f.close() }()
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." || name == ".." {
			return nil, fmt.Errorf("%q is no name of a file: %w", name, unix.EINVAL)
		}
		next, err := f.at(name)
		if errors.Is(err, unix.ENOTDIR) {
			err = fmt.Errorf("%w (%w)", ErrChanged, err)
		}
		if err != nil {
			return nil, err
		}
		f.close()
		f = next
	}
	is, err := f.stat()
	if err != nil {
		return nil, err
	}
	if kind, ok := tree.KindOfMode(is.mode); !ok || kind != tree.Regular {
		return nil, fmt.Errorf("%w: it is no regular file", ErrChanged)
	}
	if is.size > uint64(most) {
		return nil, fmt.Errorf("it has %d bytes, and at most %d are read", is.size, most)
	}
	return readInline(f, int(is.size))
}
