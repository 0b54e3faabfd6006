// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

const verifyHelp = `cfs-label verify IMAGE reads the layers again, computes the digests, and compares
what labels, annotations and artifacts say, and kernel command lines of UKIs in
the image. Whose signatures must hold, flags say: --key, or --certificate-identity
and --certificate-oidc-issuer, for those of cosign in either format;
--fsverity-cert for those of the kernel's fs-verity. Nothing is written.

The exit status is 0 only if something says what the digest is, all of it holds,
and so does all that was asked for. stdout has what was found, what was computed,
and what holds; what does not is named on stderr.

With --digest-only the layers are not read: the digests of a manifest that a
signature vouches for are believed if they agree.

` + exitHelp

// verifyCommand is cfs-label verify.
type verifyCommand struct {
	*terminal
	formats    list[erofs.Format]
	labelKeys  []string
	digestOnly bool
	recursive  bool
	noUKICheck bool
	source     sourceFlags
	who        verifyFlags
}

func newVerifyCommand(t *terminal) *cobra.Command {
	v := &verifyCommand{terminal: t}
	cmd := &cobra.Command{
		Use:   "verify IMAGE",
		Short: "Find out whether image, labels and signatures agree",
		Long:  verifyHelp,
		Example: `  cfs-label verify ghcr.io/org/img:latest
  cfs-label verify ghcr.io/org/img:latest --key cosign.pub --fsverity-cert cert.pem
  cfs-label verify ghcr.io/org/img:latest --digest-only --certificate-oidc-issuer https://token.actions.githubusercontent.com \
    --certificate-identity https://github.com/org/img/.github/workflows/build.yml@refs/heads/main`,
		Args: oneSource,
		RunE: v.run,
	}
	fs := cmd.Flags()
	v.add(fs)
	v.source.addChoice(fs)
	v.who.add(fs)
	addOutput(cmd, t)
	return cmd
}

func (v *verifyCommand) add(fs *pflag.FlagSet) {
	v.formats = list[erofs.Format]{parse: erofs.ParseFormat, kind: "v0|v1|v2"}
	fs.Var(&v.formats, "format", "format that the label may be of (default any)")
	fs.StringArrayVar(&v.labelKeys, "label-key", nil, "`KEY` of a label that must be there, besides "+image.LabelKey+" (repeatable)")
	fs.BoolVar(&v.digestOnly, "digest-only", false, "do not read the layers, and believe the digests of a manifest that a signature vouches for")
	addNoUKICheck(fs, &v.noUKICheck)
	fs.BoolVar(&v.recursive, "recursive", false, "want a signature of each image of an index, too")
}

// options returns what the flags say.
func (v *verifyCommand) options(cmd *cobra.Command, ref *remote.Ref) (o cfslabel.VerifyOptions, err error) {
	common, err := v.source.options(v.terminal, manyEach)
	if err != nil {
		return o, err
	}
	o = cfslabel.VerifyOptions{
		Formats: v.formats.values, LabelKeys: v.labelKeys, Platforms: common.Platforms,
		Jobs: common.Jobs, Progress: common.Progress, Warn: common.Warn,
		Recursive: v.recursive, DigestOnly: v.digestOnly, Stats: common.Stats, NoUKICheck: v.noUKICheck,
	}
	if v.who.fsverityCert != "" {
		if o.Certificate, err = v.kernelCertificate(v.who.fsverityCert); err != nil {
			return o, err
		}
	}
	o.Verifier, err = v.who.verifier(cmd, v.terminal, &v.source.net, ref)
	return o, err
}

func (v *verifyCommand) run(cmd *cobra.Command, args []string) error {
	ref, err := v.source.net.open(cmd, v.terminal, args[0])
	if err != nil {
		return err
	}
	o, err := v.options(cmd, ref)
	if err != nil {
		return err
	}
	verified, err := cfslabel.Verify(cmd.Context(), ref, o)
	if _, ok := errors.AsType[*cfslabel.MismatchError](err); err != nil && !ok {
		return err
	}
	if aerr := v.answerVerified(ref, verified); aerr != nil {
		return aerr
	}
	return err
}

