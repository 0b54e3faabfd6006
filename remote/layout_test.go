// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/remote"
)

// newLayout makes dir an empty layout.
func newLayout(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "oci-layout"), `{"imageLayoutVersion": "1.0.0"}`)
	writeFile(t, filepath.Join(dir, "index.json"), `{"schemaVersion":2,"manifests":[],"unknown":{"a":1}}`)
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// openLayout opens dir, which may have a tag or digest behind it.
func openLayout(t *testing.T, dir string) *remote.Ref {
	t.Helper()
	return open(t, "oci:"+dir, remote.Options{Layout: editor{}})
}

// files lists everything below dir.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		names = append(names, strings.TrimPrefix(path, dir))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestLayoutRoundTrip(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	repo := openLayout(t, dir).Repo
	if err := repo.CheckPush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, config := blob(`{"a": 1}`)
	for range 2 {
		if err := repo.PushBlob(t.Context(), c, config); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := repo.BlobBytes(t.Context(), c, 100); err != nil || !bytes.Equal(got, config) {
		t.Errorf("BlobBytes = %q, %v", got, err)
	}
	r, err := repo.Blob(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, config) || r.Close() != nil {
		t.Errorf("Blob = %q, %v", got, err)
	}
	old, oldRaw := push(t, repo, "v1", "old")
	now, nowRaw := push(t, repo, "", "new")
	wantTag(t, repo, "v1", old, oldRaw)
	wantTag(t, repo, "", old, oldRaw)
	if err := repo.Tag(t.Context(), "v1", now, nowRaw, old.Digest.String()); err != nil {
		t.Fatal(err)
	}
	wantTag(t, openLayout(t, dir+":v1").Repo, "v1", now, nowRaw)
	want := []string{
		"", "/blobs", "/blobs/sha256", "/blobs/sha256/" + c.Digest.Hex, "/blobs/sha256/" + old.Digest.Hex,
		"/blobs/sha256/" + now.Digest.Hex, "/index.json", "/oci-layout",
	}
	slices.Sort(want)
	if got := files(t, dir); !slices.Equal(got, want) {
		t.Errorf("the layout holds %v, want %v", got, want)
	}
}

// TestLayoutWithoutTag: the only image is replaced where it is, named or not.
func TestLayoutWithoutTag(t *testing.T) {
	for _, tag := range []string{"", "v1"} {
		dir := t.TempDir()
		newLayout(t, dir)
		old, oldRaw := manifest("old")
		ref := openLayout(t, dir)
		if err := ref.Repo.PushManifest(t.Context(), old, oldRaw); err != nil {
			t.Fatal(err)
		}
		index, err := editor{}.SetTag([]byte(`{"schemaVersion":2}`), tag, old)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "index.json"), string(index))
		d, _, err := ref.Resolve(t.Context())
		if err != nil || d.Digest != old.Digest {
			t.Fatalf("got %s, %v", d.Digest, err)
		}
		now, nowRaw := manifest("new")
		if err := ref.Repo.Tag(t.Context(), ref.Tag, now, nowRaw, d.Digest.String()); err != nil {
			t.Fatal(err)
		}
		wantTag(t, ref.Repo, "", now, nowRaw)
		wantTag(t, ref.Repo, tag, now, nowRaw)
	}
}

func TestLayoutListsItsTags(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	repo := openLayout(t, dir).Repo
	_, _, err := repo.Resolve(t.Context(), "", "")
	wantTexts(t, err, "empty")
	if !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	push(t, repo, "b", "1")
	push(t, repo, "a", "2")
	_, _, err = repo.Resolve(t.Context(), "", "")
	wantTexts(t, err, "oci:"+dir, "2 images", "a, b")
	_, _, err = repo.Resolve(t.Context(), "c", "")
	wantTexts(t, err, "read tag c", "no such tag", "a, b")
	if !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	for i := range 30 {
		push(t, repo, fmt.Sprintf("tag%d", i), "3")
	}
	_, _, err = repo.Resolve(t.Context(), "c", "")
	wantTexts(t, err, "and 12 more")
}

