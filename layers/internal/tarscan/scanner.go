// SPDX-License-Identifier: Apache-2.0

package tarscan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

// Errors of archives.
var (
	ErrTooLong   = fmt.Errorf("extension headers of more than %d bytes", metadataMax)
	ErrDuplicate = errors.New("two extension headers of one type for one entry")
	ErrOrphan    = errors.New("the archive ends after an extension header")
	ErrNoPath    = errors.New("an entry without a name")
	ErrSize      = errors.New("a size that no archive can have")
	ErrNoEnd     = errors.New("the archive ends right behind an entry without content, without the two blocks of zeros that end an archive")
)

// EntryError is an error of which it is known at which entry it is.
type EntryError struct {
	Path string // as far as the headers before the error tell
	Err  error
}

func (e *EntryError) Error() string { return fmt.Sprintf("%q: %v", e.Path, e.Err) }

func (e *EntryError) Unwrap() error { return e.Err }

// metadataMax is the most that the extension headers of one entry may hold, in
// bytes. The reference has the same limit.
const metadataMax = 1 << 20

// Xattr is an extended attribute from a SCHILY.xattr record.
type Xattr struct{ Name, Value string }

// Entry is an entry of the archive with all its headers applied. Its slices
// are valid only while the handler is called.
type Entry struct {
	Type      byte
	Path      []byte // as written; never empty
	Link      []byte // target of a link; may be empty
	Mode      uint32
	UID, GID  uint32
	MtimeSec  int64
	MtimeNsec uint32
	Size      uint64 // bytes that follow, whatever the type
	Xattrs    []Xattr

	// HasDevice tells that the dialect has device numbers at all.
	HasDevice          bool
	DevMajor, DevMinor uint32
}

// Handler gets what a Scanner finds: for each entry Entry, Data any number of
// times, EndEntry.
type Handler interface {
	// Entry starts an entry. Its error ends the scan.
	Entry(e *Entry) error
	// Data gets the next bytes of the entry, which it must not keep.
	Data(p []byte)
	// EndEntry ends the entry.
	EndEntry() error
}

// Scanner reads an archive that is written to it. Its error sticks.
type Scanner struct {
	handler Handler
	err     error

	state   state
	block   []byte // a header so far, if it did not come in one piece
	content uint64 // bytes left of the entry or extension
	padding uint64 // bytes left to skip after it
	ext     byte   // type of the extension being read
	extData []byte

	// sawZero tells that the block before was all zero: it ends the archive
	// together with a second one, and is skipped otherwise.
	sawZero bool

	// bare tells that the last that was read is an entry without content. The
	// reference does not take the end of the archive there.
	bare bool

	pending pending
}

// state is what the next bytes are.
type state uint8

const (
	inHeader state = iota
	inExtension
	inEntry
	inPadding
	atEnd
)

// pending is what extension headers said of the entry to come.
type pending struct {
	longName, longLink, pax []byte // nil where there was none
	size                    uint64
}

func (p *pending) any() bool { return p.longName != nil || p.longLink != nil || p.pax != nil }

// New returns a Scanner that calls the handler.
func New(h Handler) *Scanner { return &Scanner{handler: h} }

// Write scans the next bytes of the archive. It returns the error of the
// archive or the handler.
func (s *Scanner) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && s.err == nil {
		switch s.state {
		case inHeader:
			p = s.takeHeader(p)
		case inExtension:
			c := min(s.content, uint64(len(p)))
			s.extData = append(s.extData, p[:c]...)
			p = p[c:]
			s.content -= c
			if s.content == 0 {
				s.endExtension()
			}
		case inEntry:
			c := min(s.content, uint64(len(p)))
			s.handler.Data(p[:c])
			p = p[c:]
			s.content -= c
			if s.content == 0 {
				s.endEntry()
			}
		case inPadding:
			c := min(s.padding, uint64(len(p)))
			p = p[c:]
			s.padding -= c
			if s.padding == 0 {
				s.state = inHeader
			}
		case atEnd:
			return n, nil
		}
	}
	return n - len(p), s.err
}

// Close tells that the archive is complete. It returns io.ErrUnexpectedEOF
// or ErrNoEnd unless the archive may end here; two zero blocks need not be
// there, but behind an entry without content.
func (s *Scanner) Close() error {
	switch {
	case s.err != nil:
		return s.err
	case s.state == atEnd:
		return nil
	case s.state != inHeader || len(s.block) > 0 || s.sawZero || s.pending.any():
		s.err = fmt.Errorf("the archive ends within an entry: %w", io.ErrUnexpectedEOF)
	case s.bare:
		s.err = ErrNoEnd
	}
	return s.err
}

// takeHeader takes the next header from p, or as much of it as p has, and
// returns the rest of p.
func (s *Scanner) takeHeader(p []byte) []byte {
	var h header
	if len(s.block) == 0 && len(p) >= BlockSize {
		h, p = header(p[:BlockSize]), p[BlockSize:]
	} else {
		c := min(BlockSize-len(s.block), len(p))
		s.block = append(s.block, p[:c]...)
		p = p[c:]
		if len(s.block) < BlockSize {
			return p
		}
		h = header(s.block)
		defer func() { s.block = s.block[:0] }()
	}
	s.err = s.header(h)
	return p
}

