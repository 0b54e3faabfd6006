// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

const signHelp = `cfs-label sign IMAGE signs an image that is sealed, as cfs-label IMAGE --sign does.

It reads the layers first and compares, as cfs-label verify does: what is not
sealed right is not signed, since a label may be inherited and a signature vouches
for it. To read the layers once, seal and sign by cfs-label IMAGE --sign.

` + exitHelp

// signCommand is cfs-label sign.
type signCommand struct {
	*terminal
	source    sourceFlags
	labelKeys []string
	noUKI     bool
	signing   signFlags
}

func newSignCommand(t *terminal) *cobra.Command {
	s := &signCommand{terminal: t}
	cmd := &cobra.Command{
		Use:   "sign IMAGE",
		Short: "Sign an image that is sealed",
		Long:  signHelp,
		Example: `  cfs-label sign ghcr.io/org/img:latest --key cosign.key
  cfs-label sign ghcr.io/org/img:latest --sign-exec 'cosign sign -y'`,
		Args: oneSource,
		RunE: s.run,
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&s.labelKeys, "label-key", nil, "`KEY` of a label that must be there, besides "+image.LabelKey+" (repeatable)")
	addNoUKICheck(fs, &s.noUKI)
	s.source.addChoice(fs)
	inGroup(fs, signingGroup, s.signing.add)
	addOutput(cmd, t)
	return cmd
}

func (s *signCommand) run(cmd *cobra.Command, args []string) error {
	common, err := s.source.options(s.terminal, manyEach)
	if err != nil {
		return err
	}
	ref, err := s.source.net.open(cmd, s.terminal, args[0])
	if err != nil {
		return err
	}
	signing, err := s.signing.signing(cmd, s.terminal, &s.source.net, ref, true)
	if err != nil {
		return err
	}
	o := cfslabel.VerifyOptions{
		LabelKeys: s.labelKeys, Platforms: common.Platforms, Jobs: common.Jobs, Progress: common.Progress, Warn: common.Warn,
		Stats: common.Stats, NoUKICheck: s.noUKI,
	}
	verified, signed, err := cfslabel.Sign(cmd.Context(), ref, o, signing)
	s.saySigned(signed)
	if verified != nil && s.output == jsonOutput {
		if aerr := s.answerJSON(newSignAnswer(ref, verified, signed)); aerr != nil {
			return aerr
		}
	}
	if err != nil || s.output == jsonOutput {
		return err
	}
	return s.answer("%s@%s", verified.Repo.Name(), verified.Digest)
}

// signAnswer is the answer of sign.
type signAnswer struct {
	Reference  string       `json:"reference"`
	Image      string       `json:"image"`
	Digest     string       `json:"digest"`
	Signed     []string     `json:"signed"`
	Signatures []madeAnswer `json:"signatures,omitempty"`
	Findings   []string     `json:"findings,omitempty"`
}

func newSignAnswer(ref *remote.Ref, v *cfslabel.Verified, list []cfslabel.Signed) signAnswer {
	a := signAnswer{Reference: ref.String(), Image: v.Repo.Name() + "@" + v.Digest.String(), Digest: v.Digest.String(), Findings: v.Findings}
	a.Signed, a.Signatures = newSigned(list)
	return a
}
