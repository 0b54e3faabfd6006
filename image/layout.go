// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"encoding/json"
	"strings"
)

// layout is the white space (and the punctuation in it) of an object or array,
// read off one that is there for what is added to it.
type layout struct {
	open  string // between { and the first member
	sep   string // between two members, with its comma
	colon string // between a key and its value
	end   string // between the last member and }
}

// compact is the layout of text without white space.
var compact = layout{sep: ",", colon: ":"}

// layout returns how the object, which has members, is laid out.
func (o object) layout() layout {
	last := o.members[len(o.members)-1].colon
	return layoutOf(o.node, o.items(), string(o.doc.raw[last.start:last.end]))
}

// layoutOf returns the layout of the container that holds the items, which are
// one or more.
func layoutOf(container node, items []span, colon string) layout {
	text := func(start, end int) string { return string(container.doc.raw[start:end]) }
	n := len(items)
	l := layout{
		open:  text(container.start+1, items[0].start),
		colon: colon,
		end:   text(items[n-1].end, container.end-1),
	}
	switch {
	case n > 1:
		l.sep = text(items[n-2].end, items[n-1].start)
	case l.open != "":
		l.sep = "," + l.open
	default:
		l.sep = inlineSep(colon)
	}
	return l
}

// layoutOfArray returns the layout of the array that holds the elements, which
// are one or more.
func layoutOfArray(array node, elements []node, colon string) layout {
	return layoutOf(array, spans(elements), colon)
}

// inlineSep returns the separator that goes with the colon on one line: who
// writes a space after the one does so after the other.
func inlineSep(colon string) string {
	if strings.HasSuffix(colon, " ") {
		return ", "
	}
	return ","
}

// lines returns how members are put on lines of their own: the line break, the
// indentation of a member, and by how much it is deeper than that of the
// closing bracket. ok is false where they share a line.
func (l layout) lines() (newline, indent, unit string, ok bool) {
	i := strings.LastIndexByte(l.open, '\n')
	if i < 0 {
		return "", "", "", false
	}
	newline, indent = "\n", l.open[i+1:]
	if strings.HasSuffix(l.open[:i], "\r") {
		newline = "\r\n"
	}
	outer := ""
	if j := strings.LastIndexByte(l.end, '\n'); j >= 0 {
		outer = l.end[j+1:]
	}
	if rest, within := strings.CutPrefix(indent, outer); within && rest != "" {
		return newline, indent, rest, true
	}
	return newline, indent, indent, true
}

// child returns the layout of an object or array that is the value of a member.
func (l layout) child() layout {
	newline, indent, unit, ok := l.lines()
	if !ok {
		return layout{open: l.open, sep: inlineSep(l.colon), colon: l.colon, end: l.end}
	}
	return layout{
		open:  newline + indent + unit,
		sep:   "," + newline + indent + unit,
		colon: l.colon,
		end:   newline + indent,
	}
}

// newValue makes the text of a value, given the layout of what holds it.
type newValue func(holder layout) string

// verbatim is a value whose text is given.
func verbatim(text string) newValue {
	return func(layout) string { return text }
}

// indented is a value whose text is given, but for white space: on lines of its
// own where its holder's members are, else without any.
func indented(text string) newValue {
	return func(holder layout) string {
		newline, indent, unit, ok := holder.lines()
		if !ok {
			return squeeze(text)
		}
		var b bytes.Buffer
		if err := json.Indent(&b, []byte(text), indent, unit); err != nil {
			panic("image: text that was scanned does not parse: " + err.Error())
		}
		// A string holds no line break as such.
		return strings.ReplaceAll(b.String(), "\n", newline)
	}
}

// squeeze returns JSON text without its white space.
func squeeze(text string) string {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		panic("image: text that was scanned does not parse: " + err.Error())
	}
	return b.String()
}

// addition is a member to be added to an object.
type addition struct {
	key   string
	value newValue
}

func (a addition) text(l layout) string { return encode(a.key) + l.colon + a.value(l) }

// newObject is an object with those members.
func newObject(members ...addition) newValue {
	return func(holder layout) string {
		l := holder.child()
		return "{" + l.fill(members) + "}"
	}
}

// fill returns what goes between the brackets of a container that holds the
// members and nothing else.
func (l layout) fill(members []addition) string {
	if len(members) == 0 {
		return ""
	}
	texts := make([]string, len(members))
	for i, m := range members {
		texts[i] = m.text(l)
	}
	return l.open + strings.Join(texts, l.sep) + l.end
}

// newStrings is an object of strings.
func newStrings(set []KV) newValue {
	members := make([]addition, len(set))
	for i, kv := range set {
		members[i] = addition{kv.Key, verbatim(encode(kv.Value))}
	}
	return newObject(members...)
}
