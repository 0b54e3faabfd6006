// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
	"github.com/cfs-label/cfs-label/sign/program"
)

const (
	// passwordVariable has the password of a key, as for cosign.
	passwordVariable = "COSIGN_PASSWORD"
	// repositoryVariable names the repository of signatures, as for cosign.
	repositoryVariable = "COSIGN_REPOSITORY"
)

// tokenSyntax is that of JSON web tokens, which begin with an object in base64
// (RFC 7515, section 3.1).
var tokenSyntax = regexp.MustCompile(`^eyJ[\w-]*\.[\w-]*\.[\w-]*$`)

// formats are the values of --signature-format.
type formats string

const (
	legacyFormat formats = "legacy"
	bundleFormat formats = "bundle"
	bothFormats  formats = "both"
)

func (f *formats) String() string { return string(*f) }

func (f *formats) Type() string { return "legacy|bundle|both" }

func (f *formats) Set(s string) error {
	switch formats(s) {
	case legacyFormat, bundleFormat, bothFormats:
		*f = formats(s)
		return nil
	}
	return errors.New("use legacy, bundle or both")
}

func (f *formats) list() []sign.Format {
	switch *f {
	case bothFormats:
		return []sign.Format{sign.Legacy, sign.Bundle}
	case bundleFormat:
		return []sign.Format{sign.Bundle}
	case legacyFormat:
	}
	return []sign.Format{sign.Legacy}
}

// signFlags say how images are signed.
type signFlags struct {
	recursive bool
	exec      string
	format    formats
	identity  string

	key, token                               string
	fulcio, rekor, timestamps, config, trust string
	upload                                   bool
	annotations                              []string
}

// ofSigning are the flags that signFlags adds.
var ofSigning = []string{
	"key", "identity-token", "fulcio-url", "rekor-url", "timestamp-server-url", "tlog-upload", "signing-config", "trusted-root",
	"signature-format", "annotations", "sign-container-identity", "sign-recursive",
}

func (f *signFlags) add(fs *pflag.FlagSet) {
	f.format = legacyFormat
	fs.StringVar(&f.key, "key", "", "`KEY` to sign with: a file of cosign's, env://NAME, or NAME://… of a KMS by the program sigstore-kms-NAME; without, an identity signs")
	fs.StringVar(&f.token, "identity-token", "", "`FILE` with the OIDC token of the identity, in place of SIGSTORE_ID_TOKEN and of what GitHub Actions gives")
	fs.StringVar(&f.fulcio, "fulcio-url", "", "`URL` of the certificate authority (default that of Sigstore)")
	fs.StringVar(&f.rekor, "rekor-url", "", "`URL` of the transparency log (default that of Sigstore, which is public)")
	fs.StringVar(&f.timestamps, "timestamp-server-url", "", "`URL` of a timestamp authority, with its path (default none)")
	fs.BoolVar(&f.upload, "tlog-upload", true, "enter the signature in the transparency log")
	fs.StringVar(&f.config, "signing-config", "", "`FILE` that names the services, in place of their URLs")
	fs.StringVar(&f.trust, "trusted-root", "", "`FILE` with the keys of the services (trusted_root.json)")
	fs.Var(&f.format, "signature-format", "what today's hosts verify, or bundles, or both")
	fs.StringArrayVarP(&f.annotations, "annotations", "a", nil, "`KEY=VALUE` to sign with the image (repeatable)")
	fs.StringVar(&f.identity, "sign-container-identity", "", "`NAME` of the image that is signed, for hosts that compare it (default the repository)")
	fs.BoolVar(&f.recursive, "sign-recursive", true, "of an index, sign the images as well")
	fs.StringVar(&f.exec, "sign-exec", "", "sign with `COMMAND`, as in 'cosign sign -y --key KEY': it gets the reference as its last argument")
}

// signing returns how the image that target names is signed.
func (f *signFlags) signing(cmd *cobra.Command, t *terminal, net *netFlags, target *remote.Ref, toPush bool) (*cfslabel.Signing, error) {
	s := &cfslabel.Signing{Recursive: f.recursive, Identity: f.identity}
	var err error
	if f.exec != "" {
		if given := changed(cmd, ofSigning[:len(ofSigning)-1]); given != "" {
			return nil, &usageError{fmt.Errorf("--%s is for signing without --sign-exec", given)}
		}
		s.Signer, err = program.New(f.exec, t.stderr)
		return s, err
	}
	s.Signer, err = f.signer(cmd, t, net, target, toPush)
	return s, err
}

// changed returns the first of the flags that was given; "" if none was.
func changed(cmd *cobra.Command, names []string) string {
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			return name
		}
	}
	return ""
}

