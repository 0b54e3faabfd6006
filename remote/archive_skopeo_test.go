// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/internal/oracle"
	"github.com/cfs-label/cfs-label/remote"
)

// skopeo returns a function that runs skopeo, with a policy that allows it, and
// returns what it says.
func skopeo(t *testing.T) func(args ...string) []byte {
	t.Helper()
	program := oracle.Require(t, "skopeo")
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.json")
	writeFile(t, policy, `{"default":[{"type":"insecureAcceptAnything"}]}`)
	return func(args ...string) []byte {
		t.Helper()
		all := append([]string{"--policy", policy, "--tmpdir", dir}, args...)
		return runProgram(t, program, all...)
	}
}

func runProgram(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, args...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// TestSkopeoReadsOurs: a new archive, and one of skopeo's that we have added to,
// are read by skopeo, tar and umoci.
func TestSkopeoReadsOurs(t *testing.T) {
	run := skopeo(t)
	dir := t.TempDir()
	im, second := newImage(t, "x", 3), newImage(t, "y", 2)
	layout, fresh, theirs := filepath.Join(dir, "layout"), filepath.Join(dir, "fresh.tar"), filepath.Join(dir, "theirs.tar")
	im.pushTo(t, openTarget(t, "oci:"+layout).Repo, "v1")
	repo := openTarget(t, "oci-archive:"+fresh).Repo
	im.pushTo(t, repo, "v1")
	flush(t, repo)
	run("copy", "oci:"+layout+":v1", "oci-archive:"+theirs+":v1")
	before := entriesOf(t, theirs)
	for i, path := range []string{fresh, theirs} {
		if got := run("inspect", "--raw", "oci-archive:"+path+":v1"); !bytes.Equal(got, im.raw) {
			t.Errorf("archive %d: skopeo reads %s, want %s", i, got, im.raw)
		}
		repo := openTarget(t, "oci-archive:"+path).Repo
		im.wantImage(t, repo, "v1")
		second.pushTo(t, repo, "v2")
		flush(t, repo)
		for tag, want := range map[string]image{"v1": im, "v2": second} {
			if got := run("inspect", "--raw", "oci-archive:"+path+":"+tag); !bytes.Equal(got, want.raw) {
				t.Errorf("archive %d: skopeo reads %s, want %s", i, got, want.raw)
			}
			copied := filepath.Join(t.TempDir(), "copied")
			run("copy", "oci-archive:"+path+":"+tag, "oci:"+copied+":"+tag)
			want.wantImage(t, openLayout(t, copied).Repo, tag)
		}
		unpacked := t.TempDir()
		runProgram(t, oracle.Require(t, "tar"), "-xf", path, "-C", unpacked)
		im.wantImage(t, openLayout(t, unpacked).Repo, "v1")
		second.wantImage(t, openLayout(t, unpacked).Repo, "v2")
		stat := runProgram(t, oracle.Require(t, "umoci"), "stat", "--json", "--image", unpacked+":v2")
		if !json.Valid(stat) {
			t.Errorf("umoci says %s", stat)
		}
	}
	var want []string
	for _, name := range before {
		if name != "index.json" {
			want = append(want, name)
		}
	}
	if got := entriesOf(t, theirs); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("the archive has %v, want first %v", got, want)
	}
}

// TestSkopeoWithoutTag: an image without a name goes both ways.
func TestSkopeoWithoutTag(t *testing.T) {
	run := skopeo(t)
	dir := t.TempDir()
	im := newImage(t, "x", 1)
	ours, theirs := filepath.Join(dir, "ours.tar"), filepath.Join(dir, "theirs.tar")
	repo := openTarget(t, "oci-archive:"+ours).Repo
	im.pushTo(t, repo, "")
	flush(t, repo)
	if got := run("inspect", "--raw", "oci-archive:"+ours); !bytes.Equal(got, im.raw) {
		t.Errorf("skopeo reads %s, want %s", got, im.raw)
	}
	run("copy", "oci-archive:"+ours, "oci-archive:"+theirs)
	im.wantImage(t, openArchive(t, theirs).Repo, "")
}

