// SPDX-License-Identifier: Apache-2.0

package selinux

import (
	"bytes"
	"fmt"
	"regexp"
	"time"

	"github.com/dlclark/regexp2"
)

// A rule is an entry of file_contexts. Most never need their expression: what
// must be in a path that matches is compared first.
type rule struct {
	text     string // as the policy has it
	label    string
	kind     Kind   // 0 for all
	shape    shape  // whether more than the prefix decides
	prefix   []byte // what the path begins with
	contains []byte // what is in it, besides
	mask     uint64 // of both
	expr     string
	cost     int // instructions of expr
	linear   *regexp.Regexp
	slow     *regexp2.Regexp
}

type shape uint8

const (
	general shape = iota // the expression decides
	exact                // the path is the prefix
	subtree              // the path is the prefix, or below it: PREFIX(/.*)?
)

// slowTime is how long an expression that backtracks may take, for one path
// and, a hundred times that, for all. A host gives up after a number of steps
// and takes that for no match; here it is an error.
const slowTime = time.Second

var errSlow = limitf("a pattern with look-around or the like takes too long; write it so that it can match in fewer ways")

// newRule makes the rule of an entry. The expression is put together of text
// as hosts do it: a pattern may close the group that it is in.
func newRule(pattern string, kind Kind, label string) (*rule, error) {
	letter := "."
	if kind != 0 {
		letter = string(kind)
	}
	n, d, err := parsePattern("^(" + pattern + ")" + letter + "$")
	if err != nil {
		return nil, err
	}
	r := &rule{text: pattern, label: label, expr: expression(n, d), cost: n.size}
	if n.backtrack || d == pcre {
		if r.slow, err = regexp2.Compile(r.expr, regexp2.None); err != nil {
			return nil, fmt.Errorf("the expression %s: %w", r.expr, err)
		}
		r.slow.MatchTimeout = slowTime
	}
	if inner := n.inner(); inner != nil {
		r.kind = kind
		r.filter(inner)
	}
	return r, nil
}

// inner returns the pattern's part of ^(PATTERN).$, unless the pattern broke
// out of it: what is behind the group must be the type's letter alone, and not
// also what a pattern like a)\ leaves of its end.
func (n *node) inner() *node {
	if n.op != opConcat || len(n.subs) != 4 ||
		n.subs[0].op != opBegin || n.subs[1].op != opGroup || n.subs[3].op != opEnd && n.subs[3].op != opEndNewline {
		return nil
	}
	if letter := n.subs[2]; letter.op != opSet && (letter.op != opLiteral || len(letter.lit) != 1) {
		return nil
	}
	return n.subs[1].subs[0]
}

// filter finds what every path that matches must have.
func (r *rule) filter(n *node) {
	lead, whole, rest := n.lead()
	r.prefix = lead
	switch {
	case whole:
		r.shape = exact
	case len(rest) == 1 && rest[0].isBelow():
		r.shape = subtree
	default:
		for _, sub := range rest {
			r.contains = longer(r.contains, sub.required())
		}
	}
	r.mask = mask(r.prefix) | mask(r.contains)
}

// mask sets a bit for each two bytes that are next to each other. A text has
// all the bits of what is in it: most rules need no other look at a path.
func mask(text []byte) (m uint64) {
	for i := 1; i < len(text); i++ {
		m |= 1 << ((uint(text[i-1])*31 + uint(text[i])) & 63)
	}
	return m
}

// lead returns the literal that the node begins with, whether that is all of
// it, and else what is behind it.
func (n *node) lead() (lit []byte, whole bool, rest []*node) {
	switch n.op {
	case opEmpty:
		return nil, true, nil
	case opLiteral:
		return n.lit, true, nil
	case opGroup:
		return n.subs[0].lead()
	case opConcat:
		for i, sub := range n.subs {
			l, all, more := sub.lead()
			lit = append(lit, l...)
			if !all {
				return lit, false, append(more, n.subs[i+1:]...)
			}
		}
		return lit, true, nil
	default:
		return nil, false, []*node{n}
	}
}

// isBelow reports whether the node is (/.*)?
func (n *node) isBelow() bool {
	if n.op != opRepeat || n.min != 0 || n.max != 1 {
		return false
	}
	for n = n.subs[0]; n.op == opGroup; {
		n = n.subs[0]
	}
	if n.op != opConcat || len(n.subs) != 2 || n.subs[0].op != opLiteral || string(n.subs[0].lit) != "/" {
		return false
	}
	all := n.subs[1]
	return all.op == opRepeat && all.min == 0 && all.max == unlimited &&
		all.subs[0].op == opSet && all.subs[0].set == allBut(0)
}

// required returns the longest literal that is in all that the node matches.
func (n *node) required() (lit []byte) {
	switch n.op {
	case opLiteral:
		return n.lit
	case opGroup, opAtomic, opConcat:
	case opRepeat:
		if n.min == 0 {
			return nil
		}
	default:
		return nil
	}
	for _, sub := range n.subs {
		lit = longer(lit, sub.required())
	}
	return lit
}

func longer(a, b []byte) []byte {
	if len(b) > len(a) {
		return b
	}
	return a
}

// may reports whether a path may match, or does: sure says which.
func (r *rule) may(path []byte, kind Kind) (match, sure bool) {
	if r.kind != 0 && r.kind != kind || !bytes.HasPrefix(path, r.prefix) {
		return false, true
	}
	rest := path[len(r.prefix):]
	switch r.shape {
	case exact:
		return len(rest) == 0, true
	case subtree:
		return len(rest) == 0 || rest[0] == '/' && bytes.IndexByte(rest, 0) < 0, true
	default:
		return bytes.Contains(rest, r.contains), false
	}
}

// match asks the expression about a key.
func (r *rule) match(k *key) (bool, error) {
	if r.slow != nil {
		return r.slow.MatchString(k.runes())
	}
	if r.linear == nil {
		var err error
		if r.linear, err = regexp.Compile(r.expr); err != nil {
			return false, fmt.Errorf("the expression %s: %w", r.expr, err)
		}
	}
	if k.ascii {
		return r.linear.Match(k.bytes), nil
	}
	return r.linear.MatchString(k.runes()), nil
}

// A key is what expressions are matched with: a path and the letter of its
// kind.
type key struct {
	bytes []byte
	mask  uint64 // of the path
	ascii bool
	text  string
}

func newKey(buffer, path []byte, kind Kind) *key {
	k := &key{bytes: append(append(buffer, path...), byte(kind)), mask: mask(path), ascii: true}
	for _, b := range k.bytes {
		k.ascii = k.ascii && b < 0x80
	}
	return k
}

// runes returns the key with each byte as the code point of its value.
func (k *key) runes() string {
	if k.text == "" {
		runes := make([]rune, len(k.bytes))
		for i, b := range k.bytes {
			runes[i] = rune(b)
		}
		k.text = string(runes)
	}
	return k.text
}
