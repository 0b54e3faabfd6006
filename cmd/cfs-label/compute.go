// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/boot"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/image"
)

const computeHelp = `cfs-label compute SOURCE prints composefs digests and writes nothing.

SOURCE is a registry reference, oci:DIR[:TAG], oci-archive:FILE[:TAG],
docker-archive:FILE[:REF], or a directory that has a root file system: dir:PATH,
or the path of one that is there. One digest is printed in bare
hexadecimal; several are printed a line each: role, format, algorithm, digest,
with the platform before them if SOURCE is an index of several images, and with
the xattr mode behind them if several were asked for. With --bootable the
bootable digests alone are printed; JSON has the others, too.

--karg prints bootable digests as arguments for the kernel's command line, a
line each: composefs.digest=v1-sha512-12:DIGEST, of V2 composefs=DIGEST. A UKI
has them in its section .cmdline.

` + exitHelp

// computing is cfs-label compute.
type computing struct {
	*terminal
	source sourceFlags
	karg   bool
	file   string
}

func computeCommand(t *terminal) *cobra.Command {
	c := &computing{terminal: t}
	cmd := &cobra.Command{
		Use:   "compute SOURCE",
		Short: "Print composefs digests, write nothing",
		Long:  computeHelp,
		Example: `  cfs-label compute ghcr.io/org/img:latest
  cfs-label compute oci:./layout:latest --format v1,v2 --algorithm sha512,sha256 -o json
  cfs-label compute ghcr.io/org/host:latest --bootable
  cfs-label compute --karg dir:/target --file /out/cmdline`,
		Args: oneSource,
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0]) },
	}
	fs := cmd.Flags()
	c.source.addFormat(fs)
	c.source.add(fs)
	c.source.addBootable(fs)
	fs.BoolVar(&c.karg, "karg", false, "print arguments for the kernel's command line (implies --bootable)")
	fs.StringVar(&c.file, "file", "", "write the answer to `FILE`, whole or not at all, and nothing to stdout")
	c.source.addDirectory(fs)
	addOutput(cmd, t)
	return cmd
}

func (c *computing) run(cmd *cobra.Command, arg string) error {
	if c.karg {
		c.source.bootable = true
		if cmd.Flags().Changed("xattrs") {
			return &usageError{errors.New("--karg is of the digest that hosts boot, which is allowlist-only: leave out --xattrs")}
		}
	}
	if c.file != "" {
		if err := checkFile(c.file, arg, c.source.bootable && c.output != jsonOutput); err != nil {
			return err
		}
	}
	o, err := c.source.options(c.terminal, manyEach)
	if err != nil {
		return err
	}
	if err := c.source.checkKinds(cmd, c.terminal); err != nil {
		return err
	}
	name, images, err := c.compute(cmd, arg, o)
	if err != nil {
		return err
	}
	file := c.file
	if file == "" {
		file = "-"
	}
	return c.writeTo(file, func(w io.Writer) error { return c.print(w, name, images, len(o.Xattrs) > 1) })
}

// compute returns the digests, and the name of what they are of.
func (c *computing) compute(cmd *cobra.Command, arg string, o cfslabel.Options) (name string, images []cfslabel.Image, err error) {
	if kind, path := splitSource(arg); kind == aDirectory {
		d, err := c.source.directory(path, o)
		if err != nil {
			return "", nil, err
		}
		defer c.showHashing(&d)()
		digests, err := cfslabel.ComputeDirectory(cmd.Context(), path, d)
		return directoryPrefix + path, []cfslabel.Image{{Digests: digests}}, err
	}
	ref, err := c.source.net.open(cmd, c.terminal, arg)
	if err != nil {
		return "", nil, err
	}
	if !c.karg {
		images, err = cfslabel.Compute(cmd.Context(), ref, o)
		return ref.String(), images, err
	}
	// A command line is of one image.
	img, err := cfslabel.ComputeOne(cmd.Context(), ref, o)
	switch {
	case errors.Is(err, cfslabel.ErrSeveral):
		return "", nil, &usageError{err}
	case err != nil:
		return "", nil, err
	}
	return ref.String(), []cfslabel.Image{*img}, nil
}

// print writes the answer.
func (c *computing) print(w io.Writer, name string, images []cfslabel.Image, withXattrs bool) error {
	out := &terminal{stdout: w}
	if c.output == jsonOutput {
		return out.answerJSON(newComputeAnswer(name, images, c.karg))
	}
	if c.source.bootable {
		for i := range images {
			images[i].Digests = slices.DeleteFunc(images[i].Digests, func(d cfslabel.Digest) bool { return d.Role != image.RoleMergedBootable })
		}
	}
	if !c.karg {
		return out.answerDigests(images, withXattrs)
	}
	for _, d := range images[0].Digests {
		if err := out.answer("%s", argumentOf(d)); err != nil {
			return err
		}
	}
	return nil
}

// argumentOf returns the kernel argument that names the digest. There is none
// for V0: hosts mount its images as those of V1.
func argumentOf(d cfslabel.Digest) string {
	if d.Format == erofs.V2 {
		return boot.DigestArgument(boot.V2, d.Digest)
	}
	return boot.DigestArgument(boot.V1, d.Digest)
}

// answerDigests prints the digests of images.
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
