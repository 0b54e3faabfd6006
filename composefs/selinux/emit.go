// SPDX-License-Identifier: Apache-2.0

package selinux

import (
	"fmt"
	"strconv"
	"strings"
)

// An emitter writes an expression for one of the two engines: regexp, which is
// linear, and regexp2, which backtracks and knows look-around. Both work on
// code points, so each byte of a path stands as the code point of its value,
// and so does each byte of a pattern. Nothing is left to what the engines
// think of classes, cases or words.
type emitter struct {
	strings.Builder
	backtrack bool
	captures  bool // whether groups are captured, for references
}

// expression returns the text of the expression. Rust's are looked for at the
// start, as hosts do; PCRE's anywhere, so that a)|(b is found further back.
func expression(n *node, d dialect) string {
	e := &emitter{backtrack: n.backtrack || d == pcre, captures: d == pcre}
	if d == rust {
		e.WriteString(`\A`)
	}
	e.group(n)
	return e.String()
}

func (e *emitter) group(n *node) {
	e.WriteString("(?:")
	e.node(n)
	e.WriteString(")")
}

func (e *emitter) node(n *node) {
	switch n.op {
	case opEmpty, opFlags:
	case opLiteral:
		for _, b := range n.lit {
			e.byte(b)
		}
	case opSet:
		e.set(&n.set)
	case opAssert:
		e.assertion(n.assert)
	case opGroup:
		if e.captures && n.capture > 0 {
			fmt.Fprintf(e, "(?<%d>", n.capture)
			e.node(n.subs[0])
			e.WriteString(")")
			return
		}
		e.group(n.subs[0])
	case opConcat:
		for _, sub := range n.subs {
			e.item(sub)
		}
	case opAlternate:
		for i, sub := range n.subs {
			if i > 0 {
				e.WriteString("|")
			}
			e.node(sub)
		}
	case opRepeat:
		e.repeat(n)
	case opLook:
		e.WriteString(n.look)
		e.node(n.subs[0])
		e.WriteString(")")
	case opAtomic:
		e.WriteString("(?>")
		e.node(n.subs[0])
		e.WriteString(")")
	case opBackref:
		fmt.Fprintf(e, `(?:\k<%d>)`, n.capture)
	case opBegin:
		e.WriteString(`\A`)
	case opEnd:
		e.WriteString(`\z`)
	case opEndNewline:
		e.WriteString(`(?=\n?\z)`)
	}
}

// item writes a node that others follow.
func (e *emitter) item(n *node) {
	if n.op == opAlternate {
		e.group(n)
		return
	}
	e.node(n)
}

func (e *emitter) repeat(n *node) {
	e.group(n.subs[0])
	switch {
	case n.max == unlimited && n.min == 0:
		e.WriteString("*")
	case n.max == unlimited:
		fmt.Fprintf(e, "{%d,}", n.min)
	default:
		fmt.Fprintf(e, "{%d,%d}", n.min, n.max)
	}
	if n.lazy {
		e.WriteString("?")
	}
}

func (e *emitter) byte(b byte) {
	if isAlphanumeric(rune(b)) || b == '/' || b == '_' {
		e.WriteByte(b)
		return
	}
	e.hex(b)
}

func (e *emitter) hex(b byte) {
	if e.backtrack {
		fmt.Fprintf(e, `\x%02x`, b)
		return
	}
	e.WriteString(`\x{` + strconv.FormatUint(uint64(b), 16) + `}`)
}

// set writes a class of the bytes that are in the set, or of those that are
// not, as there is nothing beyond the last byte.
func (e *emitter) set(s *set) {
	listed := *s
	negated := listed.has(0xff)
	if negated {
		listed.negate()
	}
	if listed == (set{}) {
		e.WriteString(map[bool]string{true: `(?s:.)`, false: `(?:[a]\A)`}[negated])
		return
	}
	e.WriteString(map[bool]string{true: "[^", false: "["}[negated])
	for b := 0; b < 256; b++ {
		if !listed.has(byte(b)) {
			continue
		}
		first := b
		for b < 255 && listed.has(byte(b+1)) {
			b++
		}
		e.hex(byte(first))
		if b > first {
			e.WriteString("-")
			e.hex(byte(b))
		}
	}
	e.WriteString("]")
}

const word = "[0-9A-Z_a-z]"

// assertions are written for each engine. The one that doesn't backtrack has
// no words for the last four.
var assertions = map[assertion]struct{ linear, backtrack string }{
	lineBegin:       {`(?m:^)`, `(?<![^\n])`},
	lineEnd:         {`(?m:$)`, `(?![^\n])`},
	wordBoundary:    {`\b`, `(?:(?<=` + word + `)(?!` + word + `)|(?<!` + word + `)(?=` + word + `))`},
	notWordBoundary: {`\B`, `(?:(?<=` + word + `)(?=` + word + `)|(?<!` + word + `)(?!` + word + `))`},
	wordStart:       {"", `(?<!` + word + `)(?=` + word + `)`},
	wordEnd:         {"", `(?<=` + word + `)(?!` + word + `)`},
	wordStartHalf:   {"", `(?<!` + word + `)`},
	wordEndHalf:     {"", `(?!` + word + `)`},
}

func (e *emitter) assertion(a assertion) {
	text := assertions[a]
	if e.backtrack {
		e.WriteString(text.backtrack)
		return
	}
	e.WriteString(text.linear)
}
