// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
)

// A layout is an OCI image layout in the making.
type layout struct{ dir string }

func (l layout) blobs() string { return filepath.Join(l.dir, "blobs", "sha256") }

type object = map[string]any

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+"
)

// finish writes all but the layers, which are there.
func (l layout) finish(c codec, made []layer) error {
	var diffIDs []string
	var layers []object
	for _, m := range made {
		diffIDs = append(diffIDs, m.diffID)
		layers = append(layers, object{"mediaType": layerType + c.String(), "digest": m.blobs[c].digest, "size": m.blobs[c].size})
	}
	config, err := l.blob(configType, object{
		"architecture": "amd64", "os": "linux", "config": object{},
		"rootfs": object{"type": "layers", "diff_ids": diffIDs},
	})
	if err != nil {
		return err
	}
	manifest, err := l.blob(manifestType, object{
		"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": layers,
	})
	if err != nil {
		return err
	}
	manifest["annotations"] = object{"org.opencontainers.image.ref.name": "latest"}
	index, err := json.Marshal(object{"schemaVersion": 2, "manifests": []object{manifest}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(l.dir, "index.json"), index, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}

// blob writes v as JSON and returns its descriptor.
func (l layout) blob(mediaType string, v object) (object, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	name := hex.EncodeToString(sum[:])
	d := object{"mediaType": mediaType, "digest": "sha256:" + name, "size": len(content)}
	return d, os.WriteFile(filepath.Join(l.blobs(), name), content, 0o644)
}
