// SPDX-License-Identifier: Apache-2.0

package selinux

import "strings"

// class reads what follows a [, up to its ].
func (p *parser) class() set {
	p.enter()
	defer func() { p.depth-- }()
	if p.dialect == pcre && looksNamed(p.text[p.pos:]) {
		p.fail("a named class outside of a class")
	}
	negated := p.accept("^")
	var s set
	if p.dialect == pcre {
		s = p.pcreClass()
	} else {
		s = p.rustClass()
	}
	if p.flags.fold {
		s.fold()
	}
	if negated {
		s.negate()
	}
	return s
}

// rustClass reads unions, ranges, nested classes, and the set operations &&,
// -- and ~~, which are done from left to right.
func (p *parser) rustClass() set {
	var left, right set
	var operation func(s, other *set)
	dash := false
	for p.accept("-") {
		right.add('-')
		dash = true
	}
	if !dash && p.accept("]") {
		right.add(']')
	}
	for {
		following := (*set).intersect
		switch {
		case p.accept("]"):
			return p.operate(operation, left, right)
		case p.accept("&&"):
		case p.accept("--"):
			following = (*set).subtract
		case p.accept("~~"):
			following = (*set).differ
		default:
			p.rustClassItem(&right)
			continue
		}
		left, right = p.operate(operation, left, right), set{}
		operation = following
	}
}

// operate does an operation whose right side is complete. Both sides are
// folded before it, which matters to a difference.
func (p *parser) operate(operation func(s, other *set), left, right set) set {
	if operation == nil {
		return right
	}
	if p.flags.fold {
		left.fold()
		right.fold()
	}
	operation(&left, &right)
	return left
}

// rustClassItem reads a nested class, a range or a single character.
func (p *parser) rustClassItem(s *set) {
	if p.peek() == '[' {
		if named, ok := p.namedClass(); ok {
			s.addAll(&named)
			return
		}
		p.pos++
		nested := p.class()
		s.addAll(&nested)
		return
	}
	from := p.classCharacter()
	rest := p.text[p.pos:]
	if rest == "" {
		p.fail("a [ without its ]")
	}
	if !strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "-]") || strings.HasPrefix(rest, "--") {
		p.addItem(s, from)
		return
	}
	p.pos++
	p.addRange(s, from, p.classCharacter())
}

func (p *parser) classCharacter() escaped {
	if c := p.next(); c != '\\' {
		return escaped{r: c}
	}
	return p.escape()
}

// classByte returns the byte that a character of a class is.
func (p *parser) classByte(e escaped) byte {
	switch {
	case e.node != nil:
		p.fail("a range in a class whose end is no character")
	case p.dialect == rust && !e.raw && e.r > 0x7f:
		p.fail("a character beyond ASCII in a class")
	}
	return byte(e.r)
}

func (p *parser) addItem(s *set, e escaped) {
	switch {
	case e.node == nil:
		s.add(p.classByte(e))
	case e.class:
		s.addAll(&e.node.set)
	default:
		p.fail("an escape that a class cannot have")
	}
}

func (p *parser) addRange(s *set, from, to escaped) {
	a, b := p.classByte(from), p.classByte(to)
	if a > b {
		p.fail("a range in a class that ends before it begins")
	}
	s.addRange(a, b)
}

// namedClass reads [:name:], if that is what is next.
func (p *parser) namedClass() (set, bool) {
	body, ok := strings.CutPrefix(p.text[p.pos:], "[:")
	if !ok {
		return set{}, false
	}
	name, negated := strings.CutPrefix(body, "^")
	name, _, ok = strings.Cut(name, ":]")
	s, known := asciiClass(name)
	if !ok || !known {
		return set{}, false
	}
	p.pos += len("[:") + len(name) + len(":]")
	if p.flags.fold {
		s.fold()
	}
	if negated {
		p.pos++
		s.negate()
	}
	return s, true
}

// looksNamed reports whether what follows a [ is :name:], or the like with
// periods or equals signs. PCRE2 wants that within a class.
func looksNamed(text string) bool {
	if text == "" || strings.IndexByte(":.=", text[0]) < 0 {
		return false
	}
	closing := text[:1] + "]"
	for rest := text[1:]; len(rest) >= 2; rest = rest[1:] {
		switch {
		case rest[0] == '\\' && (rest[1] == ']' || rest[1] == '\\'):
			rest = rest[1:]
		case rest[0] == ']' || rest[:2] == "["+text[:1]:
			return false
		case rest[:2] == closing:
			return true
		}
	}
	return false
}

// pcreClass reads a class without operations: brackets and && are themselves.
func (p *parser) pcreClass() set {
	var s set
	if p.accept("]") {
		s.add(']')
	}
	for !p.accept("]") {
		rest := p.text[p.pos:]
		if len(rest) > 1 && rest[0] == '[' && strings.IndexByte(":.=", rest[1]) >= 0 {
			named, ok := p.namedClass()
			if !ok {
				p.unsupported("%s in a class", rest[:2])
			}
			s.addAll(&named)
			p.noRange()
			continue
		}
		from := p.classCharacter()
		rest = p.text[p.pos:]
		switch {
		case from.node != nil:
			p.addItem(&s, from)
			p.noRange()
		case !strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "-]"):
			p.addItem(&s, from)
		default:
			p.pos++
			if strings.HasPrefix(p.text[p.pos:], "[:") {
				p.unsupported("a range to a class")
			}
			p.addRange(&s, from, p.classCharacter())
		}
	}
	return s
}

// noRange refuses a range that begins with a class: PCRE2 takes it for
// something else, or not at all.
func (p *parser) noRange() {
	rest := p.text[p.pos:]
	if strings.HasPrefix(rest, "-") && !strings.HasPrefix(rest, "-]") {
		p.unsupported("a range from a class")
	}
}
