// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/remote"
)

// dockerItem is an entry of manifest.json.
type dockerItem struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func manifestJSON(t *testing.T, items ...dockerItem) tarEntry {
	t.Helper()
	raw, err := json.Marshal(items)
	if err != nil {
		t.Fatal(err)
	}
	return tarEntry{name: "manifest.json", content: string(raw)}
}

// oldStyle returns an image as docker save wrote it before version 25: a
// directory a layer, one layer that is there already a link.
func oldStyle(t *testing.T, im image, tags ...string) []tarEntry {
	t.Helper()
	item := dockerItem{Config: im.m.Config.Digest.Hex + ".json", RepoTags: tags}
	entries := []tarEntry{{name: item.Config, content: string(im.config)}}
	for i, content := range im.tars {
		name := fmt.Sprintf("%s-%d/layer.tar", im.d.Digest.Hex, i)
		item.Layers = append(item.Layers, name)
		if i%2 == 0 {
			entries = append(entries, tarEntry{name: name, content: string(content)})
		} else {
			entries = append(entries,
				tarEntry{name: name, link: "../elsewhere/layer.tar"},
				tarEntry{name: "elsewhere/layer.tar", content: string(content)})
		}
	}
	return append(entries, manifestJSON(t, item))
}

func openDocker(t *testing.T, path string) *remote.Ref {
	t.Helper()
	return open(t, "docker-archive:"+path, remote.Options{Layout: editor{}})
}

// wantDocker fails unless the reference names an image of schema 2 with the
// config and the layers, of one media type. It returns its descriptor.
func wantDocker(t *testing.T, ref *remote.Ref, im image, mediaType types.MediaType, layers [][]byte) v1.Descriptor {
	t.Helper()
	d, raw, err := ref.Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	if d.MediaType != types.DockerManifestSchema2 || m.MediaType != d.MediaType || m.SchemaVersion != 2 {
		t.Errorf("got %s, %s", d.MediaType, raw)
	}
	if m.Config.MediaType != types.DockerConfigJSON || m.Config.Digest != im.m.Config.Digest {
		t.Errorf("the config is %v", m.Config)
	}
	if got, err := ref.Repo.BlobBytes(t.Context(), m.Config, 1<<20); err != nil || !bytes.Equal(got, im.config) {
		t.Errorf("the config has %d bytes, %v", len(got), err)
	}
	if len(m.Layers) != len(layers) {
		t.Fatalf("%d layers, want %d", len(m.Layers), len(layers))
	}
	for i, layer := range m.Layers {
		if layer.MediaType != mediaType {
			t.Errorf("layer %d is %s, want %s", i, layer.MediaType, mediaType)
		}
		// BlobBytes checks digest and size.
		if got, err := ref.Repo.BlobBytes(t.Context(), layer, 1<<20); err != nil || !bytes.Equal(got, layers[i]) {
			t.Errorf("layer %d has %d bytes, %v", i, len(got), err)
		}
	}
	return d
}

func TestDockerArchiveOldStyle(t *testing.T) {
	im := newImage(t, "x", 3)
	path := newArchive(t, oldStyle(t, im, "x:1", "example.com/x/y:2")...)
	d := wantDocker(t, openDocker(t, path), im, types.DockerUncompressedLayer, im.tars)
	for _, ref := range []string{"x:1", "docker.io/library/x:1", "example.com/x/y:2"} {
		r := openDocker(t, path+":"+ref)
		if again := wantDocker(t, r, im, types.DockerUncompressedLayer, im.tars); again.Digest != d.Digest {
			t.Errorf("%s gives %s, want %s", ref, again.Digest, d.Digest)
		}
		if want := "docker-archive:" + path + ":" + ref; r.Repo.Name() != want || r.Tag != "" {
			t.Errorf("got %s and tag %q, want %s and none", r.Repo.Name(), r.Tag, want)
		}
		byDigest := openDocker(t, path+":"+ref+"@"+d.Digest.String())
		if got, _, err := byDigest.Resolve(t.Context()); err != nil || got.Digest != d.Digest {
			t.Errorf("by its digest: %s, %v", got.Digest, err)
		}
	}
	_, _, err := openDocker(t, path+"@sha256:"+someHex).Resolve(t.Context())
	if !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("another digest: %v, want ErrNotFound", err)
	}
}

