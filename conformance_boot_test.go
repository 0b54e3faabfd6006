// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
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
	c, err := cfslabel.Tree(t.Context(), open(t, "oci:"+dir+"/oci:latest"), cfslabel.Options{
		Algorithms: []fsverity.Algorithm{algorithm}, Xattrs: []transform.Xattrs{mode},
	})
	if err != nil {
		return "", err
	}
	tr := c.Thaw()
	content := func(path string, _ tree.Ino) ([]byte, error) { return fileOfLayers(dir, path) }
	if err := transform.BootEntries(tr, content); err != nil {
		return "", err
	}
	if err := transform.Boot(tr, content); err != nil {
		return "", err
	}
	if c, err = tr.Check(); err != nil {
		return "", err
	}
	h := fsverity.New(algorithm)
	if err := erofs.Write(h, c, erofs.Options{Format: format, Algorithm: algorithm}); err != nil {
		t.Fatal(err)
	}
	return h.Digest().String(), nil
}

// fileOfLayers returns what the last regular file of that path in the layers
// holds. The vectors' policies come without links and whiteouts.
func fileOfLayers(dir, name string) ([]byte, error) {
	var manifest struct{ Layers []struct{ Digest string } }
	if err := readBlob(dir, imageDigest(dir), &manifest); err != nil {
		return nil, err
	}
	var found []byte
	for _, layer := range manifest.Layers {
		blob, err := os.ReadFile(blobPath(dir, layer.Digest))
		if err != nil {
			return nil, err
		}
		var body io.Reader = bytes.NewReader(blob)
		if bytes.HasPrefix(blob, []byte{0x1f, 0x8b}) {
			if body, err = gzip.NewReader(body); err != nil {
				return nil, err
			}
		}
		files := tar.NewReader(body)
		for {
			header, err := files.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			if path.Clean("/"+header.Name) != name || header.Typeflag != tar.TypeReg {
				continue
			}
			if found, err = io.ReadAll(files); err != nil {
				return nil, err
			}
		}
	}
	if found == nil {
		return nil, fmt.Errorf("no layer has %s", name)
	}
	return found, nil
}

func blobPath(dir, digest string) string {
	return filepath.Join(dir, "oci", "blobs", strings.ReplaceAll(digest, ":", "/"))
}

func readBlob(dir, digest string, into any) error {
	data, err := os.ReadFile(blobPath(dir, digest))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// imageDigest returns the digest of the only manifest of the layout.
func imageDigest(dir string) string {
	var index struct{ Manifests []struct{ Digest string } }
	data, err := os.ReadFile(filepath.Join(dir, "oci", "index.json"))
	if err != nil || json.Unmarshal(data, &index) != nil || len(index.Manifests) != 1 {
		return ""
	}
	return index.Manifests[0].Digest
}