func (s *Scanner) header(h header) error {
	s.bare = false
	if h.isZero() {
		if !s.sawZero {
			s.sawZero = true
			return nil
		}
		s.state = atEnd
		if s.pending.any() {
			return ErrOrphan
		}
		return nil
	}
	s.sawZero = false
	if err := h.verify(); err != nil {
		return err
	}
	size, err := parseNumeric(h.size())
	if err != nil {
		return fmt.Errorf("size: %w", err)
	}
	if size > math.MaxUint64-(BlockSize-1) { // a PAX record may override anything less
		return ErrSize
	}
	t := h.typeflag()
	switch {
	case t == typePAXGlobal, h.hasExtensions() && (t == typePAX || t == typeGNULongName || t == typeGNULongLink):
		return s.beginExtension(t, size)
	case t == typeGNUSparse:
		return &EntryError{Path: string(h.name()), Err: ErrSparse}
	}
	return s.entry(h, size)
}

func (s *Scanner) beginExtension(t byte, size uint64) error {
	switch {
	case t == typePAX && s.pending.pax != nil,
		t == typeGNULongName && s.pending.longName != nil,
		t == typeGNULongLink && s.pending.longLink != nil:
		return ErrDuplicate
	case size > metadataMax, t != typePAXGlobal && s.pending.size+size > metadataMax:
		return ErrTooLong
	}
	s.ext, s.extData = t, make([]byte, 0, size)
	s.begin(inExtension, size)
	if size == 0 {
		s.endExtension()
	}
	return nil
}

func (s *Scanner) begin(state state, size uint64) {
	s.state = state
	s.content = size
	s.padding = (BlockSize - size%BlockSize) % BlockSize
}

func (s *Scanner) endExtension() {
	data := s.extData
	s.extData = nil
	s.pending.size += uint64(len(data))
	switch s.ext {
	case typePAX:
		s.pending.pax = data
	case typeGNULongName:
		s.pending.longName = bytes.TrimSuffix(data, []byte{0})
	case typeGNULongLink:
		s.pending.longLink = bytes.TrimSuffix(data, []byte{0})
	case typePAXGlobal:
		// It is skipped, and what stood before it with it.
		s.pending = pending{}
	}
	s.afterContent()
}

func (s *Scanner) afterContent() {
	s.state = inHeader
	if s.padding > 0 {
		s.state = inPadding
	}
}

func (s *Scanner) endEntry() {
	s.err = s.handler.EndEntry()
	s.afterContent()
}

func (s *Scanner) entry(h header, size uint64) error {
	e := Entry{Type: h.typeflag(), Size: size, HasDevice: h.hasExtensions()}
	if err := e.readHeader(h); err != nil {
		return err
	}
	if err := e.apply(&s.pending); err != nil {
		return err
	}
	s.pending = pending{}
	if len(e.Path) == 0 {
		return ErrNoPath
	}
	if e.Size > math.MaxInt64-BlockSize {
		return ErrSize
	}
	if err := s.handler.Entry(&e); err != nil {
		return err
	}
	s.begin(inEntry, e.Size)
	if e.Size == 0 {
		s.endEntry()
		s.bare = true
	}
	return s.err
}

// readHeader fills in what the header itself says.
func (e *Entry) readHeader(h header) error {
	e.Path = h.name()
	if prefix := h.prefix(); h.magic() == magicUSTAR && len(prefix) > 0 {
		e.Path = bytes.Join([][]byte{prefix, e.Path}, []byte("/"))
	}
	e.Link = h.linkname()
	var f fields
	e.Mode = uint32(f.numeric("mode", h.mode()))
	e.UID = uint32(f.numeric("uid", h.uid()))
	e.GID = uint32(f.numeric("gid", h.gid()))
	e.MtimeSec = int64(f.numeric("mtime", h.mtime()))
	if e.HasDevice {
		e.DevMajor = uint32(f.octal("devmajor", h.devmajor()))
		e.DevMinor = uint32(f.octal("devminor", h.devminor()))
	}
	return e.place(f.err)
}

// apply overrides the header by what the extension headers say.
func (e *Entry) apply(p *pending) error {
	if p.longName != nil {
		e.Path = p.longName
	}
	if p.longLink != nil {
		e.Link = p.longLink
	}
	if p.pax == nil {
		return nil
	}
	x, err := parsePAX(p.pax)
	if err != nil {
		return e.place(err)
	}
	e.applyPAX(x)
	if x.sparse() {
		return e.place(ErrSparse)
	}
	return nil
}

func (e *Entry) place(err error) error {
	if err == nil {
		return nil
	}
	return &EntryError{Path: string(e.Path), Err: err}
}

func (e *Entry) applyPAX(x *pax) {
	if x.path != nil {
		e.Path = x.path
	}
	if x.linkpath != nil {
		e.Link = x.linkpath
	}
	if x.sparseName != nil {
		e.Path = x.sparseName
	}
	if x.size != nil {
		e.Size = *x.size
	}
	if x.uid != nil {
		e.UID = uint32(*x.uid)
	}
	if x.gid != nil {
		e.GID = uint32(*x.gid)
	}
	if x.mtimeSec != nil {
		e.MtimeSec, e.MtimeNsec = int64(*x.mtimeSec), x.mtimeNsec
	}
	e.Xattrs = x.xattrs
}
