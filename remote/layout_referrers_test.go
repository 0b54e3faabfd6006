// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/remote"
)

const testArtifact = "application/vnd.example.artifact"

// artifact returns a manifest that refers to a subject.
func artifact(t *testing.T, subject v1.Descriptor, artifactType, name string) (v1.Descriptor, []byte) {
	t.Helper()
	annotations := map[string]string{"name": name, refName: "must not become a tag"}
	raw, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: artifactType,
		Config:      v1.Descriptor{MediaType: "application/vnd.oci.empty.v1+json"},
		Subject:     &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: annotations,
	})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := blob(string(raw))
	d.MediaType, d.ArtifactType, d.Annotations = types.OCIManifestSchema1, artifactType, annotations
	return d, raw
}

// referrerEditor is an editor that leaves an index alone if there is nothing to
// do, and takes no artifact for the only image.
type referrerEditor struct{ editor }

func (e referrerEditor) SetReferrer(raw []byte, d v1.Descriptor, gone []v1.Hash) ([]byte, error) {
	var file index
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, err
	}
	there, others := false, true
	for _, m := range file.Manifests {
		there = there || m.Digest == d.Digest
		others = others && !slices.Contains(gone, m.Digest)
	}
	if there && others {
		return raw, nil
	}
	return e.editor.SetReferrer(raw, d, gone)
}

// wantReferrers fails unless the referrers are those, in any order.
func wantReferrers(t *testing.T, repo remote.Repo, subject v1.Descriptor, artifactType string, want ...v1.Descriptor) {
	t.Helper()
	found, err := repo.Referrers(t.Context(), subject.Digest, artifactType)
	if err != nil {
		t.Fatal(err)
	}
	line := func(d v1.Descriptor) string {
		return fmt.Sprint(d.Digest, d.Size, d.MediaType, d.ArtifactType, d.Annotations["name"])
	}
	var got, wanted []string
	for _, d := range found {
		got = append(got, line(d))
	}
	for _, d := range want {
		wanted = append(wanted, line(d))
	}
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Errorf("the referrers are %q, want %q", got, wanted)
	}
}

// TestLayoutReferrers: in a directory and in an archive, an artifact is listed
// by its subject, replaced, and not taken for an image.
func TestLayoutReferrers(t *testing.T) {
	base := t.TempDir()
	for _, target := range []string{"oci:" + base + "/dir", "oci-archive:" + base + "/file.tar"} {
		o := remote.Options{Layout: referrerEditor{}}
		ref, err := remote.OpenTarget(t.Context(), target, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ref.Close() })
		repo := ref.Repo
		subject, subjectRaw := push(t, repo, "v1", "image")
		a, aRaw := artifact(t, subject, testArtifact, "a")
		b, bRaw := artifact(t, subject, "application/vnd.example.other", "b")
		other, _ := manifest("other")
		c, cRaw := artifact(t, other, testArtifact, "c")
		for _, x := range []struct {
			subject v1.Descriptor
			d       v1.Descriptor
			raw     []byte
		}{{subject, a, aRaw}, {subject, b, bRaw}, {other, c, cRaw}, {subject, a, aRaw}} {
			if err := repo.PushReferrer(t.Context(), x.subject.Digest, x.d, x.raw, nil); err != nil {
				t.Fatal(err)
			}
		}
		wantReferrers(t, repo, subject, "", a, b)
		wantReferrers(t, repo, subject, testArtifact, a)
		wantReferrers(t, repo, other, "", c)
		wantReferrers(t, repo, a, "")
		flush(t, repo)
		again := open(t, target, o).Repo
		wantReferrers(t, again, subject, "", a, b)
		wantTag(t, again, "", subject, subjectRaw)
		wantTag(t, again, "v1", subject, subjectRaw)
		_, _, err = again.Resolve(t.Context(), "must not become a tag", "")
		if !errors.Is(err, remote.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
		now, nowRaw := artifact(t, subject, testArtifact, "new")
		for range 2 {
			if err := again.PushReferrer(t.Context(), subject.Digest, now, nowRaw, []v1.Hash{a.Digest, now.Digest}); err != nil {
				t.Fatal(err)
			}
		}
		wantReferrers(t, again, subject, "", now, b)
		wantReferrers(t, again, other, "", c)
	}
}

// TestLayoutReferrersSecondRun: what is listed already is not listed again.
func TestLayoutReferrersSecondRun(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	repo := open(t, "oci:"+dir, remote.Options{Layout: referrerEditor{}}).Repo
	subject, _ := push(t, repo, "v1", "image")
	d, raw := artifact(t, subject, testArtifact, "a")
	var before os.FileInfo
	for range 2 {
		if err := repo.PushReferrer(t.Context(), subject.Digest, d, raw, nil); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && !os.SameFile(before, info) {
			t.Error("index.json was written again")
		}
		before = info
	}
}

