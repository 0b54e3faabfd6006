// SPDX-License-Identifier: Apache-2.0

package dumpfile_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

// cfsctlSymlinkMax is the longest target of a symlink that cfsctl reads from a
// dump, in bytes.
const cfsctlSymlinkMax = 1024

// TestMkcomposefs has cfsctl's mkcomposefs make images of our dumps. It knows
// SHA-256 only, so the digests of the vectors' dumps are replaced by those of
// the files in the vectors' layers; the image then has the digest that the
// vector says.
func TestMkcomposefs(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	testMkcomposefs(t, []string{cfsctl, "mkcomposefs"}, cfsctlSymlinkMax, map[string]string{
		"mtime-negative": "reads no negative times",
	})
}

// TestCMkcomposefs does the same with the C program, which MKCOMPOSEFS names.
// It is in no distribution that CI runs on, so it is never required.
func TestCMkcomposefs(t *testing.T) {
	program := os.Getenv("MKCOMPOSEFS")
	if program == "" {
		t.Skip("MKCOMPOSEFS does not name the C mkcomposefs")
	}
	testMkcomposefs(t, []string{program}, dumpfile.SymlinkMax, map[string]string{
		"mtime-negative":      "makes another image of negative times",
		"name-256":            "takes no names of more than 255 bytes",
		"char-device-zero/v0": "raises the version to 1 for a whiteout",
	})
}

// testMkcomposefs compares with the vectors what the command makes of our
// dumps. Cases are left out that have longer symlinks than the command takes,
// and those, or versions of them, for which except has a reason.
func testMkcomposefs(t *testing.T, command []string, symlinkMax int, except map[string]string) {
	t.Helper()
	compared := 0
	for _, v := range vectors(t) {
		if unreadable[v.name] != nil || except[v.name] != "" || longestSymlink(t, v) > symlinkMax {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			dump := write(t, read(t, toSHA256(t, v), fsverity.SHA256), fsverity.SHA256)
			for version, want := range digests(t, v.dir) {
				if except[v.name+"/"+version] != "" {
					continue
				}
				got := run(t, dump, command, "--from-file", "--print-digest-only",
					"--min-version="+strings.TrimPrefix(version, "v"), "-")
				if strings.TrimSpace(got) != want {
					t.Errorf("%s: image %s, want %s", version, got, want)
				}
				compared++
			}
		})
	}
	if compared < 100 {
		t.Errorf("only %d images compared", compared)
	}
}

// longestSymlink returns the length of the longest target, in bytes.
func longestSymlink(t *testing.T, v vector) int {
	t.Helper()
	longest := 0
	for n := range list(check(t, read(t, v.dump, fsverity.SHA512)), fsverity.SHA512) {
		if n.Kind == tree.Symlink {
			longest = max(longest, len(n.Data))
		}
	}
	return longest
}

// TestComposefsInfo has cfsctl make an image of a tree with all kinds of files
// and dump that: the same dump must come out.
func TestComposefsInfo(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	tr := everyKind(t)
	for _, name := range []string{"dir", "empty"} { // of negative times
		ino, _ := tr.Lookup(tree.Root, []byte(name))
		tr.SetMeta(ino, tree.Meta{
			Mode: 0o7777, UID: 4294967295, MtimeSec: 1<<40 + 1, MtimeNsec: 999999999,
			Xattrs: tr.Xattrs(
				tree.Xattr{Name: "user.=", Value: "="},
				tree.Xattr{Name: "user.dash", Value: "-"},
				tree.Xattr{Name: "user.empty", Value: ""},
				tree.Xattr{Name: "security.selinux", Value: "a\\ \x00\xff"},
			),
		})
	}
	for _, name := range []string{"a", "dir2", "\xff\xfe", "~"} {
		ino, _ := tr.Lookup(tree.Root, []byte("inline"))
		tr.Link(tree.Root, []byte(name), ino)
	}
	want := write(t, tr, fsverity.SHA256)
	image := filepath.Join(t.TempDir(), "image")
	run(t, want, []string{cfsctl, "mkcomposefs"}, "--from-file", "--min-version=1", "-", image)
	got := run(t, "", []string{cfsctl, "composefs-info"}, "dump", image)
	// Here cfsctl loses what it has read: that there was no digest.
	want = strings.Replace(want, path256+" - -\n", path256+" - "+sum256+"\n", 1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// run returns what the command prints.
func run(t *testing.T, stdin string, command []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], append(command[1:len(command):len(command)], args...)...)
	cmd.Env = append(os.Environ(), "RUST_BACKTRACE=0")
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("%s: %v\n%s", cmd, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return string(out)
}

// digests returns the SHA-256 digests of a case's images, for the versions that
// mkcomposefs has.
func digests(t *testing.T, dir string) map[string]string {
	t.Helper()
	var expected struct {
		Results []struct {
			EROFS    string `json:"erofs"`
			Hash     string `json:"hash"`
			Bootable bool   `json:"bootable"`
			Xattrs   string `json:"xattrs"`
			Digest   string `json:"digest"`
		} `json:"results"`
	}
	decode(t, filepath.Join(dir, "expected.json"), &expected)
	found := map[string]string{}
	for _, r := range expected.Results {
		if r.Hash == "sha256" && !r.Bootable && r.Xattrs == "allowlist-only" && r.EROFS != "v2" {
			found[r.EROFS] = r.Digest
		}
	}
	if len(found) != 2 {
		t.Fatalf("%s has the digests %v, want those of v0 and v1", dir, found)
	}
	return found
}

func decode(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

var external = regexp.MustCompile(` [0-9a-f]{2}/[0-9a-f]{126} - ([0-9a-f]{128})\b`)

// toSHA256 returns the vector's dump with SHA-256 digests.
func toSHA256(t *testing.T, v vector) string {
	t.Helper()
	if !external.MatchString(v.dump) {
		return v.dump
	}
	to := layerDigests(t, filepath.Join(v.dir, "oci"))
	return external.ReplaceAllStringFunc(v.dump, func(s string) string {
		sum := to[external.FindStringSubmatch(s)[1]]
		if sum == "" {
			t.Fatalf("no layer has a file with the digest in%s", s)
		}
		return " " + sum[:2] + "/" + sum[2:] + " - " + sum
	})
}

// layerDigests returns the SHA-256 digest of each file in the image's layers
// by its SHA-512 digest.
func layerDigests(t *testing.T, layout string) map[string]string {
	t.Helper()
	type descriptor struct{ MediaType, Digest string }
	blob := func(d descriptor) string {
		return filepath.Join(layout, "blobs", strings.ReplaceAll(d.Digest, ":", "/"))
	}
	var index struct{ Manifests []descriptor }
	decode(t, filepath.Join(layout, "index.json"), &index)
	var manifest struct{ Layers []descriptor }
	decode(t, blob(index.Manifests[0]), &manifest)
	to := map[string]string{}
	for _, layer := range manifest.Layers {
		if strings.HasSuffix(layer.MediaType, "zstd") {
			t.Skip("the standard library has no zstd")
		}
		addFiles(t, blob(layer), to)
	}
	return to
}

func addFiles(t *testing.T, path string, to map[string]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = bufio.NewReader(f)
	if magic, _ := r.(*bufio.Reader).Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		if r, err = gzip.NewReader(r); err != nil {
			t.Fatal(err)
		}
	}
	for entries := tar.NewReader(r); ; {
		_, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		content, err := io.ReadAll(entries)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		to[fsverity.Sum(fsverity.SHA512, content).String()] = fsverity.Sum(fsverity.SHA256, content).String()
	}
}
