// SPDX-License-Identifier: Apache-2.0

package selinux

import "strconv"

// repetition reads *, +, ? or {…} and gives it to the last item.
func (p *parser) repetition(items []*node) []*node {
	if p.peek() == '{' && p.dialect == pcre && p.plainBrace() {
		p.pos++
		return append(items, literal('{'))
	}
	last := len(items) - 1
	if last < 0 || items[last].op == opFlags {
		p.fail("nothing to repeat")
	}
	n := &node{op: opRepeat, subs: []*node{items[last]}}
	switch p.next() {
	case '*':
		n.max = unlimited
	case '+':
		n.min, n.max = 1, unlimited
	case '?':
		n.max = 1
	default:
		p.counts(n)
	}
	n.lazy = p.accept("?")
	items[last] = p.made(n)
	if p.dialect == pcre {
		items[last] = p.possessive(n)
	}
	return items
}

// possessive makes what PCRE makes of a repetition: with a + it gives nothing
// back. It cannot be repeated itself.
func (p *parser) possessive(n *node) *node {
	switch n.subs[0].op {
	case opAssert, opLook, opBegin, opEnd, opEndNewline:
		p.unsupported("repeating a place")
	default:
	}
	if !n.lazy && p.accept("+") {
		n = p.made(&node{op: opAtomic, subs: []*node{n}, backtrack: true})
	}
	switch p.peek() {
	case '*', '+', '?':
		p.fail("nothing to repeat")
	case '{':
		if !p.plainBrace() {
			p.fail("nothing to repeat")
		}
	}
	return n
}

// plainBrace reports whether the { that is next is one to match, for every
// version of PCRE2.
func (p *parser) plainBrace() bool {
	if p.pos+1 == len(p.text) {
		return true
	}
	c := p.text[p.pos+1]
	return c != ',' && c != ' ' && c != '\t' && (c < '0' || c > '9')
}

// counts reads the rest of {n}, {n,} or {n,m}.
func (p *parser) counts(n *node) {
	n.min = p.count()
	n.max = n.min
	if p.accept(",") {
		n.max = unlimited
		if p.peek() != '}' {
			n.max = p.count()
		}
	}
	if !p.accept("}") || n.max != unlimited && n.max < n.min {
		p.fail("a bad repetition count")
	}
}

func (p *parser) count() int {
	start := p.pos
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.pos++
	}
	count, err := strconv.ParseUint(p.text[start:p.pos], 10, 32)
	if err != nil {
		p.fail("a bad repetition count")
	}
	if count > maxRepeat {
		p.unsupported("repeating something more than %d times", maxRepeat)
	}
	return int(count)
}
