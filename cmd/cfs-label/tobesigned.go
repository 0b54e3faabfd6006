// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
)

const toBeSignedHelp = `cfs-label to-be-signed IMAGE --dir DIR is the first half of signing for the
kernel's fs-verity with a key that is elsewhere: in an HSM, or on a machine
without a network. It reads the layers, computes what an artifact beside the
image has to say, and writes a file for each digest: the bytes that the key is
to sign. With --bootable the digest of what hosts boot is one of them. Nothing is
pushed. stdout has these files, one a line; index.json beside them says what is
what, and -o json prints it.

Sign each FILE.tbs and put the signature into FILE.sig: with
openssl dgst -sha512 -sign, openssl cms -sign -binary -noattr -outform DER, or
whatever gives RSA PKCS#1 v1.5, ECDSA in ASN.1, or PKCS#7 in DER. The hash
algorithm is the one in the file's name. Then cfs-label attach takes them back.

` + exitHelp

func toBeSignedCommand(t *terminal) *cobra.Command {
	var source sourceFlags
	var dir string
	var skip, noUKI bool
	cmd := &cobra.Command{
		Use:   "to-be-signed IMAGE --dir DIR",
		Short: "Write what a key elsewhere is to sign for the kernel's fs-verity",
		Long:  toBeSignedHelp,
		Example: `  cfs-label to-be-signed ghcr.io/org/img:latest --dir sign
  for f in sign/*.tbs; do openssl dgst -sha512 -sign key.pem -out "${f%.tbs}.sig" "$f"; done
  cfs-label attach ghcr.io/org/img:latest --dir sign --fsverity-cert cert.pem`,
		Args: oneSource,
		RunE: func(cmd *cobra.Command, args []string) error {
			earlier, err := checkSigningDir(dir)
			if err != nil {
				return err
			}
			common, err := source.options(t, manyEach)
			if err != nil {
				return err
			}
			ref, err := source.net.open(cmd, t, args[0])
			if err != nil {
				return err
			}
			d, err := cfslabel.ToBeSigned(cmd.Context(), ref, cfslabel.ToBeSignedOptions{Options: common, SkipUnsealable: skip, NoUKICheck: noUKI})
			if err != nil {
				return err
			}
			text, err := writeSigningDir(dir, d, earlier)
			if err != nil {
				return err
			}
			t.sayToBeSigned(ref, dir, d)
			if t.output == jsonOutput {
				return t.answer("%s", cleanJSON(strings.TrimSuffix(string(text), "\n")))
			}
			for _, e := range d.Entries {
				if err := t.answer("%s", filepath.Join(dir, e.File)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	source.add(cmd.Flags())
	source.addBootable(cmd.Flags())
	cmd.Flags().StringVar(&dir, "dir", "", "`DIR` for the files; it is made, or is empty, or has those of the same image, also from a run that was interrupted")
	cmd.Flags().BoolVar(&skip, "skip-unsealable", false, "leave out images of an index that cannot be sealed")
	addNoUKICheck(cmd.Flags(), &noUKI)
	addOutput(cmd, t)
	return cmd
}

// sayToBeSigned tells what was written, and what is to be done with it.
func (t *terminal) sayToBeSigned(ref *remote.Ref, dir string, d *cfslabel.Detached) {
	for _, e := range d.Entries {
		t.say("%s: %s %s %s is in %s", e.Platform, e.Role, e.Digest.Algorithm(), e.Digest, e.File)
	}
	first := d.Entries[0]
	t.say("now sign each of these files, with the hash algorithm in its name, as in")
	t.say("  openssl dgst -%s -sign KEY -out %s %s", first.Digest.Algorithm(), filepath.Join(dir, first.Signature), filepath.Join(dir, first.File))
	t.say("and when all signatures are there")
	t.say("  cfs-label attach %s --dir %s --fsverity-cert CERT", ref, dir)
}
