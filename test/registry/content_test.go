// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// A content is what a descriptor names: a blob, a manifest or an index. Its
// bytes are made here, each time the same, so that everything in them is as odd
// as it is meant to be.
type content struct {
	mediaType string
	data      []byte
	refs      []*content // config and layers of a manifest, children of an index
	diffID    string     // of a layer: the digest of its tar stream
	absent    bool       // no registry gets it
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (c *content) digest() string { return digestOf(c.data) }

func (c *content) isManifest() bool {
	t := types.MediaType(c.mediaType)
	return t.IsImage() || t.IsIndex()
}

// descriptor returns a descriptor of it in JSON; more are members besides the
// three that are always there.
func (c *content) descriptor(more ...string) string {
	members := append([]string{
		fmt.Sprintf(`"mediaType":%q`, c.mediaType),
		fmt.Sprintf(`"digest":%q`, c.digest()),
		fmt.Sprintf(`"size":%d`, len(c.data)),
	}, more...)
	return "{" + strings.Join(members, ",") + "}"
}

// embedded is the member data of its descriptor.
func (c *content) embedded() string {
	return fmt.Sprintf(`"data":%q`, base64.StdEncoding.EncodeToString(c.data))
}

// The media types that are used more than once.
const (
	ociConfig   = string(types.OCIConfigJSON)
	ociManifest = string(types.OCIManifestSchema1)
	ociIndex    = string(types.OCIImageIndex)
	ociGzip     = string(types.OCILayer)
	ociZstd     = string(types.OCILayerZStd)
	ociForeign  = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"

	dockerConfig   = string(types.DockerConfigJSON)
	dockerManifest = string(types.DockerManifestSchema2)
	dockerList     = string(types.DockerManifestList)
	dockerGzip     = string(types.DockerLayer)
)

// layerOf returns a layer with a file in it for each path, and with the
// directories above them, without which the reference takes no layer.
func layerOf(mediaType string, paths ...string) *content {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	made := map[string]bool{"": true}
	var mkdir func(dir string)
	mkdir = func(dir string) {
		if dir = strings.Trim(dir, "/."); made[dir] {
			return
		}
		mkdir(path.Dir(dir))
		made[dir] = true
		h := tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: time.Unix(1_700_000_000, 0)}
		mustDo(w.WriteHeader(&h))
	}
	for _, p := range paths {
		mkdir(path.Dir(p))
		text := []byte(strings.Repeat("this is "+p+"\n", 40))
		h := tar.Header{Name: p, Mode: 0o644, Size: int64(len(text)), ModTime: time.Unix(1_700_000_000, 0)}
		mustDo(w.WriteHeader(&h))
		_, err := w.Write(text)
		mustDo(err)
	}
	mustDo(w.Close())
	return &content{mediaType: mediaType, data: compress(mediaType, b.Bytes()), diffID: digestOf(b.Bytes())}
}

// compress compresses as the media type says.
func compress(mediaType string, data []byte) []byte {
	var b bytes.Buffer
	switch {
	case strings.HasSuffix(mediaType, "zstd"):
		w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		mustDo(err)
		return w.EncodeAll(data, nil)
	case strings.HasSuffix(mediaType, "gzip"):
		w := gzip.NewWriter(&b)
		_, err := w.Write(data)
		mustDo(err)
		mustDo(w.Close())
		return b.Bytes()
	}
	return data
}

// mustDo is for what cannot fail, as there is no file and no network.
func mustDo(err error) {
	if err != nil {
		panic(err)
	}
}

// configOf returns a config with that platform, those diff IDs, and an
// ordinary config object.
func configOf(mediaType, os, arch string, layers ...*content) *content {
	ids := make([]string, len(layers))
	for i, l := range layers {
		ids[i] = fmt.Sprintf("%q", l.diffID)
	}
	text := fmt.Sprintf(`{"created":"2023-11-14T22:13:20Z","architecture":%q,"os":%q,`+
		`"config":{"Env":["PATH=/usr/bin"],"Labels":{"org.example.name":"odd"}},`+
		`"rootfs":{"type":"layers","diff_ids":[%s]}}`, arch, os, strings.Join(ids, ","))
	return &content{mediaType: mediaType, data: []byte(text)}
}

// imageOf returns an OCI image for linux/amd64.
func imageOf(layers ...*content) *content {
	return manifestOf(ociManifest, configOf(ociConfig, "linux", "amd64", layers...), layers)
}

// manifestOf returns a manifest of that media type; more are members besides
// those that are always there.
func manifestOf(mediaType string, config *content, layers []*content, more ...string) *content {
	list := make([]string, len(layers))
	for i, l := range layers {
		list[i] = l.descriptor()
		if strings.Contains(l.mediaType, "nondistributable") {
			list[i] = l.descriptor(`"urls":["https://layers.example.com/one"]`)
		}
	}
	members := append([]string{
		`"schemaVersion":2`,
		fmt.Sprintf(`"mediaType":%q`, mediaType),
		`"config":` + config.descriptor(),
		`"layers":[` + strings.Join(list, ",") + `]`,
	}, more...)
	return &content{
		mediaType: mediaType,
		data:      []byte("{" + strings.Join(members, ",") + "}"),
		refs:      append([]*content{config}, layers...),
	}
}

// A child is a content as an index lists it.
type child struct {
	*content
	more []string // further members of its descriptor
}

// platform is the member platform of a descriptor.
func platform(os, arch string) string {
	return fmt.Sprintf(`"platform":{"architecture":%q,"os":%q}`, arch, os)
}

// indexOf returns an index of that media type.
func indexOf(mediaType string, children ...child) *content {
	c := &content{mediaType: mediaType}
	list := make([]string, len(children))
	for i, one := range children {
		list[i] = "\n    " + one.descriptor(one.more...)
		c.refs = append(c.refs, one.content)
	}
	c.data = fmt.Appendf(nil, "{\n  \"schemaVersion\": 2,\n  \"mediaType\": %q,\n  \"manifests\": [%s\n  ]\n}\n",
		mediaType, strings.Join(list, ","))
	return c
}
