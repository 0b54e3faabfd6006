// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/remote"
)

// TestArchiveStaysPrivate: the temporary file of a private archive is private
// before it has content.
func TestArchiveStaysPrivate(t *testing.T) {
	for name, entries := range map[string][]tarEntry{"an archive": emptyArchive, "an empty file": nil} {
		path := filepath.Join(t.TempDir(), "image.tar")
		content := tarBytes(t, entries...)
		if entries == nil {
			content = nil
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		repo := openTarget(t, "oci-archive:"+path).Repo
		seen := map[fs.FileMode]bool{}
		look := func() {
			list, err := os.ReadDir(filepath.Dir(path))
			if err != nil {
				t.Error(err)
			}
			for _, e := range list {
				if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), ".cfs-label") {
					seen[info.Mode().Perm()] = true
				}
			}
		}
		d, data := blob("streamed")
		ctx := hookCtx{Context: t.Context(), err: look}
		if err := repo.CopyBlob(ctx, d, source{data: data, read: look}); err != nil {
			t.Fatal(err)
		}
		if len(seen) != 1 || !seen[0o600] {
			t.Errorf("%s: the temporary file had %v, want 0600", name, seen)
		}
		flush(t, repo)
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: then %v, %v", name, info.Mode(), err)
		}
	}
}

// TestArchivePushWhileFlushing: what comes while the archive is written is there,
// and goes into the archive with the next Flush.
func TestArchivePushWhileFlushing(t *testing.T) {
	path := newArchive(t, emptyArchive...)
	repo := openTarget(t, "oci-archive:"+path).Repo
	old, oldRaw := push(t, repo, "v1", "image")
	var late []v1.Descriptor
	tagged, taggedRaw := manifest("late")
	ctx := hookCtx{Context: t.Context(), err: func() {
		d, b := blob(fmt.Sprint("late", len(late)))
		late = append(late, d)
		if err := repo.PushBlob(t.Context(), d, b); err != nil {
			t.Error(err)
		}
		if err := repo.Tag(t.Context(), "late", tagged, taggedRaw, ""); err != nil {
			t.Error(err)
		}
	}}
	if err := repo.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if len(late) == 0 {
		t.Fatal("nothing was pushed meanwhile")
	}
	// The index names nothing that is not there.
	first := openArchive(t, path).Repo
	wantTag(t, first, "v1", old, oldRaw)
	_, _, err := first.Resolve(t.Context(), "late", "")
	wantTexts(t, err, "no such tag (there are: v1)")
	for range 2 {
		for _, d := range late {
			if _, err := repo.BlobBytes(t.Context(), d, 100); err != nil {
				t.Error(err)
			}
		}
		wantTag(t, repo, "v1", old, oldRaw)
		wantTag(t, repo, "late", tagged, taggedRaw)
		flush(t, repo)
		repo = openArchive(t, path).Repo
	}
}

// TestArchiveReadWhileFlushing: a blob in the temporary file is read on when that
// becomes the archive.
func TestArchiveReadWhileFlushing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.tar")
	repo := openTarget(t, "oci-archive:"+path).Repo
	im := newImage(t, "x", 1)
	im.pushTo(t, repo, "v1")
	r, err := repo.Blob(t.Context(), im.m.Layers[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx := hookCtx{Context: t.Context(), err: func() { im.wantImage(t, repo, "v1") }}
	if err := repo.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := got.ReadFrom(r); err != nil || !bytes.Equal(got.Bytes(), im.layers[0]) {
		t.Errorf("%d bytes, %v", got.Len(), err)
	}
}

// TestArchiveOrder: small blobs make the same archive in whatever order they
// came.
func TestArchiveOrder(t *testing.T) {
	var all [][]byte
	for run := range 2 {
		path := filepath.Join(t.TempDir(), "new.tar")
		repo := openTarget(t, "oci-archive:"+path).Repo
		for i := range 10 {
			d, b := blob(fmt.Sprint((i + 5*run) % 10))
			if err := repo.PushBlob(t.Context(), d, b); err != nil {
				t.Fatal(err)
			}
		}
		flush(t, repo)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, raw)
	}
	if !bytes.Equal(all[0], all[1]) {
		t.Error("the archives differ")
	}
}