// TestLayoutByDigest: also a manifest that index.json does not name itself.
func TestLayoutByDigest(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	repo := openLayout(t, dir).Repo
	child, childRaw := push(t, repo, "", "child")
	top, topRaw := push(t, repo, "v1", "top")
	for _, want := range []v1.Descriptor{child, top} {
		d, raw, err := openLayout(t, dir+"@"+want.Digest.String()).Resolve(t.Context())
		if err != nil || d.Digest != want.Digest || d.MediaType != types.OCIManifestSchema1 || d.Size != int64(len(raw)) {
			t.Errorf("got %+v, %v, want %+v", d, err, want)
		}
	}
	d, _, err := openLayout(t, dir+":v1@"+child.Digest.String()).Resolve(t.Context())
	if err != nil || d.Digest != child.Digest {
		t.Errorf("tag and digest gave %s, %v, want %s", d.Digest, err, child.Digest)
	}
	_, _, err = openLayout(t, dir+"@sha256:"+someHex).Resolve(t.Context())
	if !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	path := filepath.Join(dir, "blobs", "sha256", top.Digest.Hex)
	writeFile(t, path, string(childRaw))
	for _, ref := range []string{dir + ":v1", dir + "@" + top.Digest.String()} {
		_, _, err := openLayout(t, ref).Resolve(t.Context())
		wantContentError(t, ref, err)
	}
	// What is damaged is written anew.
	if err := repo.PushManifest(t.Context(), top, topRaw); err != nil {
		t.Fatal(err)
	}
	wantTag(t, repo, "v1", top, topRaw)
}

func TestLayoutTagMoved(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	repo := openLayout(t, dir).Repo
	read, _ := push(t, repo, "v1", "read")
	theirs, theirsRaw := push(t, repo, "v1", "theirs")
	ours, oursRaw := manifest("ours")
	for _, tag := range []string{"v1", "", "gone"} {
		err := repo.Tag(t.Context(), tag, ours, oursRaw, read.Digest.String())
		if !errors.Is(err, remote.ErrTagMoved) {
			t.Errorf("tag %q: got %v, want ErrTagMoved", tag, err)
		}
	}
	wantTag(t, repo, "v1", theirs, theirsRaw)
}

// TestLayoutKeepsBothOfTwo: runs at the same time lose nothing, and whoever
// reads meanwhile sees a whole index.
func TestLayoutKeepsBothOfTwo(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	var g errgroup.Group
	for i := range 20 {
		ref := openLayout(t, dir)
		g.Go(func() error {
			name := fmt.Sprintf("tag%d", i)
			d, raw := manifest(name)
			if err := ref.Repo.Tag(t.Context(), name, d, raw, ""); err != nil {
				return err
			}
			_, _, err := ref.Repo.Resolve(t.Context(), name, "")
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		name := fmt.Sprintf("tag%d", i)
		d, raw := manifest(name)
		wantTag(t, openLayout(t, dir).Repo, name, d, raw)
	}
	if got := len(files(t, dir)); got != 5+20 {
		t.Errorf("%d files, want 25: %v", got, files(t, dir))
	}
}

// TestLayoutTraversal: no digest leads out of blobs/, wherever it came from.
func TestLayoutTraversal(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "layout")
	newLayout(t, dir)
	writeFile(t, filepath.Join(base, "secret"), "secret")
	repo := openLayout(t, dir).Repo
	for _, h := range []v1.Hash{
		{Algorithm: "sha256", Hex: "../../../secret"},
		{Algorithm: "..", Hex: "../secret"},
		{Algorithm: "../..", Hex: someHex},
		{Algorithm: "", Hex: ""},
		{Algorithm: "sha256", Hex: strings.ToUpper(someHex)},
	} {
		d := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: h, Size: 6}
		_, err := repo.Blob(t.Context(), d)
		wantContentError(t, "Blob", err)
		_, err = repo.BlobBytes(t.Context(), d, 100)
		wantContentError(t, "BlobBytes", err)
		_, err = repo.Manifest(t.Context(), d)
		wantContentError(t, "Manifest", err)
		wantContentError(t, "PushBlob", repo.PushBlob(t.Context(), d, []byte("secret")))
		wantContentError(t, "Tag", repo.Tag(t.Context(), "v1", d, []byte("secret"), ""))
		_, _, err = repo.Resolve(t.Context(), "", h.String())
		if !errors.Is(err, remote.ErrReference) {
			t.Errorf("Resolve(%s) = %v, want ErrReference", h, err)
		}
	}
	writeFile(t, filepath.Join(dir, "index.json"),
		`{"manifests":[{"mediaType":"","digest":"sha256:../../../secret","size":6}]}`)
	_, _, err := repo.Resolve(t.Context(), "", "")
	wantContentError(t, "Resolve", err)
}

