// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/layers"
	"github.com/cfs-label/cfs-label/lint"
	"github.com/cfs-label/cfs-label/remote"
)

// refusedPaths are the vectors that the reference refuses, and what each finding
// must name.
var refusedPaths = map[string]string{
	"dotdot-path": "usr/../../etc/passwd", "hardlink-missing": "/usr/h", "hardlink-through-symlinked-dir": "/h",
	"hardlink-to-directory": "/h", "missing-parent": "/opt/app/bin", "missing-usr": "/usr",
	"tar-bad-checksum": "etc/hostname", "tar-sparse-pax": "/usr/sparse", "tar-truncated-header": "etc/hostname",
	"tar-unknown-type": "/usr/u", "usr-is-symlink": "/usr", "whiteout-missing-parent": "/nowhere/.wh.x",
	"boot-no-policy": "/etc/selinux", "boot-missing-sysroot": "/sysroot",
}

// TestLintConformance: lint fails for none of the vectors, finds something hosts
// refuse in those that the reference refuses, and names the place; of all others
// it says that hosts take them, and has the reference's digest.
func TestLintConformance(t *testing.T) {
	refused := 0
	for dir, v := range readVectors(t) {
		found := lintOne(t, open(t, "oci:"+dir+"/oci:latest"))
		fails := func(r result) bool { return r.Error != "" && !r.Bootable }
		want := slices.ContainsFunc(v.Results, fails)
		if found.Has(lint.Refused) != want {
			t.Errorf("%s: refused: %v, want %v: %+v", v.Case, !want, want, found.Findings)
		}
		checkDigests(t, found)
		for _, r := range v.Results {
			ok := slices.ContainsFunc(found.Digests, func(d cfslabel.Digest) bool {
				return d.Digest.String() == r.Digest && r.Bootable == (d.Role == image.RoleMergedBootable)
			})
			if r.EROFS == "v1" && r.Hash == "sha512" && r.Xattrs == "allowlist-only" && ok != (r.Error == "") {
				t.Errorf("%s: bootable %v: it is among the digests: %v", v.Case, r.Bootable, ok)
			}
		}
		path, isRefused := refusedPaths[v.Case]
		if !isRefused {
			continue
		}
		refused++
		if !slices.ContainsFunc(found.Findings, func(f lint.Finding) bool { return strings.Contains(f.Path+" "+f.Message, path) }) {
			t.Errorf("%s: no finding names %q: %+v", v.Case, path, found.Findings)
		}
	}
	if refused != len(refusedPaths) {
		t.Errorf("%d vectors that are refused, want %d", refused, len(refusedPaths))
	}
}

// TestLintGoesOn: what hosts refuse in one layer hides nothing in those above it,
// and of a layer that breaks off what was in front counts.
func TestLintGoesOn(t *testing.T) {
	s := newStore(t)
	found := lintOne(t, s.pushBuilt(t, "app:latest", built{layers: [][]header{
		{aDir("usr/"), aFile("opt/a", ""), aFile("usr/su", "").with(func(h *header) { h.mode = 0o4755 }), aFile("usr/x", "").with(func(h *header) { h.spoiled = true })},
		{aLink('1', "usr/l", "usr/none"), aLink('2', "usr/e", "")},
	}}))
	var got []string
	for _, f := range found.Findings {
		got = append(got, fmt.Sprint(f.Rule, " ", f.Path, " ", f.Layer))
	}
	want := []string{
		"archive-malformed  0", "missing-parent /opt/a 0", "hard-link-target /usr/l 1", "symlink-empty /usr/e 1",
		"not-bootable /boot -1", "not-bootable /sysroot -1", "set-id /usr/su 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(found.Skipped) != 1 || !slices.Contains(found.Skipped[0].Rules, "label-inherited") {
		t.Errorf("not looked at: %v", found.Skipped)
	}
}

// TestLintAgain: the same image gives the same findings, whatever the order in
// which its layers are read.
func TestLintAgain(t *testing.T) {
	s := newStore(t)
	var img built
	for i := range 8 {
		name := fmt.Sprintf("d%d/", i)
		img.layers = append(img.layers, []header{aDir("usr/"), aDir(name), aFile(name+"a", ""), aFile(name+".wh.a", ""), aFile("none/"+name+"x", ""), aLink('2', name+"e", "")})
	}
	ref := s.pushBuilt(t, "app:latest", img)
	first := lintOne(t, ref)
	if len(first.Findings) < 3*8 {
		t.Fatalf("%d findings", len(first.Findings))
	}
	for _, jobs := range []int{1, 2, 8} {
		all, err := cfslabel.Lint(t.Context(), ref, cfslabel.LintOptions{Now: now, Jobs: jobs})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first.Findings, all[0].Findings); diff != "" {
			t.Errorf("with %d jobs: %s", jobs, diff)
		}
	}
}

