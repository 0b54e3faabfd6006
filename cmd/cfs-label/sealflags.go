// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/pflag"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/image"
)

// choice is a flag with one of several values that have names.
type choice[T fmt.Stringer] struct {
	value T
	parse func(string) (T, error)
	kind  string
}

func (c *choice[T]) String() string { return c.value.String() }

func (c *choice[T]) Type() string { return c.kind }

func (c *choice[T]) Set(s string) error {
	v, err := c.parse(s)
	if err == nil {
		c.value = v
	}
	return err
}

// sealFlags say what is written, and where.
type sealFlags struct {
	write        list[cfslabel.Place]
	labelKeys    []string
	labelFormat  choice[cfslabel.LabelFormat]
	attestations choice[cfslabel.Attestations]
	skip, oci    bool

	tags     []string
	to       string
	force    bool
	ifNeeded bool
	check    bool
	noUKI    bool
	dryRun   bool

	sign                  bool
	signing               signFlags
	kernelKey, kernelCert string
}

func (f *sealFlags) add(fs *pflag.FlagSet) {
	f.write = list[cfslabel.Place]{
		values: []cfslabel.Place{cfslabel.InLabel, cfslabel.InAnnotations},
		parse:  cfslabel.ParsePlace,
		kind:   "label|annotations|artifact",
	}
	f.labelFormat = choice[cfslabel.LabelFormat]{parse: cfslabel.ParseLabelFormat, kind: "hex|prefixed"}
	f.attestations = choice[cfslabel.Attestations]{parse: cfslabel.ParseAttestations, kind: "relink|drop|keep"}
	fs.Var(&f.write, "write", "where the digests go: into the image, or into an artifact beside it")
	fs.StringArrayVar(&f.labelKeys, "label-key", nil, "`KEY` of the label (repeatable; default "+image.LabelKey+")")
	fs.Var(&f.labelFormat, "label-format", "what the label says: the digest alone, or sha512:DIGEST")
	fs.Var(&f.attestations, "attestations", "what becomes of attestations of an image that changes")
	fs.BoolVar(&f.skip, "skip-unsealable", false, "leave images of an index as they are that cannot be sealed")
	fs.BoolVar(&f.oci, "oci", false, "convert Docker manifests that are sealed to OCI, which has annotations")

	fs.StringArrayVar(&f.tags, "tag", nil, "`NAME` for the sealed image, in place of the tag that was read (repeatable)")
	fs.StringVar(&f.to, "to", "", "put the sealed image into another `REPO[:TAG]`, oci:DIR[:TAG] or oci-archive:FILE[:TAG]")
	fs.BoolVar(&f.force, "force", false, "move the tag also if somebody else moved it in the meantime")
	fs.BoolVar(&f.ifNeeded, "if-needed", false, "do not read the layers again if an earlier seal of the same layers says their digests")
	fs.BoolVar(&f.check, "check", false, "push nothing, and fail if anything is missing or wrong")
	addNoUKICheck(fs, &f.noUKI)
	fs.BoolVar(&f.dryRun, "dry-run", false, "compute and print, but push nothing")

	inGroup(fs, signingGroup, f.addSigning)
}

func (f *sealFlags) addSigning(fs *pflag.FlagSet) {
	fs.BoolVar(&f.sign, "sign", false, "sign the sealed image as cosign does, before a tag names it")
	f.signing.add(fs)
	fs.StringVar(&f.kernelKey, kernelKeyFlag, "", "PEM `FILE` with the key that signs the digests for the kernel's fs-verity")
	fs.StringVar(&f.kernelCert, kernelCertFlag, "", "PEM `FILE` with its certificate")
}

// options returns what the flags say, but for where the image is put.
func (f *sealFlags) options(o cfslabel.Options) cfslabel.LabelOptions {
	return cfslabel.LabelOptions{
		Options:        o,
		Write:          f.write.values,
		LabelKeys:      f.labelKeys,
		LabelFormat:    f.labelFormat.value,
		Attestations:   f.attestations.value,
		SkipUnsealable: f.skip,
		OCI:            f.oci,
		Tags:           f.tags,
		Force:          f.force,
		IfNeeded:       f.ifNeeded,
		Check:          f.check,
		DryRun:         f.dryRun,
		NoUKICheck:     f.noUKI,
	}
}
