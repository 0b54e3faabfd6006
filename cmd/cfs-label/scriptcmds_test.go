// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"
)

// The commands of the scripts. What a command prints, stdout and cmp see.

func hubOf(ts *testscript.TestScript) *hub { return ts.Value(hubKey{}).(*hub) }

// want fails unless there are from least to most arguments.
func want(ts *testscript.TestScript, args []string, least, most int, usage string) {
	if len(args) < least || len(args) > most {
		ts.Fatalf("usage: %s", usage)
	}
}

// unlimited is a number of arguments that no script has.
const unlimited = 1 << 10

// cmdStatus runs a program that must end with the exit status.
func cmdStatus(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, unlimited, "status N PROGRAM ARG...")
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != status {
		ts.Fatalf("exit status %d, want %d\nstdout: %sstderr: %s", got, status, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// cmdKeep puts the last output into an environment variable.
func cmdKeep(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, 1, "keep VARIABLE")
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// cmdReference puts the reference's digest of a vector into a variable.
func cmdReference(ts *testscript.TestScript, args []string) {
	want(ts, args, 4, 6, "reference VARIABLE CASE FORMAT ALGORITHM [XATTRS [bootable]]")
	xattrs := "allowlist-only"
	if len(args) > 4 {
		xattrs = args[4]
	}
	bootable := len(args) > 5
	data, err := os.ReadFile(filepath.Join(ts.Getenv("VECTORS"), args[1], "expected.json"))
	ts.Check(err)
	var v struct {
		Results []struct {
			EROFS, Hash, Xattrs, Digest string
			Bootable                    bool
		}
	}
	ts.Check(json.Unmarshal(data, &v))
	for _, r := range v.Results {
		if r.Bootable == bootable && r.EROFS == args[2] && r.Hash == args[3] && r.Xattrs == xattrs && r.Digest != "" {
			ts.Setenv(args[0], r.Digest)
			return
		}
	}
	ts.Fatalf("the vector has no such digest")
}

// layoutImage opens an image of a layout by its tag. A name without a slash is
// that of a vector.
func layoutImage(ts *testscript.TestScript, ref string) v1.Image {
	dir, tag, _ := strings.Cut(ref, ":")
	tag = cmp.Or(tag, "latest")
	if !strings.Contains(dir, "/") {
		dir = filepath.Join(ts.Getenv("VECTORS"), dir, "oci")
	}
	index, err := layout.ImageIndexFromPath(ts.MkAbs(dir))
	ts.Check(err)
	m, err := index.IndexManifest()
	ts.Check(err)
	for _, d := range m.Manifests {
		if d.Annotations["org.opencontainers.image.ref.name"] == tag {
			img, err := index.Image(d.Digest)
			ts.Check(err)
			return img
		}
	}
	ts.Fatalf("%s has no tag %s", dir, tag)
	return nil
}

func parseName(ts *testscript.TestScript, text string) name.Reference {
	ref, err := name.ParseReference(text)
	ts.Check(err)
	return ref
}

// cmdPush pushes an image of a layout. With a platform, its config says that
// it is for that one.
func cmdPush(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 3, "push LAYOUT[:TAG] NAME:TAG [PLATFORM]")
	img := layoutImage(ts, args[0])
	if len(args) == 3 {
		p, err := v1.ParsePlatform(args[2])
		ts.Check(err)
		c, err := img.ConfigFile()
		ts.Check(err)
		c = c.DeepCopy()
		c.OS, c.Architecture, c.Variant = p.OS, p.Architecture, p.Variant
		img, err = mutate.ConfigFile(img, c)
		ts.Check(err)
	}
	ts.Check(ggcr.Write(parseName(ts, args[1]), img, ggcr.WithTransport(hubOf(ts))))
}

// text is a manifest as it is written.
type text struct {
	raw       []byte
	mediaType types.MediaType
}

func (t text) RawManifest() ([]byte, error)        { return t.raw, nil }
func (t text) MediaType() (types.MediaType, error) { return t.mediaType, nil }

func put(ts *testscript.TestScript, to string, t text) {
	ts.Check(ggcr.Put(parseName(ts, to), t, ggcr.WithTransport(hubOf(ts))))
}

func get(ts *testscript.TestScript, from string) *ggcr.Descriptor {
	d, err := ggcr.Get(parseName(ts, from), ggcr.WithTransport(hubOf(ts)))
	ts.Check(err)
	return d
}

// cmdPut pushes a file as a manifest.
func cmdPut(ts *testscript.TestScript, args []string) {
	want(ts, args, 3, 3, "put NAME:TAG MEDIATYPE FILE")
	put(ts, args[0], text{[]byte(ts.ReadFile(args[2])), types.MediaType(args[1])})
}

// cmdIndex pushes an index of images that the repository has.
func cmdIndex(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, unlimited, "index NAME:TAG PLATFORM=TAG...")
	m := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for _, child := range args[1:] {
		platform, tag, _ := strings.Cut(child, "=")
		d := get(ts, parseName(ts, args[0]).Context().Tag(tag).Name()).Descriptor
		p, err := v1.ParsePlatform(platform)
		ts.Check(err)
		d.Platform = p
		m.Manifests = append(m.Manifests, d)
	}
	raw, err := json.MarshalIndent(m, "", "\t")
	ts.Check(err)
	put(ts, args[0], text{raw, m.MediaType})
}

