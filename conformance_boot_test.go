// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"testing"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/image"
)

// TestConformanceBoot: for every vector and every combination of format,
// algorithm and xattr mode, the bootable digest is the reference's, or there
// is an error where the reference has one.
func TestConformanceBoot(t *testing.T) {
	digests, refused := 0, 0
	for dir, v := range readVectors(t) {
		for _, want := range v.Results {
			if !want.Bootable {
				continue
			}
			got, err := bootDigest(t, dir, want)
			switch {
			case want.Error != "" && err == nil:
				t.Errorf("%s %s: no error, the reference says %s", v.Case, v.About, want.Error)
			case want.Error != "":
				refused++
			case err != nil:
				t.Errorf("%s %s: %v", v.Case, v.About, err)
			case got != want.Digest:
				t.Errorf("%s %s: %s %s %s: want %s, got %s", v.Case, v.About, want.EROFS, want.Hash, want.Xattrs, want.Digest, got)
			default:
				digests++
			}
		}
	}
	if digests < 36 || refused < 24 {
		t.Errorf("%d digests and %d errors are equal: vectors are missing", digests, refused)
	}
}

// bootDigest computes one digest. An error is one of the image.
func bootDigest(t *testing.T, dir string, want result) (string, error) {
	t.Helper()
	format, err := erofs.ParseFormat(want.EROFS)
	if err != nil {
		t.Fatal(err)
	}
	algorithm, err := fsverity.ParseAlgorithm(want.Hash)
	if err != nil {
		t.Fatal(err)
	}
	mode, err := transform.ParseXattrs(want.Xattrs)
	if err != nil {
		t.Fatal(err)
	}
	images, err := cfslabel.Compute(t.Context(), open(t, "oci:"+dir+"/oci:latest"), cfslabel.Options{
		Formats: []erofs.Format{format}, Algorithms: []fsverity.Algorithm{algorithm}, Xattrs: []transform.Xattrs{mode}, Bootable: true,
	})
	if err != nil {
		return "", err
	}
	for _, d := range images[0].Digests {
		if d.Role == image.RoleMergedBootable {
			return d.Digest.String(), nil
		}
	}
	t.Fatal("no bootable digest")
	return "", nil
}
