// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Names that a seal writes (the composefs sealing specification; the product's
// own README for the last two).
const (
	labelKey        = "containers.composefs.fsverity"
	mergedKey       = "composefs.merged.erofs.v1.fsverity-%s-12"
	configKey       = "composefs.config.fsverity-%s-12"
	manifestKey     = "composefs.manifest.fsverity-%s-12"
	composefsPrefix = "composefs."
	ownPrefix       = "io.github.cfs-label."
	artifactType    = "application/vnd.composefs.metadata.v1"
	attestedKey     = "vnd.docker.reference.digest"
)

// digests are those that an image must have.
type digests struct {
	label string            // the first of those that were asked for
	v1    map[string]string // by algorithm: those of format V1
}

// sealCheck compares what was sealed with what it was before.
type sealCheck struct {
	b           *backing
	repo        string // where the sealed image is
	want        map[v1.Hash]digests
	label       bool
	annotations bool
}

// doc is JSON with numbers as they are written.
type doc = map[string]any

func decode(raw []byte) (doc, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var d doc
	err := dec.Decode(&d)
	return d, err
}

// object is d[key], nil if there is none.
func child(d doc, key string) doc {
	c, _ := d[key].(doc)
	return c
}

// cut removes the keys that a seal may write from an object in d, and the object
// if nothing is left in it: a seal may have made it. It returns what it removed.
func cut(d doc, key string, is func(string) bool) map[string]string {
	removed := map[string]string{}
	inner := child(d, key)
	for k, v := range inner {
		if is(k) {
			removed[k], _ = v.(string)
			delete(inner, k)
		}
	}
	if len(inner) == 0 {
		delete(d, key)
	}
	return removed
}

func isAnnotation(key string) bool {
	return strings.HasPrefix(key, composefsPrefix) || strings.HasPrefix(key, ownPrefix)
}

// object fails unless now is before, sealed: everything that had to change did,
// and nothing else.
func (c *sealCheck) object(before, now object) error {
	if before.desc.MediaType != now.desc.MediaType {
		return fmt.Errorf("%s was a %s and is a %s", before.desc.Digest, before.desc.MediaType, now.desc.MediaType)
	}
	if before.desc.MediaType.IsIndex() {
		return c.index(before, now)
	}
	want, ok := c.want[before.desc.Digest]
	if !ok {
		return fmt.Errorf("nobody knows the digests of %s", before.desc.Digest)
	}
	if err := c.image(before, now, want); err != nil {
		return fmt.Errorf("%s, sealed as %s: %w", before.desc.Digest, now.desc.Digest, err)
	}
	return nil
}

func (c *sealCheck) image(before, now object, want digests) error {
	was, err := decode(before.raw)
	if err != nil {
		return err
	}
	is, err := decode(now.raw)
	if err != nil {
		return err
	}
	wasConfig, isConfig := child(was, "config"), child(is, "config")
	config, err := c.config(wasConfig, isConfig, want)
	if err != nil {
		return err
	}
	annotations := cut(is, "annotations", isAnnotation)
	onConfig := cut(isConfig, "annotations", isAnnotation)
	for _, key := range []string{"digest", "size"} {
		delete(wasConfig, key)
		delete(isConfig, key)
	}
	if !reflect.DeepEqual(was, is) {
		return fmt.Errorf("the manifest was changed elsewhere:\n%v\n%v", was, is)
	}
	if !c.annotations || strings.Contains(string(now.desc.MediaType), "docker") {
		if len(annotations)+len(onConfig) > 0 {
			return fmt.Errorf("it has the annotations %v %v", annotations, onConfig)
		}
		return nil
	}
	for alg, digest := range want.v1 {
		if got := annotations[fmt.Sprintf(mergedKey, alg)]; got != digest {
			return fmt.Errorf("the %s annotation is %q, not %s", alg, got, digest)
		}
		if got := onConfig[fmt.Sprintf(configKey, alg)]; alg == "sha512" && got != measure(config) {
			return fmt.Errorf("the annotation of the config is %q, not %s", got, measure(config))
		}
	}
	return nil
}