// TestDockerArchiveCompressed: crane packs layers as they are in the registry.
func TestDockerArchiveCompressed(t *testing.T) {
	im := newImage(t, "x", 2)
	item := dockerItem{Config: "sha256:" + im.m.Config.Digest.Hex, RepoTags: []string{"x:1"}}
	entries := []tarEntry{{name: item.Config, content: string(im.config)}}
	for i, d := range im.m.Layers {
		item.Layers = append(item.Layers, d.Digest.Hex+".tar.gz")
		entries = append(entries, tarEntry{name: item.Layers[i], content: string(im.layers[i])})
	}
	path := newArchive(t, append(entries, manifestJSON(t, item))...)
	wantDocker(t, openDocker(t, path), im, types.DockerLayer, im.layers)
}

// TestDockerArchiveWithLayout: since version 25 docker's archives are layouts as
// well. Each way of opening gives what it is for.
func TestDockerArchiveWithLayout(t *testing.T) {
	im := newImage(t, "x", 2)
	blobs := "blobs/sha256/"
	item := dockerItem{Config: blobs + im.m.Config.Digest.Hex, RepoTags: []string{"x:latest"}}
	entries := []tarEntry{
		{name: "oci-layout", content: `{"imageLayoutVersion":"1.0.0"}`},
		{name: blobs + im.d.Digest.Hex, content: string(im.raw)},
		{name: item.Config, content: string(im.config)},
	}
	for i, d := range im.m.Layers {
		item.Layers = append(item.Layers, blobs+d.Digest.Hex)
		entries = append(entries, tarEntry{name: item.Layers[i], content: string(im.layers[i])})
	}
	index, err := editor{}.SetTag([]byte(`{"schemaVersion":2}`), "latest", im.d)
	if err != nil {
		t.Fatal(err)
	}
	entries = append(entries, tarEntry{name: "index.json", content: string(index)}, manifestJSON(t, item))
	path := newArchive(t, entries...)
	wantDocker(t, openDocker(t, path+":x"), im, types.DockerLayer, im.layers)
	im.wantImage(t, openArchive(t, path).Repo, "latest")
}

func TestDockerArchiveChooses(t *testing.T) {
	a, b := newImage(t, "a", 1), newImage(t, "b", 1)
	entries := slices.Concat(oldStyle(t, a), oldStyle(t, b))
	entries = slices.DeleteFunc(entries, func(e tarEntry) bool { return e.name == "manifest.json" })
	item := func(im image, tags ...string) dockerItem {
		return dockerItem{Config: im.m.Config.Digest.Hex + ".json", RepoTags: tags, Layers: []string{im.d.Digest.Hex + "-0/layer.tar"}}
	}
	path := newArchive(t, append(entries, manifestJSON(t, item(a, "a:1"), item(b, "b:1", "twice"), item(a, "twice")))...)
	wantDocker(t, openDocker(t, path+":a:1"), a, types.DockerUncompressedLayer, a.tars)
	wantDocker(t, openDocker(t, path+":b:1"), b, types.DockerUncompressedLayer, b.tars)
	for _, tc := range []struct {
		ref  string
		kind error
		text string
	}{
		{"", remote.ErrReference, "3 images: say which one, as in docker-archive:FILE:NAME:TAG, docker-archive:FILE:@N (from @0 on) or docker-archive:FILE@DIGEST (there are: a:1, b:1, twice)"},
		{":c", remote.ErrNotFound, "no image of that name; there are: a:1, b:1, twice"},
		{":twice", remote.ErrContent, "2 images of that name: say which one"},
		{":@3", remote.ErrNotFound, "no image @3 but 3 images"},
		{":@x", remote.ErrReference, "@x is neither the number of an image nor a digest"},
		{":@-1", remote.ErrReference, "neither the number"},
		{"@sha256:" + someHex, remote.ErrNotFound, "no image of that digest; there are: a:1, b:1, twice"},
		{":", remote.ErrReference, "no tag follows the colon"},
	} {
		_, err := remote.Open(t.Context(), "docker-archive:"+path+tc.ref, remote.Options{})
		if !errors.Is(err, tc.kind) {
			t.Errorf("%q: got %v, want %v", tc.ref, err, tc.kind)
		}
		wantTexts(t, err, tc.text)
	}
}