func (v *verifyCommand) answerVerified(ref *remote.Ref, verified *cfslabel.Verified) error {
	if v.output == jsonOutput {
		return v.answerJSON(newVerifyAnswer(ref, verified))
	}
	_, err := v.stdout.Write(verifyTable(verified))
	return err
}

// shortDigest is how many digits of a digest a table shows.
const shortDigest = 12

// maxName is how much of an object's name a table shows, in bytes. Those that we
// know are shorter.
const maxName = 200

// short returns the beginning of what may be a digest.
func short(text string) string {
	before, hex, ok := strings.Cut(text, ":")
	if !ok {
		before, hex = "", text
	} else {
		before += ":"
	}
	if len(hex) > shortDigest {
		hex = hex[:shortDigest]
	}
	if text == "" {
		return "-"
	}
	return before + strings.ToValidUTF8(hex, "")
}

// orDash returns the text, or a dash where there is none.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// verifyTable is the answer as text.
func verifyTable(v *cfslabel.Verified) []byte {
	var out bytes.Buffer
	verdict := "verified"
	if len(v.Findings) > 0 {
		verdict = "NOT verified"
	}
	fmt.Fprintf(&out, "%s@%s: %s\n", clean(v.Repo.Name()), v.Digest, verdict)
	for _, img := range v.Images {
		fmt.Fprintf(&out, "\n%s %s\n", clean(img.Platform), img.Manifest)
		w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
		if len(img.Objects)+len(img.UKIs) > 0 {
			row(w, "OBJECT", "FORMAT", "FOUND", "COMPUTED", "STATE", "FS-VERITY SIGNATURE")
		}
		for _, o := range img.Objects {
			name := o.Where + " " + o.Key
			if o.Artifact.Hex != "" {
				name = fmt.Sprintf("%s %s %s", o.Where, short(o.Artifact.String()), o.Key)
			}
			if len(name) > maxName {
				name = strings.ToValidUTF8(name[:maxName], "") + "…"
			}
			row(w, name, orDash(o.Format), short(o.Found), short(o.Computed), string(o.State), orDash(string(o.Signature)))
		}
		for _, cells := range ukiRows(img.UKIs) {
			row(w, append(cells, "-")...)
		}
		_ = w.Flush() // to memory
	}
	if len(v.Passed) > 0 {
		out.WriteByte('\n')
	}
	for _, p := range v.Passed {
		fmt.Fprintf(&out, "not looked at: %s %s\n", clean(p.Platform), p.Manifest)
	}
	if len(v.Signatures) == 0 {
		return out.Bytes()
	}
	out.WriteByte('\n')
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	row(w, "SIGNATURE OF", "FORMAT", "BY", "LOG", "TIME", "STATE")
	for _, s := range v.Signatures {
		state := string(cfslabel.Holds)
		switch {
		case s.IsUnread():
			state = "not checked: " + s.Err.Error()
		case s.Err != nil:
			state = "does not hold: " + s.Err.Error()
		}
		row(w, short(s.Of.String()), string(s.Format), signedBy(s), logs(s.LogIndexes), when(s.Time), state)
	}
	_ = w.Flush()
	return out.Bytes()
}

// row writes one line of a table.
func row(w *tabwriter.Writer, cells ...string) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(w, "\t")
		}
		fmt.Fprint(w, clean(c))
	}
	fmt.Fprintln(w)
}

// signedBy names who made a signature. Who made one that does not hold, nobody
// knows.
func signedBy(s cfslabel.VerifiedSignature) string {
	switch {
	case s.Err != nil:
		return "-"
	case s.Identity != "":
		return s.Identity + " (" + orDash(s.Issuer) + ")"
	}
	return "key " + short(s.Key)
}

func logs(indexes []int64) string {
	var texts []string
	for _, i := range indexes {
		texts = append(texts, fmt.Sprint(i))
	}
	return orDash(strings.Join(texts, ","))
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
