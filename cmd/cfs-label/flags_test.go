// SPDX-License-Identifier: Apache-2.0

package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/remote"
)

// every flag of cfs-label IMAGE, with a value that is not its default.
var every = []string{
	"--format=v2", "--algorithm=sha256", "--xattrs=keep-user-xattrs", "--platform=linux/arm64", "--jobs=3", "--bootable",
	"--write=label", "--label-key=k", "--label-format=prefixed", "--attestations=drop", "--skip-unsealable", "--oci",
	"--tag=x", "--to=r/x", "--force", "--if-needed", "--check", "--dry-run", "--no-uki-check", "--stats",
	"--insecure", "--plain-http", "--ca-file=ca", "--client-cert=cert", "--client-key=key",
	"--authfile=auth", "--username=alice", "--password-stdin", "--retries=7",
	"--sign", "--key=k", "--identity-token=t", "--fulcio-url=f", "--rekor-url=r", "--timestamp-server-url=u", "--tlog-upload=false",
	"--signing-config=c", "--trusted-root=root", "--signature-format=both", "--annotations=a=b", "--sign-container-identity=i",
	"--sign-recursive=false", "--sign-exec=x", "--fsverity-key=kk", "--fsverity-cert=kc",
}

// everywhere are flags that say how the program talks.
var everywhere = []string{"help", "version", "output", "quiet", "verbose", "no-progress", "timeout"}

// sealWith returns the command with flags, and the command line of them.
func sealWith(t *testing.T, flags []string) (*sealCommand, *cobra.Command) {
	t.Helper()
	s, cmd := &sealCommand{terminal: &terminal{}}, &cobra.Command{}
	s.source.addFormat(cmd.Flags())
	s.source.add(cmd.Flags())
	s.source.addBootable(cmd.Flags())
	s.flags.add(cmd.Flags())
	cmd.SetIn(strings.NewReader("secret\n"))
	if err := cmd.ParseFlags(flags); err != nil {
		t.Fatal(err)
	}
	return s, cmd
}

// TestEveryFlagIsHere: the list above has all flags of the command.
func TestEveryFlagIsHere(t *testing.T) {
	_, cmd := sealWith(t, every)
	root := rootCommand(&terminal{})
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	root.Flags().VisitAll(func(f *pflag.Flag) {
		if !cmd.Flags().Changed(f.Name) && !slices.Contains(everywhere, f.Name) {
			t.Errorf("--%s is not tried", f.Name)
		}
	})
}

// wantNoZero fails for a field that no flag reaches, but for those named.
func wantNoZero(t *testing.T, options any, but ...string) {
	t.Helper()
	v := reflect.ValueOf(options)
	for _, f := range reflect.VisibleFields(v.Type()) {
		if isZero := v.FieldByIndex(f.Index).IsZero(); isZero != slices.Contains(but, f.Name) {
			t.Errorf("%T.%s: zero is %v", options, f.Name, isZero)
		}
	}
}