// TestDockerArchiveWithoutNames: images that have no name are chosen by their
// number, as skopeo does, or by the digest of the manifest.
func TestDockerArchiveWithoutNames(t *testing.T) {
	images := []image{newImage(t, "a", 1), newImage(t, "b", 2)}
	var entries []tarEntry
	var items []dockerItem
	for _, im := range images {
		item := dockerItem{Config: im.m.Config.Digest.Hex + ".json"}
		for i := range im.tars {
			item.Layers = append(item.Layers, fmt.Sprintf("%s-%d/layer.tar", im.d.Digest.Hex, i))
		}
		items = append(items, item)
		entries = append(entries, slices.DeleteFunc(oldStyle(t, im), func(e tarEntry) bool { return e.name == "manifest.json" })...)
	}
	path := newArchive(t, append(entries, manifestJSON(t, items...))...)
	_, err := remote.Open(t.Context(), "docker-archive:"+path, remote.Options{})
	wantTexts(t, err, "docker-archive:FILE:@N (from @0 on) or docker-archive:FILE@DIGEST (there are: @0, @1)")
	for i, im := range images {
		numbered := openDocker(t, fmt.Sprintf("%s:@%d", path, i))
		d := wantDocker(t, numbered, im, types.DockerUncompressedLayer, im.tars)
		for _, rest := range []string{path + "@" + d.Digest.String(), strings.TrimPrefix(numbered.Repo.Name(), "docker-archive:") + "@" + d.Digest.String()} {
			again := wantDocker(t, openDocker(t, rest), im, types.DockerUncompressedLayer, im.tars)
			if again.Digest != d.Digest {
				t.Errorf("%s gives %s", rest, again.Digest)
			}
		}
	}
}