// cmdManifest prints a manifest or index.
func cmdManifest(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, 1, "manifest NAME:TAG|NAME@DIGEST")
	fmt.Fprintf(ts.Stdout(), "%s\n", get(ts, args[0]).Manifest)
}

// cmdExpand replaces variables in a file.
func cmdExpand(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, 1, "expand FILE")
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// cmdFileenv puts what a file holds into a variable.
func cmdFileenv(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "fileenv NAME FILE")
	ts.Setenv(args[0], ts.ReadFile(args[1]))
}

// cmdTag prints the digest that a tag names.
func cmdTag(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, 1, "tag NAME:TAG")
	fmt.Fprintln(ts.Stdout(), get(ts, args[0]).Digest)
}

// cmdTags prints all tags of the registry and what they name.
func cmdTags(ts *testscript.TestScript, args []string) {
	want(ts, args, 0, 0, "tags")
	registry, err := name.NewRegistry(ts.Getenv("REGISTRY"))
	ts.Check(err)
	repos, err := ggcr.Catalog(context.Background(), registry, ggcr.WithTransport(hubOf(ts)))
	ts.Check(err)
	var lines []string
	for _, repo := range repos {
		tags, err := ggcr.List(registry.Repo(repo), ggcr.WithTransport(hubOf(ts)))
		ts.Check(err)
		for _, tag := range tags {
			lines = append(lines, fmt.Sprintf("%s:%s %s\n", repo, tag, get(ts, registry.Repo(repo).Tag(tag).Name()).Digest))
		}
	}
	slices.Sort(lines)
	fmt.Fprint(ts.Stdout(), strings.Join(lines, ""))
}

// cmdLabels prints an image's labels and annotations.
func cmdLabels(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, 1, "labels NAME:TAG|oci:DIR:TAG")
	_ = ts.Stdout() // from here on, what was printed before is gone
	var img v1.Image
	var err error
	if dir, ok := strings.CutPrefix(args[0], "oci:"); ok {
		img = layoutImage(ts, dir)
	} else {
		img, err = get(ts, args[0]).Image()
		ts.Check(err)
	}
	raw, err := img.RawConfigFile()
	ts.Check(err)
	c, err := v1.ParseConfigFile(bytes.NewReader(raw))
	ts.Check(err)
	raw, err = img.RawManifest()
	ts.Check(err)
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	ts.Check(err)
	for _, place := range []struct {
		name   string
		values map[string]string
	}{{"label", c.Config.Labels}, {"config", m.Config.Annotations}, {"manifest", m.Annotations}} {
		for _, key := range slices.Sorted(maps.Keys(place.values)) {
			fmt.Fprintf(ts.Stdout(), "%s %s=%s\n", place.name, key, place.values[key])
		}
	}
}

// cmdPushed compares what was pushed since the last time, as hub.pushed says.
func cmdPushed(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, 1, "pushed none|asked|some")
	h := hubOf(ts)
	if got := h.pushed(); got != args[0] {
		ts.Fatalf("pushed %s, want %s:\n%s", got, args[0], strings.Join(h.requests(), "\n"))
	}
	h.forget()
}

// cmdRequests prints the requests since the last pushed.
func cmdRequests(ts *testscript.TestScript, args []string) {
	want(ts, args, 0, 0, "requests")
	_ = ts.Stdout() // from here on, what was printed before is gone
	for _, r := range hubOf(ts).requests() {
		fmt.Fprintln(ts.Stdout(), r)
	}
}

// cmdSpoil spoils a layer, the lowest being 0.
func cmdSpoil(ts *testscript.TestScript, args []string) {
	want(ts, args, 3, 3, "spoil flipped|cut|gone NAME:TAG LAYER")
	img, err := get(ts, args[1]).Image()
	ts.Check(err)
	m, err := img.Manifest()
	ts.Check(err)
	i, err := strconv.Atoi(args[2])
	ts.Check(err)
	h := hubOf(ts)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.spoiled[m.Layers[i].Digest.String()] = spoiling(args[0])
}

// cmdLogin writes the config file of docker login.
func cmdLogin(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "login USER PASSWORD")
	type auth struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	data, err := json.Marshal(map[string]any{
		"auths": map[string]auth{ts.Getenv("AUTHREGISTRY"): {args[0], args[1]}},
	})
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("DOCKER_CONFIG"), "config.json"), data, 0o600))
}

// cmdFiles prints all files below a directory and their digests.
func cmdFiles(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, 1, "files DIR")
	_ = ts.Stdout() // from here on, what was printed before is gone
	root := os.DirFS(ts.MkAbs(args[0]))
	ts.Check(fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, path)
		fmt.Fprintf(ts.Stdout(), "%s %x\n", path, sha256.Sum256(data))
		return err
	}))
}

// cmdLayout copies the layout of a vector.
func cmdLayout(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "layout CASE DIR")
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(filepath.Join(ts.Getenv("VECTORS"), args[0], "oci"))))
}
