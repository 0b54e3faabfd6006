// SPDX-License-Identifier: Apache-2.0

package selinux

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
)

// Bounds of a policy. Fedora's has 6,500 entries in 700 KiB.
const (
	// MaxFile is the largest file of a policy, in bytes.
	MaxFile = 16 << 20
	// MaxRules is how many entries a policy may have, and how many
	// substitutions.
	MaxRules = 100_000

	maxSlow = 1000 // patterns that backtrack
)

// Names returns the files of a policy that hosts read, in their order. They
// are in /etc/selinux/TYPE/contexts/files, where TYPE is what Type returns.
// Only the first must exist.
func Names() []string {
	return []string{
		"file_contexts", "file_contexts.local", "file_contexts.homedirs",
		"file_contexts.subs", "file_contexts.subs_dist",
	}
}

// specs is how many of Names have entries; the others have substitutions.
const specs = 3

// Parse reads a policy. open returns what a file of Names holds, and false if
// there is none. Errors name the file and the line.
func Parse(open func(name string) (data []byte, found bool, err error)) (*Policy, error) {
	p := &Policy{aliases: map[string]string{}}
	for i, name := range Names() {
		data, found, err := open(name)
		if err == nil && i == 0 && !found {
			err = errors.New("the policy has no such file, and hosts refuse it then")
		}
		switch {
		case err != nil || !found:
		case i < specs:
			err = eachLine(data, p.addSpec)
		default:
			err = eachLine(data, p.addAlias)
		}
		if err != nil {
			return nil, fmt.Errorf("selinux: %s: %w", name, err)
		}
	}
	p.index()
	return p, nil
}

// Type returns the type of policy that /etc/selinux/config names, and false if
// it names none. Hosts look at nothing else there: a policy counts even where
// SELINUX=disabled.
func Type(config []byte) (name string, ok bool, err error) {
	stop := errors.New("found")
	err = eachLine(config, func(line string) error {
		key, value, isSetting := strings.Cut(line, "=")
		if !isSetting || !strings.EqualFold(strings.TrimSpace(key), "SELINUXTYPE") || !isASCII(strings.TrimSpace(key)) {
			return nil
		}
		name, ok = strings.TrimSpace(value), true
		return stop
	})
	if errors.Is(err, stop) {
		err = nil
	}
	if err != nil {
		return "", false, fmt.Errorf("selinux: config: %w", err)
	}
	return name, ok, nil
}

// isASCII keeps what Unicode takes for an S in disguise from passing for one.
func isASCII(s string) bool {
	for _, r := range s {
		if r >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// eachLine calls f for each line, until it returns an error, which then says
// which line.
func eachLine(data []byte, f func(line string) error) error {
	if len(data) > MaxFile {
		return limitf("%d bytes are too large for a file of a policy; at most %d are read", len(data), MaxFile)
	}
	for number, line := range lines(string(data)) {
		err := errors.New("this is not UTF-8, and hosts refuse it")
		if utf8.ValidString(line) {
			err = f(line)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

// lines yields the lines of a text, counted from 1.
func lines(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		number := 0
		for line := range strings.Lines(text) {
			number++
			if !yield(number, line) {
				return
			}
		}
	}
}

// fields returns what a line has between white space, and nothing of a
// comment.
func fields(line string) []string {
	f := strings.Fields(line)
	if len(f) > 0 && strings.HasPrefix(f[0], "#") {
		return nil
	}
	return f
}

// addSpec reads an entry: PATTERN [-TYPE] LABEL.
func (p *Policy) addSpec(line string) error {
	f := fields(line)
	if len(f) == 0 {
		return nil
	}
	if len(p.rules) == MaxRules {
		return limitf("more than %d entries", MaxRules)
	}
	if len(f) < 2 {
		return errors.New("a pattern without a label")
	}
	pattern, label := f[0], f[1:]
	var kind Kind
	if letter, ok := strings.CutPrefix(label[0], "-"); ok {
		if len(letter) != 1 || strings.IndexByte("bcdpls-", letter[0]) < 0 {
			return fmt.Errorf("there is no file type %.200q", label[0])
		}
		kind = Kind(letter[0])
		label = label[1:]
	}
	if len(label) != 1 {
		return errors.New("want one label behind the pattern and its file type, and nothing else")
	}
	r, err := newRule(pattern, kind, label[0])
	if err != nil {
		return fmt.Errorf("the pattern %.200q: %w", pattern, err)
	}
	if r.slow != nil {
		if p.backtrack++; p.backtrack > maxSlow {
			return limitf("more than %d patterns with look-around or the like", maxSlow)
		}
	}
	p.rules = append(p.rules, r)
	return nil
}

// addAlias reads a substitution: ALIAS ORIGINAL. Of two for one path the later
// holds.
func (p *Policy) addAlias(line string) error {
	f := fields(line)
	if len(f) == 0 {
		return nil
	}
	if len(f) != 2 {
		return errors.New("want two paths, and nothing else")
	}
	if len(p.aliases) == MaxRules {
		return limitf("more than %d substitutions", MaxRules)
	}
	p.aliases[f[0]] = f[1]
	return nil
}
