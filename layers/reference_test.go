// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/internal/oracle"
	"github.com/cfs-label/cfs-label/layers"
)

// TestMergeReference: cfsctl sees every case of testdata/merge as the file
// says, and refuses it where the file has an error. So each rule is what hosts
// do, not what we think of it.
func TestMergeReference(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	for _, c := range readCases(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var image referenceImage
			for _, tar := range c.archives {
				image.add(newLayer(tar, tar, layers.Plain), tar)
			}
			got, refused := image.dump(t, cfsctl)
			want, hasDump := c.want["want.dump"]
			_, hasErr := c.want["want.err"]
			switch {
			case hasErr && refused == nil:
				t.Errorf("%s\ncfsctl has no error, and says\n%s", c.text.Comment, got)
			case hasDump && refused != nil:
				t.Errorf("%s\ncfsctl refuses it: %v", c.text.Comment, refused)
			case hasDump:
				if diff := cmp.Diff(strings.Split(got, "\n"), strings.Split(want, "\n")); diff != "" {
					t.Errorf("%s\n-cfsctl +want.dump:\n%s", c.text.Comment, diff)
				}
			}
		})
	}
}

// referenceImage is an image to ask cfsctl about.
type referenceImage struct {
	blobs   [][]byte
	layers  []descriptor
	diffIDs []string
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

const mediaTypeLayer = "application/vnd.oci.image.layer.v1.tar"

var mediaTypes = map[layers.Compression]string{
	layers.Plain: mediaTypeLayer, layers.Gzip: mediaTypeLayer + "+gzip", layers.Zstd: mediaTypeLayer + "+zstd",
}

func (i *referenceImage) add(l layers.Layer, blob []byte) {
	i.diffIDs = append(i.diffIDs, l.DiffID.String())
	i.layers = append(i.layers, i.blob(mediaTypes[l.Compression], blob))
}

func (i *referenceImage) blob(mediaType string, blob []byte) descriptor {
	i.blobs = append(i.blobs, blob)
	return descriptor{MediaType: mediaType, Digest: hashOf(blob).String(), Size: len(blob)}
}

// write makes an OCI layout of the image.
func (i *referenceImage) write(t *testing.T, dir string) {
	t.Helper()
	file := func(name string, content []byte) {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	encode := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	config := i.blob("application/vnd.oci.image.config.v1+json", encode(map[string]any{
		"architecture": "amd64", "os": "linux", "config": struct{}{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": i.diffIDs},
	}))
	manifest := i.blob("application/vnd.oci.image.manifest.v1+json", encode(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": config, "layers": i.layers,
	}))
	manifest.Annotations = map[string]string{"org.opencontainers.image.ref.name": "latest"}
	for _, blob := range i.blobs {
		file("blobs/sha256/"+hashOf(blob).Hex, blob)
	}
	file("index.json", encode(map[string]any{"schemaVersion": 2, "manifests": []descriptor{manifest}}))
	file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
}

// dump returns what cfsctl says of the image, or why it refuses it.
func (i *referenceImage) dump(t *testing.T, cfsctl string) (dump string, refused error) {
	t.Helper()
	layout, repository := t.TempDir(), filepath.Join(t.TempDir(), "repository")
	i.write(t, layout)
	run := func(args ...string) (string, error) {
		command := exec.CommandContext(t.Context(), cfsctl, append([]string{"--repo", repository}, args...)...)
		var stdout, stderr bytes.Buffer
		command.Stdout, command.Stderr = &stdout, &stderr
		if err := command.Run(); err != nil {
			return "", errors.Join(err, errors.New(strings.TrimSpace(stderr.String())))
		}
		return stdout.String(), nil
	}
	if _, err := run("init", "--insecure", "--algorithm", "fsverity-sha256-12"); err != nil {
		t.Fatal(err)
	}
	if _, err := run("oci", "pull", "oci:"+layout+":latest", "c"); err != nil {
		return "", err
	}
	return run("oci", "dump", "c", "--xattrs", "keep-user-xattrs")
}
