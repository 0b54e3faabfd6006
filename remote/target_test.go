// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/remote"
)

func TestOpenTarget(t *testing.T) {
	base := t.TempDir()
	for _, tc := range []struct{ ref, name, tag string }{
		{"ghcr.io/a/b:v1", "ghcr.io/a/b", "v1"},
		{"ghcr.io/a/b", "ghcr.io/a/b", ""},
		{"localhost:5000/a", "localhost:5000/a", ""},
		{"localhost:5000/a:b", "localhost:5000/a", "b"},
		{"fedora", "index.docker.io/library/fedora", ""},
		{"oci:" + base + "/a", "oci:" + base + "/a", ""},
		{"oci:" + base + "/a:v1", "oci:" + base + "/a", "v1"},
		{"oci-archive:" + base + "/a.tar", "oci-archive:" + base + "/a.tar", ""},
		{"oci-archive:" + base + "/a.tar:v1", "oci-archive:" + base + "/a.tar", "v1"},
		{"oci:" + base + "/a:quay.io/foo/bar:v1", "oci:" + base + "/a", "quay.io/foo/bar:v1"},
		{"oci:" + base + "/a:a__b", "oci:" + base + "/a", "a__b"},
		{"oci-archive:" + base + "/a.tar:quay.io/foo/bar:v1", "oci-archive:" + base + "/a.tar", "quay.io/foo/bar:v1"},
	} {
		r := openTarget(t, tc.ref)
		if r.Repo.Name() != tc.name || r.Tag != tc.tag || r.Digest != "" || r.String() != tc.ref {
			t.Errorf("%s: got %s, tag %q, digest %q, text %s", tc.ref, r.Repo.Name(), r.Tag, r.Digest, r)
		}
	}
	if got := files(t, base); len(got) != 1 {
		t.Errorf("opening made %v", got)
	}
}