// TestFlagsReachLabelOptions: each flag reaches its option, and each option has a
// flag. Where the image is put is opened later, and keys are read later.
func TestFlagsReachLabelOptions(t *testing.T) {
	s, _ := sealWith(t, every)
	common, err := s.source.options(s.terminal, manyEach)
	if err != nil {
		t.Fatal(err)
	}
	got := s.flags.options(common)
	wantNoZero(t, got, "To", "Signing", "Kernel", "ukis")
	got.Progress, got.Warn, got.Stats = nil, nil, nil // these cannot be compared
	want := cfslabel.LabelOptions{
		Options: cfslabel.Options{
			Formats:    []erofs.Format{erofs.V2},
			Algorithms: []fsverity.Algorithm{fsverity.SHA256},
			Xattrs:     []transform.Xattrs{transform.KeepUserXattrs},
			Platforms:  []v1.Platform{{OS: "linux", Architecture: "arm64"}},
			Jobs:       3,
			Bootable:   true,
		},
		Write:          []cfslabel.Place{cfslabel.InLabel},
		LabelKeys:      []string{"k"},
		LabelFormat:    cfslabel.Prefixed,
		Attestations:   cfslabel.Drop,
		SkipUnsealable: true,
		OCI:            true,
		Tags:           []string{"x"},
		Force:          true,
		IfNeeded:       true,
		Check:          true,
		DryRun:         true,
		NoUKICheck:     true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if s.flags.to != "r/x" {
		t.Errorf("--to is %q", s.flags.to)
	}
}

// TestFlagsReachRemoteOptions: the same of how registries are reached. Of what
// has no flag, the default is right.
func TestFlagsReachRemoteOptions(t *testing.T) {
	s, cmd := sealWith(t, every)
	if err := s.source.net.prepare(cmd); err != nil {
		t.Fatal(err)
	}
	got := s.source.net.options(s.terminal)
	wantNoZero(t, got, "Keychain", "RetryPause", "Transport")
	got.Warn = nil // a function cannot be compared
	want := remote.Options{
		Insecure: true, PlainHTTP: true,
		CAFile: "ca", ClientCert: "cert", ClientKey: "key",
		AuthFile: "auth", Username: "alice", Password: "secret",
		Retries: 7, UserAgent: userAgent(), Layout: cfslabel.LayoutEditor{},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestSwitchesAlone: a flag that takes no value reaches its option and no other.
func TestSwitchesAlone(t *testing.T) {
	for flag, want := range map[string]string{
		"skip-unsealable": "SkipUnsealable", "oci": "OCI", "force": "Force", "if-needed": "IfNeeded",
		"check": "Check", "dry-run": "DryRun", "no-uki-check": "NoUKICheck", "insecure": "Insecure", "plain-http": "PlainHTTP",
	} {
		s, _ := sealWith(t, []string{"--" + flag})
		var got []string
		for _, options := range []any{s.flags.options(cfslabel.Options{}), s.source.net.options(s.terminal)} {
			v := reflect.ValueOf(options)
			for _, f := range reflect.VisibleFields(v.Type()) {
				if f.Type.Kind() == reflect.Bool && v.FieldByIndex(f.Index).Bool() {
					got = append(got, f.Name)
				}
			}
		}
		if !slices.Equal(got, []string{want}) {
			t.Errorf("--%s reaches %q, want %s", flag, got, want)
		}
	}
}

// TestFlagDefaults: without flags, the library's defaults hold.
func TestFlagDefaults(t *testing.T) {
	s, _ := sealWith(t, nil)
	common, err := s.source.options(s.terminal, manyEach)
	if err != nil {
		t.Fatal(err)
	}
	o := s.flags.options(common)
	switch {
	case !slices.Equal(o.Formats, []erofs.Format{erofs.V1}),
		!slices.Equal(o.Algorithms, []fsverity.Algorithm{fsverity.SHA512}),
		!slices.Equal(o.Xattrs, []transform.Xattrs{transform.AllowlistOnly}),
		!slices.Equal(o.Write, []cfslabel.Place{cfslabel.InLabel, cfslabel.InAnnotations}),
		o.LabelFormat != cfslabel.Hex, o.Attestations != cfslabel.Relink:
		t.Errorf("the defaults are %+v", o)
	}
	if got := s.source.net.options(s.terminal).Retries; got != remote.DefaultRetries {
		t.Errorf("there are %d retries", got)
	}
}

// TestFlagsReachDirectoryOptions: each flag of directories reaches its option,
// and each option has a flag.
func TestFlagsReachDirectoryOptions(t *testing.T) {
	var f sourceFlags
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.addDirectory(fs)
	if err := fs.Parse([]string{"--" + crossMountsFlag, "--" + noPropagateFlag, "--" + secondsFlag}); err != nil {
		t.Fatal(err)
	}
	fs.VisitAll(func(flag *pflag.Flag) {
		if !flag.Changed {
			t.Errorf("--%s is not tried", flag.Name)
		}
	})
	d, err := f.directory(t.TempDir(), cfslabel.Options{Jobs: 3})
	if err != nil {
		t.Fatal(err)
	}
	wantNoZero(t, d, "Hashed", "Stats", "ukis", "Formats", "Algorithms", "Xattrs", "Bootable", "Platforms", "Progress", "Warn")
}
