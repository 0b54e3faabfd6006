// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cfs-label/cfs-label/boot"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/layers"
)

// UKI is a unified kernel image that an image holds, or an addon of one.
type UKI struct {
	Path string // from the root, with a slash in front
	Kind boot.Kind
	// Arguments are those of its command lines that name digests.
	Arguments []UKIArgument
	// Err is why its command lines cannot be read; nil if they can.
	Err error

	file tree.Ino
}

// UKIArgument is a kernel argument that names a digest, and what became of it.
type UKIArgument struct {
	Profile int    // of the UKI, or boot.Base
	Raw     string // as it is written
	// Entry is what it says; zero if it cannot be understood, which Reason tells.
	boot.Entry
	// Computed is the image's own digest, in the same format and algorithm; zero
	// if it was not computed.
	Computed fsverity.Digest
	// State is Holds, Wrong or Unchecked, as for an Object.
	State State
	// Reason says why, in words that continue "composefs=… ". One that holds has
	// a reason if it is not as it should be.
	Reason string
}

// How many UKIs an image may have, and how many arguments of them all together
// that name digests. Real ones have a few; a link costs an image a few bytes, and
// all the command lines of its file have to be read for it.
const (
	ukisMax         = 4096
	ukiArgumentsMax = 10_000
)

// findUKIs returns the UKIs of a tree, in the order of their paths. lines reads the
// command lines of a file that is not inline. It applies the OCI transform: what
// that removes may be what a tree must not have, and then there would be no telling
// what else there is.
func (s *system) findUKIs(lines func(path string, file tree.Ino) ([]boot.CommandLine, error)) ([]*UKI, error) {
	if err := s.oci(transform.KeepUserXattrs); err != nil {
		return nil, err
	}
	c, err := s.tree.Check()
	if err != nil {
		return nil, err
	}
	defer func() { s.tree = c.Thaw() }()
	var list []*UKI
	arguments := 0
	for step := range c.Walk() {
		path := step.Path()
		kind, ok := boot.IsUKI(path)
		if !ok || c.Kind(step.Ino) != tree.Regular {
			continue
		}
		u := &UKI{Path: path, Kind: kind, file: step.Ino}
		if c.Storage(step.Ino) == tree.Inline {
			u.read(boot.CommandLines(bytes.NewReader(c.Data(step.Ino))))
		} else {
			u.read(lines(path, step.Ino))
		}
		list = append(list, u)
		if arguments += len(u.Arguments); len(list) > ukisMax || arguments > ukiArgumentsMax {
			return nil, fmt.Errorf("%w: over %d UKIs, or %d arguments of them that name digests; no host needs as many", layers.ErrTooMany, ukisMax, ukiArgumentsMax)
		}
	}
	return list, nil
}

// ukisOf returns the UKIs of layers that the system is of. Most images have none,
// and are not walked.
func ukisOf(m *layers.Merged, s *system) ([]*UKI, error) {
	if !m.HasCaptured(isScanner) {
		return nil, nil
	}
	return s.findUKIs(capturedFiles{m}.CommandLines)
}

func isScanner(w io.Writer) bool {
	_, ok := w.(*boot.Scanner)
	return ok
}

// read takes the arguments that name digests.
func (u *UKI) read(lines []boot.CommandLine, err error) {
	if err != nil {
		u.Err = err
		return
	}
	for _, line := range lines {
		entries, errs := boot.Digests(line.Text)
		for _, e := range entries {
			u.Arguments = append(u.Arguments, UKIArgument{Profile: line.Profile, Raw: e.Raw, Entry: e})
		}
		for _, err := range errs {
			a := UKIArgument{Profile: line.Profile, State: Wrong, Reason: err.Error()}
			if bad, ok := err.(*boot.ArgumentError); ok { //nolint:errorlint // boot returns no other
				a.Raw, a.Reason = bad.Raw, "cannot be understood, and hosts fail to boot with it: "+bad.Err.Error()
			}
			u.Arguments = append(u.Arguments, a)
		}
	}
}

// ukiFormats are the formats of the images that an argument may mean, the one
// that hosts compute first.
var ukiFormats = map[boot.Format][]erofs.Format{
	boot.V1: {erofs.V1, erofs.V0},
	boot.V2: {erofs.V2},
}

// Every format and xattr mode that a digest in a UKI may have been computed with,
// rightly or not; what hosts compute comes first.
var (
	allFormats = []erofs.Format{erofs.V1, erofs.V2, erofs.V0}
	allXattrs  = []transform.Xattrs{transform.AllowlistOnly, transform.KeepUserXattrs}
)

// ukiCombinations are the digests that are needed to judge the arguments, and to
// tell what one is that does not hold.
func ukiCombinations(ukis []*UKI, among []fsverity.Algorithm) []combination {
	var list []combination
	for _, alg := range among {
		names := func(a UKIArgument) bool { return !a.Digest.IsZero() && a.Digest.Algorithm() == alg }
		if !slices.ContainsFunc(ukis, func(u *UKI) bool { return slices.ContainsFunc(u.Arguments, names) }) {
			continue
		}
		for _, mode := range allXattrs {
			for _, format := range allFormats {
				list = append(list, combination{image.RoleMergedBootable, mode, format, alg})
			}
		}
	}
	return list
}

