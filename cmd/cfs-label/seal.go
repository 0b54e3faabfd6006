// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

// sealCommand is cfs-label IMAGE.
type sealCommand struct {
	*terminal
	source sourceFlags
	flags  sealFlags
}

func (s *sealCommand) run(cmd *cobra.Command, args []string) error {
	common, err := s.source.options(s.terminal, manyEach)
	if err != nil {
		return err
	}
	o := s.flags.options(common)
	ref, err := s.source.net.open(cmd, s.terminal, args[0])
	if err != nil {
		return err
	}
	defer s.cleanUp(ref)
	if cmd.Flags().Changed("to") {
		if o.To, err = s.source.net.openTarget(cmd, s.terminal, s.flags.to, ref); err != nil {
			return err
		}
		defer s.cleanUp(o.To)
	}
	if err := s.signs(cmd, ref, &o); err != nil {
		return err
	}
	return s.seal(cmd.Context(), ref, o)
}

// signs puts in how the image is signed.
func (s *sealCommand) signs(cmd *cobra.Command, ref *remote.Ref, o *cfslabel.LabelOptions) error {
	f := &s.flags
	var err error
	switch {
	case (f.kernelKey == "") != (f.kernelCert == ""):
		return &usageError{errors.New("--fsverity-key and --fsverity-cert go together")}
	case f.kernelKey != "":
		if o.Kernel, err = s.kernelKey(f.kernelKey, f.kernelCert); err != nil {
			return err
		}
	}
	if !f.sign && f.signing.exec == "" {
		if given := changed(cmd, ofSigning); given != "" {
			return &usageError{fmt.Errorf("--%s is for signing: add --sign", given)}
		}
		return nil
	}
	target := ref
	if o.To != nil {
		target = o.To
	}
	o.Signing, err = f.signing.signing(cmd, s.terminal, &s.source.net, target, !f.dryRun && !f.check)
	return err
}

// cleanUp removes what was begun and not finished.
func (s *sealCommand) cleanUp(ref *remote.Ref) {
	if err := ref.Close(); err != nil {
		s.warn(err.Error())
	}
}

func (s *sealCommand) seal(ctx context.Context, ref *remote.Ref, o cfslabel.LabelOptions) error {
	sealed, err := cfslabel.Label(ctx, ref, o)
	mismatch, isMismatch := errors.AsType[*cfslabel.MismatchError](err)
	switch {
	case isMismatch:
		if s.output == jsonOutput {
			if err := s.answerJSON(newSealAnswer(ref, sealed, &o, mismatch.Findings)); err != nil {
				return err
			}
		}
		return err
	case err != nil:
		if sealed != nil {
			s.saySigned(sealed.Signed)
			s.sayTags(sealed)
		}
		return err
	}
	s.report(ref, sealed, &o)
	if s.output == jsonOutput {
		return s.answerJSON(newSealAnswer(ref, sealed, &o, nil))
	}
	return s.answer("%s@%s", sealed.Repo.Name(), sealed.Digest)
}

// report tells on stderr what was done.
func (s *sealCommand) report(ref *remote.Ref, sealed *cfslabel.Sealed, o *cfslabel.LabelOptions) {
	for i := range sealed.Images {
		s.reportImage(ref, &sealed.Images[i], len(sealed.Images) > 1)
		if !o.DryRun && !o.Check {
			s.reportArtifacts(&sealed.Images[i])
		}
	}
	s.reportChanges("", sealed.IndexChanges)
	for _, skipped := range sealed.Skipped {
		s.warn(fmt.Sprintf("%s (%s) cannot be sealed and stays as it is: %v", skipped.Platform, skipped.Manifest, skipped.Err))
	}
	if len(sealed.Passed) > 0 {
		s.say("not sealed, and left as they are: %s", strings.Join(sealed.Passed, ", "))
	}
	switch wrote := join(sealed.Written); {
	case o.Check:
		s.say("checked: nothing is missing or wrong")
	case o.DryRun && (wrote != "" || sealed.Changed || o.To != nil):
		s.say("dry run: nothing was pushed")
	case wrote != "":
		s.say("wrote %s", wrote)
	case o.To != nil:
		s.say("already sealed so: copied as it is")
	case !sealed.Changed:
		s.say("already sealed so: nothing was changed")
	}
	s.saySigned(sealed.Signed)
	s.sayTags(sealed)
}

// join lists places: label, annotations and artifact.
func join(places []cfslabel.Place) string {
	names := make([]string, len(places))
	for i, p := range places {
		names[i] = p.String()
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

func (s *sealCommand) reportImage(ref *remote.Ref, img *cfslabel.SealedImage, withPlatform bool) {
	name := ref.String()
	if withPlatform {
		name += " " + img.Platform
	}
	for _, d := range img.Digests {
		s.say("%s: %s %s %s %s", name, d.Role, d.Format, d.Digest.Algorithm(), d.Digest)
	}
	if img.Believed {
		s.say("%s: the digests are those of an earlier seal of the same layers, which were not read", name)
	}
	prefix := ""
	if withPlatform {
		prefix = img.Platform + ": "
	}
	s.reportChanges(prefix, img.Changes)
}

func (s *sealCommand) reportArtifacts(img *cfslabel.SealedImage) {
	for _, a := range img.Artifacts {
		s.say("artifact %s refers to %s", a, img.Sealed)
	}
}

func (s *sealCommand) reportChanges(prefix string, changes []image.Change) {
	for _, c := range changes {
		tell := s.detail
		isSeal := image.StaleLabel(c.Key) || image.StaleAnnotation(c.Key)
		if c.Action == image.Removed || c.Action == image.Replaced && isSeal { // it was somebody's: that is said unasked
			tell = s.say
		}
		tell("%s%s", prefix, c)
	}
}

// saySigned tells what was signed.
func (t *terminal) saySigned(list []cfslabel.Signed) {
	for _, signed := range list {
		name := signed.Digest.String()
		if signed.Platform != "" {
			name += " (" + signed.Platform + ")"
		}
		if len(signed.Made) == 0 {
			t.say("signed %s", name)
		}
		for _, m := range signed.Made {
			if m.Present {
				t.say("signed so already: %s, %s: %s", name, m.Format, m.Place)
				continue
			}
			text := []string{fmt.Sprintf("signed %s, %s: %s", name, m.Format, m.Place)}
			if m.Identity != "" {
				text = append(text, "by "+m.Identity)
			}
			for _, i := range m.LogIndexes {
				text = append(text, fmt.Sprintf("log index %d", i))
			}
			t.say("%s", strings.Join(text, ", "))
		}
	}
}

func (s *sealCommand) sayTags(sealed *cfslabel.Sealed) {
	for _, tag := range sealed.Tags {
		s.say("%s:%s is now %s", sealed.Repo.Name(), tag, sealed.Digest)
	}
}
