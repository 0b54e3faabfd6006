// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/remote"
)

// tarEntry is a regular file, or, if link is given, a symbolic link.
type tarEntry struct{ name, content, link string }

// writeTar packs entries.
func writeTar(t *testing.T, w io.Writer, entries ...tarEntry) {
	t.Helper()
	tw := tar.NewWriter(w)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.content)), Mode: 0o600, Uname: "somebody"}
		if e.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
}

// tarBytes returns the tar of entries.
func tarBytes(t *testing.T, entries ...tarEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	writeTar(t, &b, entries...)
	return b.Bytes()
}

// newArchive writes a tar to a file of a new directory, and returns its path.
func newArchive(t *testing.T, entries ...tarEntry) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	writeFile(t, path, string(tarBytes(t, entries...)))
	return path
}

// emptyArchive is an archive without images, in an order and with an index of
// its own.
var emptyArchive = []tarEntry{
	{name: "./index.json", content: `{"schemaVersion":2,"manifests":[],"unknown":{"a":1}}`},
	{name: "./oci-layout", content: `{"imageLayoutVersion": "1.0.0"}`},
	{name: "./README", content: "what people put into archives"},
}

// openArchive opens FILE, which may have a tag or digest behind it.
func openArchive(t *testing.T, file string) *remote.Ref {
	t.Helper()
	return open(t, "oci-archive:"+file, remote.Options{Layout: editor{}})
}

// openTarget opens a target, and closes it in the end.
func openTarget(t *testing.T, ref string) *remote.Ref {
	t.Helper()
	r, err := remote.OpenTarget(t.Context(), ref, remote.Options{Layout: editor{}, Keychain: anonymous})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// flush calls Flush.
func flush(t *testing.T, repo remote.Repo) {
	t.Helper()
	if err := repo.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// image is an image for this machine's platform, of which every program can make
// something.
type image struct {
	d      v1.Descriptor
	raw    []byte
	config []byte
	tars   [][]byte // the layers, uncompressed
	layers [][]byte // as they are stored
	m      v1.Manifest
}

// newImage returns an image with a number of layers, which differs from those of
// other names.
func newImage(t *testing.T, name string, layers int) image {
	t.Helper()
	var im image
	config := v1.ConfigFile{Architecture: runtime.GOARCH, OS: "linux", Author: name, RootFS: v1.RootFS{Type: "layers"}}
	im.m = v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	for i := range layers {
		content := tarBytes(t, tarEntry{name: fmt.Sprintf("file%d", i), content: strings.Repeat(name, 1000)})
		id, _ := blob(string(content))
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, id.Digest)
		config.History = append(config.History, v1.History{CreatedBy: name})
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(content); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		d, _ := blob(packed.String())
		d.MediaType = types.OCILayer
		im.m.Layers = append(im.m.Layers, d)
		im.tars, im.layers = append(im.tars, content), append(im.layers, packed.Bytes())
	}
	var err error
	if im.config, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	im.m.Config, _ = blob(string(im.config))
	if im.raw, err = json.Marshal(im.m); err != nil {
		t.Fatal(err)
	}
	im.d, _ = blob(string(im.raw))
	im.d.MediaType = types.OCIManifestSchema1
	return im
}

// pushTo stores the image, its layers by CopyBlob from a layout.
func (im image) pushTo(t *testing.T, repo remote.Repo, tag string) {
	t.Helper()
	ctx := t.Context()
	for i, d := range im.m.Layers {
		if err := repo.CopyBlob(ctx, d, source{data: im.layers[i]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := repo.PushBlob(ctx, im.m.Config, im.config); err != nil {
		t.Fatal(err)
	}
	if err := repo.PushManifest(ctx, im.d, im.raw); err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(ctx, tag, im.d, im.raw, ""); err != nil {
		t.Fatal(err)
	}
}

// wantImage fails unless the repository has the whole image under the tag.
func (im image) wantImage(t *testing.T, repo remote.Repo, tag string) {
	t.Helper()
	wantTag(t, repo, tag, im.d, im.raw)
	for i, d := range im.m.Layers {
		if got, err := repo.BlobBytes(t.Context(), d, 1<<20); err != nil || !bytes.Equal(got, im.layers[i]) {
			t.Errorf("layer %d: %d bytes, %v", i, len(got), err)
		}
	}
	if got, err := repo.BlobBytes(t.Context(), im.m.Config, 1<<20); err != nil || !bytes.Equal(got, im.config) {
		t.Errorf("config: %d bytes, %v", len(got), err)
	}
}

// hookCtx is a context that tells when it is asked.
type hookCtx struct {
	context.Context //nolint:containedctx // it is a context itself

	err, done func() // nil: nobody is told
}

func (c hookCtx) Err() error {
	if c.err != nil {
		c.err()
	}
	return c.Context.Err()
}

func (c hookCtx) Done() <-chan struct{} {
	if c.done != nil {
		c.done()
	}
	return c.Context.Done()
}

// source is a repository that has one blob.
type source struct {
	remote.Repo
	data []byte
	err  error
	read func() // if not nil, called when the blob is asked for
}

func (s source) Blob(context.Context, v1.Descriptor) (io.ReadCloser, error) {
	if s.read != nil {
		s.read()
	}
	return io.NopCloser(bytes.NewReader(s.data)), s.err
}

// entriesOf lists a tar.
func entriesOf(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names []string
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}