// ukiJudge holds the arguments of UKIs against what was computed.
type ukiJudge struct {
	found      map[combination]fsverity.Digest
	unbootable error                // as of a result
	algorithms []fsverity.Algorithm // that files were hashed with
	// said are the digests that labels and annotations of the image say.
	said []string
}

func (j *ukiJudge) judge(ukis []*UKI) {
	for _, u := range ukis {
		for i := range u.Arguments {
			if a := &u.Arguments[i]; a.State == "" {
				j.judgeArgument(u, a)
			}
		}
	}
}

func (j *ukiJudge) judgeArgument(u *UKI, a *UKIArgument) {
	alg := a.Digest.Algorithm()
	wrong := func(format string, args ...any) { a.State, a.Reason = Wrong, fmt.Sprintf(format, args...) }
	switch {
	case u.Kind.Circular():
		wrong("is circular: the file is a part of what the digest is of, so it cannot be right; put the UKI into /boot, or leave the argument out")
		return
	case !slices.Contains(j.algorithms, alg):
		a.State = Unchecked
		a.Reason = fmt.Sprintf("was not checked, as no %s digest was computed; add --algorithm %s", alg, alg)
		return
	case errors.Is(j.unbootable, ErrUnbootable):
		wrong("names a digest, and there is none: %v", j.unbootable)
		return
	case j.unbootable != nil:
		a.State, a.Reason = Unchecked, fmt.Sprintf("was not checked: %v", j.unbootable)
		return
	}
	formats := ukiFormats[a.Format]
	a.Computed = j.found[combination{image.RoleMergedBootable, allXattrs[0], formats[0], alg}]
	for _, format := range formats {
		for _, mode := range allXattrs {
			if j.found[combination{image.RoleMergedBootable, mode, format, alg}] == a.Digest {
				a.State, a.Computed = Holds, a.Digest
				a.Reason = doubts(a, format, mode)
				return
			}
		}
	}
	wrong("is not the bootable digest of the image, which is %s: %s", a.Computed, j.cause(a))
}

// doubts says what is not as it should be of an argument that holds.
func doubts(a *UKIArgument, format erofs.Format, mode transform.Xattrs) string {
	var list []string
	if format != ukiFormats[a.Format][0] {
		list = append(list, fmt.Sprintf("is the digest in format %s, which hosts find only in a repository of that format", format))
	}
	if mode != allXattrs[0] {
		list = append(list, fmt.Sprintf("is the digest with xattrs %s; hosts compute %s and will not find it equal", mode, allXattrs[0]))
	}
	if a.Insecure {
		list = append(list, "is insecure: with the ? in front, hosts boot the image though nothing enforces the digest; leave the ? out")
	}
	if a.Quoted {
		list = append(list, "has quotes, with which an initramfs may find no digest; leave them out")
	}
	return strings.Join(list, "; and it ")
}

// cause says what a digest is that is not the right one.
func (j *ukiJudge) cause(a *UKIArgument) string {
	for _, mode := range allXattrs {
		for _, format := range allFormats {
			if j.found[combination{image.RoleMergedBootable, mode, format, a.Digest.Algorithm()}] == a.Digest {
				return fmt.Sprintf("what it names is that of format %s, and it means %s; compute it with --karg --format %s", format, a.Format, a.Format)
			}
		}
	}
	if slices.Contains(j.said, a.Digest.String()) {
		return "what it names is what an earlier seal of this image, or of the image that it was built from, says: it was changed since; make the UKI again"
	}
	return "the tree is not what it was when the digest was computed; builders change times of directories and drop labels after that (cfs-label diff tells what, docs/multi-stage.md what to do)"
}

// shown returns an argument as a message shows it: whole, if it is one that names
// a digest.
func shown(raw string) string {
	const most = 200 // bytes; the longest valid one has 160
	if len(raw) > most {
		return strings.ToValidUTF8(raw[:most], "") + "…"
	}
	return raw
}

// ukiFindings are what is wrong with the UKIs, and what is to be warned of.
func ukiFindings(ukis []*UKI) (wrong, warnings []string) {
	for _, u := range ukis {
		if u.Err != nil {
			warnings = append(warnings, fmt.Sprintf("%s is no %s that can be read, so it was not checked: %v", u.Path, u.Kind, u.Err))
		}
		for _, a := range u.Arguments {
			text := fmt.Sprintf("%s: %s %s", u.Path, shown(a.Raw), a.Reason)
			switch {
			case a.State == Wrong:
				wrong = append(wrong, text)
			case a.Reason != "":
				warnings = append(warnings, text)
			}
		}
	}
	return wrong, warnings
}
