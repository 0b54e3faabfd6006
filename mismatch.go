// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// ErrMismatch is what an image gives that is not sealed, or of which something
// does not hold that it says, or that a signature says.
var ErrMismatch = errors.New("the image is not sealed, or something said or signed of it does not hold")

// MismatchError says what an image does not say, or says wrongly. It is an
// ErrMismatch.
type MismatchError struct{ Findings []string }

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%v: %s", ErrMismatch, strings.Join(e.Findings, "; "))
}

func (e *MismatchError) Unwrap() error { return ErrMismatch }

// mismatchError returns the findings as an error; nil without any.
func mismatchError(findings []string) error {
	if len(findings) == 0 {
		return nil
	}
	return &MismatchError{findings}
}

// ukiMismatches returns what is wrong with the images' UKIs, and warns of what is
// not as it should be.
func (r *run) ukiMismatches() (findings []string) {
	for i, n := range r.graph.images {
		wrong, warnings := ukiFindings(r.ukis[i])
		for _, text := range wrong {
			findings = append(findings, r.placed(n, text))
		}
		for _, text := range warnings {
			r.options.Warn(r.placed(n, text))
		}
	}
	return findings
}

// placed says of several images of which one a text is.
func (r *run) placed(n *node, text string) string {
	if len(r.graph.images) == 1 {
		return text
	}
	return n.source.Platform() + ": " + text
}

// mismatches returns what a run would change.
func (r *run) mismatches() (findings []string) {
	for i, n := range r.graph.images {
		if r.digests[i] == nil {
			continue
		}
		say := func(format string, args ...any) {
			findings = append(findings, r.placed(n, fmt.Sprintf(format, args...)))
		}
		for _, c := range r.edits.done[n].changes {
			if text := mismatch(n.source, c); text != "" {
				say("%s%s", text, r.options.wouldCompute(c))
			}
		}
		for _, a := range r.artifacts[i] {
			if len(a.replaced) > 0 {
				say("the artifact %s is not what was computed", a.replaced[0])
			} else {
				say("there is no artifact with the digests (%s)", image.ArtifactType)
			}
		}
	}
	for _, text := range r.contradictions() {
		findings = append(findings, text+": this run did not compute it, and it may be of another image")
	}
	return findings
}

// mismatch says what a change finds wrong with the image as it is; "" where the
// change only follows from others.
func mismatch(s *Source, c image.Change) string {
	what := c.Place + "[" + fmt.Sprintf("%q", c.Key) + "]"
	switch {
	case c.Key == image.InputKey, c.Key == "mediaType":
		return ""
	case c.Place == "config" && (c.Key == "digest" || c.Key == "size" || c.Key == "data"):
		return ""
	case c.Action == image.Added:
		return fmt.Sprintf("%s is missing; it should be %s", what, c.New)
	case c.Action == image.Removed:
		return fmt.Sprintf("%s was not computed by this run, and may be of another image: %s", what, c.Old)
	}
	for _, alg := range []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256} {
		if c.Key == image.AnnotationKey(image.RoleConfig, alg) && c.Old == fsverity.Sum(alg, s.RawConfig).String() {
			return "" // right for the config as it is
		}
	}
	return fmt.Sprintf("%s is %s; it should be %s", what, c.Old, c.New)
}

// wouldCompute says which flags a run needs besides that computes what an
// annotation says which this one removes; nothing if none would.
func (o *LabelOptions) wouldCompute(c image.Change) string {
	if c.Action != image.Removed {
		return ""
	}
	for _, role := range []image.Role{image.RoleConfig, image.RoleMerged, image.RoleMergedBootable} {
		for _, alg := range []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256} {
			if c.Key != image.AnnotationKey(role, alg) {
				continue
			}
			var flags []string
			if role == image.RoleMergedBootable && !o.Bootable {
				flags = append(flags, "--bootable")
			}
			if !slices.Contains(o.Algorithms, alg) {
				flags = append(flags, "--algorithm "+alg.String())
			}
			if len(flags) > 0 {
				return " (to have it computed, add " + strings.Join(flags, " ") + ")"
			}
		}
	}
	return ""
}
