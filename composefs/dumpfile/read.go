// SPDX-License-Identifier: Apache-2.0

package dumpfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Read reads a dump whose digests are of the algorithm into a tree that has
// this one algorithm.
//
// It holds each line to the format, and refuses what no tree can keep: a
// payload that is not the object of the digest, or a payload of what is neither
// file nor symlink. Lines may be in any order that has parents before what they
// hold and files before hard links to them. It ignores what the tree says
// better: the link count (except that a whiteout may not have several names)
// and the size of all but regular files. Of a mode it keeps the permission
// bits. Blank lines are skipped.
//
// What is wrong with the dump is told by a *ParseError. An error of r is
// returned wrapped.
func Read(r io.Reader, alg fsverity.Algorithm) (*tree.Tree, error) {
	return read(r, alg, defaultLimits)
}

func read(r io.Reader, alg fsverity.Algorithm, most limits) (*tree.Tree, error) {
	if _, err := fsverity.ParseAlgorithm(alg.String()); err != nil {
		return nil, fmt.Errorf("dumpfile: %w", err)
	}
	d := reader{t: tree.New(alg), alg: alg, left: most}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, most.line+1) // of the newline
	n := 0
	for lines.Scan() {
		n++
		path, err := d.line(lines.Bytes())
		if err == nil {
			continue
		}
		if cut := lines.Err(); cut != nil { // the line may not be whole
			return nil, fmt.Errorf("dumpfile: line %d: %w", n, cut)
		}
		return nil, &ParseError{Line: n, Path: string(path), Err: err}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, &ParseError{Line: n + 1, Err: fmt.Errorf("%w: a line of more than %d bytes", ErrLimit, most.line)}
	case err != nil:
		return nil, fmt.Errorf("dumpfile: line %d: %w", n+1, err)
	case !d.hasRoot:
		return nil, &ParseError{Line: n + 1, Err: ErrRoot}
	}
	return d.t, nil
}

// reader builds a tree from lines.
type reader struct {
	t       *tree.Tree
	alg     fsverity.Algorithm
	left    limits // what may still come
	hasRoot bool

	// The directory that the last line was in: the next is, mostly, too.
	dirPath []byte
	dir     tree.Ino
}

// line adds what a line says. With an error it returns the line's path, where
// it could be read.
func (d *reader) line(line []byte) (path []byte, err error) {
	if d.left.text -= len(line) + 1; d.left.text < 0 {
		return nil, fmt.Errorf("%w: too much text", ErrLimit)
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return nil, nil
	}
	if d.left.entries--; d.left.entries < 0 {
		return nil, fmt.Errorf("%w: too many entries", ErrLimit)
	}
	e, err := parseEntry(line)
	if err != nil {
		return e.path, err
	}
	if d.left.xattrs -= len(e.xattrs); d.left.xattrs < 0 {
		return e.path, fmt.Errorf("%w: too many attributes", ErrLimit)
	}
	if !d.hasRoot {
		return e.path, d.addRoot(&e)
	}
	return e.path, d.add(&e)
}

func (d *reader) addRoot(e *entry) error {
	if string(e.path) != "/" || e.link != nil || e.kind != tree.Directory {
		return ErrRoot
	}
	if err := checkFields(e); err != nil {
		return err
	}
	e.meta.Xattrs = d.t.Xattrs(e.xattrs...)
	d.t.SetMeta(tree.Root, e.meta)
	d.hasRoot = true
	return nil
}

func (d *reader) add(e *entry) error {
	if len(e.path) == 1 {
		return ErrDuplicate
	}
	slash := bytes.LastIndexByte(e.path, '/')
	name := e.path[slash+1:]
	dir, err := d.parent(e.path[:slash])
	if err != nil {
		return err
	}
	if _, ok := d.t.Lookup(dir, name); ok {
		return ErrDuplicate
	}
	ino, err := d.inode(e)
	if err != nil {
		return err
	}
	d.t.Link(dir, name, ino)
	return nil
}

// parent returns the directory of that path, which has no slash at its end.
func (d *reader) parent(path []byte) (tree.Ino, error) {
	if bytes.Equal(path, d.dirPath) {
		return d.dir, nil // the root, before any other
	}
	ino, ok := d.lookup(path)
	if !ok || d.t.Kind(ino) != tree.Directory {
		return 0, ErrParent
	}
	d.dirPath = append(d.dirPath[:0], path...)
	d.dir = ino
	return ino, nil
}

// lookup returns the inode of that path, which is in canonical form.
func (d *reader) lookup(path []byte) (tree.Ino, bool) {
	ino := tree.Root
	for name := range bytes.SplitSeq(bytes.Trim(path, "/"), []byte{'/'}) {
		if len(name) == 0 {
			break // path is the root
		}
		if d.t.Kind(ino) != tree.Directory {
			return 0, false
		}
		child, ok := d.t.Lookup(ino, name)
		if !ok {
			return 0, false
		}
		ino = child
	}
	return ino, true
}