// TestSkopeoDockerArchive: skopeo writes the image with its layers unpacked,
// those that are there twice as links.
func TestSkopeoDockerArchive(t *testing.T) {
	run := skopeo(t)
	dir := t.TempDir()
	im := newImage(t, "x", 3)
	layout, path := filepath.Join(dir, "layout"), filepath.Join(dir, "docker.tar")
	im.pushTo(t, openTarget(t, "oci:"+layout).Repo, "v1")
	run("copy", "oci:"+layout+":v1", "docker-archive:"+path+":example.com/x:v1")
	ref := openDocker(t, path+":example.com/x:v1")
	d, raw, err := ref.Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Skopeo writes the config anew for docker: what it says of itself counts.
	var m struct {
		Config struct{ Digest string }
		Layers []struct {
			MediaType types.MediaType
			Digest    string
		}
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	var theirs struct{ Config struct{ Digest string } }
	if err := json.Unmarshal(run("inspect", "--raw", "docker-archive:"+path), &theirs); err != nil {
		t.Fatal(err)
	}
	if m.Config.Digest != theirs.Config.Digest {
		t.Errorf("the config is %s, want %s", m.Config.Digest, theirs.Config.Digest)
	}
	if len(m.Layers) != len(im.tars) {
		t.Fatalf("%d layers, want %d", len(m.Layers), len(im.tars))
	}
	for i, content := range im.tars {
		want, _ := blob(string(content))
		if m.Layers[i].Digest != want.Digest.String() || m.Layers[i].MediaType != types.DockerUncompressedLayer {
			t.Errorf("layer %d is %v, want %s", i, m.Layers[i], want.Digest)
		}
		if got, err := ref.Repo.BlobBytes(t.Context(), want, 1<<20); err != nil || !bytes.Equal(got, content) {
			t.Errorf("layer %d: %d bytes, %v", i, len(got), err)
		}
	}
	if info, err := os.Stat(path); err != nil || d.Size >= info.Size() {
		t.Errorf("the manifest has %d bytes, %v", d.Size, err)
	}
}

// TestSkopeoNames: a name with slashes and colons is the same to skopeo, both
// ways.
func TestSkopeoNames(t *testing.T) {
	run := skopeo(t)
	im := newImage(t, "x", 1)
	const name = "quay.io/foo/bar:v1"
	for _, prefix := range []string{"oci:", "oci-archive:"} {
		dir := t.TempDir()
		ours, theirs := prefix+filepath.Join(dir, "ours"), prefix+filepath.Join(dir, "theirs")
		ref := openTarget(t, ours+":"+name)
		im.pushTo(t, ref.Repo, ref.Tag)
		flush(t, ref.Repo)
		if got := run("inspect", "--raw", ours+":"+name); !bytes.Equal(got, im.raw) {
			t.Errorf("skopeo reads %s, want %s", got, im.raw)
		}
		run("copy", ours+":"+name, theirs+":"+name)
		for _, ref := range []*remote.Ref{open(t, theirs+":"+name, remote.Options{}), openTarget(t, theirs+":"+name)} {
			if ref.Repo.Name() != theirs || ref.Tag != name {
				t.Errorf("got %s and %q", ref.Repo.Name(), ref.Tag)
			}
			im.wantImage(t, ref.Repo, name)
		}
	}
}

// TestSkopeoDockerNumbers: an image of an archive has the same number for skopeo.
func TestSkopeoDockerNumbers(t *testing.T) {
	run := skopeo(t)
	var entries []tarEntry
	var items []dockerItem
	for _, name := range []string{"a", "b"} {
		im := newImage(t, name, 1)
		content := string(im.tars[0])
		items = append(items, dockerItem{Config: name + ".json", Layers: []string{name + "/layer.tar"}})
		entries = append(entries, tarEntry{name: name + ".json", content: string(im.config)}, tarEntry{name: name + "/layer.tar", content: content})
	}
	path := newArchive(t, append(entries, manifestJSON(t, items...))...)
	for _, number := range []string{":@0", ":@1"} {
		var ours, theirs struct{ Config struct{ Digest string } }
		if err := json.Unmarshal(run("inspect", "--raw", "docker-archive:"+path+number), &theirs); err != nil {
			t.Fatal(err)
		}
		_, raw, err := openDocker(t, path+number).Resolve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &ours); err != nil || ours != theirs {
			t.Errorf("%s: we read %v, skopeo %v, %v", number, ours, theirs, err)
		}
	}
}
