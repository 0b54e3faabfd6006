// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// The language of testdata/merge: a line is a tar entry or a piece of the
// archive's form.
//
//	KIND NAME [MODE] [UID:GID] [KEY=VALUE]... ["CONTENT"]
//
// KIND is dir, file, link, symlink, char, block, fifo or raw. What has spaces
// or odd bytes is quoted as in Go. The keys:
//
//	to=TARGET           of a link or symlink
//	rdev=MAJOR:MINOR    of a device
//	mtime=SECONDS       may be negative
//	xattr=NAME=VALUE    a SCHILY.xattr record; repeatable
//	pax=KEY=VALUE       a record of an extended header; repeatable
//	records="…"         the same as raw bytes
//	filler=N            a record of N bytes that says nothing
//	longname=, longlink=  GNU entries of type L and K in front
//	prefix=             ustar's field for the start of the name
//	dialect=v7|gnu|ustar  the magic; ustar is the default
//	type=C              the type, of a raw entry
//	size=N              so many bytes x of content, whatever the type
//	claim=N             the size in the header, whatever follows
//	field.NAME="…"      the raw bytes of a field of the header; in a checksum
//	                    %o and the like stand for what it should be
//
// Other lines: "global" with pax keys is a global extended header; "zeros N"
// so many blocks of zeros; "end" two of them, which also stand at the end of
// each archive unless a line says "noend"; "text "…"" raw bytes; "again layerN"
// the whole archive of another layer. # starts a comment.
type tarEntry struct {
	typ                byte
	name, prefix, link string
	mode, uid, gid     uint64
	mtime              int64
	major, minor       uint64
	claim              *uint64
	magic              string
	records            []byte // of its extended header
	longName, longLink *string
	fields             map[string]string
	content            []byte
}

var kinds = map[string]byte{
	"file": '0', "link": '1', "symlink": '2', "char": '3', "block": '4', "dir": '5', "fifo": '6',
	"raw": '?', "global": 'g',
}

var magics = map[string]string{"v7": "", "ustar": "ustar\x0000", "gnu": "ustar  \x00"}

// token is a word of a line.
type token struct {
	key, value string // the key is what is before the first equals sign
	hasKey     bool
	quoted     bool
}

// tokens splits a line.
func tokens(line string) (list []token, err error) {
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			return list, nil
		}
		var t token
		for line != "" && line[0] != ' ' && line[0] != '\t' {
			switch {
			case line[0] == '"':
				quoted, err := strconv.QuotedPrefix(line)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", line, err)
				}
				text, err := strconv.Unquote(quoted)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", quoted, err)
				}
				t.value, t.quoted = t.value+text, true
				line = line[len(quoted):]
				continue
			case line[0] == '=' && !t.hasKey && !t.quoted:
				t.key, t.value, t.hasKey = t.value, "", true
			default:
				t.value += line[:1]
			}
			line = line[1:]
		}
		list = append(list, t)
	}
}

// parseArchive makes the archive of a section; layers are those before it.
func parseArchive(text string, layers [][]byte) ([]byte, error) {
	var archive []byte
	end := true
	for n, line := range strings.Split(text, "\n") {
		words, err := tokens(line)
		if err == nil && len(words) > 0 {
			switch words[0].value {
			case "noend":
				end = false
			case "again":
				var i int
				if _, err = fmt.Sscanf(words[1].value, "layer%d", &i); err == nil {
					return layers[i], nil
				}
			default:
				archive, err = appendLine(archive, words)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", n+1, line, err)
		}
	}
	if end {
		archive = append(archive, make([]byte, 2*512)...)
	}
	return archive, nil
}

func appendLine(archive []byte, words []token) ([]byte, error) {
	switch words[0].value {
	case "end":
		return append(archive, make([]byte, 2*512)...), nil
	case "zeros":
		n, err := strconv.Atoi(words[1].value)
		return append(archive, make([]byte, n*512)...), err
	case "text":
		return append(archive, words[1].value...), nil
	}
	e, err := parseEntry(words)
	if err != nil {
		return nil, err
	}
	return e.appendTo(archive), nil
}

func parseEntry(words []token) (*tarEntry, error) {
	typ, ok := kinds[words[0].value]
	if !ok {
		return nil, fmt.Errorf("unknown kind %q", words[0].value)
	}
	e := &tarEntry{typ: typ, mode: 0o644, magic: magics["ustar"], fields: map[string]string{}}
	if typ == '5' {
		e.mode = 0o755
	}
	words = words[1:]
	if typ == 'g' {
		e.name = "global"
	} else {
		e.name, words = words[0].value, words[1:]
	}
	for _, w := range words {
		var err error
		switch {
		case w.hasKey:
			err = e.set(w.key, w.value)
		case w.quoted:
			e.content = []byte(w.value)
		case strings.Contains(w.value, ":"):
			_, err = fmt.Sscanf(w.value, "%d:%d", &e.uid, &e.gid)
		default:
			e.mode, err = strconv.ParseUint(w.value, 8, 64)
		}
		if err != nil {
			return nil, fmt.Errorf("%v: %w", w, err)
		}
	}
	return e, nil
}

func (e *tarEntry) set(key, value string) (err error) {
	switch key {
	case "to":
		e.link = value
	case "rdev":
		_, err = fmt.Sscanf(value, "%d:%d", &e.major, &e.minor)
	case "mtime":
		e.mtime, err = strconv.ParseInt(value, 10, 64)
	case "xattr":
		e.records = appendRecord(e.records, "SCHILY.xattr."+value)
	case "pax":
		e.records = appendRecord(e.records, value)
	case "records":
		e.records = append(e.records, value...)
	case "filler":
		var n int
		n, err = strconv.Atoi(value)
		text := fmt.Sprintf("%d comment=", n)
		e.records = append(e.records, text+strings.Repeat("x", n-len(text)-1)+"\n"...)
	case "longname":
		e.longName = &value
	case "longlink":
		e.longLink = &value
	case "prefix":
		e.prefix = value
	case "dialect":
		e.magic = magics[value]
	case "type":
		e.typ = value[0]
	case "size":
		var n int
		n, err = strconv.Atoi(value)
		e.content = bytes.Repeat([]byte("x"), n)
	case "claim":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 64)
		e.claim = &n
	default:
		name, ok := strings.CutPrefix(key, "field.")
		if _, known := fieldsOfHeader[name]; !ok || !known {
			return fmt.Errorf("unknown key %q", key)
		}
		e.fields[name] = value
	}
	return err
}

