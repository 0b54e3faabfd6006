// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

var (
	formats    = []erofs.Format{erofs.V0, erofs.V1, erofs.V2}
	algorithms = []fsverity.Algorithm{fsverity.SHA256, fsverity.SHA512}
)

// maker builds a tree by paths, which begin without a slash. Directories on
// the way are made as they are needed. Its trees have SHA-256 digests.
type maker struct {
	t *tree.Tree
}

// mod changes the metadata that a maker gives by default.
type mod func(m *tree.Meta)

func newMaker() *maker {
	m := &maker{tree.New(fsverity.SHA256)}
	m.root()
	return m
}

func mode(mode uint32) mod { return func(m *tree.Meta) { m.Mode = mode } }

func owner(uid, gid uint32) mod { return func(m *tree.Meta) { m.UID, m.GID = uid, gid } }

func mtime(sec int64, nsec uint32) mod {
	return func(m *tree.Meta) { m.MtimeSec, m.MtimeNsec = sec, nsec }
}

// xattrs sets the attributes: name, value, name, value and so on.
func (m *maker) xattrs(pairs ...string) mod {
	list := make([]tree.Xattr, len(pairs)/2)
	for i := range list {
		list[i] = tree.Xattr{Name: pairs[2*i], Value: pairs[2*i+1]}
	}
	set := m.t.Xattrs(list...)
	return func(m *tree.Meta) { m.Xattrs = set }
}

func metaOf(perm uint32, mods []mod) tree.Meta {
	m := tree.Meta{Mode: perm, MtimeSec: 1}
	for _, change := range mods {
		change(&m)
	}
	return m
}

func (m *maker) root(mods ...mod) { m.t.SetMeta(tree.Root, metaOf(0o755, mods)) }

// put links the inode at path.
func (m *maker) put(path string, ino tree.Ino) tree.Ino {
	parts := strings.Split(path, "/")
	dir := tree.Root
	for _, name := range parts[:len(parts)-1] {
		child, ok := m.t.Lookup(dir, []byte(name))
		if !ok {
			child = m.t.NewDirectory(metaOf(0o755, nil))
			m.t.Link(dir, []byte(name), child)
		}
		dir = child
	}
	m.t.Link(dir, []byte(parts[len(parts)-1]), ino)
	return ino
}

func (m *maker) dir(path string, mods ...mod) tree.Ino {
	return m.put(path, m.t.NewDirectory(metaOf(0o755, mods)))
}

func (m *maker) inline(path, data string, mods ...mod) tree.Ino {
	return m.put(path, m.t.NewInline(metaOf(0o644, mods), []byte(data)))
}

// sumOf returns a digest; equal numbers have equal digests.
func sumOf(n int) []byte { return fsverity.Sum(fsverity.SHA256, fmt.Append(nil, n)).Bytes() }

func (m *maker) external(path string, size uint64, sum int, mods ...mod) tree.Ino {
	return m.put(path, m.t.NewExternal(metaOf(0o644, mods), size, sumOf(sum)))
}

func (m *maker) unverified(path string, size uint64, sum int, mods ...mod) tree.Ino {
	return m.put(path, m.t.NewUnverified(metaOf(0o644, mods), size, sumOf(sum)))
}

func (m *maker) sparse(path string, size uint64, mods ...mod) tree.Ino {
	return m.put(path, m.t.NewSparse(metaOf(0o644, mods), size))
}

func (m *maker) symlink(path, target string, mods ...mod) tree.Ino {
	return m.put(path, m.t.NewSymlink(metaOf(0o777, mods), []byte(target)))
}

func (m *maker) special(path string, kind tree.Kind, rdev uint64, mods ...mod) tree.Ino {
	return m.put(path, m.t.NewSpecial(kind, metaOf(0o644, mods), rdev))
}

// whiteout adds a character device 0,0.
func (m *maker) whiteout(path string, mods ...mod) tree.Ino {
	return m.special(path, tree.CharDevice, 0, mods...)
}

func check(t testing.TB, tr *tree.Tree) *tree.Checked {
	t.Helper()
	c, err := tr.Check()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func readDump(t testing.TB, dump string, alg fsverity.Algorithm) *tree.Checked {
	t.Helper()
	tr, err := dumpfile.Read(strings.NewReader(dump), alg)
	if err != nil {
		t.Fatal(err)
	}
	return check(t, tr)
}

func writeDump(t testing.TB, c *tree.Checked, alg fsverity.Algorithm) string {
	t.Helper()
	var b strings.Builder
	if err := dumpfile.Write(&b, c, alg); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func writeImage(t testing.TB, c *tree.Checked, f erofs.Format, alg fsverity.Algorithm) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := erofs.Write(&b, c, erofs.Options{Format: f, Algorithm: alg}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// vector is a merged tree of the conformance cases.
type vector struct {
	name string
	dump string // with SHA-512 digests
}

func vectors(t testing.TB) []vector {
	t.Helper()
	const want = 80
	paths, err := filepath.Glob("../../testdata/conformance/*/merged-sha512.dump")
	if err != nil || len(paths) < want {
		t.Fatalf("%d dumps in ../../testdata/conformance, want %d or more (%v)", len(paths), want, err)
	}
	var vs []vector
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		vs = append(vs, vector{filepath.Base(filepath.Dir(path)), string(text)})
	}
	return vs
}

// run returns what the command prints.
func run(t testing.TB, stdin string, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
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

// tempFile returns the path of a file with that content.
func tempFile(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// showDifference says where two images differ: what cfsctl reads from them
// first, then the bytes.
func showDifference(t testing.TB, cfsctl string, want, got []byte) {
	t.Helper()
	t.Errorf("images of %d (reference) and %d bytes (ours) differ", len(want), len(got))
	var dumps [2][]string
	for i, image := range [][]byte{want, got} {
		cmd := exec.CommandContext(t.Context(), cfsctl, "composefs-info", "dump", tempFile(t, image))
		out, err := cmd.CombinedOutput()
		if err != nil {
			out = fmt.Appendf(out, "%v\n", err)
		}
		dumps[i] = strings.Split(string(out), "\n")
	}
	if diff := cmp.Diff(dumps[0], dumps[1]); diff != "" {
		t.Errorf("the files in them differ (-reference +ours):\n%s", diff)
	}
	const line = 16 // bytes
	for at := 0; at < max(len(want), len(got)); at += line {
		w, g := piece(want, at, line), piece(got, at, line)
		if !bytes.Equal(w, g) {
			t.Errorf("they differ first at %#x:\nreference %x\nours      %x", at, w, g)
			return
		}
	}
}

func piece(b []byte, at, n int) []byte { return b[min(at, len(b)):min(at+n, len(b))] }
