// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/remote"
)

// treeFile reads the tree of a file: a composefs dump, whose algorithm is that
// of its first digest and which may be "-" for stdin, or a composefs image.
func treeFile(kind sourceKind, path string, warn func(string)) (*tree.Checked, error) {
	c, err := readTreeFile(kind, path, warn)
	if errors.Is(err, fs.ErrNotExist) {
		err = remote.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func readTreeFile(kind sourceKind, path string, warn func(string)) (*tree.Checked, error) {
	switch {
	case path == "":
		return nil, &usageError{errors.New("the name of the file is missing")}
	case path == "-" && kind == aDump:
		return readDump(os.Stdin)
	case path == "-":
		return nil, &usageError{errNotInOrder}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	if kind == aDump {
		return readDump(f)
	}
	return readImage(f, warn)
}

// readImage warns of an image that has other bytes than Write makes of its tree:
// no comparison of trees tells why its digest is another one.
func readImage(f *os.File, warn func(string)) (*tree.Checked, error) {
	size, err := f.Seek(0, io.SeekEnd) // of devices, too
	if errors.Is(err, syscall.ESPIPE) {
		return nil, &usageError{errNotInOrder}
	}
	if err != nil {
		return nil, err
	}
	begin := make([]byte, beginSize)
	n, err := f.ReadAt(begin, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := checkBegin(anEROFS, begin[:n]); err != nil {
		return nil, err
	}
	t, format, err := erofs.Read(f, size)
	if err != nil {
		return nil, err
	}
	c, err := t.Check()
	if err != nil {
		return nil, err
	}
	again := &comparer{r: f}
	err = erofs.Write(again, c, erofs.Options{Format: format, Algorithm: c.Algorithms()[0]})
	if err == nil && again.at != size {
		err = fmt.Errorf("%d in place of %d", size, again.at)
	}
	if err != nil {
		warn(fmt.Sprintf("it has other bytes than cfs-label writes for its tree (%v), and so another digest, even where trees are equal; write it again with export or cfsctl", err))
	}
	return c, nil
}

// comparer is a writer that fails where r does not have what is written.
type comparer struct {
	r   io.ReaderAt
	at  int64 // bytes so far
	buf []byte
}

func (c *comparer) Write(b []byte) (int, error) {
	c.buf = slices.Grow(c.buf[:0], len(b))[:len(b)]
	if _, err := c.r.ReadAt(c.buf, c.at); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	for i := range b {
		if b[i] != c.buf[i] {
			return i, fmt.Errorf("from %#x on", c.at+int64(i))
		}
	}
	c.at += int64(len(b))
	return len(b), nil
}

// errNotInOrder is what a composefs image in a pipe gives.
var errNotInOrder = errors.New("an image is not read in order, so not from stdin or a pipe: name the file")

const beginSize = 4 // bytes, by which checkBegin knows what it is

// checkBegin tells what a file is that begins so and is of another kind.
func checkBegin(kind sourceKind, begin []byte) error {
	for _, other := range []struct {
		kind        sourceKind
		begin, what string
	}{
		{aDump, "/ ", "a dump: name it as dump:FILE"},
		{anEROFS, "\x9a\x62\x78\xd0", "a composefs image: name it as erofs:FILE"},
		{anImage, "\x1f\x8b", "compressed: unpack it first"},         // gzip
		{anImage, "\x28\xb5\x2f\xfd", "compressed: unpack it first"}, // zstd
	} {
		if other.kind != kind && strings.HasPrefix(string(begin), other.begin) {
			return fmt.Errorf("this is %s", other.what)
		}
	}
	return nil
}

// readDump reads a dump of either algorithm.
func readDump(in io.Reader) (*tree.Checked, error) {
	r := bufio.NewReader(in)
	begin, _ := r.Peek(beginSize) // the error comes again
	if err := checkBegin(aDump, begin); err != nil {
		return nil, err
	}
	var before bytes.Buffer
	alg, err := dumpAlgorithm(io.TeeReader(r, &before))
	if err != nil {
		return nil, err
	}
	t, err := dumpfile.Read(io.MultiReader(&before, r), alg)
	if err != nil {
		return nil, err
	}
	return t.Check()
}

// dumpAlgorithm finds out which digests a dump has: those of the first file
// that names an object. It does not look for long; a dump without such a file
// may have either.
func dumpAlgorithm(r io.Reader) (fsverity.Algorithm, error) {
	const most = 64 << 20 // bytes
	lines := bufio.NewScanner(io.LimitReader(r, most))
	lines.Buffer(nil, dumpfile.LineMax)
	for lines.Scan() {
		fields := bytes.SplitN(lines.Bytes(), []byte{' '}, 10)
		if len(fields) < 10 || !bytes.HasPrefix(fields[2], []byte("100")) {
			continue
		}
		for _, alg := range []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256} {
			if len(fields[8]) == 2*alg.Size()+len("/") {
				return alg, nil
			}
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return 0, err
	}
	return fsverity.SHA512, nil // what is wrong with a line, Read says better
}
