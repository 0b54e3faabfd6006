// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/remote"
)

// TestArchiveInPlace: what an archive has stays as it is, header for header,
// but for index.json; what is new comes behind it.
func TestArchiveInPlace(t *testing.T) {
	path := newArchive(t, emptyArchive...)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	ref := openArchive(t, path)
	repo := ref.Repo
	if err := repo.CheckPush(t.Context()); err != nil {
		t.Fatal(err)
	}
	old, oldRaw := push(t, repo, "v1", "old")
	wantTag(t, repo, "v1", old, oldRaw)
	if now := entriesOf(t, path); len(now) != len(emptyArchive) {
		t.Errorf("before Flush the archive has %v", now)
	}
	flush(t, repo)
	wantTag(t, repo, "v1", old, oldRaw)
	wantTag(t, openArchive(t, path).Repo, "", old, oldRaw)

	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kept := bytes.TrimRight(tarBytes(t, emptyArchive[1:]...), "\x00")
	if !bytes.HasPrefix(got, kept) {
		t.Error("the old entries are not what they were")
	}
	want := []string{"./oci-layout", "./README", "blobs/sha256/" + old.Digest.Hex, "index.json"}
	if now := entriesOf(t, path); !slices.Equal(now, want) {
		t.Errorf("the archive has %v, want %v", now, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the archive has the mode %v, %v, want 0640", info.Mode(), err)
	}
	now, nowRaw := manifest("new")
	if err := repo.Tag(t.Context(), "v1", now, nowRaw, old.Digest.String()); err != nil {
		t.Fatal(err)
	}
	flush(t, repo)
	wantTag(t, openArchive(t, path+":v1").Repo, "v1", now, nowRaw)
	wantOnly(t, path)
}

// wantOnly fails if there is anything but the archive in its directory.
func wantOnly(t *testing.T, path string) {
	t.Helper()
	want := []string{"", "/" + filepath.Base(path)}
	if got := files(t, filepath.Dir(path)); !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
}

// TestArchiveSecondRun: a run that changes nothing writes nothing.
func TestArchiveSecondRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.tar")
	im := newImage(t, "x", 2)
	for run := range 3 {
		repo := openTarget(t, "oci-archive:"+path).Repo
		im.pushTo(t, repo, "v1")
		flush(t, repo)
		im.wantImage(t, repo, "v1")
		if run == 0 {
			long := time.Unix(1e9, 0)
			if err := os.Chtimes(path, long, long); err != nil {
				t.Fatal(err)
			}
		} else if info, err := os.Stat(path); err != nil || info.ModTime().Unix() != 1e9 {
			t.Errorf("run %d wrote the archive: %v", run+1, err)
		}
	}
	im.wantImage(t, openArchive(t, path).Repo, "")
	wantOnly(t, path)
}

// TestArchiveIsDeterministic: the same image gives the same archive.
func TestArchiveIsDeterministic(t *testing.T) {
	im := newImage(t, "x", 3)
	var all [][]byte
	for range 2 {
		path := filepath.Join(t.TempDir(), "new.tar")
		repo := openTarget(t, "oci-archive:"+path).Repo
		im.pushTo(t, repo, "v1")
		flush(t, repo)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, raw)
	}
	if !bytes.Equal(all[0], all[1]) {
		t.Error("two archives of one image differ")
	}
}

