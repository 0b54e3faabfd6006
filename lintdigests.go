// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"slices"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/selinux"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/lint"
)

// linting is what is found out by computing digests.
type linting struct {
	options *Options
	found   *lint.Collector
	system  *system
	// inspection has what the image says; nil for what is no image.
	inspection *inspection
	// entries gives the content of boot entries; nil where hosts do not look at
	// them.
	entries transform.Content
	// files are those of the tree, and layer tells of which layer an inode is; nil
	// for what has none.
	files lint.Files
	layer func(tree.Ino) int
}

// digests computes what the image may say, and finds what keeps it from being
// computed, or from being what is said. The tree is of no use afterwards.
func (l *linting) digests(ctx context.Context) ([]Digest, error) {
	if l.found.Report().Has(lint.Refused) {
		l.found.NoDigest("hosts refuse it, so it has no digest")
		return nil, nil
	}
	l.options.Progress.Step("computing digests")
	wanted := *l.options
	wanted.Bootable = hasBootable(l.system.tree)
	l.watchEntries()
	combinations := wanted.combinations()
	ukis, err := l.system.findUKIs(l.files.CommandLines)
	if err != nil {
		return nil, err
	}
	found, unbootable, err := l.system.compute(ctx, append(slices.Clone(combinations), ukiCombinations(ukis, wanted.Algorithms)...))
	switch {
	case errors.Is(err, erofs.ErrTooLarge):
		l.found.TooLarge(err)
		return nil, nil
	case err != nil:
		return nil, err
	}
	if unbootable != nil {
		unbootable = asUnbootable(unbootable)
	}
	if unbootable != nil && wanted.Bootable {
		l.unbootable(unbootable)
	}
	(&ukiJudge{found: found, unbootable: unbootable, algorithms: wanted.Algorithms}).judge(ukis)
	l.ukis(ukis)
	digests := digestList(combinations, found)
	l.inherited(digests)
	return digests, nil
}

// ukis finds arguments of UKIs that name another digest. What else can be wrong
// with them has rules of its own.
func (l *linting) ukis(ukis []*UKI) {
	for _, u := range ukis {
		layer := lint.NoLayer
		if l.layer != nil {
			layer = l.layer(u.file)
		}
		for _, a := range u.Arguments {
			if a.State == Wrong && !a.Digest.IsZero() && !u.Kind.Circular() {
				l.found.Add(lint.Finding{Rule: lint.RuleUKIMismatch, Path: u.Path, Layer: layer, Message: shown(a.Raw) + " " + a.Reason})
			}
		}
	}
}

// entryError is what is wrong with a boot entry.
type entryError struct{ error }

func (e *entryError) Unwrap() error { return e.error }

// watchEntries tells boot entries that hosts refuse from policies.
func (l *linting) watchEntries() {
	policy := l.system.policy
	if l.entries == nil {
		return
	}
	l.system.policy = func(t *tree.Tree) (*selinux.Policy, error) {
		if err := transform.BootEntries(t, l.entries); err != nil {
			return nil, &entryError{err}
		}
		return policy(t)
	}
}

func (l *linting) unbootable(err error) {
	if !errors.Is(err, ErrUnbootable) {
		l.found.NoBootable(err.Error())
	} else if _, ok := errors.AsType[*entryError](err); ok {
		l.found.BootEntry(err)
	} else {
		l.found.Policy(err)
	}
}

// inherited finds labels and annotations that are of another image.
func (l *linting) inherited(digests []Digest) {
	if l.inspection == nil {
		return
	}
	l.inspection.computed = digests
	for _, c := range l.inspection.claims {
		if c.Key == image.InputKey {
			continue // it is no digest, and comes along with those that it is of
		}
		if c.State == "" {
			l.inspection.compare(c, false)
		}
		if c.State == Wrong {
			l.found.Inherited(c.String() + " " + c.Reason)
		}
	}
}
