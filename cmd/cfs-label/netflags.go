// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
)

// passwordMax is the size of the longest password that is read, in bytes. Some
// are tokens of a few kilobytes.
const passwordMax = 64 << 10

// netFlags say how registries are reached.
type netFlags struct {
	insecure, plainHTTP           bool
	caFile, clientCert, clientKey string
	authFile, username            string
	passwordStdin                 bool
	retries                       int

	password string // as it came from stdin
}

func (f *netFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.insecure, "insecure", false, "allow http, and certificates that nobody vouches for")
	fs.BoolVar(&f.plainHTTP, "plain-http", false, "speak http and nothing else")
	fs.StringVar(&f.caFile, "ca-file", "", "PEM `FILE` of certificate authorities to trust besides those of the system")
	fs.StringVar(&f.clientCert, "client-cert", "", "PEM `FILE` of the certificate to show to the registry")
	fs.StringVar(&f.clientKey, "client-key", "", "PEM `FILE` of its key")
	fs.StringVar(&f.authFile, "authfile", "", "config `FILE` of docker or podman with the credentials, in place of the usual ones")
	fs.StringVar(&f.username, "username", "", "`NAME` to log in with at the registry of the image")
	fs.BoolVar(&f.passwordStdin, "password-stdin", false, "read the password for --username from stdin")
	fs.IntVar(&f.retries, "retries", remote.DefaultRetries, "how often a request is sent again that failed for a reason that passes")
}

// prepare checks the flags, and reads the password.
func (f *netFlags) prepare(cmd *cobra.Command) error {
	switch {
	case f.retries < 0:
		return &usageError{errors.New("--retries must not be negative")}
	case (f.clientCert == "") != (f.clientKey == ""):
		return &usageError{errors.New("--client-cert and --client-key go together")}
	case (f.username == "") == f.passwordStdin:
		return &usageError{errors.New("--username and --password-stdin go together")}
	case !f.passwordStdin || f.password != "":
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), passwordMax+1))
	if err != nil {
		return fmt.Errorf("read the password: %w", err)
	}
	f.password = strings.TrimRight(string(b), "\r\n")
	switch {
	case f.password == "":
		return &usageError{errors.New("--password-stdin: there is no password on stdin")}
	case len(b) > passwordMax:
		return &usageError{fmt.Errorf("--password-stdin: what is on stdin has more than %d bytes: is it a password?", passwordMax)}
	}
	return nil
}

// options returns what the flags say.
func (f *netFlags) options(t *terminal) remote.Options {
	o := remote.Options{
		Insecure:   f.insecure,
		PlainHTTP:  f.plainHTTP,
		CAFile:     f.caFile,
		ClientCert: f.clientCert,
		ClientKey:  f.clientKey,
		AuthFile:   f.authFile,
		Username:   f.username,
		Password:   f.password,
		Retries:    f.retries,
		UserAgent:  userAgent(),
		Warn:       t.warn,
		Layout:     cfslabel.LayoutEditor{},
	}
	if f.retries == 0 {
		o.Retries = -1 // to the library, 0 is the default
	}
	return o
}

// open returns the reference that an argument is.
func (f *netFlags) open(cmd *cobra.Command, t *terminal, ref string) (*remote.Ref, error) {
	if err := wantImage(ref); err != nil {
		return nil, err
	}
	if err := f.prepare(cmd); err != nil {
		return nil, err
	}
	return remote.Open(cmd.Context(), ref, f.options(t))
}

// openTarget returns where the image that source names is to be put. The user
// name is of the source's registry, and goes to no other.
func (f *netFlags) openTarget(cmd *cobra.Command, t *terminal, target string, source *remote.Ref) (*remote.Ref, error) {
	if err := wantImage(target); err != nil {
		return nil, err
	}
	o := f.options(t)
	if remote.IsRegistry(source.Repo) && hostOf(target) != hostOf(source.Repo.Name()) {
		o.Username, o.Password = "", ""
	}
	return remote.OpenTarget(cmd.Context(), target, o)
}

// hostOf returns the registry of a reference; "" if it is none of a registry.
func hostOf(ref string) string {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return ""
	}
	return parsed.Context().RegistryStr()
}
