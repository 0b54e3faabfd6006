// SPDX-License-Identifier: Apache-2.0

package selinux

import (
	"strings"
	"unicode"
)

// group reads what follows a (.
func (p *parser) group() *node {
	n := &node{op: opGroup}
	switch {
	case p.accept("*"):
		// Rust has nothing to repeat there.
		p.notRust("nothing to repeat")
		p.unsupported("(*")
	case !p.accept("?"):
		p.groups++
		n.capture = p.groups
	case p.look(n), p.name(n):
	case p.dialect == pcre && p.accept(">"):
		n.op, n.backtrack = opAtomic, true
	default:
		outer := p.flags
		if p.setFlags() {
			return measured(&node{op: opFlags})
		}
		n.subs = []*node{p.alternation()}
		p.flags = outer
		return p.closed(n)
	}
	n.subs = []*node{p.alternation()}
	return p.closed(n)
}

// notRust fails unless the dialect is PCRE's.
func (p *parser) notRust(reason string) {
	if p.dialect == rust {
		p.fail("%s", reason)
	}
}

func (p *parser) closed(n *node) *node {
	if !p.accept(")") {
		p.fail("a ( without its )")
	}
	if n.op == opLook && strings.HasPrefix(n.look, "(?<") {
		p.checkBehind(n.subs[0])
	}
	return p.made(n)
}

// look reads the start of a look-around.
func (p *parser) look(n *node) bool {
	for _, look := range []string{"=", "!", "<=", "<!"} {
		if p.accept(look) {
			p.notRust("look-around")
			n.op, n.look, n.backtrack = opLook, "(?"+look, true
			return true
		}
	}
	return false
}

// checkBehind holds what is looked for behind to what every PCRE2 takes: each
// branch is of one length.
func (p *parser) checkBehind(n *node) {
	branches := []*node{n}
	if n.op == opAlternate {
		branches = n.subs
	}
	for _, b := range branches {
		if _, fixed := b.width(); !fixed {
			p.unsupported("looking behind for something without a fixed length")
		}
	}
}

// width returns how many bytes a node matches, if that is always the same.
func (n *node) width() (int, bool) {
	switch n.op {
	case opLiteral:
		return len(n.lit), true
	case opSet:
		return 1, true
	case opEmpty, opFlags, opAssert, opLook, opBegin, opEnd, opEndNewline:
		return 0, true
	case opGroup, opAtomic:
		return n.subs[0].width()
	case opRepeat:
		w, fixed := n.subs[0].width()
		return w * n.min, fixed && n.min == n.max
	case opConcat:
		sum := 0
		for _, sub := range n.subs {
			w, fixed := sub.width()
			if !fixed {
				return 0, false
			}
			sum += w
		}
		return sum, true
	case opAlternate:
		first, fixed := n.subs[0].width()
		for _, sub := range n.subs[1:] {
			w, ok := sub.width()
			fixed = fixed && ok && w == first
		}
		return first, fixed
	default: // opBackref
		return 0, false
	}
}

// name reads the name of a capture.
func (p *parser) name(n *node) bool {
	if !p.accept("P<") && !p.accept("<") {
		return false
	}
	if p.dialect == pcre {
		p.unsupported("a named group beside what only PCRE has")
	}
	name, rest, ok := strings.Cut(p.text[p.pos:], ">")
	for i, r := range name {
		letter := r == '_' || unicode.IsLetter(r) || unicode.Is(unicode.Other_Alphabetic, r) || unicode.Is(unicode.Nl, r)
		if !letter && (i == 0 || !strings.ContainsRune(".[]", r) && !unicode.IsNumber(r)) {
			ok = false
		}
	}
	if !ok || name == "" || p.names[name] {
		p.fail("a bad name of a group")
	}
	p.names[name] = true
	p.pos = len(p.text) - len(rest)
	p.groups++
	n.capture = p.groups
	return true
}

// setFlags reads flags, and reports whether they end with a ) and hold from
// here on, not for a group that begins.
func (p *parser) setFlags() bool {
	seen := map[rune]bool{}
	on := true
	dangling := false
	for {
		c := p.next()
		switch {
		case c == ')' || c == ':':
			if dangling || c == ')' && len(seen) == 0 {
				p.fail("a bad flag")
			}
			return c == ')'
		case seen[c]:
			p.fail("a flag given twice")
		}
		seen[c] = true
		dangling = c == '-'
		if dangling {
			on = false
			continue
		}
		p.setFlag(c, on)
	}
}

func (p *parser) setFlag(c rune, on bool) {
	switch {
	case c == 'i':
		p.flags.fold = on
	case c == 's':
		p.flags.dotAll = on
	case p.dialect == pcre:
		p.unsupported("(?%c beside what only PCRE has", c)
	case c == 'm':
		p.flags.lines = on
	case c == 'R':
		p.flags.crlf = on
	case c == 'U': // greed has no part in whether something matches
	case c == 'u' || c == 'x':
		if on {
			p.unsupported("the flag %c", c)
		}
	default:
		p.fail("an unknown flag")
	}
}
