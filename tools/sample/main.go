// SPDX-License-Identifier: Apache-2.0

// Command sample writes the image that cfs-label demo embeds: an OCI layout of
// three small layers that show what a merge has to do. Run it as
//
//	go run . ../../cmd/cfs-label/sample
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"
)

// entry is a tar entry of a layer.
type entry struct {
	name, data, link string
	mode             int64
	kind             byte
}

func dir(name string) entry { return entry{name: name + "/", mode: 0o755, kind: tar.TypeDir} }

func file(name, data string, mode int64) entry {
	return entry{name: name, data: data, mode: mode, kind: tar.TypeReg}
}

func symlink(name, to string) entry {
	return entry{name: name, link: to, mode: 0o777, kind: tar.TypeSymlink}
}

func hardlink(name, to string) entry {
	return entry{name: name, link: to, mode: 0o644, kind: tar.TypeLink}
}

const script = `#!/bin/sh
# Says hello. It is longer than 64 bytes, so composefs keeps it as an object of
# its own, which the kernel checks against the digest in the image.
echo "hello from a sealed image"
`

// layers: a base, an application on top, and a layer that removes something.
var layers = [][]entry{
	{
		dir("usr"), dir("usr/bin"), dir("usr/lib"), dir("etc"), dir("run"), dir("tmp"), dir("var"), dir("var/cache"),
		symlink("bin", "usr/bin"),
		symlink("lib", "usr/lib"),
		file("usr/lib/os-release", "NAME=Sample\nID=sample\nVERSION_ID=1\n", 0o644),
		symlink("etc/os-release", "../usr/lib/os-release"),
		file("etc/hostname", "sample\n", 0o644),
		file("var/cache/packages", "nobody needs this\n", 0o644),
		file("run/leftover", "what is in /run does not count\n", 0o644),
	},
	{
		dir("usr"), dir("usr/bin"), dir("usr/share"), dir("usr/share/doc"),
		file("usr/bin/hello", script, 0o755),
		hardlink("usr/bin/hallo", "usr/bin/hello"),
		file("usr/share/doc/hello", "hello - say hello\n", 0o644),
	},
	{
		dir("var"), dir("var/cache"),
		file("var/cache/.wh.packages", "", 0o644),
	},
}

var built = time.Unix(1735689600, 0).UTC() // 2025-01-01

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: sample DIR")
	}
	if err := write(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func write(out string) error {
	if err := os.RemoveAll(filepath.Join(out, "blobs")); err != nil {
		return err
	}
	var diffIDs []string
	var list []descriptor
	for _, entries := range layers {
		archive, err := pack(entries)
		if err != nil {
			return err
		}
		diffIDs = append(diffIDs, digest(archive))
		d, err := blob(out, "application/vnd.oci.image.layer.v1.tar+gzip", squeeze(archive))
		if err != nil {
			return err
		}
		list = append(list, d)
	}
	config, err := jsonBlob(out, "application/vnd.oci.image.config.v1+json", map[string]any{
		"created":      built.Format(time.RFC3339),
		"architecture": "amd64",
		"os":           "linux",
		"config":       map[string]any{"Cmd": []string{"/usr/bin/hello"}, "Labels": map[string]string{"org.opencontainers.image.title": "sample"}},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	if err != nil {
		return err
	}
	manifest, err := jsonBlob(out, "application/vnd.oci.image.manifest.v1+json", map[string]any{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.manifest.v1+json",
		"config":        config,
		"layers":        list,
	})
	if err != nil {
		return err
	}
	manifest.Annotations = map[string]string{"org.opencontainers.image.ref.name": "latest"}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{manifest}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "index.json"), append(index, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`+"\n"), 0o644)
}

func pack(entries []entry) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{
			Typeflag: e.kind, Name: e.name, Linkname: e.link, Mode: e.mode,
			Size: int64(len(e.data)), ModTime: built, Format: tar.FormatUSTAR,
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(e.data)); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

func squeeze(data []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
	_, _ = w.Write(data)                                  // a buffer takes all
	_ = w.Close()
	return b.Bytes()
}

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

func jsonBlob(out, mediaType string, v any) (descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	return blob(out, mediaType, data)
}

func blob(out, mediaType string, data []byte) (descriptor, error) {
	d := descriptor{MediaType: mediaType, Digest: digest(data), Size: len(data)}
	folder := filepath.Join(out, "blobs", "sha256")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return d, err
	}
	return d, os.WriteFile(filepath.Join(folder, d.Digest[len("sha256:"):]), data, 0o644)
}