// TestLayoutReferrersOfOthers: what other programs list counts by its manifest,
// whatever its entry says, and what cannot be read is said.
func TestLayoutReferrersOfOthers(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	repo := openLayout(t, dir).Repo
	subject, _ := push(t, repo, "v1", "image")
	d, raw := artifact(t, subject, "", "by its config")
	if err := repo.PushManifest(t.Context(), d, raw); err != nil {
		t.Fatal(err)
	}
	lies, liesRaw := manifest("refers to nothing")
	if err := repo.PushManifest(t.Context(), lies, liesRaw); err != nil {
		t.Fatal(err)
	}
	write := func(entries string) {
		writeFile(t, filepath.Join(dir, "index.json"), `{"schemaVersion":2,"manifests":[`+entries+`]}`)
	}
	entry := func(d v1.Descriptor, more string) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d%s}`, d.MediaType, d.Digest, d.Size, more)
	}
	missing, _ := manifest("not there")
	write(strings.Join([]string{
		entry(d, ""), entry(d, ""), entry(missing, ""), entry(lies, `,"artifactType":"a/b"`),
	}, ","))
	d.ArtifactType = "application/vnd.oci.empty.v1+json"
	wantReferrers(t, repo, subject, "", d)
	_, _, err := repo.Resolve(t.Context(), "", "")
	wantTexts(t, err, "3 images")
	write(entry(lies, `,"artifactType":"a/b"`))
	_, _, err = repo.Resolve(t.Context(), "", "")
	if !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	wantTexts(t, err, "only artifacts")
	write(entry(lies, `,"artifactType":"application/vnd.oci.image.config.v1+json"`))
	wantTag(t, repo, "", lies, liesRaw)
	big := make([]string, 70)
	for i := range big {
		b, _ := manifest(fmt.Sprint(i))
		b.Size = remote.MaxManifest
		big[i] = entry(b, "")
	}
	write(strings.Join(big, ","))
	_, err = repo.Referrers(t.Context(), subject.Digest, "")
	if !errors.Is(err, remote.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	_, err = repo.Referrers(t.Context(), v1.Hash{Algorithm: "sha256", Hex: "../x"}, "")
	wantContentError(t, "Referrers", err)
}

func TestLayoutReferrerRefuses(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	subject, _ := push(t, openLayout(t, dir).Repo, "v1", "image")
	d, raw := artifact(t, subject, testArtifact, "a")
	before, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	repo := openLayout(t, dir).Repo
	wantContentError(t, "another subject", repo.PushReferrer(t.Context(), d.Digest, d, raw, nil))
	for _, o := range []remote.Options{{Layout: badEditor("{")}, {Layout: badEditor(before)}, {Layout: badEditor(`{"manifests":[]}`)}, {}} {
		if err := open(t, "oci:"+dir, o).Repo.PushReferrer(t.Context(), subject.Digest, d, raw, nil); err == nil {
			t.Errorf("%v: no error", o.Layout)
		}
	}
	// An edit that lists the artifact but loses the image.
	lost, err := json.Marshal(index{SchemaVersion: 2, Manifests: []v1.Descriptor{d}})
	if err != nil {
		t.Fatal(err)
	}
	err = open(t, "oci:"+dir, remote.Options{Layout: badEditor(lost)}).Repo.PushReferrer(t.Context(), subject.Digest, d, raw, nil)
	wantTexts(t, err, "other entries")
	if now, err := os.ReadFile(filepath.Join(dir, "index.json")); err != nil || !bytes.Equal(now, before) {
		t.Errorf("the index is %s, %v", now, err)
	}
}

// TestLayoutCopyBlob: streamed, checked, and nothing is left of a wrong one.
func TestLayoutCopyBlob(t *testing.T) {
	dir := t.TempDir()
	newLayout(t, dir)
	repo := openLayout(t, dir).Repo
	im := newImage(t, "x", 1)
	d, data := im.m.Layers[0], im.layers[0]
	before := files(t, dir)
	wantContentError(t, "short", repo.CopyBlob(t.Context(), d, source{data: data[1:]}))
	wantContentError(t, "long", repo.CopyBlob(t.Context(), d, source{data: append(slices.Clone(data), 0)}))
	wantContentError(t, "wrong", repo.CopyBlob(t.Context(), d, source{data: make([]byte, len(data))}))
	if err := repo.CopyBlob(t.Context(), d, repo); !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("from itself: %v, want ErrNotFound", err)
	}
	for _, name := range files(t, dir) {
		if !slices.Contains(before, name) && !strings.HasSuffix(name, "/blobs") && !strings.HasSuffix(name, "/sha256") {
			t.Errorf("%s is left behind", name)
		}
	}
	im.pushTo(t, repo, "v1")
	im.wantImage(t, repo, "v1")
	asked := 0
	count := source{data: data, read: func() { asked++ }}
	for _, from := range []remote.Repo{count, repo} {
		if err := repo.CopyBlob(t.Context(), d, from); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 0 {
		t.Errorf("a blob that is there was read %d times", asked)
	}
	writeFile(t, filepath.Join(dir, "blobs", "sha256", d.Digest.Hex), strings.Repeat("x", len(data)))
	if err := repo.CopyBlob(t.Context(), d, count); err != nil || asked != 1 {
		t.Errorf("a damaged blob: %v, read %d times", err, asked)
	}
	im.wantImage(t, repo, "v1")
}