// TestLintSealed: an image that this program has sealed has no finding about
// labels, with the bootable digest or without.
func TestLintSealed(t *testing.T) {
	s := newStore(t)
	for _, bootable := range []bool{false, true} {
		ref := s.pushBuilt(t, "app:latest", built{layers: above()})
		o := cfslabel.LabelOptions{Options: cfslabel.Options{Bootable: bootable, Algorithms: []fsverity.Algorithm{fsverity.SHA256, fsverity.SHA512}}}
		label(t, ref, o)
		if found := lintOne(t, ref); len(found.Findings) > 0 {
			t.Errorf("bootable %v: %+v", bootable, found.Findings)
		}
	}
}

// TestLintIndex: an index gives each Linux image, with its platform; one that
// cannot be read at all is a finding, and keeps the others from nothing.
func TestLintIndex(t *testing.T) {
	s := newStore(t)
	fine := s.pushBuilt(t, "app:fine", built{layers: above()})
	odd := s.pushBuilt(t, "app:odd", built{layers: above(aFile("opt/x", ""))})
	broken := s.pushBuilt(t, "app:broken", built{layers: above(), layerType: "application/vnd.oci.image.layer.v1.tar+zstd"})
	var list []map[string]any
	for i, ref := range []*remote.Ref{fine, odd, broken} {
		d, _, err := ref.Resolve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, map[string]any{
			"mediaType": d.MediaType, "digest": d.Digest.String(), "size": d.Size,
			"platform": map[string]any{"os": "linux", "architecture": []string{"amd64", "arm64", "riscv64"}[i]},
		})
	}
	index := marshal(t, map[string]any{"schemaVersion": 2, "mediaType": types.OCIImageIndex, "manifests": list})
	ref := openFor(t, s.host+"/app:index")
	if err := ref.Repo.Tag(t.Context(), "index", v1.Descriptor{MediaType: types.OCIImageIndex, Digest: digestOf(index), Size: int64(len(index))}, index, ""); err != nil {
		t.Fatal(err)
	}
	all, err := cfslabel.Lint(t.Context(), ref, cfslabel.LintOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range all {
		got = append(got, strings.Join(rulesOf(l), " "))
	}
	if diff := cmp.Diff([]string{"", "missing-parent", "image-unreadable"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLintFails: what is not the image's fault is an error, and no finding: a
// layer that is not there, one that has not its digest, a platform that there is
// none of.
func TestLintFails(t *testing.T) {
	s := newStore(t)
	ref := s.pushBuilt(t, "app:latest", built{layers: above()})
	_, err := cfslabel.Lint(t.Context(), ref, cfslabel.LintOptions{Platforms: []v1.Platform{{OS: "linux", Architecture: "s390x"}}})
	if !errors.Is(err, cfslabel.ErrPlatform) {
		t.Errorf("another platform: %v", err)
	}
	if _, err := cfslabel.Lint(t.Context(), openFor(t, s.host+"/app:none"), cfslabel.LintOptions{}); !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("another tag: %v", err)
	}
	dir := copyVector(t, "minimal")
	blob := filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(layerDigest, "sha256:"))
	data, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(blob, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := cfslabel.Lint(t.Context(), open(t, "oci:"+dir), cfslabel.LintOptions{}); !errors.Is(err, layers.ErrDigest) {
		t.Errorf("a layer that was changed: %v", err)
	}
	if err := os.Remove(blob); err != nil {
		t.Fatal(err)
	}
	if _, err := cfslabel.Lint(t.Context(), open(t, "oci:"+dir), cfslabel.LintOptions{}); !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("a layer that is gone: %v", err)
	}
}

func copyVector(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "conformance", name, "oci"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLintIllDescribed: an image whose config lacks what hosts need is one that
// they refuse, and no failure.
func TestLintIllDescribed(t *testing.T) {
	s := newStore(t)
	s.push(t, "app:latest", handmade{manifest: plain.manifest, config: `{"architecture":"amd64","os":"linux","rootfs":{"diff_ids":["DIFFID"]}}`})
	found := lintOne(t, s.open(t, "app:latest"))
	if diff := cmp.Diff([]string{"image-unreadable"}, rulesOf(found)); diff != "" || !found.Has(lint.Refused) {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLintDirectory: of a directory all is found that needs no layers, and its
// files are looked into where they are.
func TestLintDirectory(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("usr/p/x.py", "abc", 0o644)
	write("usr/p/__pycache__/x.cpython-312.pyc", pyc(python312, 0, 5, 3), 0o644)
	write("usr/p/y.py", "abc", 0o644)
	write("usr/p/__pycache__/y.cpython-312.pyc", pyc(python312, 1, 5, 3), 0o644)
	write("boot/EFI/Linux/a.efi", ukiOf("composefs=?"+someDigest), 0o644)
	write("run/lock", "", 0o644)
	write("sysroot/.keep", "", 0o644)
	found, err := cfslabel.LintDirectory(t.Context(), dir, cfslabel.LintOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := slices.DeleteFunc(rulesOf(*found), func(id string) bool {
		// They depend on the file system and on who runs the test.
		return id == "mtime-fraction" || id == "xattr-selinux" || id == "xattr-dropped"
	})
	if diff := cmp.Diff([]string{"uki-insecure", "uki-mismatch", "content-in-run", "stale-pyc", "content-in-boot", "content-in-sysroot", "root-metadata"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(found.Digests) != 2 { // plain and bootable
		t.Errorf("%d digests", len(found.Digests))
	}
}

// TestLintTree: a dump is looked at as it is.
func TestLintTree(t *testing.T) {
	text := "/ 0 40755 3 0 0 0 -1.0 - - -\n/usr 0 40755 2 0 0 0 1.5 - - - user.a=1\n"
	tree, err := dumpfile.Read(strings.NewReader(text), fsverity.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	got := rulesOf(*cfslabel.LintTree(tree, cfslabel.LintOptions{}))
	if diff := cmp.Diff([]string{"mtime-before-1970", "mtime-fraction", "not-bootable"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// BenchmarkLint is an image of 100,000 small files, half of them compiled Python.
func BenchmarkLint(b *testing.B) {
	entries := slices.Clone(base)
	for d := range 1000 {
		dir := fmt.Sprintf("usr/d%d/", d)
		entries = append(entries, aDir(dir))
		for f := range 50 {
			entries = append(entries, aFile(fmt.Sprintf("%sm%d.py", dir, f), "x"), aFile(fmt.Sprintf("%sm%d.pyc", dir, f), pyc(python312, 0, 2, 1)))
		}
	}
	dir := b.TempDir()
	writeLayout(b, dir, archiveOf(entries...))
	ref := openFor(b, "oci:"+dir)
	b.ReportAllocs()
	for b.Loop() {
		if found := lintOne(b, ref); found.More["stale-pyc"] != 45000 {
			b.Fatalf("%+v", found.More)
		}
	}
}

// writeLayout writes an OCI layout that has an image of one layer.
func writeLayout(t testing.TB, dir string, tar []byte) {
	t.Helper()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	blob := func(mediaType types.MediaType, data []byte) json.RawMessage {
		d := digestOf(data)
		write("blobs/sha256/"+d.Hex, data)
		return marshal(t, map[string]any{"mediaType": mediaType, "digest": d.String(), "size": len(data)})
	}
	layer := blob(types.OCIUncompressedLayer, tar)
	config := blob(types.OCIConfigJSON, fmt.Appendf(nil, `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[%q]}}`, digestOf(tar).String()))
	manifest := blob(types.OCIManifestSchema1, fmt.Appendf(nil, `{"schemaVersion":2,"config":%s,"layers":[%s]}`, config, layer))
	write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	write("index.json", fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[%s]}`, manifest))
}

// TestLintReadAgain: a layer that is read again, and whose archive breaks off,
// gives what was in front of that once more.
func TestLintReadAgain(t *testing.T) {
	s := newStore(t)
	found := lintOne(t, s.pushBuilt(t, "app:latest", built{layers: above(
		aDir("usr/p/"), aFile("usr/p/obj", pyc(python312, 0, 999, 3)), aFile("usr/p/x.py", ""), aLink('1', "usr/p/x.pyc", "usr/p/obj"),
		aFile("usr/x", "").with(func(h *header) { h.spoiled = true }),
	)}))
	if diff := cmp.Diff([]string{"archive-malformed", "stale-pyc"}, rulesOf(found)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLintManyLinks: more compiled Python than is looked at, all of it hard links,
// does not keep the policy from being found: hosts find it, too.
func TestLintManyLinks(t *testing.T) {
	entries := []header{aDir("boot/"), aDir("sysroot/"), aDir("usr/p/"), aFile("usr/p/obj", pyc(python312, 0, 999, 3))}
	for i := range 4096 {
		entries = append(entries, aLink('1', fmt.Sprintf("usr/p/%d.pyc", i), "usr/p/obj"))
	}
	entries = append(entries, aFile("usr/config", strings.Repeat("#\n", 50)),
		aDir("etc/"), aDir("etc/selinux/"), aLink('1', "etc/selinux/config", "usr/config"))
	s := newStore(t)
	found := lintOne(t, s.pushBuilt(t, "app:latest", built{layers: above(entries...)}))
	for _, f := range found.Findings {
		if f.Path == "/etc/selinux" {
			t.Errorf("%s: %s", f.Rule, f.Message)
		}
	}
}
