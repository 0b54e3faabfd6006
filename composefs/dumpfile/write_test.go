// SPDX-License-Identifier: Apache-2.0

package dumpfile_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

const (
	sum256  = "70a9125438f7255245f596c54cebb6621cb9a64f062752cf26763c1b690e7340"
	path256 = "70/a9125438f7255245f596c54cebb6621cb9a64f062752cf26763c1b690e7340"
)

// sums returns a digest for each algorithm: sum256, and one of fives.
func sums(t testing.TB) []byte {
	t.Helper()
	d, err := fsverity.ParseDigest(fsverity.SHA256, sum256)
	if err != nil {
		t.Fatal(err)
	}
	return append(d.Bytes(), strings.Repeat("\x55", fsverity.SHA512.Size())...)
}

// everyKind returns a tree that has all that a dump can hold.
func everyKind(tb testing.TB) *tree.Tree {
	tb.Helper()
	tr := tree.New(fsverity.SHA256, fsverity.SHA512)
	link := func(name string, ino tree.Ino) { tr.Link(tree.Root, []byte(name), ino) }
	m := tree.Meta{Mode: 0o644, UID: 1, GID: 2, MtimeSec: 3, MtimeNsec: 4}
	tr.SetMeta(tree.Root, tree.Meta{Mode: 0o755})
	link("block", tr.NewSpecial(tree.BlockDevice, m, 0x801))
	link("char", tr.NewSpecial(tree.CharDevice, m, math.MaxUint32))
	link("dash", tr.NewInline(m, []byte("-")))
	dir := tr.NewDirectory(tree.Meta{Mode: 0o1777, MtimeSec: -1, MtimeNsec: 999999999})
	link("dir", dir)
	tr.Link(dir, []byte("sub"), tr.NewDirectory(tree.Meta{}))
	link("dir-", tr.NewDirectory(tree.Meta{}))
	link("empty", tr.NewInline(tree.Meta{UID: math.MaxUint32, GID: math.MaxUint32, MtimeSec: math.MinInt64}, nil))
	link("external", tr.NewExternal(m, 1<<40, sums(tb)))
	link("fifo", tr.NewSpecial(tree.FIFO, m, 0))
	link("inline", tr.NewInline(m, []byte("a b\nc=\\-\xff")))
	link("na me=\n", tr.NewInline(m, nil))
	link("socket", tr.NewSpecial(tree.Socket, m, 0))
	link("sparse", tr.NewSparse(m, 4096))
	link("symlink", tr.NewSymlink(m, []byte("../a b=c")))
	link("unverified", tr.NewUnverified(m, 70, sums(tb)))
	link("whiteout", tr.NewSpecial(tree.CharDevice, m, 0))
	return tr
}

const everyKindDump = `/ 0 40755 4 0 0 0 0.0 - - -
/block 0 60644 1 1 2 2049 3.4 - - -
/char 0 20644 1 1 2 4294967295 3.4 - - -
/dash 1 100644 1 1 2 0 3.4 - \x2d -
/dir 0 41777 3 0 0 0 -1.999999999 - - -
/dir/sub 0 40000 2 0 0 0 0.0 - - -
/dir- 0 40000 2 0 0 0 0.0 - - -
/empty 0 100000 1 4294967295 4294967295 0 -9223372036854775808.0 - - -
/external 1099511627776 100644 1 1 2 0 3.4 ` + path256 + ` - ` + sum256 + `
/fifo 0 10644 1 1 2 0 3.4 - - -
/inline 9 100644 1 1 2 0 3.4 - a\x20b\nc=\\-\xff -
/na\x20me=\n 0 100644 1 1 2 0 3.4 - - -
/socket 0 140644 1 1 2 0 3.4 - - -
/sparse 4096 100644 1 1 2 0 3.4 - - -
/symlink 8 120644 1 1 2 0 3.4 ../a\x20b=c - -
/unverified 70 100644 1 1 2 0 3.4 ` + path256 + ` - -
/whiteout 0 20644 1 1 2 0 3.4 - - -
`

