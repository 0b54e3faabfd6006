// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON text (RFC 8259) once, to know that it is what the rest of
// this package takes for granted: well-formed, of bounded depth, in Unicode,
// without an object that has a key twice.
type scanner struct {
	raw   []byte
	pos   int
	place []step // the open arrays and objects, outermost first
}

// step is where the scanner stands in an open array or object.
type step struct {
	key   string // of the member, in an object
	index int    // of the element, in an array; -1 in an object
}

// scan returns an error, of type *Error and without a document's name, if raw
// is not one JSON value with nothing but white space around it.
func scan(raw []byte) error {
	s := scanner{raw: raw}
	if bytes.HasPrefix(raw, []byte("\ufeff")) {
		return s.fail(0, fmt.Errorf("%w: it begins with a byte order mark: save it without one", ErrSyntax))
	}
	s.space()
	if err := s.value(); err != nil {
		return err
	}
	s.space()
	if s.pos < len(raw) {
		return s.fail(s.pos, ErrTrailing)
	}
	return nil
}

func (s *scanner) fail(offset int, err error) error {
	place := ""
	for _, p := range s.place {
		switch {
		case p.index >= 0:
			place = placeAt(place, p.index)
		case p.key != "":
			place = placeOf(place, p.key)
		}
	}
	return &Error{Place: place, Offset: offset, Err: err}
}

// unexpected is the error of a byte that cannot stand where the scanner is.
func (s *scanner) unexpected(want string) error {
	if s.pos >= len(s.raw) {
		return s.fail(s.pos, fmt.Errorf("%w: the text ends where %s is due", ErrSyntax, want))
	}
	return s.fail(s.pos, fmt.Errorf("%w: %q where %s is due", ErrSyntax, s.raw[s.pos], want))
}

func (s *scanner) space() { s.pos = skipSpace(s.raw, s.pos) }

// skipSpace returns the first position from pos on that is not white space.
func skipSpace(raw []byte, pos int) int {
	for pos < len(raw) && (raw[pos] == ' ' || raw[pos] == '\t' || raw[pos] == '\n' || raw[pos] == '\r') {
		pos++
	}
	return pos
}

// peek returns the next byte; 0, which no JSON text has outside of an error, at
// the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.raw) {
		return s.raw[s.pos]
	}
	return 0
}

// take steps over c if it is the next byte.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

func (s *scanner) value() error {
	switch c := s.peek(); {
	case c == '{':
		return s.nested(s.object)
	case c == '[':
		return s.nested(s.array)
	case c == '"':
		return s.text()
	case c == '-' || isDigit(c):
		return s.number()
	}
	for _, word := range []string{"null", "true", "false"} {
		if bytes.HasPrefix(s.raw[s.pos:], []byte(word)) {
			s.pos += len(word)
			return nil
		}
	}
	return s.unexpected("a value")
}

// nested scans an array or object, one level down.
func (s *scanner) nested(content func() error) error {
	if len(s.place) == MaxDepth {
		return s.fail(s.pos, ErrTooDeep)
	}
	s.pos++ // the bracket
	s.place = append(s.place, step{index: -1})
	if err := content(); err != nil {
		return err
	}
	s.place = s.place[:len(s.place)-1]
	return nil
}

func (s *scanner) object() error {
	seen := map[string]bool{}
	s.space()
	if s.take('}') {
		return nil
	}
	for {
		s.space()
		if err := s.member(seen); err != nil {
			return err
		}
		s.space()
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return s.unexpected("a comma or }")
		}
		s.place[len(s.place)-1].key = ""
	}
}

// member scans a key and its value. It adds the key to those seen.
func (s *scanner) member(seen map[string]bool) error {
	start := s.pos
	if s.peek() != '"' {
		return s.unexpected("a key")
	}
	if err := s.text(); err != nil {
		return err
	}
	key := unquote(s.raw[start:s.pos])
	if seen[key] {
		return s.fail(start, fmt.Errorf("%s: %w", quote(key), ErrDuplicateKey))
	}
	seen[key] = true
	s.place[len(s.place)-1].key = key
	s.space()
	if !s.take(':') {
		return s.unexpected("a colon")
	}
	s.space()
	return s.value()
}

func (s *scanner) array() error {
	s.space()
	if s.take(']') {
		return nil
	}
	for i := 0; ; i++ {
		s.place[len(s.place)-1].index = i
		s.space()
		if err := s.value(); err != nil {
			return err
		}
		s.space()
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return s.unexpected("a comma or ]")
		}
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (s *scanner) number() error {
	s.take('-')
	if !s.take('0') {
		if err := s.digits(); err != nil {
			return err
		}
	}
	if s.take('.') {
		if err := s.digits(); err != nil {
			return err
		}
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return nil
}

// digits steps over one digit or more.
func (s *scanner) digits() error {
	if !isDigit(s.peek()) {
		return s.unexpected("a digit")
	}
	for isDigit(s.peek()) {
		s.pos++
	}
	return nil
}

// text steps over a string.
func (s *scanner) text() error {
	s.pos++ // the quote
	for {
		switch c := s.peek(); {
		case c == '"':
			s.pos++
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		case c < ' ': // or the end of the text
			return s.unexpected("a character of a string or its closing quote")
		case c < utf8.RuneSelf:
			s.pos++
		default:
			r, size := utf8.DecodeRune(s.raw[s.pos:])
			if r == utf8.RuneError && size <= 1 {
				return s.fail(s.pos, fmt.Errorf("%w: byte %#x is not UTF-8", ErrEncoding, c))
			}
			s.pos += size
		}
	}
}

// escape steps over an escape. Half of a surrogate pair is an error: it is no
// character, and readers make different strings of it.
func (s *scanner) escape() error {
	start := s.pos
	if s.pos+1 < len(s.raw) && s.raw[s.pos+1] != 'u' {
		s.pos++
		if bytes.IndexByte([]byte(`"\/bfnrt`), s.raw[s.pos]) < 0 {
			return s.unexpected("a letter of an escape")
		}
		s.pos++
		return nil
	}
	r, err := s.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return err
	}
	if bytes.HasPrefix(s.raw[s.pos:], []byte(`\u`)) {
		low, err := s.hex4()
		if err != nil {
			return err
		}
		if utf16.DecodeRune(r, low) != utf8.RuneError {
			return nil
		}
	}
	return s.fail(start, fmt.Errorf("%w: half of a surrogate pair", ErrEncoding))
}

// hex4 steps over \u and four hexadecimal digits.
func (s *scanner) hex4() (rune, error) {
	s.pos = min(s.pos+2, len(s.raw))
	var r rune
	for range 4 {
		c := s.peek()
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, s.unexpected("a hexadecimal digit")
		}
		s.pos++
	}
	return r, nil
}

// unquote returns what a string's text, found well-formed, says.
func unquote(text []byte) string {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text[1 : len(text)-1])
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		panic("image: a string that was scanned does not parse: " + err.Error())
	}
	return s
}

// encode returns the text of a JSON string that says s, which must be UTF-8.
func encode(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("image: a string does not encode: " + err.Error())
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