// TestArchiveWithoutFlush: what is not flushed is not there, and leaves nothing
// behind.
func TestArchiveWithoutFlush(t *testing.T) {
	im := newImage(t, "x", 1)
	fresh := filepath.Join(t.TempDir(), "new.tar")
	old := newArchive(t, emptyArchive...)
	before, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fresh, old} {
		ref := openTarget(t, "oci-archive:"+path)
		if err := ref.Repo.CheckPush(t.Context()); err != nil {
			t.Fatal(err)
		}
		im.pushTo(t, ref.Repo, "v1")
		im.wantImage(t, ref.Repo, "v1")
		for range 2 {
			if err := ref.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := ref.Repo.Flush(t.Context()); err == nil {
			t.Error("Flush after Close gave no error")
		}
		if err := ref.Repo.CopyBlob(t.Context(), im.m.Layers[0], source{data: im.layers[0]}); err == nil {
			t.Error("CopyBlob after Close gave no error")
		}
	}
	if got := files(t, filepath.Dir(fresh)); len(got) != 1 {
		t.Errorf("there are %v", got)
	}
	if now, err := os.ReadFile(old); err != nil || !bytes.Equal(now, before) {
		t.Errorf("the archive has changed: %v", err)
	}
	wantOnly(t, old)
	repo := openTarget(t, "oci-archive:"+fresh).Repo
	flush(t, repo)
	if got := files(t, filepath.Dir(fresh)); len(got) != 1 {
		t.Errorf("a Flush of nothing made %v", got)
	}
}