// inode returns the inode that the entry names, a new one but for hard links.
func (d *reader) inode(e *entry) (tree.Ino, error) {
	if e.link != nil {
		return d.linked(e.link)
	}
	if err := checkFields(e); err != nil {
		return 0, err
	}
	e.meta.Xattrs = d.t.Xattrs(e.xattrs...)
	switch e.kind {
	case tree.Directory:
		return d.t.NewDirectory(e.meta), nil
	case tree.Regular:
		return d.regular(e)
	case tree.Symlink:
		if len(e.payload) == 0 || len(e.payload) > SymlinkMax || bytes.IndexByte(e.payload, 0) >= 0 {
			return 0, fmt.Errorf("payload: %w: %d bytes, want 1 to %d without a NUL",
				ErrTarget, len(e.payload), SymlinkMax)
		}
		return d.t.NewSymlink(e.meta, e.payload), nil
	default:
		return d.t.NewSpecial(e.kind, e.meta, e.rdev), nil
	}
}

func (d *reader) linked(target []byte) (tree.Ino, error) {
	ino, ok := d.lookup(target)
	switch {
	case !ok || d.t.Kind(ino) == tree.Directory:
		return 0, fmt.Errorf("%w: %s", ErrLinkTarget, quote(target))
	case d.t.Kind(ino) == tree.CharDevice && d.t.Rdev(ino) == 0:
		return 0, tree.ErrWhiteout
	}
	return ino, nil
}

// checkFields checks that the entry has no fields that its kind has no use for.
func checkFields(e *entry) error {
	misplaced := func(field string) error {
		return fmt.Errorf("%s: %w: a %s", field, ErrMisplaced, e.kind)
	}
	regular := e.kind == tree.Regular
	switch {
	case e.rdev != 0 && !isDevice(e.kind):
		return misplaced("rdev")
	case e.payload != nil && !regular && e.kind != tree.Symlink:
		return misplaced("payload")
	case e.content != nil && !regular:
		return misplaced("content")
	case e.digest != nil && !regular:
		return misplaced("digest")
	case e.rdev != uint64(uint32(e.rdev)):
		return fmt.Errorf("rdev: %w", tree.ErrRdev)
	case e.kind == tree.CharDevice && e.rdev == 0 && e.nlink > 1:
		return fmt.Errorf("nlink: %w", tree.ErrWhiteout)
	}
	return nil
}

// regular adds a regular file. Which of its fields there are says how it is
// stored.
func (d *reader) regular(e *entry) (tree.Ino, error) {
	switch {
	case e.payload != nil && e.content != nil:
		return 0, fmt.Errorf("content: %w: a file with a payload", ErrMisplaced)
	case e.payload != nil:
		return d.object(e)
	case e.digest != nil:
		return 0, fmt.Errorf("digest: %w: a file without a payload", ErrMisplaced)
	case e.content == nil && e.size > 0:
		return d.t.NewSparse(e.meta, e.size), nil
	case len(e.content) > InlineMax:
		return 0, fmt.Errorf("content: %w: %d bytes, at most %d", ErrLimit, len(e.content), InlineMax)
	case e.size != uint64(len(e.content)):
		return 0, fmt.Errorf("%w: %d bytes in the size, %d in the content", ErrSize, e.size, len(e.content))
	}
	return d.t.NewInline(e.meta, e.content), nil
}

// object adds a regular file whose content is in an object.
func (d *reader) object(e *entry) (tree.Ino, error) {
	want := 2 * d.alg.Size() // hexadecimal digits
	path := e.payload
	if len(path) != want+1 || path[objectDirLen] != '/' {
		return 0, fmt.Errorf("payload: %w: %s is not the path of a %s digest", ErrObject, quote(path), d.alg)
	}
	text := string(path[:objectDirLen]) + string(path[objectDirLen+1:])
	named, err := fsverity.ParseDigest(d.alg, text)
	if err != nil {
		return 0, fmt.Errorf("payload: %w: %w", ErrObject, err)
	}
	if e.digest == nil {
		return d.t.NewUnverified(e.meta, e.size, named.Bytes()), nil
	}
	if len(e.digest) != want {
		return 0, fmt.Errorf("digest: %w: %d hexadecimal digits, a %s digest has %d",
			ErrObject, len(e.digest), d.alg, want)
	}
	if string(e.digest) != text {
		return 0, fmt.Errorf("payload: %w: it is %s, the digest %s", ErrObject, quote(path), quote(e.digest))
	}
	return d.t.NewExternal(e.meta, e.size, named.Bytes()), nil
}
