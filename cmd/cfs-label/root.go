// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

const rootHelp = `cfs-label IMAGE computes the composefs digest of an image in a registry and
writes it into the image: as the config label containers.composefs.fsverity and
as annotations of the manifest. The layers are streamed; nothing is stored.

IMAGE is a reference to a registry, as in ghcr.io/org/img:tag, or oci:DIR[:TAG]
for an OCI layout. The tag then names the sealed image, unless --tag gives
others; an image named by its digest gets no tag. stdout has the answer alone:
the sealed image as repository@sha256:….

` + exitHelp

func rootCommand(t *terminal) *cobra.Command {
	s := &sealCommand{terminal: t}
	cmd := &cobra.Command{
		Use:   "cfs-label IMAGE",
		Short: "Seal container images for composefs, in the registry",
		Long:  rootHelp,
		Example: `  cfs-label ghcr.io/org/img:latest
  cfs-label ghcr.io/org/img:latest --tag latest-sealed
  cfs-label oci:./layout:latest -o json
  cfs-label compute ghcr.io/org/img:latest --format v1,v2`,
		Version:       programVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		// It is called when the command line was understood.
		PersistentPreRun: func(*cobra.Command, []string) { t.running = true },
		Args:             imageArg,
		RunE:             s.run,
	}
	p := cmd.PersistentFlags()
	p.BoolVarP(&t.quiet, "quiet", "q", false, "print the answer and errors only")
	p.BoolVarP(&t.verbose, "verbose", "v", false, "tell more on stderr")
	p.BoolVar(&t.noProgress, "no-progress", false, "show no progress bars")
	s.source.addFormat(cmd.Flags())
	s.source.add(cmd.Flags())
	cmd.Flags().StringArrayVar(&s.tags, "tag", nil, "`NAME` for the sealed image in the same repository, in place of the tag that was read (repeatable)")
	cmd.Flags().BoolVar(&s.dryRun, "dry-run", false, "compute and print, but push nothing")
	addOutput(cmd, t)
	cmd.AddCommand(computeCommand(t), dumpCommand(t), exportCommand(t), demoCommand(t), versionCommand(t))
	return cmd
}

func addOutput(cmd *cobra.Command, t *terminal) {
	t.output = textOutput
	cmd.Flags().VarP(&t.output, "output", "o", "form of the answer")
}

// imageArg checks that there is one argument and that it may be an image. A
// word alone would be an image of Docker Hub; it is more likely a command that
// was misspelled.
func imageArg(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("which image? give a reference, as in ghcr.io/org/img:tag, or try cfs-label demo")
	}
	word := args[0]
	if !strings.ContainsAny(word, "/:@") {
		return fmt.Errorf("%q is no command; did you mean %s? (an image of that name on Docker Hub is docker.io/library/%s)",
			word, nearest(cmd.Root(), word), word)
	}
	if len(args) > 1 {
		return fmt.Errorf("one image at a time, not %d", len(args))
	}
	return nil
}

// oneSource checks that there is one argument.
func oneSource(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("one SOURCE, please, not %d: a registry reference, as in ghcr.io/org/img:tag, or oci:DIR[:TAG]", len(args))
	}
	return nil
}

// nearest returns the commands whose names are nearest to the word.
func nearest(root *cobra.Command, word string) string {
	for distance := 1; ; distance++ {
		root.SuggestionsMinimumDistance = distance
		if near := root.SuggestionsFor(word); len(near) > 0 {
			return strings.Join(near, " or ")
		}
	}
}

// sealCommand is cfs-label IMAGE.
type sealCommand struct {
	*terminal
	source sourceFlags
	tags   []string
	dryRun bool
}

func (s *sealCommand) run(cmd *cobra.Command, args []string) error {
	o := cfslabel.LabelOptions{Tags: s.tags, DryRun: s.dryRun}
	var err error
	if o.Options, err = s.source.options(s.terminal, manyEach); err != nil {
		return err
	}
	if len(o.Xattrs) > 1 {
		return &usageError{errors.New("sealing takes one --xattrs")}
	}
	ref, err := s.source.open(cmd.Context(), args[0])
	if err != nil {
		return err
	}
	return s.seal(cmd, ref, o)
}

func (s *sealCommand) seal(cmd *cobra.Command, ref *remote.Ref, o cfslabel.LabelOptions) error {
	sealed, err := cfslabel.Label(cmd.Context(), ref, o)
	if err != nil {
		if sealed != nil {
			s.sayTags(ref, sealed)
		}
		return err
	}
	s.report(ref, sealed, o.DryRun)
	if s.output == jsonOutput {
		return s.answerJSON(newSealAnswer(ref, sealed, o.DryRun))
	}
	return s.answer("%s@%s", ref.Repo.Name(), sealed.Digest)
}

// report tells on stderr what was done.
func (s *sealCommand) report(ref *remote.Ref, sealed *cfslabel.Sealed, dryRun bool) {
	for _, d := range sealed.Image.Digests {
		s.say("%s: %s %s %s %s", ref, d.Role, d.Format, d.Digest.Algorithm(), d.Digest)
	}
	for _, c := range sealed.Changes {
		tell := s.detail
		if c.Action == image.Removed { // it was somebody's: that is said unasked
			tell = s.say
		}
		tell("%s", c)
	}
	switch {
	case !sealed.Changed:
		s.say("already sealed so: nothing was changed")
	case dryRun:
		s.say("dry run: nothing was pushed")
	default:
		s.say("wrote %s", strings.Join(sealed.Written, " and "))
	}
	s.sayTags(ref, sealed)
}

func (s *sealCommand) sayTags(ref *remote.Ref, sealed *cfslabel.Sealed) {
	for _, tag := range sealed.Tags {
		s.say("%s:%s is now %s", ref.Repo.Name(), tag, sealed.Digest)
	}
}