// fieldsOfHeader are the offsets and lengths of the fields, in bytes.
var fieldsOfHeader = map[string][2]int{
	"name": {0, 100}, "mode": {100, 8}, "uid": {108, 8}, "gid": {116, 8}, "size": {124, 12},
	"mtime": {136, 12}, "checksum": {148, 8}, "type": {156, 1}, "link": {157, 100}, "magic": {257, 8},
	"major": {329, 8}, "minor": {337, 8}, "prefix": {345, 155},
}

// appendTo appends the entry, and in front of it what its header cannot say.
func (e *tarEntry) appendTo(b []byte) []byte {
	if e.longName != nil {
		b = (&tarEntry{typ: 'L', name: "././@LongLink", magic: magics["gnu"], content: []byte(*e.longName + "\x00")}).appendTo(b)
	}
	if e.longLink != nil {
		b = (&tarEntry{typ: 'K', name: "././@LongLink", magic: magics["gnu"], content: []byte(*e.longLink + "\x00")}).appendTo(b)
	}
	content := e.content
	switch {
	case e.typ == 'g':
		content = e.records
	case e.records != nil:
		b = (&tarEntry{typ: 'x', name: "PaxHeaders/x", magic: magics["ustar"], content: e.records}).appendTo(b)
	}
	b = append(b, e.header(uint64(len(content)))...)
	b = append(b, content...)
	return append(b, make([]byte, -len(content)&511)...)
}

// header returns the entry's block.
func (e *tarEntry) header(size uint64) []byte {
	block := make([]byte, 512)
	put := func(field, value string) {
		f := fieldsOfHeader[field]
		if len(value) > f[1] {
			panic(fmt.Sprintf("%d bytes for the field %s: %q", len(value), field, value))
		}
		copy(block[f[0]:][:f[1]], value+strings.Repeat("\x00", f[1]-len(value)))
	}
	if e.claim != nil {
		size = *e.claim
	}
	number := func(field string, n uint64) { put(field, number(n, fieldsOfHeader[field][1])) }
	put("name", e.name)
	number("mode", e.mode)
	number("uid", e.uid)
	number("gid", e.gid)
	number("size", size)
	number("mtime", uint64(e.mtime))
	put("type", string(e.typ))
	put("link", e.link)
	put("magic", e.magic)
	if e.magic != "" {
		number("major", e.major)
		number("minor", e.minor)
		put("prefix", e.prefix)
	}
	for name, value := range e.fields {
		put(name, value)
	}
	put("checksum", "        ")
	sum := 0
	for _, c := range block {
		sum += int(c)
	}
	checksum := "%06o\x00 "
	if own, ok := e.fields["checksum"]; ok {
		checksum = own
	}
	if strings.Contains(checksum, "%") {
		checksum = fmt.Sprintf(checksum, sum)
	}
	put("checksum", checksum)
	return block
}

// number writes n in octal with a NUL behind, or in base 256 if it needs more
// room.
func number(n uint64, width int) string {
	if text := fmt.Sprintf("%0*o", width-1, n); len(text) < width {
		return text
	}
	fill := byte(0)
	if int64(n) < 0 {
		fill = 0xff
	}
	b := bytes.Repeat([]byte{fill}, width)
	binary.BigEndian.PutUint64(b[width-8:], n)
	b[0] |= 0x80
	return string(b)
}

// appendRecord appends a record of an extended header, "LENGTH KEY=VALUE\n".
func appendRecord(b []byte, record string) []byte {
	n := len(record) + 2
	for n != len(record)+2+len(strconv.Itoa(n)) {
		n = len(record) + 2 + len(strconv.Itoa(n))
	}
	return fmt.Appendf(b, "%d %s\n", n, record)
}
