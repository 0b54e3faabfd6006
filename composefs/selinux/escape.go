// SPDX-License-Identifier: Apache-2.0

package selinux

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// escaped is what one character of a pattern, or an escape, stands for.
type escaped struct {
	r     rune
	raw   bool  // r is a byte, not a code point
	node  *node // not a character at all: a class or a place
	class bool  // node is a class
}

func classEscape(s *set) escaped {
	return escaped{node: &node{op: opSet, set: *s, depth: 1, size: 1, repeats: 1}, class: true}
}

// controls are the escapes of characters that both dialects have.
var controls = map[rune]rune{'a': '\a', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape reads what follows a backslash.
func (p *parser) escape() escaped {
	c := p.next()
	if control, ok := controls[c]; ok {
		return escaped{r: control}
	}
	if s, ok := perlClass(byte(c)); ok && c < utf8.RuneSelf {
		return classEscape(&s)
	}
	if c < utf8.RuneSelf && !isAlphanumeric(c) && (p.dialect == pcre || c != '<' && c != '>') {
		return escaped{r: c}
	}
	switch c {
	case 'A':
		return escaped{node: measured(&node{op: opBegin})}
	case 'z':
		return escaped{node: measured(&node{op: opEnd})}
	case 'B':
		return escaped{node: assertNode(notWordBoundary)}
	}
	if p.dialect == pcre {
		return p.pcreEscape(c)
	}
	return p.rustEscape(c)
}

func isAlphanumeric(c rune) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func (p *parser) rustEscape(c rune) escaped {
	switch c {
	case 'v':
		return escaped{r: '\v'}
	case 'b':
		return escaped{node: assertNode(p.wordBoundary())}
	case '<':
		return escaped{node: assertNode(wordStart)}
	case '>':
		return escaped{node: assertNode(wordEnd)}
	case 'x':
		return p.hex(2)
	case 'u':
		return p.hex(4)
	case 'U':
		return p.hex(8)
	}
	p.fail("an escape that Rust's syntax does not have")
	return escaped{}
}

// wordBoundary reads what may follow \b.
func (p *parser) wordBoundary() assertion {
	for name, a := range map[string]assertion{
		"{start}": wordStart, "{end}": wordEnd, "{start-half}": wordStartHalf, "{end-half}": wordEndHalf,
	} {
		if p.accept(name) {
			return a
		}
	}
	rest := p.text[p.pos:]
	if len(rest) > 1 && rest[0] == '{' && (rest[1] == '-' || isAlphanumeric(rune(rest[1])) && rest[1] > '9') {
		p.fail("an unknown word boundary")
	}
	return wordBoundary
}

// hex reads the digits of an escape, so many or any number in braces. Only
// two without braces are a byte.
func (p *parser) hex(digits int) escaped {
	var text string
	braces := p.accept("{")
	if braces {
		var ok bool
		if text, _, ok = strings.Cut(p.text[p.pos:], "}"); !ok {
			p.fail("a { without its }")
		}
		p.pos += len(text) + 1
	} else {
		text = p.text[p.pos:min(p.pos+digits, len(p.text))]
		p.pos += len(text)
	}
	value, err := strconv.ParseUint(text, 16, 32)
	if err != nil || !braces && len(text) < digits || value > utf8.MaxRune || !utf8.ValidRune(rune(value)) {
		p.fail("bad hexadecimal digits")
	}
	return escaped{r: rune(value), raw: digits == 2 && !braces}
}

func (p *parser) pcreEscape(c rune) escaped {
	switch {
	case c == 'e':
		return escaped{r: 0x1b}
	case c >= utf8.RuneSelf:
		return escaped{r: c}
	case c == 'x':
		e := p.hex(2)
		if e.r > 0xff {
			p.fail("a character of more than a byte")
		}
		return e
	case c == 'b':
		return escaped{node: assertNode(wordBoundary)}
	case c == 'Z':
		return escaped{node: measured(&node{op: opEndNewline, backtrack: true})}
	case c >= '1' && c <= '9':
		if d := p.peek(); d >= '0' && d <= '9' {
			p.unsupported("a reference of two digits")
		}
		if p.flags.fold {
			p.unsupported("a reference that disregards case")
		}
		number := int(c - '0')
		p.refs = max(p.refs, number)
		return escaped{node: measured(&node{op: opBackref, capture: number, backtrack: true})}
	}
	p.unsupported("the escape \\%c beside what only PCRE has", c)
	return escaped{}
}
