// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cfs-label/cfs-label/remote"
)

// TestDemoKeep: with --keep the registry serves the sealed image until the
// user has enough, and that is no failure.
func TestDemoKeep(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	talk, stderr := io.Pipe()
	var stdout bytes.Buffer
	status := make(chan int, 1)
	go func() {
		status <- run(ctx, []string{"demo", "--keep"}, &stdout, stderr)
		_ = stderr.Close()
	}()
	lines := bufio.NewScanner(talk)
	isUp := false
	for !isUp && lines.Scan() {
		isUp = strings.Contains(lines.Text(), "stays up")
	}
	ref, err := name.ParseReference(strings.TrimSpace(stdout.String()))
	if err != nil {
		t.Fatalf("stdout has %q: %v", stdout.String(), err)
	}
	d, err := ggcr.Get(ref, ggcr.WithContext(ctx), ggcr.WithAuth(authn.Anonymous))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(d.Manifest, []byte("composefs.merged.erofs.v1.fsverity-sha512-12")) {
		t.Errorf("the image is not sealed: %s", d.Manifest)
	}
	cancel()
	if _, err := io.Copy(io.Discard, talk); err != nil {
		t.Error(err)
	}
	if got := <-status; got != exitDone {
		t.Errorf("exit status %d", got)
	}
	if _, err := ggcr.Get(ref, ggcr.WithAuth(authn.Anonymous)); err == nil {
		t.Error("the registry is still there")
	}
}

func TestExitCode(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, exitDone},
		{errors.New("x"), exitFailure},
		{fmt.Errorf("x: %w", &usageError{errors.New("y")}), exitUsage},
		{&usageError{remote.ErrNotFound}, exitUsage},
		{fmt.Errorf("x: %w", remote.ErrReference), exitUsage},
		{fmt.Errorf("x: %w", remote.ErrUnauthorized), exitUnauthorized},
		{fmt.Errorf("x: %w", remote.ErrNotFound), exitNotFound},
		{context.Canceled, exitFailure},
		{remote.ErrTagMoved, exitFailure},
	} {
		if got := exitCode(tc.err); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.err, got, tc.want)
		}
	}
}

// TestHelpNamesExitCodes: every status that errors lead to is in the help.
func TestHelpNamesExitCodes(t *testing.T) {
	for _, code := range []int{exitDone, exitFailure, exitUsage, exitMismatch, exitUnauthorized, exitNotFound} {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^  %d  \w`, code)).MatchString(exitHelp) {
			t.Errorf("the help does not say what exit status %d is", code)
		}
	}
}

// TestPrintIsSafe: what comes from a registry cannot control the terminal.
func TestPrintIsSafe(t *testing.T) {
	var stderr bytes.Buffer
	term := &terminal{stderr: &stderr}
	term.say("%s", "a\x1b[31mb\rc\x7fd\u009be\tf\ncfs-label: g\u202eh")
	if got, want := stderr.String(), "cfs-label: a\ufffd[31mb\ufffdc\ufffdd\ufffde f cfs-label: g\ufffdh\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestWriteFileFails: a writer that fails half-way leaves what was there.
func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	old, none := filepath.Join(dir, "old"), filepath.Join(dir, "none")
	if err := os.WriteFile(old, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	for _, file := range []string{old, none} {
		err := writeFile(file, func(w io.Writer) error {
			_, _ = io.WriteString(w, "new")
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", file, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory has %v, %v", entries, err)
	}
	if got, err := os.ReadFile(old); err != nil || string(got) != "old" {
		t.Errorf("the file has %q, %v", got, err)
	}
}

// TestWriteFileMode: a file keeps its permissions when it is replaced.
func TestWriteFileMode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "img")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(file, func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if data, err := os.ReadFile(file); string(data) != "new" {
		t.Errorf("it holds %q, %v", data, err)
	}
}