// TestLayoutFailedWrites: a write that fails leaves the layout as it was.
func TestLayoutFailedWrites(t *testing.T) {
	d, raw := manifest("x")
	for name, harm := range map[string]func(dir string) error{
		"blobs is a file": func(dir string) error { return os.WriteFile(filepath.Join(dir, "blobs"), nil, 0o600) },
		"the blob is a directory": func(dir string) error {
			return os.MkdirAll(filepath.Join(dir, "blobs", "sha256", d.Digest.Hex, "x"), 0o700)
		},
		"index.json is a directory": func(dir string) error {
			_ = os.Remove(filepath.Join(dir, "index.json"))
			return os.MkdirAll(filepath.Join(dir, "index.json", "x"), 0o700)
		},
		"index.json is damaged": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "index.json"), []byte("{"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			newLayout(t, dir)
			if err := harm(dir); err != nil {
				t.Fatal(err)
			}
			before := files(t, dir)
			if err := openLayout(t, dir).Repo.Tag(t.Context(), "v1", d, raw, ""); err == nil {
				t.Error("no error")
			}
			after := slices.DeleteFunc(files(t, dir), func(name string) bool {
				// The manifest is written before the index.
				return strings.HasPrefix(name, "/blobs") && !slices.Contains(before, name) && !strings.Contains(name, ".cfs-label")
			})
			if !slices.Equal(before, after) {
				t.Errorf("the layout held %v, then %v", before, after)
			}
		})
	}
}

func TestLayoutReadOnly(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	newLayout(t, dir)
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	repo := openLayout(t, dir).Repo
	d, raw := manifest("x")
	for name, err := range map[string]error{
		"CheckPush": repo.CheckPush(t.Context()),
		"PushBlob":  repo.PushBlob(t.Context(), d, raw),
		"Tag":       repo.Tag(t.Context(), "v1", d, raw, ""),
	} {
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: got %v, want fs.ErrPermission", name, err)
		}
	}
}

// badEditor forgets the edit, or makes nonsense of it.
type badEditor string

func (e badEditor) SetReferrer([]byte, v1.Descriptor, []v1.Hash) ([]byte, error) {
	return []byte(e), nil
}

func (e badEditor) SetTag([]byte, string, v1.Descriptor) ([]byte, error) { return []byte(e), nil }

// TestLayoutChecksTheEdit: an index that does not name the image is not written.
func TestLayoutChecksTheEdit(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	index, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	d, raw := manifest("x")
	for _, o := range []remote.Options{{Layout: badEditor("{")}, {Layout: badEditor(index)}, {}} {
		if err := open(t, "oci:"+dir, o).Repo.Tag(t.Context(), "v1", d, raw, ""); err == nil {
			t.Errorf("%v: no error", o.Layout)
		}
		if now, err := os.ReadFile(filepath.Join(dir, "index.json")); err != nil || !bytes.Equal(now, index) {
			t.Errorf("%v: the index is %q, %v", o.Layout, now, err)
		}
	}
}

// TestLayoutKeepsPermissions: of index.json, whatever they are.
func TestLayoutKeepsPermissions(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	path := filepath.Join(dir, "index.json")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	push(t, openLayout(t, dir).Repo, "v1", "x")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got %v, %v, want 0640", info.Mode(), err)
	}
}
