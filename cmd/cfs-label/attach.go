// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
)

const attachHelp = `cfs-label attach IMAGE --dir DIR --fsverity-cert CERT is the second half of
signing for the kernel's fs-verity with a key that is elsewhere: it takes the
signatures of what cfs-label to-be-signed put into DIR, and pushes them as an
artifact beside the image. The image, its digest and its tags do not change.

Before anything is pushed, each signature is checked against the certificate and
the digest, and that the image is still the one that was read. The layers are
not read again. A second run changes nothing. An artifact without signatures
that says no more than the new one is removed, and named.

` + exitHelp

// attachFlags say what is attached.
type attachFlags struct {
	net       netFlags
	dir, cert string
	dryRun    bool
}

func attachCommand(t *terminal) *cobra.Command {
	var f attachFlags
	cmd := &cobra.Command{
		Use:     "attach IMAGE --dir DIR --fsverity-cert CERT",
		Short:   "Put signatures that were made elsewhere beside an image",
		Long:    attachHelp,
		Example: "  cfs-label attach ghcr.io/org/img:latest --dir sign --fsverity-cert cert.pem",
		Args:    oneSource,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, t, args[0])
		},
	}
	inGroup(cmd.Flags(), registryGroup, f.net.add)
	cmd.Flags().StringVar(&f.dir, "dir", "", "`DIR` that cfs-label to-be-signed wrote, with the signatures")
	cmd.Flags().StringVar(&f.cert, "fsverity-cert", "", "PEM `FILE` of the certificate of the key that signed")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "check all, but push nothing")
	addOutput(cmd, t)
	return cmd
}

func (f *attachFlags) run(cmd *cobra.Command, t *terminal, name string) (err error) {
	if f.dir == "" || f.cert == "" {
		return &usageError{errors.New("which signatures, and whose? give --dir DIR and --fsverity-cert CERT")}
	}
	o := cfslabel.AttachOptions{DryRun: f.dryRun, Warn: t.warn}
	if o.Certificate, err = t.kernelCertificate(f.cert); err != nil {
		return err
	}
	if o.Detached, err = readSigningIndex(f.dir); err != nil {
		return err
	}
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	defer func() { _ = root.Close() }()
	o.Signature = func(name string) ([]byte, error) { return readIn(root, name, signatureMax) }
	ref, err := f.net.open(cmd, t, name)
	if err != nil {
		return err
	}
	defer closeRef(t, ref)
	done, err := cfslabel.Attach(cmd.Context(), ref, o)
	if errors.Is(err, cfslabel.ErrUnsigned) {
		return fmt.Errorf("--dir %s: %w", f.dir, err)
	}
	if err != nil {
		if done != nil && len(done.Artifacts) > 0 {
			t.say("before it failed, this was done:")
			t.sayArtifacts(done, false)
		}
		return err
	}
	t.sayAttached(done, f.dryRun)
	if t.output == jsonOutput {
		return t.answerJSON(newAttachAnswer(ref, done, f.dryRun))
	}
	return t.answer("%s@%s", done.Repo.Name(), done.Digest)
}

// closeRef removes what was begun and not finished.
func closeRef(t *terminal, c io.Closer) {
	if err := c.Close(); err != nil {
		t.warn(err.Error())
	}
}

// sayAttached tells what was pushed, and what was not.
func (t *terminal) sayAttached(done *cfslabel.Attached, dryRun bool) {
	isNew := t.sayArtifacts(done, dryRun)
	switch {
	case dryRun:
		t.say("dry run: nothing was pushed")
	case !isNew:
		t.say("already signed so: nothing was changed")
	}
}

// sayArtifacts tells of each artifact, and reports whether anything is new.
func (t *terminal) sayArtifacts(done *cfslabel.Attached, dryRun bool) (isNew bool) {
	for _, a := range done.Artifacts {
		how := "refers to"
		if a.Present {
			how = "was there before, and refers to"
		}
		isNew = isNew || !a.Present || len(a.Replaced) > 0
		t.say("artifact %s (%s: %s, signed) %s %s, %s", a.Digest, a.Algorithm, strings.Join(roleNames(a), ", "), how, a.Manifest, a.Platform)
		gone := "was removed"
		if dryRun {
			gone = "would be removed"
		}
		for _, d := range a.Replaced {
			t.say("artifact %s, without signatures, %s: the other says all that it said", d, gone)
		}
	}
	return isNew
}

func roleNames(a cfslabel.AttachedArtifact) []string {
	names := make([]string, len(a.Roles))
	for i, r := range a.Roles {
		names[i] = r.String()
	}
	return names
}

// attachAnswer is the answer of attach.
type attachAnswer struct {
	Reference string                   `json:"reference"`
	Image     string                   `json:"image"`
	Digest    string                   `json:"digest"`
	Artifacts []attachedArtifactAnswer `json:"artifacts"`
}

// attachedArtifactAnswer is a signed artifact beside one image.
type attachedArtifactAnswer struct {
	Platform  string   `json:"platform"`
	Manifest  string   `json:"manifest"`
	Algorithm string   `json:"algorithm"`
	Roles     []string `json:"roles"`
	Digest    string   `json:"digest"`
	Pushed    bool     `json:"pushed"`
	Replaced  []string `json:"replaced,omitempty"` // digests of artifacts that were removed
}

func newAttachAnswer(ref *remote.Ref, done *cfslabel.Attached, dryRun bool) attachAnswer {
	a := attachAnswer{
		Reference: ref.String(),
		Image:     done.Repo.Name() + "@" + done.Digest.String(),
		Digest:    done.Digest.String(),
	}
	for _, artifact := range done.Artifacts {
		var replaced []string
		for _, d := range artifact.Replaced {
			if !dryRun {
				replaced = append(replaced, d.String())
			}
		}
		a.Artifacts = append(a.Artifacts, attachedArtifactAnswer{
			Replaced: replaced, Platform: artifact.Platform, Manifest: artifact.Manifest.String(), Algorithm: artifact.Algorithm.String(),
			Roles: roleNames(artifact), Digest: artifact.Digest.String(), Pushed: !artifact.Present && !dryRun,
		})
	}
	return a
}
