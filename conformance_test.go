// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/remote"
)

// vector is testdata/conformance/CASE/expected.json.
type vector struct {
	Case    string
	About   string
	Results []result
}

type result struct {
	EROFS    string
	Hash     string
	Bootable bool
	Xattrs   string
	Digest   string
	Error    string
}

func readVectors(t *testing.T) map[string]vector {
	t.Helper()
	files, err := filepath.Glob("testdata/conformance/*/expected.json")
	if err != nil || len(files) < 95 {
		t.Fatalf("found %d vectors, want the 95 of testdata/conformance (%v)", len(files), err)
	}
	vectors := map[string]vector{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v vector
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(v.Results) == 0 {
			t.Fatalf("%s holds no result", file)
		}
		vectors[filepath.Dir(file)] = v
	}
	return vectors
}

// TestConformance: for every image of the vectors and every combination of
// format, algorithm and xattr mode, the digest is the reference's, or there is
// an error where the reference has one.
func TestConformance(t *testing.T) {
	for dir, v := range readVectors(t) {
		t.Run(v.Case, func(t *testing.T) {
			t.Parallel()
			ref := open(t, "oci:"+dir+"/oci:latest")
			images, err := cfslabel.Compute(t.Context(), ref, cfslabel.Options{
				Formats:    []erofs.Format{erofs.V0, erofs.V1, erofs.V2},
				Algorithms: []fsverity.Algorithm{fsverity.SHA256, fsverity.SHA512},
				Xattrs:     []transform.Xattrs{transform.AllowlistOnly, transform.KeepUserXattrs},
			})
			got := map[result]bool{}
			for _, img := range images {
				for _, d := range img.Digests {
					got[result{
						EROFS: d.Format.String(), Hash: d.Digest.Algorithm().String(),
						Xattrs: d.Xattrs.String(), Digest: d.Digest.String(),
					}] = true
				}
			}
			for _, want := range v.Results {
				switch {
				case want.Bootable:
				case want.Error != "" && err == nil:
					t.Fatalf("%s: no error, the reference says %s", v.About, want.Error)
				case want.Error == "" && err != nil:
					t.Fatalf("%s: %v", v.About, err)
				case want.Error == "" && !got[want]:
					showDifference(t, dir, ref)
					t.Fatalf("%s: %s %s %s: want %s, got %v", v.About, want.EROFS, want.Hash, want.Xattrs, want.Digest, got)
				}
			}
			if err != nil && len(strings.TrimSpace(err.Error())) < 20 {
				t.Errorf("the error does not explain itself: %v", err)
			}
		})
	}
}

func open(t *testing.T, ref string) *remote.Ref {
	t.Helper()
	r, err := remote.Open(t.Context(), ref, remote.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readTree(t *testing.T, ref *remote.Ref) *tree.Checked {
	t.Helper()
	c, err := cfslabel.Tree(t.Context(), ref, cfslabel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// showDifference says where the merged trees differ, and then the images.
func showDifference(t *testing.T, dir string, ref *remote.Ref) {
	t.Helper()
	c := readTree(t, ref)
	var dump, img bytes.Buffer
	if err := dumpfile.Write(&dump, c, fsverity.SHA512); err != nil {
		t.Error(err)
	}
	if want, err := os.ReadFile(dir + "/merged-sha512.dump"); err == nil {
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(dump.String(), "\n")); diff != "" {
			t.Errorf("the merged trees differ (-reference +ours):\n%s", diff)
			return
		}
	}
	if err := erofs.Write(&img, c, erofs.Options{Format: erofs.V1, Algorithm: fsverity.SHA512}); err != nil {
		t.Error(err)
	}
	want, err := os.ReadFile(dir + "/v1-sha512.erofs")
	if err != nil {
		return
	}
	got := img.Bytes()
	t.Errorf("the merged trees are equal; images of %d (reference) and %d bytes", len(want), len(got))
	for i := 0; i < min(len(want), len(got)); i += 16 {
		w, g := want[i:min(i+16, len(want))], got[i:min(i+16, len(got))]
		if !bytes.Equal(w, g) {
			t.Errorf("they differ first at %#x:\nreference %x\nours      %x", i, w, g)
			return
		}
	}
}

// TestConformanceDumps: the dump of every vector is the reference's, byte for
// byte, and the image is, where the vectors have it.
func TestConformanceDumps(t *testing.T) {
	dumps, images := 0, 0
	for dir, v := range readVectors(t) {
		want, err := os.ReadFile(dir + "/merged-sha512.dump")
		if err != nil {
			continue
		}
		dumps++
		c := readTree(t, open(t, "oci:"+dir+"/oci:latest"))
		var dump, img bytes.Buffer
		if err := dumpfile.Write(&dump, c, fsverity.SHA512); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(string(want), dump.String()); diff != "" {
			t.Errorf("%s: %s: (-reference +ours):\n%s", v.Case, v.About, diff)
		}
		wantImage, err := os.ReadFile(dir + "/v1-sha512.erofs")
		if err != nil {
			continue
		}
		images++
		if err := erofs.Write(&img, c, erofs.Options{Format: erofs.V1, Algorithm: fsverity.SHA512}); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(img.Bytes(), wantImage) {
			t.Errorf("%s: %s: the image differs", v.Case, v.About)
		}
	}
	if dumps < 80 || images < 50 {
		t.Errorf("compared %d dumps and %d images: vectors are missing", dumps, images)
	}
}
