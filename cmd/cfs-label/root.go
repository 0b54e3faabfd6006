// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const rootHelp = `cfs-label IMAGE computes the composefs digest of an image in a registry and
writes it into the image: as the config label containers.composefs.fsverity and
as annotations of the manifest. The layers are streamed; nothing is stored.

IMAGE is a reference to a registry, as in ghcr.io/org/img:tag, or
oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF]. An index is
sealed whole, image by image. The tag then names the sealed image, unless --tag
or --to give others; an image named by its digest gets no tag. stdout has the
answer alone: the sealed image as repository@sha256:…. Directories are for
compute, dump, export, diff and lint.

UKIs in the image that name another digest than the image has stop the sealing.

` + exitHelp

func rootCommand(t *terminal) *cobra.Command {
	s := &sealCommand{terminal: t}
	cmd := &cobra.Command{
		Use:   "cfs-label IMAGE",
		Short: "Seal container images for composefs, in the registry",
		Long:  rootHelp,
		Example: `  cfs-label ghcr.io/org/img:latest
  cfs-label ghcr.io/org/img:latest --tag latest-sealed
  cfs-label ghcr.io/org/img:latest --to quay.io/org/img:sealed
  cfs-label ghcr.io/org/img:latest --write artifact
  cfs-label ghcr.io/org/img:latest --check
  cfs-label ghcr.io/org/host:latest --bootable
  cfs-label oci:./layout:latest -o json
  cfs-label compute ghcr.io/org/img:latest --format v1,v2
  cfs-label verify ghcr.io/org/img:latest`,
		Version:       programVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		// It is called when the command line was understood.
		PersistentPreRunE: t.start,
		Args:              imageArg,
		RunE:              s.run,
	}
	p := cmd.PersistentFlags()
	p.BoolVarP(&t.quiet, "quiet", "q", false, "print the answer and errors only")
	p.BoolVarP(&t.verbose, "verbose", "v", false, "tell more on stderr")
	p.BoolVar(&t.noProgress, "no-progress", false, "show no progress bars")
	p.DurationVar(&t.timeout, "timeout", 0, "give up after `TIME`, as in 10m (default never)")
	s.source.addFormat(cmd.Flags())
	s.source.add(cmd.Flags())
	s.source.addBootable(cmd.Flags())
	s.flags.add(cmd.Flags())
	addOutput(cmd, t)
	groupFlags(cmd)
	cmd.AddCommand(
		newSignCommand(t), newVerifyCommand(t), inspectCommand(t), toBeSignedCommand(t), attachCommand(t),
		computeCommand(t), dumpCommand(t), exportCommand(t), diffCommand(t), lintCommand(t), demoCommand(t), versionCommand(t),
	)
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
	if err := wantImage(word); err != nil {
		return err
	}
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
		return fmt.Errorf("one SOURCE, please, not %d: a registry reference, as in ghcr.io/org/img:tag, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF] or dir:PATH", len(args))
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