// TestArchiveWithoutLeftovers: of a blob whose writing failed nothing is in the
// archive, also behind its end.
func TestArchiveWithoutLeftovers(t *testing.T) {
	im := newImage(t, "x", 1)
	big, _ := blob(strings.Repeat("x", 1<<20))
	var all [][]byte
	for _, fails := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "new.tar")
		repo := openTarget(t, "oci-archive:"+path).Repo
		if fails {
			wantContentError(t, "wrong", repo.CopyBlob(t.Context(), big, source{data: make([]byte, big.Size)}))
		}
		im.pushTo(t, repo, "v1")
		flush(t, repo)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, raw)
	}
	if !bytes.Equal(all[0], all[1]) {
		t.Errorf("%d bytes, and %d after a failure", len(all[0]), len(all[1]))
	}
}

// TestArchiveCopiesOnce: of two that bring the same blob, the second sees it when
// its turn comes.
func TestArchiveCopiesOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.tar")
	repo := openTarget(t, "oci-archive:"+path).Repo
	d, data := blob("the same")
	begun, waiting := make(chan struct{}), make(chan struct{})
	var g errgroup.Group
	g.Go(func() error {
		return repo.CopyBlob(t.Context(), d, source{data: data, read: func() {
			close(begun)
			<-waiting
		}})
	})
	<-begun
	// The context's channel is asked for where the turn is waited for.
	var once sync.Once
	ctx := hookCtx{Context: t.Context(), done: func() { once.Do(func() { close(waiting) }) }}
	if err := repo.CopyBlob(ctx, d, source{data: data}); err != nil {
		t.Error(err)
	}
	once.Do(func() { close(waiting) })
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	flush(t, repo)
	if got := entriesOf(t, path); len(got) != 3 {
		t.Errorf("the archive has %v, want 3 entries", got)
	}
}

// meetingEditor waits for a second edit that is made at the same time, but not
// for long.
type meetingEditor struct {
	editor

	met chan struct{}
}

func (e meetingEditor) SetTag(raw []byte, tag string, d v1.Descriptor) ([]byte, error) {
	select {
	case e.met <- struct{}{}:
	case <-e.met:
	case <-time.After(50 * time.Millisecond):
	}
	return e.editor.SetTag(raw, tag, d)
}

// TestArchiveTwoTags: of two that are set at once, both stay.
func TestArchiveTwoTags(t *testing.T) {
	path := newArchive(t, emptyArchive...)
	o := remote.Options{Layout: meetingEditor{met: make(chan struct{})}}
	repo := open(t, "oci-archive:"+path, o).Repo
	var g errgroup.Group
	for _, tag := range []string{"a", "b"} {
		g.Go(func() error {
			d, raw := manifest(tag)
			return repo.Tag(t.Context(), tag, d, raw, "")
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	flush(t, repo)
	for _, tag := range []string{"a", "b"} {
		d, raw := manifest(tag)
		wantTag(t, openArchive(t, path).Repo, tag, d, raw)
	}
}

// TestArchiveEmptyFile: a file of no bytes, as mktemp makes it, is a new target,
// and nobody else's file is overwritten.
func TestArchiveEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tmp.tar")
	im := newImage(t, "x", 1)
	for _, theirs := range []string{"", "their text"} {
		writeFile(t, path, "")
		ref := openTarget(t, "oci-archive:"+path+":v1")
		if err := ref.Repo.CheckPush(t.Context()); err != nil {
			t.Fatal(err)
		}
		im.pushTo(t, ref.Repo, ref.Tag)
		if theirs == "" {
			flush(t, ref.Repo)
			im.wantImage(t, openArchive(t, path).Repo, "v1")
		} else {
			writeFile(t, path, theirs)
			if err := ref.Repo.Flush(t.Context()); !errors.Is(err, remote.ErrTagMoved) {
				t.Errorf("got %v, want ErrTagMoved", err)
			}
			if now, err := os.ReadFile(path); err != nil || string(now) != theirs {
				t.Errorf("their file has %q, %v", now, err)
			}
		}
		wantOnly(t, path)
	}
	writeFile(t, path, "")
	_, err := remote.Open(t.Context(), "oci-archive:"+path, remote.Options{})
	wantContentError(t, "as a source", err)
	only := openTarget(t, "oci-archive:"+path).Repo
	d, b := blob("without any tag")
	if err := only.PushBlob(t.Context(), d, b); err != nil {
		t.Fatal(err)
	}
	flush(t, only)
	if _, err := openArchive(t, path).Repo.BlobBytes(t.Context(), d, 100); err != nil {
		t.Error(err)
	}
}