func TestOpenTargetRefuses(t *testing.T) {
	base := t.TempDir()
	writeFile(t, filepath.Join(base, "text"), "text")
	if err := os.Mkdir(filepath.Join(base, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	for ref, tc := range map[string]struct {
		kind error
		text string
	}{
		"ghcr.io/a/b@sha256:" + someHex:                {remote.ErrReference, "leave out @"},
		"ghcr.io/a/b:v1@sha256:" + someHex:             {remote.ErrReference, "leave out @"},
		"oci:" + base + "/new@sha256:" + someHex:       {remote.ErrReference, "leave out @"},
		"oci-archive:" + base + "/n@sha256:" + someHex: {remote.ErrReference, "leave out @"},
		"docker-archive:" + base + "/new":              {remote.ErrReference, "can only be read"},
		"oci:":                                         {remote.ErrReference, "no directory"},
		"oci-archive:":                                 {remote.ErrReference, "no file"},
		"oci-archive::v1":                              {remote.ErrReference, "no file"},
		"oci-archive:" + base + "/new:":                {remote.ErrReference, "no tag follows"},
		"oci:" + base + "/new:a b":                     {remote.ErrReference, "no name for an image"},
		"oci:" + base + "/new:a//b":                    {remote.ErrReference, "no name for an image"},
		"oci-archive:" + base + "/new:v1:":             {remote.ErrReference, "no name for an image"},
		"oci:" + base:                                  {nil, "neither empty nor an OCI layout: it has"},
		"oci:" + base + "/text":                        {nil, "not a directory"},
		"oci-archive:" + base + "/text":                {remote.ErrContent, "no tar archive"},
		"oci-archive:" + base + "/empty":               {nil, "write oci: for a layout"},
		"oci-archive:" + base + "/new/":                {nil, "the name of a directory"},
	} {
		_, err := remote.OpenTarget(t.Context(), ref, remote.Options{})
		if tc.kind != nil && !errors.Is(err, tc.kind) {
			t.Errorf("%q: got %v, want %v", ref, err, tc.kind)
		}
		wantTexts(t, err, tc.text)
	}
}

// TestTargetDirectory: it is made by the first write, and then it is a layout
// like others.
func TestTargetDirectory(t *testing.T) {
	im := newImage(t, "x", 2)
	base := t.TempDir()
	for _, name := range []string{"new/one", "empty", "strays"} {
		dir := filepath.Join(base, name)
		if name != "new/one" {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if name == "strays" {
			writeFile(t, filepath.Join(dir, ".cfs-label-0123456789abcdef"), "of a run that was killed")
		}
		before := files(t, base)
		repo := openTarget(t, "oci:"+dir).Repo
		if err := repo.CheckPush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := repo.Resolve(t.Context(), "v1", ""); !errors.Is(err, remote.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
		if found, err := repo.Referrers(t.Context(), im.d.Digest, ""); err != nil || len(found) != 0 {
			t.Errorf("Referrers = %v, %v", found, err)
		}
		if got := files(t, base); !slices.Equal(got, before) {
			t.Errorf("there were %v, then %v", before, got)
		}
		im.pushTo(t, repo, "v1")
		flush(t, repo)
		im.wantImage(t, openLayout(t, dir).Repo, "v1")
		im.wantImage(t, openTarget(t, "oci:"+dir).Repo, "v1")
	}
	index, err := os.ReadFile(filepath.Join(base, "empty", "index.json"))
	if err != nil || !strings.HasPrefix(string(index), `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[`) {
		t.Errorf("the index is %s, %v", index, err)
	}
}

// TestTargetWithoutTag: an image without a name can be put where there is none
// yet, or only that.
func TestTargetWithoutTag(t *testing.T) {
	base := t.TempDir()
	for _, ref := range []string{"oci:" + base + "/dir", "oci-archive:" + base + "/file.tar"} {
		old, oldRaw := manifest("old")
		now, nowRaw := manifest("new")
		r := openTarget(t, ref)
		if err := r.Repo.Tag(t.Context(), "", old, oldRaw, ""); err != nil {
			t.Fatal(err)
		}
		if err := r.Repo.Tag(t.Context(), "", now, nowRaw, old.Digest.String()); err != nil {
			t.Fatal(err)
		}
		flush(t, r.Repo)
		again := openTarget(t, ref)
		wantTag(t, again.Repo, "", now, nowRaw)
		push(t, again.Repo, "v1", "another")
		if err := again.Repo.Tag(t.Context(), "", old, oldRaw, ""); !errors.Is(err, remote.ErrReference) {
			t.Errorf("of two images: %v, want ErrReference", err)
		}
	}
}

// TestTargetOfMany: runs that make the same layout lose nothing.
func TestTargetOfMany(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	var g errgroup.Group
	for i := range 12 {
		repo := openTarget(t, "oci:"+dir).Repo
		g.Go(func() error {
			d, raw := manifest(strings.Repeat("x", i))
			return repo.Tag(t.Context(), strings.Repeat("x", i+1), d, raw, "")
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		d, raw := manifest(strings.Repeat("x", i))
		wantTag(t, openLayout(t, dir).Repo, strings.Repeat("x", i+1), d, raw)
	}
	for _, name := range files(t, dir) {
		if strings.Contains(name, ".cfs-label") {
			t.Errorf("%s is left behind", name)
		}
	}
}

// TestTargetPermissions: CheckPush knows where nothing can be made.
func TestTargetPermissions(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	for _, ref := range []string{"oci:" + dir + "/a/b", "oci:" + dir, "oci-archive:" + dir + "/a.tar"} {
		if err := openTarget(t, ref).Repo.CheckPush(t.Context()); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: got %v, want fs.ErrPermission", ref, err)
		}
	}
}

// TestTargetArchiveNeedsItsDirectory: archives make no directories.
func TestTargetArchiveNeedsItsDirectory(t *testing.T) {
	r := openTarget(t, "oci-archive:"+filepath.Join(t.TempDir(), "no", "a.tar"))
	if err := r.Repo.CheckPush(t.Context()); !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// TestOpenArchiveNames: what is the file and what is the tag.
func TestOpenArchiveNames(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"a.tar", "b:c.tar", "d", "d:e", "f:g"} {
		writeFile(t, name, string(tarBytes(t, emptyArchive...)))
	}
	for _, tc := range []struct{ rest, name, tag, digest string }{
		{"a.tar", "a.tar", "", ""},
		{"a.tar:v1", "a.tar", "v1", ""},
		{"./a.tar:v1@sha256:" + someHex, "./a.tar", "v1", "sha256:" + someHex},
		{"a.tar@sha256:" + someHex, "a.tar", "", "sha256:" + someHex},
		{"a.tar:docker.io/library/fedora:40", "a.tar", "docker.io/library/fedora:40", ""},
		{"b:c.tar", "b:c.tar", "", ""},
		{"b:c.tar:v1", "b:c.tar", "v1", ""},
		{"d:e", "d", "e", ""},
		{"d:e:f", "d", "e:f", ""},
		{"a.tar:quay.io/foo/bar:v1", "a.tar", "quay.io/foo/bar:v1", ""},
		{"f:g", "f:g", "", ""},
		{dir + "/a.tar:v1", dir + "/a.tar", "v1", ""},
	} {
		r := openArchive(t, tc.rest)
		if r.Repo.Name() != "oci-archive:"+tc.name || r.Tag != tc.tag || r.Digest != tc.digest {
			t.Errorf("%s: got %s, tag %q, digest %q", tc.rest, r.Repo.Name(), r.Tag, r.Digest)
		}
	}
	for rest, kind := range map[string]error{
		"no.tar": remote.ErrNotFound, "no.tar:v1": remote.ErrNotFound, "": remote.ErrReference, "a.tar:": remote.ErrReference,
		"a.tar@sha256:abc": remote.ErrReference,
	} {
		if _, err := remote.Open(t.Context(), "oci-archive:"+rest, remote.Options{}); !errors.Is(err, kind) {
			t.Errorf("%q: got %v, want %v", rest, err, kind)
		}
	}
}

// TestOpenArchiveCompressed: the way out is in the error.
func TestOpenArchiveCompressed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.tar")
	for magic, text := range map[string]string{
		"\x1f\x8b\x08xxxxx": "gzip -dk " + path,
		"\x28\xb5\x2f\xfdx": "zstd -dk " + path,
		"\xfd7zXZ\x00xxxxx": "xz -dk " + path,
		"BZh91AY&SYxxxxxx":  "bzip2 -dk " + path,
	} {
		writeFile(t, path, magic)
		for _, prefix := range []string{"oci-archive:", "docker-archive:"} {
			_, err := remote.Open(t.Context(), prefix+path, remote.Options{})
			if !errors.Is(err, remote.ErrContent) {
				t.Errorf("got %v, want ErrContent", err)
			}
			wantTexts(t, err, text)
		}
	}
}
