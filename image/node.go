// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"strconv"
	"strings"
)

// document is JSON text that was scanned: what follows relies on it.
type document struct {
	name string // for errors
	raw  []byte
}

// parse returns the document of that name, or an *Error.
func parse(name string, raw []byte, maxSize int) (*document, error) {
	if len(raw) > maxSize {
		err := fmt.Errorf("%w: %d bytes, of at most %d", ErrTooLarge, len(raw), maxSize)
		return nil, &Error{Document: name, Offset: -1, Err: err}
	}
	if err := scan(raw); err != nil {
		e := err.(*Error) //nolint:errorlint,forcetypeassert // what scan documents
		e.Document = name
		return nil, e
	}
	return &document{name: name, raw: raw}, nil
}

// root returns the document's value.
func (d *document) root() node {
	start := skipSpace(d.raw, 0)
	return node{doc: d, span: span{start, skipValue(d.raw, start)}}
}

// span is a range of a document's text: from start up to before end.
type span struct{ start, end int }

// node is a value in a document. The zero node is no value.
type node struct {
	doc *document
	span
	place string
}

func (n node) text() string { return string(n.doc.raw[n.start:n.end]) }

// given reports whether there is a value, and it is not null. To readers of
// images null is as good as nothing.
func (n node) given() bool { return n.doc != nil && n.doc.raw[n.start] != 'n' }

func (n node) fail(err error) error {
	return &Error{Document: n.doc.name, Place: n.place, Offset: -1, Err: err}
}

func (n node) wrongType(want string) error {
	return n.fail(fmt.Errorf("%w: %s instead of %s", ErrType, kindOfValue(n.doc.raw[n.start]), want))
}

// kindOfValue names the values that begin with c.
func kindOfValue(c byte) string {
	switch c {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	}
	return "a number"
}

// member is a member of an object.
type member struct {
	key   string
	start int  // of the key's text
	colon span // what stands between key and value: a colon, white space
	value span
}

// object is a node that is an object.
type object struct {
	node
	members []member
}

// object returns the object that n is.
func (n node) object() (object, error) {
	raw := n.doc.raw
	if raw[n.start] != '{' {
		return object{}, n.wrongType("an object")
	}
	o := object{node: n}
	for pos := skipSpace(raw, n.start+1); raw[pos] != '}'; pos = skipSpace(raw, pos+1) {
		m := member{start: pos}
		pos = skipValue(raw, pos)
		m.key = unquote(raw[m.start:pos])
		m.colon.start = pos
		pos = skipSpace(raw, skipSpace(raw, pos)+1)
		m.colon.end = pos
		m.value = span{pos, skipValue(raw, pos)}
		o.members = append(o.members, m)
		if pos = skipSpace(raw, m.value.end); raw[pos] == '}' {
			break
		}
	}
	return o, nil
}

// items returns the range of each member, from its key to its value.
func (o object) items() []span {
	items := make([]span, len(o.members))
	for i, m := range o.members {
		items[i] = span{m.start, m.value.end}
	}
	return items
}

// spans returns the range of each node.
func spans(nodes []node) []span {
	items := make([]span, len(nodes))
	for i, n := range nodes {
		items[i] = n.span
	}
	return items
}

// find returns the number of the member with that key; -1 if there is none.
func (o object) find(key string) int {
	for i := range o.members {
		if o.members[i].key == key {
			return i
		}
	}
	return -1
}

// at returns the value of member i.
func (o object) at(i int) node {
	m := o.members[i]
	return node{doc: o.doc, span: m.value, place: placeOf(o.place, m.key)}
}

// get returns the value that key names; the zero node if there is none.
func (o object) get(key string) node {
	if i := o.find(key); i >= 0 {
		return o.at(i)
	}
	return node{}
}

// array returns the elements of the array that n is.
func (n node) array() ([]node, error) {
	raw := n.doc.raw
	if raw[n.start] != '[' {
		return nil, n.wrongType("an array")
	}
	var nodes []node
	for pos := skipSpace(raw, n.start+1); raw[pos] != ']'; pos = skipSpace(raw, pos+1) {
		e := span{pos, skipValue(raw, pos)}
		nodes = append(nodes, node{doc: n.doc, span: e, place: placeAt(n.place, len(nodes))})
		if pos = skipSpace(raw, e.end); raw[pos] == ']' {
			break
		}
	}
	return nodes, nil
}

// str returns the string that n is.
func (n node) str() (string, error) {
	text := n.doc.raw[n.start:n.end]
	if text[0] != '"' {
		return "", n.wrongType("a string")
	}
	return unquote(text), nil
}

// size returns the number of bytes that n gives.
func (n node) size() (int64, error) {
	switch c := n.doc.raw[n.start]; {
	case c == '-':
		return 0, n.fail(fmt.Errorf("%w: %s is negative", ErrSize, quote(n.text())))
	case !isDigit(c):
		return 0, n.wrongType("a number")
	}
	size, err := strconv.ParseInt(n.text(), 10, 64)
	if err != nil {
		return 0, n.fail(fmt.Errorf("%w: %s is no integer of 63 bits", ErrSize, quote(n.text())))
	}
	return size, nil
}

// stringMap returns the strings by key that n, an object, gives.
func (n node) stringMap() (map[string]string, error) {
	o, err := n.object()
	if err != nil {
		return nil, err
	}
	strs := make(map[string]string, len(o.members))
	for i, m := range o.members {
		if strs[m.key], err = o.at(i).str(); err != nil {
			return nil, err
		}
	}
	return strs, nil
}

// skipValue returns the end of the value that begins at pos of scanned text.
func skipValue(raw []byte, pos int) int {
	depth := 0
	for {
		switch raw[pos] {
		case '"':
			pos = skipString(raw, pos)
		case '{', '[':
			depth++
			pos++
		case '}', ']':
			depth--
			pos++
		default:
			pos++
			if depth == 0 {
				return skipWord(raw, pos)
			}
		}
		if depth == 0 {
			return pos
		}
	}
}

// skipString returns the end of the string whose quote is at pos.
func skipString(raw []byte, pos int) int {
	for pos++; raw[pos] != '"'; pos++ {
		if raw[pos] == '\\' {
			pos++
		}
	}
	return pos + 1
}

// skipWord returns the end of the number, true, false or null that pos is in.
func skipWord(raw []byte, pos int) int {
	for pos < len(raw) && !strings.ContainsRune(",]} \t\r\n", rune(raw[pos])) {
		pos++
	}
	return pos
}