// TestDockerArchiveReadsLayersOnce: a layer that is listed many times is read
// once, as long as it may be.
func TestDockerArchiveReadsLayersOnce(t *testing.T) {
	id, _ := blob("")
	layer := tarEntry{name: "layer.tar", content: "\x1f\x8b" + strings.Repeat("x", 1<<20)}
	asked := func(times int) (n int) {
		config := fmt.Sprintf(`{"rootfs":{"diff_ids":[%q%s]}}`, id.Digest, strings.Repeat(fmt.Sprintf(",%q", id.Digest), times-1))
		item := dockerItem{Config: "c.json", Layers: slices.Repeat([]string{layer.name}, times)}
		path := newArchive(t, layer, tarEntry{name: "c.json", content: config}, manifestJSON(t, item))
		ctx := hookCtx{Context: t.Context(), err: func() { n++ }}
		if _, err := remote.Open(ctx, "docker-archive:"+path, remote.Options{}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// Every read of a layer asks the context.
	if once, often := asked(1), asked(20); once < 20 || often != once {
		t.Errorf("%d reads for one layer, %d for the same 20 times", once, often)
	}
}

func TestDockerArchiveRefuses(t *testing.T) {
	im := newImage(t, "x", 2)
	good := oldStyle(t, im, "x:1")
	without := func(name string) []tarEntry {
		return slices.DeleteFunc(slices.Clone(good), func(e tarEntry) bool { return e.name == name })
	}
	with := func(e tarEntry) []tarEntry { return append(slices.Clone(good), e) }
	config := im.m.Config.Digest.Hex + ".json"
	layer := im.d.Digest.Hex + "-0/layer.tar"
	for name, tc := range map[string]struct {
		entries []tarEntry
		kind    error
		text    string
	}{
		"no manifest.json":  {without("manifest.json"), remote.ErrNotFound, "manifest.json is not in the archive"},
		"an OCI layout":     {emptyArchive, remote.ErrNotFound, "open it as oci-archive:FILE"},
		"damaged":           {with(tarEntry{name: "manifest.json", content: "{"}), remote.ErrContent, "manifest.json"},
		"no images":         {with(tarEntry{name: "manifest.json", content: "[]"}), remote.ErrNotFound, "no images"},
		"no config":         {without(config), remote.ErrNotFound, config},
		"damaged config":    {with(tarEntry{name: config, content: "x"}), remote.ErrContent, config},
		"no layer":          {without(layer), remote.ErrNotFound, `layer 1, "` + layer},
		"a link to nothing": {without("elsewhere/layer.tar"), remote.ErrNotFound, "layer 2"},
		"a link outside":    {with(tarEntry{name: layer, link: "../../../etc/passwd"}), remote.ErrNotFound, "layer 1"},
		"too few layers":    {with(manifestJSON(t, dockerItem{Config: config, Layers: []string{layer}})), remote.ErrContent, "lists 1 layers, the config has the diff IDs of 2"},
		"a bad diff ID":     {with(tarEntry{name: config, content: `{"rootfs":{"diff_ids":["x","../y"]}}`}), remote.ErrContent, "diff ID"},
		"an xz layer":       {with(tarEntry{name: layer, content: "\xfd7zXZ\x00xxx"}), remote.ErrContent, "compressed with xz"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := remote.Open(t.Context(), "docker-archive:"+newArchive(t, tc.entries...), remote.Options{})
			if !errors.Is(err, tc.kind) {
				t.Errorf("got %v, want %v", err, tc.kind)
			}
			wantTexts(t, err, tc.text)
		})
	}
	_, err := remote.Open(t.Context(), "oci-archive:"+newArchive(t, good...), remote.Options{})
	wantTexts(t, err, "open it as docker-archive:FILE")
}

// TestDockerArchiveOddLayer: a tar is not taken for compressed because of the
// name of its first file.
func TestDockerArchiveOddLayer(t *testing.T) {
	im := newImage(t, "x", 1)
	content := string(tarBytes(t, tarEntry{name: "BZh9", content: "x"}))
	id, _ := blob(content)
	path := newArchive(t,
		tarEntry{name: "c.json", content: fmt.Sprintf(`{"rootfs":{"diff_ids":[%q]}}`, id.Digest)},
		tarEntry{name: "./a/layer.tar", content: content},
		manifestJSON(t, dockerItem{Config: "./c.json", Layers: []string{"a/layer.tar"}}))
	if got, err := openDocker(t, path).Repo.BlobBytes(t.Context(), id, 1<<20); err != nil || string(got) != content {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	_, err := openDocker(t, path).Repo.BlobBytes(t.Context(), im.m.Config, 1<<20)
	if !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("another blob: %v, want ErrNotFound", err)
	}
}

// TestDockerArchiveLies: a layer that is not what its diff ID says opens, and
// gives an error where it is read.
func TestDockerArchiveLies(t *testing.T) {
	im := newImage(t, "x", 1)
	layer := im.d.Digest.Hex + "-0/layer.tar"
	path := newArchive(t, append(oldStyle(t, im), tarEntry{name: layer, content: strings.Repeat("x", len(im.tars[0]))})...)
	repo := openDocker(t, path).Repo
	d, _ := blob(string(im.tars[0]))
	_, err := repo.BlobBytes(t.Context(), d, 1<<20)
	wantContentError(t, "BlobBytes", err)
}

func TestDockerArchiveReadOnly(t *testing.T) {
	im := newImage(t, "x", 1)
	path := newArchive(t, oldStyle(t, im, "x:1")...)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	repo := openDocker(t, path).Repo
	d, raw := manifest("new")
	for name, err := range map[string]error{
		"CheckPush": repo.CheckPush(t.Context()),
		"PushBlob":  repo.PushBlob(t.Context(), d, raw),
		"Tag":       repo.Tag(t.Context(), "v1", d, raw, ""),
		"CopyBlob":  repo.CopyBlob(t.Context(), im.m.Layers[0], source{data: im.layers[0]}),
	} {
		if err == nil || !strings.Contains(err.Error(), "can only be read: write to another place with --to") {
			t.Errorf("%s: %v", name, err)
		}
	}
	flush(t, repo)
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, before) {
		t.Errorf("the archive has changed: %v", err)
	}
	_, err = remote.OpenTarget(t.Context(), "docker-archive:"+path, remote.Options{})
	if !errors.Is(err, remote.ErrReference) {
		t.Errorf("as a target: %v, want ErrReference", err)
	}
	wantTexts(t, err, "can only be read", "oci-archive:FILE")
	_, err = remote.Open(t.Context(), "docker-archive:"+path+".no:x:1", remote.Options{})
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}
