// SPDX-License-Identifier: Apache-2.0

package stackgen

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Tag is the name of the image in the layouts that Write makes.
const Tag = "latest"

// A descriptor is what the image specification calls so.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type rootfs struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type config struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	Config       struct{} `json:"config"`
	RootFS       rootfs   `json:"rootfs"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	Manifests     []descriptor `json:"manifests"`
}

// Write makes an OCI image layout of the stack in dir, which it creates. The
// digests in it are right even where the stack has a fault.
func (s Stack) Write(dir string) error {
	l := layout{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	image := manifest{SchemaVersion: 2, MediaType: "application/vnd.oci.image.manifest.v1+json", Layers: []descriptor{}}
	filesystem := rootfs{Type: "layers", DiffIDs: []string{}}
	var tar []byte
	for _, layer := range s.Layers {
		if !layer.Same || tar == nil {
			tar = layer.Tar()
		}
		blob, err := layer.Compression.compress(tar)
		if err != nil {
			return err
		}
		filesystem.DiffIDs = append(filesystem.DiffIDs, digest(tar))
		image.Layers = append(image.Layers, l.blob(layer.Compression.mediaType(), blob))
	}
	image.Config = l.json("application/vnd.oci.image.config.v1+json",
		config{Architecture: "amd64", OS: "linux", RootFS: filesystem})
	top := l.json(image.MediaType, image)
	top.Annotations = map[string]string{"org.opencontainers.image.ref.name": Tag}
	l.file("index.json", l.marshal(index{SchemaVersion: 2, Manifests: []descriptor{top}}))
	l.file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return l.err
}

// A layout writes files and keeps the first error.
type layout struct {
	dir string
	err error
}

func (l *layout) file(name string, content []byte) {
	if l.err == nil {
		l.err = os.WriteFile(filepath.Join(l.dir, name), content, 0o644)
	}
}

func (l *layout) blob(mediaType string, content []byte) descriptor {
	name := digest(content)
	l.file(filepath.Join("blobs", "sha256", name[len("sha256:"):]), content)
	return descriptor{MediaType: mediaType, Digest: name, Size: len(content)}
}

func (l *layout) json(mediaType string, v any) descriptor { return l.blob(mediaType, l.marshal(v)) }

func (l *layout) marshal(v any) []byte {
	content, err := json.Marshal(v)
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("marshal: %w", err)
	}
	return content
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
