// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/lint"
)

const lintHelp = `cfs-label lint SOURCE looks for what makes the digest of an image fragile, unusual
or impossible: what hosts refuse, what they leave out, what will not be the same
in the next build, and what keeps a machine from booting. It goes on where hosts
would refuse the image, and says so. Nothing is written.

SOURCE is an image, as for cfs-label compute; an index gives all images of Linux.
Or it is a root file system on disk: dir:PATH, or the path of a directory. Or dump:FILE, what cfs-label dump has printed, or erofs:FILE, a composefs
image; there is no content in those, so rules that need some are left out, which
is told.

Every rule has an id, a severity (error, warning, note), and a chapter in
docs/lint.md. --fail-on ends the program with 3 if there are findings of a severity,
or of a worse one, or of a rule; without it findings change nothing.

` + exitHelp

// linter is cfs-label lint.
type linter struct {
	*terminal
	source sourceFlags
	output lintFormat
	failOn list[string]
	ignore list[string]
	all    bool
}

func lintCommand(t *terminal) *cobra.Command {
	l := &linter{terminal: t, output: lintText}
	cmd := &cobra.Command{
		Use:   "lint SOURCE",
		Short: "Find what makes a digest fragile or impossible",
		Long:  lintHelp,
		Example: `  cfs-label lint ghcr.io/org/img:latest
  cfs-label lint ghcr.io/org/img:latest --fail-on warning --ignore set-id
  cfs-label lint oci:./layout:latest -o sarif > lint.sarif
  cfs-label lint dir:/mnt`,
		Args: oneSource,
		RunE: func(cmd *cobra.Command, args []string) error { return l.run(cmd, args[0]) },
	}
	fs := cmd.Flags()
	l.add(fs)
	l.source.addChoice(fs)
	return cmd
}

func (l *linter) add(fs *pflag.FlagSet) {
	l.failOn = list[string]{parse: parseFailOn, kind: "RULE|error|warning|note"}
	l.ignore = list[string]{parse: parseRule, kind: "RULE"}
	fs.VarP(&l.output, "output", "o", "form of the answer")
	fs.Var(&l.failOn, "fail-on", "end with exit status 3 if there are such findings (repeatable; default nothing fails)")
	fs.Var(&l.ignore, "ignore", "rules to leave out (repeatable)")
	fs.BoolVar(&l.all, "all", false, "print all paths, not the first of each rule")
	l.source.addCrossMounts(fs)
}

func parseRule(id string) (string, error) {
	if _, ok := lint.Lookup(id); ok {
		return id, nil
	}
	var ids []string
	for _, r := range lint.Rules() {
		ids = append(ids, r.ID)
	}
	return "", fmt.Errorf("unknown rule %q: use one of %s", id, strings.Join(ids, ", "))
}

func parseFailOn(value string) (string, error) {
	if _, err := lint.ParseSeverity(value); err == nil {
		return value, nil
	}
	_, err := parseRule(value)
	if err != nil {
		err = fmt.Errorf("no severity (error, warning, note) and %w", err)
	}
	return value, err
}

// errFindings is that there are findings that are to fail.
var errFindings = errors.New("at which to fail")

func (l *linter) run(cmd *cobra.Command, arg string) error {
	found, err := l.lint(cmd, arg)
	if err != nil {
		return err
	}
	r := l.results(found)
	r.reference = arg
	switch l.output {
	case lintJSON:
		err = l.answerJSON(newLintAnswer(r))
	case lintSARIF:
		err = l.answerJSON(newLintLog(r))
	default:
		err = l.answerFindings(r)
	}
	if err != nil {
		return err
	}
	l.summary(r)
	if n := r.count(l.fails); n > 0 {
		return fmt.Errorf("%s %w (--fail-on %s)", counted(n, "finding"), errFindings, &l.failOn)
	}
	return nil
}

// fails reports whether findings of a rule are to fail.
func (l *linter) fails(rule *lint.Rule) bool {
	return slices.ContainsFunc(l.failOn.values, func(value string) bool {
		if severity, err := lint.ParseSeverity(value); err == nil {
			return rule.Severity <= severity
		}
		return rule.ID == value
	})
}

// lint looks at what an argument names.
func (l *linter) lint(cmd *cobra.Command, arg string) ([]cfslabel.Linted, error) {
	l.source.xattrs.values, l.source.algorithms.values = nil, nil // there is no choice
	common, err := l.source.options(l.terminal, oneEach)
	if err != nil {
		return nil, err
	}
	o := cfslabel.LintOptions{
		Platforms: common.Platforms, Jobs: common.Jobs, Progress: common.Progress, Warn: common.Warn,
		Stats: common.Stats,
	}
	if err := l.source.checkKinds(cmd, l.terminal); err != nil {
		return nil, err
	}
	switch kind, path := splitSource(arg); kind {
	case aDirectory:
		return l.lintDirectory(cmd, path, common, o)
	case aDump, anEROFS:
		c, err := treeFile(kind, path, func(message string) { common.Warn(arg + ": " + message) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		return []cfslabel.Linted{*cfslabel.LintTree(c.Thaw(), o)}, nil
	default:
	}
	ref, err := l.source.net.open(cmd, l.terminal, arg)
	if err != nil {
		return nil, err
	}
	return cfslabel.Lint(cmd.Context(), ref, o)
}

func (l *linter) lintDirectory(cmd *cobra.Command, path string, common cfslabel.Options, o cfslabel.LintOptions) ([]cfslabel.Linted, error) {
	d, err := l.source.directory(path, common)
	if err != nil {
		return nil, err
	}
	defer l.showHashing(&d)()
	o.CrossMounts, o.Hashed = d.CrossMounts, d.Hashed
	found, err := cfslabel.LintDirectory(cmd.Context(), path, o)
	if err != nil {
		return nil, err
	}
	return []cfslabel.Linted{*found}, nil
}
