// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cfs-label/cfs-label/boot"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// ukisMax is how many UKIs are looked at. Links may give one many names, and each
// is read.
const ukisMax = 4096

// uki looks at the command lines of a UKI or an addon.
func (l *linter) uki(step *tree.Step) {
	path := step.Path()
	kind, ok := boot.IsUKI(path)
	if !ok || l.checked.Kind(step.Ino) != tree.Regular {
		return
	}
	if l.ukis++; l.ukis > ukisMax {
		l.unread++
		return
	}
	lines, err := l.commandLines(path, step.Ino)
	switch {
	case errors.Is(err, boot.ErrNotPE), errors.Is(err, boot.ErrMalformed):
		l.find(ruleUKIMalformed, path, step.Ino, err.Error())
		return
	case err != nil:
		l.unread++
		return
	}
	for _, line := range lines {
		l.commandLine(line, kind, path, step.Ino)
	}
}

func (l *linter) commandLines(path string, file tree.Ino) ([]boot.CommandLine, error) {
	if l.checked.Storage(file) == tree.Inline {
		return boot.CommandLines(bytes.NewReader(l.checked.Data(file)))
	}
	return l.in.Files.CommandLines(path, file)
}

func (l *linter) commandLine(line boot.CommandLine, kind boot.Kind, path string, file tree.Ino) {
	entries, errs := boot.Digests(line.Text)
	for _, err := range errs {
		rule := ruleUKIArgument
		if errors.Is(err, boot.ErrMark) {
			rule = ruleUKIMark
		}
		l.find(rule, path, file, err.Error())
	}
	for _, e := range entries {
		if e.Insecure {
			l.find(ruleUKIInsecure, path, file, fmt.Sprintf("kernel argument %q", e.Raw))
		}
		if e.Quoted {
			l.find(ruleUKIQuoted, path, file, fmt.Sprintf("kernel argument %q", e.Raw))
		}
		if kind.Circular() {
			l.find(ruleUKICircular, path, file, fmt.Sprintf("kernel argument %q", e.Raw))
		}
	}
}