func (f *signFlags) signer(cmd *cobra.Command, t *terminal, net *netFlags, target *remote.Ref, toPush bool) (sign.Signer, error) {
	annotations, err := keyValues("annotations", f.annotations)
	if err != nil {
		return nil, err
	}
	token, err := f.readToken(t)
	if err != nil {
		return nil, err
	}
	at, err := signaturesOf(cmd, t, net, target, toPush)
	if err != nil {
		return nil, err
	}
	return cosign.NewSigner(cosign.SignOptions{
		Registry:      at,
		Services:      services(f.trust),
		Key:           f.key,
		Password:      t.password,
		IdentityToken: token,
		FulcioURL:     f.fulcio,
		RekorURL:      f.rekor,
		TimestampURL:  f.timestamps,
		SigningConfig: f.config,
		NoTlog:        !f.upload,
		Formats:       f.format.list(),
		Annotations:   annotations,
	})
}

// keyValues returns the values of a flag that takes KEY=VALUE.
func keyValues(flag string, texts []string) (map[string]string, error) {
	m := map[string]string{}
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, &usageError{fmt.Errorf("--%s %q: use KEY=VALUE", flag, text)}
		}
		if _, twice := m[key]; twice {
			return nil, &usageError{fmt.Errorf("--%s: %q is given twice", flag, key)}
		}
		m[key] = value
	}
	return m, nil
}

// readToken returns the token in a file. A token in place of a file's name is
// taken, as cosign does, and told.
func (f *signFlags) readToken(t *terminal) (string, error) {
	if f.token == "" {
		return "", nil
	}
	if tokenSyntax.MatchString(f.token) {
		t.warn("--identity-token has the token itself, which all can see who list processes: put it into a file, or into SIGSTORE_ID_TOKEN")
		return f.token, nil
	}
	raw, err := readSmall("identity-token", f.token)
	if p, ok := errors.AsType[*fs.PathError](err); ok { // the value may be a token after all
		return "", fmt.Errorf("--identity-token: neither a token nor a file that can be read: %w", p.Err)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(raw)), nil
}

// signaturesOf returns how the repository is reached that has, or is to have, the
// signatures of what target names.
func signaturesOf(cmd *cobra.Command, t *terminal, net *netFlags, target *remote.Ref, toPush bool) (cosign.Registry, error) {
	var at cosign.Registry
	lib, err := remote.ForLibrary(target.Repo)
	if err != nil {
		return at, fmt.Errorf("signatures of images are in registries: %w", err)
	}
	at.Remote = lib.Options
	elsewhere, err := signaturesElsewhere(cmd, t, net, target)
	if elsewhere == nil || err != nil {
		return at, err
	}
	if toPush {
		err = elsewhere.CheckPush(cmd.Context())
	}
	if err == nil {
		lib, err = remote.ForLibrary(elsewhere)
	}
	if err != nil {
		return at, fmt.Errorf("%s: %w", repositoryVariable, err)
	}
	at.Repository, at.RepositoryRemote = lib.Repository, lib.Options
	return at, nil
}

// signaturesElsewhere returns the repository that has, or is to have, cosign's tags
// in place of that of target; nil if there is none.
func signaturesElsewhere(cmd *cobra.Command, t *terminal, net *netFlags, target *remote.Ref) (remote.Repo, error) {
	elsewhere := os.Getenv(repositoryVariable)
	switch {
	case elsewhere == "":
		return nil, nil //nolint:nilnil // it need not be set
	case strings.Contains(elsewhere, "@"): // before which may be a password
		return nil, &usageError{errors.New(repositoryVariable + " is to be a repository, without digest, user or password")}
	}
	ref, err := net.openTarget(cmd, t, elsewhere, target)
	if err == nil && (!remote.IsRegistry(ref.Repo) || ref.Tag != "") {
		err = &usageError{fmt.Errorf("%q is to be a repository of a registry, without a tag", elsewhere)}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", repositoryVariable, err)
	}
	return ref.Repo, nil
}

// password returns the password of a key: that of the environment, or what is
// typed.
func (t *terminal) password(ctx context.Context) ([]byte, error) {
	if p, ok := os.LookupEnv(passwordVariable); ok {
		return []byte(p), nil
	}
	in := int(os.Stdin.Fd())
	if !term.IsTerminal(in) {
		return nil, errors.New("there is none, and nobody to ask: set " + passwordVariable)
	}
	type answer struct {
		password []byte
		err      error
	}
	before, err := term.GetState(in)
	if err != nil {
		return nil, err
	}
	typed := make(chan answer, 1)
	_, _ = fmt.Fprint(t.stderr, "Password of the key: ")
	go func() {
		p, err := term.ReadPassword(in)
		typed <- answer{p, err}
	}()
	select {
	case a := <-typed:
		_, _ = fmt.Fprintln(t.stderr)
		return a.password, a.err
	case <-ctx.Done():
		_, _ = fmt.Fprintln(t.stderr)
		return nil, errors.Join(ctx.Err(), term.Restore(in, before))
	}
}
