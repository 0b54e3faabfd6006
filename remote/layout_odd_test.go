// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/remote"
)

// TestLayoutForeignEntries: what index.json lists besides does not matter to an
// image and its referrers.
func TestLayoutForeignEntries(t *testing.T) {
	long := strings.Repeat("a", 96)
	for name, tc := range map[string]struct {
		mediaType types.MediaType
		digest    string
		size      int
		isImage   bool
	}{
		"a large file":                {"application/xml", "sha256:" + someHex, 5 << 20, false},
		"a file of unknown digest":    {"application/xml", "sha384:" + long, 3, false},
		"a large manifest":            {types.OCIManifestSchema1, "sha256:" + someHex, remote.MaxManifest + 1, true},
		"an image of unknown digest":  {types.OCIManifestSchema1, "sha384:" + long, 3, true},
		"a damaged file":              {"application/xml", "sha256:" + someHex, 3, false},
		"a typeless entry, not there": {"", "sha256:" + strings.Repeat("b", 64), 3, true},
	} {
		dir := t.TempDir()
		newLayout(t, dir)
		repo := openLayout(t, dir).Repo
		subject, subjectRaw := push(t, repo, "v1", "image")
		a, aRaw := artifact(t, subject, testArtifact, "a")
		if err := open(t, "oci:"+dir, remote.Options{Layout: referrerEditor{}}).Repo.PushReferrer(t.Context(), subject.Digest, a, aRaw, nil); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "index.json")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		entry := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d},`, tc.mediaType, tc.digest, tc.size)
		writeFile(t, path, strings.Replace(string(raw), `"manifests":[`, `"manifests":[`+entry, 1))
		writeFile(t, filepath.Join(dir, "blobs", "sha256", someHex), "damaged")
		t.Log(name)
		wantReferrers(t, repo, subject, "", a)
		wantTag(t, repo, "v1", subject, subjectRaw)
		if !tc.isImage {
			wantTag(t, repo, "", subject, subjectRaw)
			continue
		}
		_, _, err = repo.Resolve(t.Context(), "", "")
		wantTexts(t, err, "2 images", "there are: @"+tc.digest+", v1")
	}
}

// TestLayoutWithoutTags: the error names what images without tags can be asked
// for by.
func TestLayoutWithoutTags(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	repo := openLayout(t, dir).Repo
	var entries, digests []string
	for _, name := range []string{"a", "b"} {
		d, _ := push(t, repo, "", name)
		entries = append(entries, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, d.MediaType, d.Digest, d.Size))
		digests = append(digests, "@"+d.Digest.String())
	}
	writeFile(t, filepath.Join(dir, "index.json"), `{"schemaVersion":2,"manifests":[`+strings.Join(entries, ",")+`]}`)
	_, _, err := repo.Resolve(t.Context(), "", "")
	if !errors.Is(err, remote.ErrReference) {
		t.Errorf("got %v, want ErrReference", err)
	}
	wantTexts(t, err, append(digests, "oci:DIR@DIGEST")...)
	for _, digest := range digests {
		if _, _, err := openLayout(t, dir+digest).Resolve(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestLayoutTemporaryFiles: none is ever where blobs are, or a killed run would
// leave one that other programs take for a blob.
func TestLayoutTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	repo := openLayout(t, dir).Repo
	d, data := blob("streamed")
	var seen []string
	err := repo.CopyBlob(t.Context(), d, source{data: data, read: func() {
		for _, name := range files(t, dir) {
			if strings.Contains(name, ".cfs-label") {
				seen = append(seen, name)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || strings.Contains(seen[0], "blobs") {
		t.Errorf("the temporary files are %v, want one outside of blobs", seen)
	}
}

// TestLayoutOnTwoFileSystems: blobs may lie on another one.
func TestLayoutOnTwoFileSystems(t *testing.T) {
	other, err := os.MkdirTemp("/dev/shm", "cfs-label-test-") //nolint:usetesting // not where other temporary files are
	if err != nil {
		t.Skip("there is no second file system: ", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(other) })
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "probe"), "")
	if err := os.Rename(filepath.Join(dir, "probe"), filepath.Join(other, "probe")); err == nil {
		t.Skip("there is no second file system")
	}
	newLayout(t, dir)
	if err := os.Symlink(other, filepath.Join(dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	im := newImage(t, "x", 1)
	repo := openLayout(t, dir).Repo
	im.pushTo(t, repo, "v1")
	im.wantImage(t, openLayout(t, dir).Repo, "v1")
	for _, name := range slices.Concat(files(t, dir), files(t, other)) {
		if strings.Contains(name, ".cfs-label") {
			t.Errorf("%s is left behind", name)
		}
	}
}

// TestLayoutIndexLink: a link to index.json stays one.
func TestLayoutIndexLink(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	newLayout(t, dir)
	link, path := filepath.Join(dir, "index.json"), filepath.Join(other, "shared.json")
	if err := os.Rename(link, path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	ref := openTarget(t, "oci:"+dir)
	if err := ref.Repo.CheckPush(t.Context()); err != nil {
		t.Fatal(err)
	}
	d, raw := push(t, ref.Repo, "v1", "x")
	wantTag(t, openLayout(t, dir).Repo, "v1", d, raw)
	if to, err := os.Readlink(link); err != nil || to != path {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if got := files(t, other); !slices.Equal(got, []string{"", "/shared.json"}) {
		t.Errorf("there are %v", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantTexts(t, ref.Repo.CheckPush(t.Context()), link+" is a symbolic link to what is not there")
	wantTexts(t, ref.Repo.Tag(t.Context(), "v2", d, raw, ""), "is not there")
}

// TestReadOnlyFiles: what its owner has made read-only is not replaced, although
// its directory would allow it.
func TestReadOnlyFiles(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	newLayout(t, dir)
	path := newArchive(t, emptyArchive...)
	for ref, file := range map[string]string{"oci:" + dir: filepath.Join(dir, "index.json"), "oci-archive:" + path: path} {
		repo := openTarget(t, ref).Repo
		if err := repo.CheckPush(t.Context()); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
		if err := os.Chmod(file, 0o444); err != nil {
			t.Fatal(err)
		}
		err := repo.CheckPush(t.Context())
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: got %v, want fs.ErrPermission", ref, err)
		}
		wantTexts(t, err, file)
	}
}
