// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// dockerFile lists the images of an archive that docker save wrote (Docker image
// specification 1.2, "Combined Image JSON + Filesystem Changeset Format").
const dockerFile = "manifest.json"

// maxDockerConfig is the size of the largest config, in bytes.
const maxDockerConfig = 8 << 20

// dockerArchive shows one image of such an archive as an OCI layout that can
// only be read. The archive has no manifest: it is made, always the same, from
// what there is.
type dockerArchive struct {
	tar   *tarball
	made  map[string][]byte // the files that are not in the archive
	alias map[string]string // the files that are, by their names in the layout
}

// dockerImage is an entry of manifest.json.
type dockerImage struct {
	Config   string   // the name of a file
	RepoTags []string // NAME:TAG
	Layers   []string // the names of files, the lowest first
}

// openDocker opens one image of an archive as docker save, podman save, skopeo
// and crane write it.
func openDocker(ctx context.Context, ref, rest string, o Options) (*Ref, error) {
	file, image, digest, err := cutDocker(ref, rest)
	if err != nil {
		return nil, err
	}
	l := &layout{name: dockerPrefix + file, editor: o.Layout}
	if image != "" {
		l.name += ":" + image
	}
	t, err := openTarball(ctx, file)
	if err != nil {
		return nil, l.fail(opOpen, err)
	}
	d := &dockerArchive{tar: t, alias: make(map[string]string)}
	if err := d.load(ctx, image, digest); err != nil {
		return nil, l.fail(opOpen, err)
	}
	l.files = d
	return &Ref{Repo: l, Digest: digest, text: ref}, nil
}

// manifest makes the manifest of an image, and notes where its blobs are. known
// are the digests of what was read.
func (s *dockerArchive) manifest(ctx context.Context, image dockerImage, known map[extent]v1.Hash) (*v1.Manifest, error) {
	config, err := readStored(s.tar, image.Config, maxDockerConfig)
	if err != nil {
		return nil, fmt.Errorf("config %q: %w", image.Config, err)
	}
	var file struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(config, &file); err != nil {
		return nil, kinded(ErrContent, fmt.Errorf("config %q: %w", image.Config, err))
	}
	ids := file.RootFS.DiffIDs
	if len(ids) != len(image.Layers) {
		return nil, kinded(ErrContent, fmt.Errorf("%s lists %d layers, the config has the diff IDs of %d", dockerFile, len(image.Layers), len(ids)))
	}
	digest, err := hashOf("sha256", config)
	if err != nil {
		return nil, err
	}
	s.alias[blobName(digest)] = image.Config
	m := &v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.DockerManifestSchema2,
		Config:        v1.Descriptor{MediaType: types.DockerConfigJSON, Digest: digest, Size: int64(len(config))},
		Layers:        make([]v1.Descriptor, len(ids)),
	}
	for i, layer := range image.Layers {
		if m.Layers[i], err = s.layer(ctx, layer, ids[i], known); err != nil {
			return nil, fmt.Errorf("layer %d, %q: %w", i+1, layer, err)
		}
		s.alias[blobName(m.Layers[i].Digest)] = layer
	}
	return m, nil
}

// layer returns the descriptor of a layer. The digest of one that is not
// compressed is its diff ID; of others the content is read, once each.
func (s *dockerArchive) layer(ctx context.Context, file, diffID string, known map[extent]v1.Hash) (v1.Descriptor, error) {
	where, ok := s.tar.table.find(file)
	if !ok {
		return v1.Descriptor{}, notInArchive(file)
	}
	id, err := v1.NewHash(diffID)
	if err != nil {
		return v1.Descriptor{}, kinded(ErrContent, fmt.Errorf("its diff ID: %w", err))
	}
	f, err := s.tar.reopen()
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer f.Close()
	content := io.NewSectionReader(f, where.off, where.size)
	format, _, err := compressionOf(content, 0)
	if err != nil {
		return v1.Descriptor{}, err
	}
	d := v1.Descriptor{MediaType: types.DockerUncompressedLayer, Digest: id, Size: where.size}
	switch format {
	case "":
		return d, nil
	case "gzip", "zstd":
		d.MediaType += types.MediaType("." + format)
	default:
		return v1.Descriptor{}, kinded(ErrContent, fmt.Errorf("it is compressed with %s, which images are not", format))
	}
	if d.Digest, ok = known[where]; ok {
		return d, nil
	}
	d.Digest, _, err = v1.SHA256(untilDone(ctx, content))
	known[where] = d.Digest
	return d, err
}

// present makes the layout that has the manifest, of which it returns the digest.
func (s *dockerArchive) present(m *v1.Manifest) (v1.Hash, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return v1.Hash{}, err
	}
	if len(raw) > MaxManifest {
		return v1.Hash{}, tooLarge(MaxManifest)
	}
	digest, err := hashOf("sha256", raw)
	if err != nil {
		return v1.Hash{}, err
	}
	index, err := json.Marshal(v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests:     []v1.Descriptor{{MediaType: m.MediaType, Digest: digest, Size: int64(len(raw))}},
	})
	s.made = map[string][]byte{
		layoutFile: []byte(newLayoutFile), indexFile: index, blobName(digest): raw,
	}
	return digest, err
}

func (s *dockerArchive) open(name string) (io.ReadCloser, int64, error) {
	if b, ok := s.made[name]; ok {
		return inMemory(b)
	}
	file, ok := s.alias[name]
	if !ok {
		return nil, 0, notInArchive(name)
	}
	return s.tar.open(file)
}

// ErrReadOnly is what every attempt to write to a docker-archive gives: the
// manifest is not in the archive, and annotations would have no place.
var ErrReadOnly = errors.New("archives of docker's can only be read: write to another place with --to, or convert it with skopeo copy docker-archive:FILE oci-archive:FILE")

func (s *dockerArchive) put(context.Context, string, []byte) error { return ErrReadOnly }

func (s *dockerArchive) fill(context.Context, string, int64, func(io.Writer) error) error {
	return ErrReadOnly
}

func (s *dockerArchive) lock(context.Context) (func(), error) { return nil, ErrReadOnly }

func (s *dockerArchive) checkWrite() error { return ErrReadOnly }

func (s *dockerArchive) flush(context.Context) error { return nil }

func (s *dockerArchive) close() error { return nil }
