// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// pycSuffix is that of compiled Python, and cacheDir the directory that Python
// puts it into.
const (
	pycSuffix = ".pyc"
	pySuffix  = ".py"
	cacheDir  = "__pycache__"
)

// HeadSize is how much is looked at of a file that WantsHead wants, in bytes: the
// header of compiled Python.
const HeadSize = 16

// WantsHead reports whether the beginning of a file is looked at. The path needs
// no slash in front.
func WantsHead(path []byte) bool { return bytes.HasSuffix(path, []byte(pycSuffix)) }

// Head keeps the beginning of a file that is written to it.
type Head struct {
	data [HeadSize]byte
	n    int
}

// Write takes the next piece of the file. It never fails.
func (h *Head) Write(p []byte) (int, error) {
	h.n += copy(h.data[h.n:], p)
	return len(p), nil
}

// Bytes returns what was kept: HeadSize bytes, or all there are.
func (h *Head) Bytes() []byte { return h.data[:h.n] }

// Magic numbers of compiled Python, which say what its header is like
// (Lib/importlib/_bootstrap_external.py, Include/internal/pycore_magic_number.h).
// What is between those of Python 3 and of Python 2 does not exist, and what is
// below are others than CPython, of which nothing is known here.
const (
	magicPython3 = 3000
	magicSize    = 3210  // 3.3: the size of the source as well
	magicFlags   = 3392  // 3.7: PEP 552
	magicPython2 = 20121 // of 1.5 and later, all above those of 3
)

// pycSource is what compiled Python says of its source, both by their last 32
// bits.
type pycSource struct {
	mtime   uint32 // seconds since 1970
	size    uint32 // in bytes
	hasSize bool
}

// parsePyc reads the header of compiled Python. ok is false if it says nothing of
// times: it goes by a hash, or is of no known kind.
func parsePyc(head []byte) (s pycSource, ok bool) {
	if len(head) < 8 || head[2] != '\r' || head[3] != '\n' {
		return s, false
	}
	magic := binary.LittleEndian.Uint16(head)
	rest := head[4:]
	switch {
	case magic >= magicPython2:
	case magic >= magicFlags:
		if binary.LittleEndian.Uint32(rest) != 0 || len(rest) < 8 {
			return s, false
		}
		rest, s.hasSize = rest[4:], true
	case magic >= magicSize:
		s.hasSize = true
	case magic < magicPython3:
		return s, false
	}
	s.mtime = binary.LittleEndian.Uint32(rest)
	if s.hasSize && len(rest) >= 8 {
		s.size = binary.LittleEndian.Uint32(rest[4:])
	}
	return s, !s.hasSize || len(rest) >= 8
}

// sourceName returns the name of the source that compiled Python is of, by its
// name and that of its directory (importlib.util.source_from_cache). above tells
// that the source is in the directory above.
func sourceName(dir, name string) (source string, above, ok bool) {
	stem, ok := strings.CutSuffix(name, pycSuffix)
	if !ok || stem == "" {
		return "", false, false
	}
	if dir != cacheDir {
		return stem + pySuffix, false, true
	}
	// NAME.TAG.pyc, or NAME.TAG.opt-LEVEL.pyc. Others, as of pytest, Python does
	// not take.
	parts := strings.Split(stem, ".")
	isOptimised := len(parts) == 3 && strings.HasPrefix(parts[2], "opt-")
	if parts[0] == "" || len(parts) != 2 && !isOptimised {
		return "", false, false
	}
	return parts[0] + pySuffix, true, true
}

// pyc looks at compiled Python. above is the directory above that of the step.
func (l *linter) pyc(step *tree.Step, above tree.Ino, dir string) {
	c := l.checked
	if c.Kind(step.Ino) != tree.Regular {
		return
	}
	name, isAbove, ok := sourceName(dir, string(step.Name()))
	if !ok {
		return
	}
	in := step.Dir
	if isAbove {
		in = above
	}
	source, ok := c.Lookup(in, []byte(name))
	if !ok || c.Kind(source) != tree.Regular { // Python takes it as it is, or follows a link
		return
	}
	path := step.Path()
	head, ok := c.Data(step.Ino), c.Storage(step.Ino) == tree.Inline
	if !ok {
		head, ok = l.in.Files.Head(path, step.Ino)
	}
	if !ok {
		l.unread++
		return
	}
	says, ok := parsePyc(head)
	m, size := c.Meta(source), c.Size(source)
	mtimeNow, sizeNow := uint32(m.MtimeSec), uint32(size) // what the header can hold of them
	switch {
	case !ok:
	case says.mtime != mtimeNow:
		l.find(ruleStalePyc, path, step.Ino, fmt.Sprintf("compiled from %s of %s, which is of %s now", name, when(tree.Meta{MtimeSec: int64(says.mtime)}), when(m)))
	case says.hasSize && says.size != sizeNow:
		l.find(ruleStalePyc, path, step.Ino, fmt.Sprintf("compiled from %s of %d bytes, which has %d now", name, says.size, size))
	}
}
