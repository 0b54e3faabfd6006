// SPDX-License-Identifier: Apache-2.0

package selinux

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// dialect is a syntax of regular expressions.
type dialect uint8

const (
	rust dialect = iota // crate regex-syntax 0.8, without Unicode, not bound to UTF-8
	pcre                // PCRE2, without its UTF mode
)

// Bounds of one pattern. What real policies have is far below.
const (
	maxPattern = 4096   // bytes
	maxDepth   = 100    // of nesting
	maxRepeat  = 1000   // of a repetition, and of the product of nested ones
	maxSize    = 10_000 // instructions
)

// syntaxError says that a pattern is none of the dialect.
type syntaxError struct{ reason string }

func (e *syntaxError) Error() string { return e.reason }

// unsupportedError is about a pattern that a host may take and we don't.
type unsupportedError struct{ what string }

func (e *unsupportedError) Error() string {
	return e.what + " is not supported here, though a host may know it; write the pattern without it"
}

// Is makes it an ErrLimit.
func (e *unsupportedError) Is(target error) bool { return target == ErrLimit }

// A parser reads one pattern. Errors end it by panicking with an error of
// this file, which parse recovers.
type parser struct {
	text    string
	pos     int
	dialect dialect
	depth   int
	flags   flags
	groups  int             // captures opened
	names   map[string]bool // of captures
	refs    int             // the largest number that is referred to
}

// flags are those of (?i) and its like.
type flags struct{ fold, lines, dotAll, crlf bool }

// parse reads a pattern of the dialect.
func parse(text string, d dialect) (n *node, err error) {
	p := &parser{text: text, dialect: d, names: map[string]bool{}}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *syntaxError:
			err = r
		case *unsupportedError:
			err = r
		default:
			panic(r)
		}
	}()
	n = p.alternation()
	if p.pos < len(text) {
		p.fail("a ) without its (")
	}
	if p.refs > p.groups {
		p.fail("a reference to group %d, of %d", p.refs, p.groups)
	}
	return n, nil
}

func (p *parser) fail(format string, args ...any) {
	panic(&syntaxError{fmt.Sprintf(format, args...)})
}

func (p *parser) unsupported(format string, args ...any) {
	panic(&unsupportedError{fmt.Sprintf(format, args...)})
}

// atEnd, peek and next look at the next character: of Rust's a code point, of
// PCRE's a byte. peek is -1 at the end.
func (p *parser) atEnd() bool { return p.pos >= len(p.text) }

func (p *parser) peek() rune {
	if p.atEnd() {
		return -1
	}
	if p.dialect == pcre {
		return rune(p.text[p.pos])
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.pos:])
	return r
}

func (p *parser) next() rune {
	r := p.peek()
	switch {
	case r < 0:
		p.fail("it ends too early")
	case p.dialect == pcre:
		p.pos++
	default:
		p.pos += utf8.RuneLen(r)
	}
	return r
}

// accept passes over s if it is next.
func (p *parser) accept(s string) bool {
	if len(p.text)-p.pos < len(s) || p.text[p.pos:p.pos+len(s)] != s {
		return false
	}
	p.pos += len(s)
	return true
}

func (p *parser) enter() {
	if p.depth++; p.depth > maxDepth {
		p.unsupported("nesting more than %d deep", maxDepth)
	}
}

// alternation reads up to a ) or the end. Flags that are set hold until there.
func (p *parser) alternation() *node {
	p.enter()
	outer := p.flags
	branches := []*node{p.branch()}
	for p.accept("|") {
		branches = append(branches, p.branch())
	}
	p.flags = outer
	p.depth--
	if len(branches) == 1 {
		return branches[0]
	}
	return p.made(&node{op: opAlternate, subs: branches})
}

func (p *parser) branch() *node {
	var items []*node
	for {
		switch p.peek() {
		case -1, '|', ')':
			return p.checked(concat(items))
		case '*', '+', '?', '{':
			items = p.repetition(items)
		default:
			items = append(items, p.item())
		}
	}
}

// made returns the node with its measures, or fails if they are too large.
func (p *parser) made(n *node) *node { return p.checked(measured(n)) }

func (p *parser) checked(n *node) *node {
	switch {
	case n.depth > 2*maxDepth:
		p.unsupported("nesting more than %d deep", maxDepth)
	case n.repeats > maxRepeat:
		p.unsupported("repeating something more than %d times", maxRepeat)
	case n.size > maxSize:
		p.unsupported("a pattern that makes more than %d instructions", maxSize)
	}
	return n
}

func (p *parser) item() *node {
	switch c := p.next(); c {
	case '(':
		return p.group()
	case '[':
		s := p.class()
		return setNode(&s)
	case '.':
		return setNode(p.dot())
	case '^':
		return p.lineAnchor(lineBegin)
	case '$':
		return p.lineAnchor(lineEnd)
	case '\\':
		e := p.escape()
		if e.node != nil {
			return e.node
		}
		return p.character(e)
	default:
		return p.character(escaped{r: c})
	}
}

// dot returns what a dot stands for. Hosts set Rust's line terminator to NUL,
// and leave PCRE's at newline.
func (p *parser) dot() *set {
	var s set
	switch {
	case p.flags.dotAll:
		s = allBut()
	case p.dialect == pcre:
		s = allBut('\n')
	case p.flags.crlf:
		s = allBut('\r', '\n')
	default:
		s = allBut(0)
	}
	return &s
}

func (p *parser) lineAnchor(a assertion) *node {
	switch {
	case p.flags.lines && p.flags.crlf:
		p.unsupported("(?mR)")
	case p.flags.lines:
		return assertNode(a)
	case a == lineBegin:
		return measured(&node{op: opBegin})
	case p.dialect == pcre:
		return measured(&node{op: opEndNewline, backtrack: true})
	}
	return measured(&node{op: opEnd})
}

// character returns the node of one character. Rust's is its UTF-8, and only
// ASCII has two cases.
func (p *parser) character(e escaped) *node {
	b := []byte{byte(e.r)}
	if p.dialect == rust && !e.raw {
		b = utf8.AppendRune(nil, e.r)
	}
	if len(b) == 1 && p.flags.fold {
		var s set
		s.add(b[0])
		s.fold()
		return setNode(&s)
	}
	return literal(b...)
}

// parsePattern reads a pattern as hosts do: as one of Rust's, and if it is
// none, as one of PCRE.
func parsePattern(text string) (*node, dialect, error) {
	if len(text) > maxPattern {
		return nil, rust, &unsupportedError{fmt.Sprintf("a pattern of more than %d bytes", maxPattern)}
	}
	n, rustErr := parse(text, rust)
	if syntax := (*syntaxError)(nil); !errors.As(rustErr, &syntax) {
		return n, rust, rustErr
	}
	n, err := parse(text, pcre)
	if err != nil {
		return nil, pcre, fmt.Errorf("%w (and as Rust's regular expressions have it: %w)", err, rustErr)
	}
	return n, pcre, nil
}
