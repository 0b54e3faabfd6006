// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"

	cfslabel "github.com/cfs-label/cfs-label"
)

const computeHelp = `cfs-label compute SOURCE prints composefs digests and writes nothing.

SOURCE is a registry reference, oci:DIR[:TAG], oci-archive:FILE[:TAG] or
docker-archive:FILE[:REF]. One digest is printed in bare
hexadecimal; several are printed a line each: role, format, algorithm, digest,
with the platform before them if SOURCE is an index of several images, and with
the xattr mode behind them if several were asked for.

` + exitHelp

func computeCommand(t *terminal) *cobra.Command {
	var source sourceFlags
	cmd := &cobra.Command{
		Use:   "compute SOURCE",
		Short: "Print composefs digests, write nothing",
		Long:  computeHelp,
		Example: `  cfs-label compute ghcr.io/org/img:latest
  cfs-label compute oci:./layout:latest --format v1,v2 --algorithm sha512,sha256 -o json`,
		Args: oneSource,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := source.options(t, manyEach)
			if err != nil {
				return err
			}
			ref, err := source.net.open(cmd, t, args[0])
			if err != nil {
				return err
			}
			images, err := cfslabel.Compute(cmd.Context(), ref, o)
			if err != nil {
				return err
			}
			if t.output == jsonOutput {
				return t.answerJSON(newComputeAnswer(ref, images))
			}
			return t.answerDigests(images, len(o.Xattrs) > 1)
		},
	}
	source.addFormat(cmd.Flags())
	source.add(cmd.Flags())
	addOutput(cmd, t)
	return cmd
}

func (t *terminal) answerDigests(images []cfslabel.Image, withXattrs bool) error {
	if len(images) == 1 && len(images[0].Digests) == 1 {
		return t.answer("%s", images[0].Digests[0].Digest)
	}
	for _, img := range images {
		for _, d := range img.Digests {
			fields := []string{d.Role.String(), d.Format.String(), d.Digest.Algorithm().String(), d.Digest.String()}
			if len(images) > 1 {
				fields = append([]string{img.Platform}, fields...)
			}
			if withXattrs {
				fields = append(fields, d.Xattrs.String())
			}
			if err := t.answer("%s", strings.Join(fields, " ")); err != nil {
				return err
			}
		}
	}
	return nil
}