func TestWrite(t *testing.T) {
	got := write(t, everyKind(t), fsverity.SHA256)
	if diff := cmp.Diff(everyKindDump, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWriteTakesTheAlgorithm writes the other of a tree's digests.
func TestWriteTakesTheAlgorithm(t *testing.T) {
	got := write(t, everyKind(t), fsverity.SHA512)
	fives := strings.Repeat("5", 2*fsverity.SHA512.Size())
	want := strings.ReplaceAll(everyKindDump, path256, "55/"+fives[2:])
	want = strings.ReplaceAll(want, sum256, fives)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWriteOrder links names in the wrong order: the dump is depth first, names
// as their bytes sort, not as paths do.
func TestWriteOrder(t *testing.T) {
	tr := tree.New(fsverity.SHA256)
	a := tr.NewDirectory(tree.Meta{})
	for _, name := range []string{"b", "\xff", "a.b", "A", "a\x01", "é"} {
		tr.Link(tree.Root, []byte(name), tr.NewInline(tree.Meta{}, nil))
	}
	tr.Link(a, []byte("z"), tr.NewInline(tree.Meta{}, nil))
	tr.Link(tree.Root, []byte("a"), a)
	var paths []string
	for line := range strings.Lines(write(t, tr, fsverity.SHA256)) {
		path, _, _ := strings.Cut(line, " ")
		paths = append(paths, path)
	}
	want := []string{"/", "/A", "/a", "/a/z", `/a\x01`, "/a.b", "/b", `/\xc3\xa9`, `/\xff`}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWriteHardLinks has an inode whose names are in different directories; the
// first in the dump's order has the inode.
func TestWriteHardLinks(t *testing.T) {
	tr := tree.New(fsverity.SHA256)
	f := tr.NewInline(tree.Meta{Mode: 0o600, Xattrs: tr.Xattrs(tree.Xattr{Name: "user.a", Value: "b"})}, []byte("x"))
	s := tr.NewSymlink(tree.Meta{Mode: 0o777}, []byte("t"))
	dir := tr.NewDirectory(tree.Meta{})
	tr.Link(tree.Root, []byte("z"), f)
	tr.Link(tree.Root, []byte("m z"), s)
	tr.Link(tree.Root, []byte("n"), s)
	tr.Link(tree.Root, []byte("k"), dir)
	tr.Link(dir, []byte("f f"), f)
	tr.Link(dir, []byte("g"), f)
	want := `/ 0 40000 3 0 0 0 0.0 - - -
/k 0 40000 2 0 0 0 0.0 - - -
/k/f\x20f 1 100600 3 0 0 0 0.0 - x - user.a=b
/k/g 0 @120000 - - - - 0.0 /k/f\x20f - -
/m\x20z 1 120777 2 0 0 0 0.0 t - -
/n 0 @120000 - - - - 0.0 /m\x20z - -
/z 0 @120000 - - - - 0.0 /k/f\x20f - -
`
	if diff := cmp.Diff(want, write(t, tr, fsverity.SHA256)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWriteXattrs(t *testing.T) {
	tr := tree.New(fsverity.SHA256)
	tr.SetMeta(tree.Root, tree.Meta{Xattrs: tr.Xattrs(
		tree.Xattr{Name: "user.z", Value: "-"},
		tree.Xattr{Name: "user.a=b c", Value: "=\x00 \\"},
		tree.Xattr{Name: "security.selinux", Value: "system_u:object_r:etc_t:s0\x00"},
		tree.Xattr{Name: "user.empty", Value: ""},
	)})
	want := `/ 0 40000 2 0 0 0 0.0 - - - security.selinux=system_u:object_r:etc_t:s0\x00` +
		` user.a\x3db\x20c=\x3d\x00\x20\\ user.empty= user.z=-` + "\n"
	if diff := cmp.Diff(want, write(t, tr, fsverity.SHA256)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWriteModeBits shows a mode as it is, odd bits and all.
func TestWriteModeBits(t *testing.T) {
	tr := tree.New(fsverity.SHA256)
	tr.SetMeta(tree.Root, tree.Meta{Mode: 0o1007777})
	if got, want := write(t, tr, fsverity.SHA256), "/ 0 1047777 2 0 0 0 0.0 - - -\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestWriteErrors(t *testing.T) {
	c := check(t, everyKind(t))
	broken := errors.New("broken")
	if err := dumpfile.Write(failingWriter{broken}, c, fsverity.SHA256); !errors.Is(err, broken) {
		t.Errorf("%v, want the writer's error", err)
	}
	only := check(t, tree.New(fsverity.SHA512))
	for _, alg := range []fsverity.Algorithm{fsverity.SHA256, 0, 9} {
		if err := dumpfile.Write(&strings.Builder{}, only, alg); err == nil {
			t.Errorf("%s of a tree without: no error", alg)
		}
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
