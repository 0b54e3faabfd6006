// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/remote"
)

// TestArchiveChanged: an archive that somebody else changes is neither read on
// nor overwritten.
func TestArchiveChanged(t *testing.T) {
	d, raw := manifest("x")
	for name, change := range map[string]func(path string) error{
		"replaced": func(path string) error {
			raw, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path+".new", raw, 0o600)
			}
			if err == nil {
				err = os.Rename(path+".new", path)
			}
			return err
		},
		"touched": func(path string) error { return os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)) },
		"longer": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, _ = f.Write([]byte{0})
			return f.Close()
		},
		"gone": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			path := newArchive(t, emptyArchive...)
			ref := openTarget(t, "oci-archive:"+path)
			if err := ref.Repo.Tag(t.Context(), "v1", d, raw, ""); err != nil {
				t.Fatal(err)
			}
			reader := openArchive(t, path).Repo
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			changed, _ := os.ReadFile(path)
			if err := reader.Tag(t.Context(), "v2", d, raw, ""); !errors.Is(err, remote.ErrTagMoved) {
				t.Errorf("Tag = %v, want ErrTagMoved", err)
			}
			if _, _, err := reader.Resolve(t.Context(), "v1", ""); err == nil {
				t.Error("Resolve gave no error")
			}
			if err := ref.Repo.Flush(t.Context()); !errors.Is(err, remote.ErrTagMoved) {
				t.Errorf("Flush = %v, want ErrTagMoved", err)
			}
			if err := ref.Repo.Flush(t.Context()); err == nil {
				t.Error("a second Flush gave no error")
			}
			if now, _ := os.ReadFile(path); !bytes.Equal(now, changed) {
				t.Error("the archive was written")
			}
			for _, left := range files(t, filepath.Dir(path)) {
				if strings.Contains(left, ".cfs-label") {
					t.Errorf("%s is left behind", left)
				}
			}
		})
	}
}

// TestArchiveMovesLate: also a change after the copy of the old entries has
// begun is seen.
func TestArchiveMovesLate(t *testing.T) {
	im := newImage(t, "x", 1)
	fresh := filepath.Join(t.TempDir(), "new.tar")
	for _, path := range []string{fresh, newArchive(t, emptyArchive...)} {
		repo := openTarget(t, "oci-archive:"+path).Repo
		im.pushTo(t, repo, "v1")
		theirs := tarBytes(t, append(slices.Clone(emptyArchive), tarEntry{name: "theirs"})...)
		writeFile(t, path, string(theirs))
		if err := repo.Flush(t.Context()); !errors.Is(err, remote.ErrTagMoved) {
			t.Errorf("got %v, want ErrTagMoved", err)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, theirs) {
			t.Errorf("their archive is not what it was: %v", err)
		}
		wantOnly(t, path)
	}
}

// TestArchiveOfTwoRuns: of two runs at once one wins, the other says so.
func TestArchiveOfTwoRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.tar")
	for round := range 2 { // a new archive, and one that is there
		var runs []remote.Repo
		name := func(i int) string { return fmt.Sprintf("run%d.%d", round, i) }
		for i := range 8 {
			runs = append(runs, openTarget(t, "oci-archive:"+path).Repo)
			push(t, runs[i], name(i), name(i))
		}
		var g errgroup.Group
		won := make(chan string, len(runs))
		for i, repo := range runs {
			g.Go(func() error {
				err := repo.Flush(t.Context())
				if err == nil {
					won <- name(i)
				} else if !errors.Is(err, remote.ErrTagMoved) {
					return err
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if len(won) != 1 {
			t.Fatalf("round %d: %d runs won", round, len(won))
		}
		winner := <-won
		d, raw := manifest(winner)
		wantTag(t, openArchive(t, path).Repo, winner, d, raw)
		wantOnly(t, path)
	}
}

// TestArchiveFlushFails: the archive is what it was, and Close removes the rest.
func TestArchiveFlushFails(t *testing.T) {
	im := newImage(t, "x", 1)
	path := newArchive(t, emptyArchive...)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ref := openTarget(t, "oci-archive:"+path)
	im.pushTo(t, ref.Repo, "v1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ref.Repo.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, before) {
		t.Errorf("the archive has changed: %v", err)
	}
	if err := ref.Close(); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, path)
}

// TestArchiveDirectoryGone: an error, and no panic.
func TestArchiveDirectoryGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	repo := openTarget(t, "oci-archive:"+filepath.Join(dir, "a.tar")).Repo
	newImage(t, "x", 1).pushTo(t, repo, "v1")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := repo.Flush(t.Context()); !errors.Is(err, remote.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	}
}