// config compares the two configs and returns the sealed one.
func (c *sealCheck) config(wasDesc, isDesc doc, want digests) ([]byte, error) {
	before, err := c.configOf(sourceRepo, wasDesc)
	if err != nil {
		return nil, err
	}
	now, err := c.configOf(c.repo, isDesc)
	if err != nil {
		return nil, err
	}
	was, err := decode(before)
	if err != nil {
		return nil, err
	}
	is, err := decode(now)
	if err != nil {
		return nil, err
	}
	inner := child(is, "config")
	labels := cut(inner, "Labels", func(k string) bool { return k == labelKey })
	if inner != nil && len(inner) == 0 && child(was, "config") == nil {
		delete(is, "config")
	}
	if !reflect.DeepEqual(was, is) {
		return nil, fmt.Errorf("the config was changed elsewhere:\n%s\n%s", before, now)
	}
	if c.label && labels[labelKey] != want.label {
		return nil, fmt.Errorf("the label is %q, not %s", labels[labelKey], want.label)
	}
	if !c.label && !bytes.Equal(before, now) {
		return nil, errors.New("the config was changed")
	}
	return now, nil
}

func (c *sealCheck) configOf(repo string, desc doc) ([]byte, error) {
	text, _ := desc["digest"].(string)
	content, ok := c.b.blobs.get(repo, text)
	if !ok {
		return nil, fmt.Errorf("no config %s", text)
	}
	return content, nil
}

// index compares two indexes: same order, same descriptors but for digest and
// size of the images, and attestations follow theirs.
func (c *sealCheck) index(before, now object) error {
	var wasList, isList v1.IndexManifest
	if err := errors.Join(json.Unmarshal(before.raw, &wasList), json.Unmarshal(now.raw, &isList)); err != nil {
		return err
	}
	if len(wasList.Manifests) != len(isList.Manifests) {
		return fmt.Errorf("the index had %d manifests and has %d", len(wasList.Manifests), len(isList.Manifests))
	}
	moved := map[string]string{}
	for i, d := range wasList.Manifests {
		moved[d.Digest.String()] = isList.Manifests[i].Digest.String()
		if d.Platform.OS == "unknown" {
			continue // its digest is compared below
		}
		was, err := c.b.child(sourceRepo, d)
		if err != nil {
			return err
		}
		is, err := c.b.child(c.repo, isList.Manifests[i])
		if err != nil {
			return err
		}
		if err := c.object(was, is); err != nil {
			return err
		}
	}
	return sameIndex(before.raw, now.raw, moved)
}

// sameIndex compares the texts of two indexes.
func sameIndex(before, now []byte, moved map[string]string) error {
	was, err := decode(before)
	if err != nil {
		return err
	}
	is, err := decode(now)
	if err != nil {
		return err
	}
	wasList, _ := was["manifests"].([]any)
	isList, _ := is["manifests"].([]any)
	for i := range wasList {
		w, _ := wasList[i].(doc)
		n, _ := isList[i].(doc)
		if child(w, "platform")["os"] != "unknown" {
			for _, key := range []string{"digest", "size"} {
				delete(w, key)
				delete(n, key)
			}
			continue
		}
		if about, ok := child(w, "annotations")[attestedKey].(string); ok {
			child(w, "annotations")[attestedKey] = moved[about]
		}
	}
	if !reflect.DeepEqual(was, is) {
		return fmt.Errorf("the index was changed elsewhere:\n%v\n%v", was, is)
	}
	return nil
}

// measure returns the SHA-512 fs-verity digest of a file of one block of 4096
// bytes at most (Linux, Documentation/filesystems/fsverity.rst, "fs-verity
// descriptor"): the hash of one block is the root hash.
func measure(file []byte) string {
	const block = 4096
	if len(file) > block {
		return "(not computed: the file has more than one block)"
	}
	padded := make([]byte, block)
	copy(padded, file)
	root := sha512.Sum512(padded)
	descriptor := make([]byte, 256)
	descriptor[0], descriptor[1], descriptor[2] = 1, 2, 12 // version, SHA-512, log2 of the block size
	binary.LittleEndian.PutUint64(descriptor[8:], uint64(len(file)))
	copy(descriptor[16:], root[:])
	sum := sha512.Sum512(descriptor)
	return hex.EncodeToString(sum[:])
}
