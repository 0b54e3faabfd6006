// SPDX-License-Identifier: Apache-2.0

package dumpfile

import (
	"errors"
	"fmt"
)

// The rules that Read holds a dump to, besides those of package tree;
// errors.Is finds them in a ParseError.
var (
	ErrLimit      = errors.New("more than is accepted")
	ErrRoot       = errors.New("the first line must be the directory /")
	ErrField      = errors.New("malformed field")
	ErrEscape     = errors.New("invalid escape")
	ErrNUL        = errors.New("a NUL byte")
	ErrPath       = errors.New("not an absolute path in its shortest form")
	ErrParent     = errors.New("the parent directory is not listed before")
	ErrDuplicate  = errors.New("listed before")
	ErrLinkTarget = errors.New("a hard link to what is no file listed before")
	ErrType       = errors.New("unknown file type")
	ErrMisplaced  = errors.New("not for this type of file")
	ErrSize       = errors.New("size and content disagree")
	ErrTarget     = errors.New("not the target of a symlink")
	ErrObject     = errors.New("not the object of a digest")
)

// ParseError says which line of a dump is wrong, and why.
type ParseError struct {
	Line int    // counted from 1
	Path string // empty where the line's path cannot be read
	Err  error
}

func (e *ParseError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("dumpfile: line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("dumpfile: line %d: %s: %v", e.Line, quote([]byte(e.Path)), e.Err)
}

func (e *ParseError) Unwrap() error { return e.Err }

// quote makes text of b that is fit for a message, however long b is.
func quote(b []byte) string {
	const most = 256 // bytes
	if len(b) > most {
		return fmt.Sprintf("%q...", b[:most])
	}
	return fmt.Sprintf("%q", b)
}