// TestArchiveCopyBlobChecks: a wrong blob is an error, and not in the archive
// that is written nevertheless.
func TestArchiveCopyBlobChecks(t *testing.T) {
	im := newImage(t, "x", 1)
	d, data := im.m.Layers[0], im.layers[0]
	path := filepath.Join(t.TempDir(), "new.tar")
	repo := openTarget(t, "oci-archive:"+path).Repo
	broken := errors.New("broken")
	wantContentError(t, "short", repo.CopyBlob(t.Context(), d, source{data: data[1:]}))
	wantContentError(t, "long", repo.CopyBlob(t.Context(), d, source{data: append(slices.Clone(data), 0)}))
	wantContentError(t, "wrong", repo.CopyBlob(t.Context(), d, source{data: make([]byte, len(data))}))
	if err := repo.CopyBlob(t.Context(), d, source{err: broken}); !errors.Is(err, broken) {
		t.Errorf("got %v, want the source's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := repo.CopyBlob(ctx, d, source{data: data, read: cancel}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if _, err := repo.Blob(t.Context(), d); !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("a wrong blob was kept: %v", err)
	}
	if got := files(t, filepath.Dir(path)); slices.Contains(got, "/new.tar") {
		t.Errorf("there are %v", got)
	}
	im.pushTo(t, repo, "v1")
	flush(t, repo)
	im.wantImage(t, openArchive(t, path).Repo, "v1")
	small := []string{"blobs/sha256/" + im.m.Config.Digest.Hex, "blobs/sha256/" + im.d.Digest.Hex}
	slices.Sort(small)
	want := slices.Concat([]string{"oci-layout", "blobs/sha256/" + d.Digest.Hex}, small, []string{"index.json"})
	if got := entriesOf(t, path); !slices.Equal(got, want) {
		t.Errorf("the archive has %v, want %v", got, want)
	}
}

// TestArchiveCopiesAtOnce: blobs that come at the same time are all whole, and
// each is there once.
func TestArchiveCopiesAtOnce(t *testing.T) {
	im := newImage(t, "x", 8)
	path := filepath.Join(t.TempDir(), "new.tar")
	repo := openTarget(t, "oci-archive:"+path).Repo
	var g errgroup.Group
	for range 3 {
		for i, d := range im.m.Layers {
			g.Go(func() error {
				if err := repo.CopyBlob(t.Context(), d, source{data: im.layers[i]}); err != nil {
					return err
				}
				_, err := repo.BlobBytes(t.Context(), d, 1<<20)
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	im.pushTo(t, repo, "v1")
	flush(t, repo)
	im.wantImage(t, openArchive(t, path).Repo, "v1")
	if got := entriesOf(t, path); len(got) != 12 {
		t.Errorf("the archive has %d entries, want 12", len(got))
	}
}

// TestArchiveManySmallBlobs: more than what is kept in memory goes to the file.
func TestArchiveManySmallBlobs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.tar")
	repo := openTarget(t, "oci-archive:"+path).Repo
	data := make([]byte, 4<<20)
	for i := range 6 {
		data[0] = byte(i)
		d, _ := blob(string(data))
		if err := repo.PushBlob(t.Context(), d, data); err != nil {
			t.Fatal(err)
		}
		if got, err := repo.BlobBytes(t.Context(), d, 1<<30); err != nil || !bytes.Equal(got, data) {
			t.Errorf("blob %d: %v", i, err)
		}
	}
	info, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(info) != 1 {
		t.Fatalf("no temporary file: %v, %v", info, err)
	}
	d, raw := push(t, repo, "v1", "x")
	flush(t, repo)
	wantTag(t, openArchive(t, path).Repo, "v1", d, raw)
	if got := entriesOf(t, path); len(got) != 9 {
		t.Errorf("the archive has %d entries, want 9", len(got))
	}
	wantOnly(t, path)
}

// TestArchiveRepairs: a damaged blob is written anew, behind the old one, and
// what comes last counts.
func TestArchiveRepairs(t *testing.T) {
	im := newImage(t, "x", 1)
	d := im.m.Layers[0]
	path := newArchive(t, append(slices.Clone(emptyArchive),
		tarEntry{name: "blobs/sha256/" + d.Digest.Hex, content: strings.Repeat("x", int(d.Size))},
		tarEntry{name: "blobs/sha256/" + im.d.Digest.Hex, content: "damaged"},
	)...)
	repo := openTarget(t, "oci-archive:"+path).Repo
	im.pushTo(t, repo, "v1")
	im.wantImage(t, repo, "v1")
	flush(t, repo)
	im.wantImage(t, openArchive(t, path).Repo, "v1")
}

// TestArchiveLink: a link to an archive stays one.
func TestArchiveLink(t *testing.T) {
	path := newArchive(t, emptyArchive...)
	link := filepath.Join(t.TempDir(), "link.tar")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	repo := openTarget(t, "oci-archive:"+link).Repo
	d, raw := push(t, repo, "v1", "x")
	flush(t, repo)
	wantTag(t, openArchive(t, path).Repo, "v1", d, raw)
	if to, err := os.Readlink(link); err != nil || to != path {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.OpenTarget(t.Context(), "oci-archive:"+link, remote.Options{}); !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("a link to nothing: %v, want ErrNotFound", err)
	} else {
		wantTexts(t, err, link+" is a symbolic link to what is not there")
	}
}

// TestArchiveStreams: an open blob is read at any pace, and its size is known.
func TestArchiveStreams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.tar")
	im := newImage(t, "x", 1)
	repo := openTarget(t, "oci-archive:"+path).Repo
	im.pushTo(t, repo, "v1")
	flush(t, repo)
	r, err := openArchive(t, path).Repo.Blob(t.Context(), im.m.Layers[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, im.layers[0]) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	wrong := im.m.Layers[0]
	wrong.Size++
	_, err = repo.Blob(t.Context(), wrong)
	wantContentError(t, "Blob", err)
}

// TestArchiveFromRegistry: layers go from a registry into the archive.
func TestArchiveFromRegistry(t *testing.T) {
	im := newImage(t, "x", 3)
	from := open(t, serve(t, newRegistry())+"/a/b:v1", remote.Options{}).Repo
	path := filepath.Join(t.TempDir(), "new.tar")
	to := openTarget(t, "oci-archive:"+path).Repo
	for i, d := range im.m.Layers {
		if err := from.PushBlob(t.Context(), d, im.layers[i]); err != nil {
			t.Fatal(err)
		}
		if err := to.CopyBlob(t.Context(), d, from); err != nil {
			t.Fatal(err)
		}
	}
	missing, _ := blob("missing")
	if err := to.CopyBlob(t.Context(), missing, from); !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	im.pushTo(t, to, "v1")
	flush(t, to)
	im.wantImage(t, openArchive(t, path).Repo, "v1")
}
