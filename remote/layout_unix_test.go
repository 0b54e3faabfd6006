// SPDX-License-Identifier: Apache-2.0

//go:build unix && !solaris && !aix

package remote_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cfs-label/cfs-label/remote"
)

// TestLayoutLockIsGivenUp: waiting for another program ends with the context.
func TestLayoutLockIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	f, err := os.Open(filepath.Join(dir, "oci-layout"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	d, raw := manifest("x")
	err = openLayout(t, dir).Repo.Tag(ctx, "v1", d, raw, "")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
	wantTexts(t, err, "another program")
}

// TestLayoutOddFiles: a symbolic link is followed, a pipe is not waited for.
func TestLayoutOddFiles(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "layout")
	newLayout(t, dir)
	repo := openLayout(t, dir).Repo
	d, raw := push(t, repo, "v1", "x")
	path := filepath.Join(dir, "blobs", "sha256", d.Digest.Hex)
	if err := os.Rename(path, filepath.Join(base, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../elsewhere", path); err != nil {
		t.Fatal(err)
	}
	wantTag(t, repo, "v1", d, raw)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err := repo.Blob(t.Context(), d)
	if !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = repo.Blob(t.Context(), d)
	wantTexts(t, err, "no regular file")
}
