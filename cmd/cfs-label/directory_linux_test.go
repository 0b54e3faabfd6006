// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cfs-label/cfs-label/internal/oracle"
)

// compute runs cfs-label compute.
func compute(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "cfs-label", append([]string{"compute"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, isExit := errors.AsType[*exec.ExitError](err); err != nil && !isExit {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// TestDirectoryMount: what is mounted in a directory is named, with the way out,
// and --cross-mounts takes it as a part of the tree.
func TestDirectoryMount(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv(oracle.Required) == "1" {
			t.Fatal("root is required here")
		}
		t.Skip("needs root, to mount")
	}
	dir := t.TempDir()
	point := filepath.Join(dir, "usr", "mnt")
	if err := os.MkdirAll(point, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", point, "tmpfs", 0, ""); errors.Is(err, unix.EPERM) && os.Getenv(oracle.Required) != "1" {
		t.Skip("not allowed to mount")
	} else if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	stdout, stderr, status := compute(t, dir)
	if status != exitFailure || stdout != "" || !strings.Contains(stderr, point) || !strings.Contains(stderr, "unmount it") || !strings.Contains(stderr, "--cross-mounts") {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	digest := regexp.MustCompile(`^[0-9a-f]{128}\n$`)
	stdout, stderr, status = compute(t, "--cross-mounts", dir)
	if status != exitDone || !digest.MatchString(stdout) || stderr != "" {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	// What is mounted on the directory itself is what was asked for.
	if stdout, stderr, status := compute(t, "--no-propagate-usr-to-root", point); status != exitDone || !digest.MatchString(stdout) {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}
