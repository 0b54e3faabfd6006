// SPDX-License-Identifier: Apache-2.0

package dumpfile_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

const root = "/ 0 40755 2 0 0 0 0.0 - - -\n"

// TestReadEveryKind checks the tree itself, not only its dump.
func TestReadEveryKind(t *testing.T) {
	want := check(t, everyKind(t))
	got := check(t, read(t, everyKindDump, fsverity.SHA256))
	compare(t, want, got, fsverity.SHA256)
	if algs := got.Algorithms(); len(algs) != 1 || algs[0] != fsverity.SHA256 {
		t.Errorf("algorithms %v", algs)
	}
}

const (
	file  = "/f 0 100644 1 0 0 0 0.0 - - -\n"
	file2 = "/f 0 100644 2 0 0 0 0.0 - - -\n" // with two names
	file3 = "/f 0 100644 3 0 0 0 0.0 - - -\n"
	dir   = "/d 0 40755 2 0 0 0 0.0 - - -\n"
	in    = "/x 1 100644 1 0 0 0 0.0 " // payload, content and digest follow
	fifo  = "/x 0 10644 1 0 0 0 0.0 "  // here too
)

// accepted has what Write does not write: the lines after the root, and how
// Write writes them, which is the same where want is empty.
var accepted = []struct{ name, in, want string }{
	{"directory size", "/d 4096 40755 2 0 0 0 0.0 - - -\n", "/d 0 40755 2 0 0 0 0.0 - - -\n"},
	{"link count", "/f 0 100644 7 0 0 0 0.0 - - -\n", "/f 0 100644 1 0 0 0 0.0 - - -\n"},
	{"symlink size", "/s 9 120777 1 0 0 0 0.0 t - -\n", "/s 1 120777 1 0 0 0 0.0 t - -\n"},
	{"longest symlink", "/s 4095 120777 1 0 0 0 0.0 " + strings.Repeat("t", 4095) + " - -\n", ""},
	{"symlink of any form", "/s 12 120777 1 0 0 0 0.0 /..//./a/../ - -\n", ""},
	{"mode bits", "/f 0 37100644 1 0 0 0 0.0 - - -\n", "/f 0 100644 1 0 0 0 0.0 - - -\n"},
	{"mode with zeros", "/f 0 00100644 1 0 0 0 0.0 - - -\n", "/f 0 100644 1 0 0 0 0.0 - - -\n"},
	{"padded nanoseconds", "/f 0 100644 1 0 0 0 1.000000001 - - -\n", "/f 0 100644 1 0 0 0 1.1 - - -\n"},
	{"negative mtime", "/f 0 100644 1 0 0 0 -1.999999999 - - -\n", ""},
	{"escaped for no reason", `/\x66 1 100644 1 0 0 0 0.0 - \x2D -` + "\n", `/f 1 100644 1 0 0 0 0.0 - \x2d -` + "\n"},
	{"unescaped", "/\xc3\xa9 1 100644 1 0 0 0 0.0 - \t -\n", `/\xc3\xa9 1 100644 1 0 0 0 0.0 - \t -` + "\n"},
	{"longest content", "/f 512 100644 1 0 0 0 0.0 - " + strings.Repeat(`\x20`, 512) + " -\n", ""},
	{"NUL in content", `/f 1 100644 1 0 0 0 0.0 - \x00 -` + "\n", ""},
	{"blank lines", "\n" + file + "  \n\t\n", file},
	{"carriage return", "/f 0 100644 1 0 0 0 0.0 - - -\r\n", "/f 0 100644 1 0 0 0 0.0 - - -\n"},
	{"no newline at the end", "/f 0 100644 1 0 0 0 0.0 - - -", "/f 0 100644 1 0 0 0 0.0 - - -\n"},
	{"largest numbers", "/c 0 20000 1 4294967295 4294967295 4294967295 9223372036854775807.999999999 - - -\n", ""},
	{"largest size", "/f 18446744073709551615 100000 1 0 0 0 0.0 - - -\n", ""},
	{"longest name", "/" + strings.Repeat("n", tree.NameMax) + " 0 100644 1 0 0 0 0.0 - - -\n", ""},
	{"dots in names", "/... 0 40000 3 0 0 0 0.0 - - -\n/.../.a. 0 40000 2 0 0 0 0.0 - - -\n", ""},
	{"hard link", file2 + "/g 0 @120000 - - - - 0.0 /f - -\n", ""},
	{"hard link with other fields", file2 + "/g 1 @100644 x x x x x /f x x x\n", file2 + "/g 0 @120000 - - - - 0.0 /f - -\n"},
	{"hard link without other fields", file2 + "/g 1 @0 - - - - - /f\n", file2 + "/g 0 @120000 - - - - 0.0 /f - -\n"},
	{
		"hard link to a hard link",
		file3 + "/g 0 @120000 - - - - 0.0 /f - -\n/h 0 @120000 - - - - 0.0 /g - -\n",
		file3 + "/g 0 @120000 - - - - 0.0 /f - -\n/h 0 @120000 - - - - 0.0 /f - -\n",
	},
	{
		"hard link before the file in order",
		file2 + "/a 0 @120000 - - - - 0.0 /f - -\n",
		"/a 0 100644 2 0 0 0 0.0 - - -\n/f 0 @120000 - - - - 0.0 /a - -\n",
	},
	{
		"order of names",
		"/b 0 100644 1 0 0 0 0.0 - - -\n/a 0 100644 1 0 0 0 0.0 - - -\n",
		"/a 0 100644 1 0 0 0 0.0 - - -\n/b 0 100644 1 0 0 0 0.0 - - -\n",
	},
	{
		"order of attributes",
		"/f 0 100644 1 0 0 0 0.0 - - - user.b=1 user.a=2\n",
		"/f 0 100644 1 0 0 0 0.0 - - - user.a=2 user.b=1\n",
	},
	{"attributes", `/f 0 100644 1 0 0 0 0.0 - - - =empty user.a=- user.b= user.c\x3d=\x3d\x00` + "\n", ""},
	{"equals sign in a value", "/f 0 100644 1 0 0 0 0.0 - - - a=b=c\n", `/f 0 100644 1 0 0 0 0.0 - - - a=b\x3dc` + "\n"},
	{"longest attribute", "/f 0 100644 1 0 0 0 0.0 - - - " + strings.Repeat("n", 255) + "=" + strings.Repeat("v", 65535) + "\n", ""},
	{"whiteout", "/w 0 20000 1 0 0 0 0.0 - - -\n", ""},
}

func TestReadAccepts(t *testing.T) {
	for _, tc := range accepted {
		t.Run(tc.name, func(t *testing.T) {
			want := tc.want
			if want == "" {
				want = tc.in
			}
			got := write(t, read(t, root+tc.in, fsverity.SHA256), fsverity.SHA256)
			got = got[strings.Index(got, "\n")+1:]
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestReadNotInOrder has a directory's entries in several places.
func TestReadNotInOrder(t *testing.T) {
	const dump = `/ 0 40000 4 0 0 0 0.0 - - -
/b 0 40000 2 0 0 0 0.0 - - -
/a 0 40000 3 0 0 0 0.0 - - -
/b/2 0 100000 1 0 0 0 0.0 - - -
/a/s 0 40000 2 0 0 0 0.0 - - -
/z 0 100000 1 0 0 0 0.0 - - -
/a/s/1 0 100000 1 0 0 0 0.0 - - -
/b/1 0 100000 1 0 0 0 0.0 - - -
`
	lines := strings.SplitAfter(dump, "\n")
	want := lines[0] + lines[2] + lines[4] + lines[6] + lines[1] + lines[7] + lines[3] + lines[5]
	if diff := cmp.Diff(want, write(t, read(t, dump, fsverity.SHA256), fsverity.SHA256)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// refused has lines after the root, the last of which is refused, and why.
var refused = []struct {
	name, in, path string
	err            error
}{
	{"no fields", "/x", "/x", dumpfile.ErrField},
	{"ten fields", "/x 0 100644 1 0 0 0 0.0 - -", "/x", dumpfile.ErrField},
	{"two spaces", "/x  0 100644 1 0 0 0 0.0 - - -", "/x", dumpfile.ErrField},
	{"space at the end", "/x 0 100644 1 0 0 0 0.0 - - - ", "/x", dumpfile.ErrField},
	{"no path", " 0 100644 1 0 0 0 0.0 - - -", "", dumpfile.ErrPath},
	{"relative path", "x 0 100644 1 0 0 0 0.0 - - -", "", dumpfile.ErrPath},
	{"path of a dash", "- 0 100644 1 0 0 0 0.0 - - -", "", dumpfile.ErrPath},
	{"slash at the end", dir + "/d/ 0 100644 1 0 0 0 0.0 - - -", "", dumpfile.ErrPath},
	{"two slashes", dir + "/d//x 0 100644 1 0 0 0 0.0 - - -", "", dumpfile.ErrPath},
	{"two slashes at the beginning", "//x 0 100644 1 0 0 0 0.0 - - -", "", dumpfile.ErrPath},
	{"dot", "/. 0 40755 1 0 0 0 0.0 - - -", "", dumpfile.ErrPath},
	{"dot inside", dir + "/./d/x 0 40755 1 0 0 0 0.0 - - -", "", dumpfile.ErrPath},
	{"dot dot", dir + "/d/.. 0 40755 1 0 0 0 0.0 - - -", "", dumpfile.ErrPath},
	{"dot dot escaped", dir + `/d/\x2e\x2e 0 40755 1 0 0 0 0.0 - - -`, "", dumpfile.ErrPath},
	{"NUL in path", `/a\x00b 0 40755 1 0 0 0 0.0 - - -`, "", dumpfile.ErrNUL},
	{"bad escape", `/a\q 0 40755 1 0 0 0 0.0 - - -`, "", dumpfile.ErrEscape},
	{"name too long", "/" + strings.Repeat("n", tree.NameMax+1) + " 0 40755 1 0 0 0 0.0 - - -", "", tree.ErrName},
	{"too deep", strings.Repeat("/d", tree.DepthMax+1) + " 0 40755 1 0 0 0 0.0 - - -", "", tree.ErrDepth},

	{"root again", root, "/", dumpfile.ErrDuplicate},
	{"path again", file + file, "/f", dumpfile.ErrDuplicate},
	{"directory again", dir + dir, "/d", dumpfile.ErrDuplicate},
	{"hard link over its file", file + "/f 0 @120000 - - - - 0.0 /f - -", "/f", dumpfile.ErrDuplicate},
	{"no parent", "/d/x 0 100644 1 0 0 0 0.0 - - -", "/d/x", dumpfile.ErrParent},
	{"parent is a file", file + "/f/x 0 100644 1 0 0 0 0.0 - - -", "/f/x", dumpfile.ErrParent},
	{"grandparent is a file", file + "/f/x/y 0 100644 1 0 0 0 0.0 - - -", "/f/x/y", dumpfile.ErrParent},

	{"size", "/x -1 100644 1 0 0 0 0.0 - - -", "/x", dumpfile.ErrField},
	{"size too large", "/x 18446744073709551616 100644 1 0 0 0 0.0 - - -", "/x", dumpfile.ErrField},
	{"size of a hard link", file + "/x - @120000 - - - - 0.0 /f - -", "/x", dumpfile.ErrField},
	{"mode not octal", "/x 0 100648 1 0 0 0 0.0 - - -", "/x", dumpfile.ErrField},
	{"mode too large", "/x 0 40000100644 1 0 0 0 0.0 - - -", "/x", dumpfile.ErrField},
	{"mode of a hard link", file + "/x 0 @ - - - - 0.0 /f - -", "/x", dumpfile.ErrField},
	{"mark not first", file + "/x 0 1@120000 - - - - 0.0 /f - -", "/x", dumpfile.ErrField},
	{"no type", "/x 0 644 1 0 0 0 0.0 - - -", "/x", dumpfile.ErrType},
	{"unknown type", "/x 0 150644 1 0 0 0 0.0 - - -", "/x", dumpfile.ErrType},
	{"link count", "/x 0 100644 4294967296 0 0 0 0.0 - - -", "/x", dumpfile.ErrField},
	{"uid", "/x 0 100644 1 4294967296 0 0 0.0 - - -", "/x", dumpfile.ErrField},
	{"gid", "/x 0 100644 1 0 -1 0 0.0 - - -", "/x", dumpfile.ErrField},
	{"rdev", "/x 0 20644 1 0 0 1x 0.0 - - -", "/x", dumpfile.ErrField},
	{"rdev too large", "/x 0 20644 1 0 0 4294967296 0.0 - - -", "/x", tree.ErrRdev},
	{"rdev of a file", "/x 0 100644 1 0 0 5 0.0 - - -", "/x", dumpfile.ErrMisplaced},
	{"rdev of a directory", "/x 0 40755 1 0 0 5 0.0 - - -", "/x", dumpfile.ErrMisplaced},
	{"rdev of a symlink", "/x 1 120777 1 0 0 5 0.0 t - -", "/x", dumpfile.ErrMisplaced},
	{"rdev of a fifo", "/x 0 10644 1 0 0 5 0.0 - - -", "/x", dumpfile.ErrMisplaced},
	{"rdev of a socket", "/x 0 140644 1 0 0 5 0.0 - - -", "/x", dumpfile.ErrMisplaced},
	{"whiteout with names", "/x 0 20644 2 0 0 0 0.0 - - -", "/x", tree.ErrWhiteout},
	{"mtime without a point", "/x 0 100644 1 0 0 0 0 - - -", "/x", dumpfile.ErrField},
	{"mtime without nanoseconds", "/x 0 100644 1 0 0 0 0. - - -", "/x", dumpfile.ErrField},
	{"mtime without seconds", "/x 0 100644 1 0 0 0 .0 - - -", "/x", dumpfile.ErrField},
	{"mtime too large", "/x 0 100644 1 0 0 0 9223372036854775808.0 - - -", "/x", dumpfile.ErrField},
	{"negative nanoseconds", "/x 0 100644 1 0 0 0 0.-1 - - -", "/x", dumpfile.ErrField},
	{"nanoseconds", "/x 0 100644 1 0 0 0 0.1000000000 - - -", "/x", tree.ErrMtime},
	{"many nanoseconds", "/x 0 100644 1 0 0 0 0.99999999999 - - -", "/x", tree.ErrMtime},

	{"payload empty", in + " - -", "/x", dumpfile.ErrField},
	{"content empty", in + "-  -", "/x", dumpfile.ErrField},
	{"digest empty", in + "- - ", "/x", dumpfile.ErrField},
	{"payload and content", in + path256 + " x -", "/x", dumpfile.ErrMisplaced},
	{"digest alone", in + "- - " + sum256, "/x", dumpfile.ErrMisplaced},
	{"digest of content", in + "- x " + sum256, "/x", dumpfile.ErrMisplaced},
	{"size and content", "/x 2 100644 1 0 0 0 0.0 - x -", "/x", dumpfile.ErrSize},
	{"size 0 and content", "/x 0 100644 1 0 0 0 0.0 - x -", "/x", dumpfile.ErrSize},
	{"content too long", "/x 513 100644 1 0 0 0 0.0 - " + strings.Repeat("x", 513) + " -", "/x", dumpfile.ErrLimit},
	{"content with a bad escape", in + `- \x -`, "/x", dumpfile.ErrEscape},
	{"payload is no object", in + "a/b - " + sum256, "/x", dumpfile.ErrObject},
	{"payload is a digest", in + sum256 + " - -", "/x", dumpfile.ErrObject},
	{"payload in a directory", in + "objects/" + path256 + " - -", "/x", dumpfile.ErrObject},
	{"payload not hexadecimal", in + "zz" + path256[2:] + " - -", "/x", dumpfile.ErrObject},
	{"payload in capitals", in + strings.ToUpper(path256) + " - -", "/x", dumpfile.ErrObject},
	{"payload of another digest", in + "00" + path256[2:] + " - " + sum256, "/x", dumpfile.ErrObject},
	{"payload of another algorithm", in + "55/" + strings.Repeat("5", 126) + " - -", "/x", dumpfile.ErrObject},
	{"digest of another algorithm", in + path256 + " - " + strings.Repeat("5", 128), "/x", dumpfile.ErrObject},
	{"digest too short", in + path256 + " - " + sum256[1:], "/x", dumpfile.ErrObject},
	{"digest in capitals", in + path256 + " - " + strings.ToUpper(sum256), "/x", dumpfile.ErrObject},

	{"payload of a directory", "/x 0 40755 2 0 0 0 0.0 a - -", "/x", dumpfile.ErrMisplaced},
	{"content of a directory", "/x 0 40755 2 0 0 0 0.0 - a -", "/x", dumpfile.ErrMisplaced},
	{"digest of a directory", "/x 0 40755 2 0 0 0 0.0 - - " + sum256, "/x", dumpfile.ErrMisplaced},
	{"payload of a fifo", fifo + "a - -", "/x", dumpfile.ErrMisplaced},
	{"content of a fifo", fifo + "- foobar -", "/x", dumpfile.ErrMisplaced},
	{"digest of a fifo", fifo + "- - " + sum256, "/x", dumpfile.ErrMisplaced},
	{"content of a device", "/x 0 60644 1 0 0 1 0.0 - a -", "/x", dumpfile.ErrMisplaced},
	{"content of a socket", "/x 0 140644 1 0 0 0 0.0 - a -", "/x", dumpfile.ErrMisplaced},
	{"content of a symlink", "/x 1 120777 1 0 0 0 0.0 t a -", "/x", dumpfile.ErrMisplaced},
	{"digest of a symlink", "/x 1 120777 1 0 0 0 0.0 t - " + sum256, "/x", dumpfile.ErrMisplaced},
	{"symlink without target", "/x 0 120777 1 0 0 0 0.0 - - -", "/x", dumpfile.ErrTarget},
	{"NUL in target", `/x 1 120777 1 0 0 0 0.0 a\x00 - -`, "/x", dumpfile.ErrTarget},
	{"target too long", "/x 1 120777 1 0 0 0 0.0 " + strings.Repeat("t", 4096) + " - -", "/x", dumpfile.ErrTarget},

	{"link to nothing", "/x 0 @120000 - - - - 0.0 /f - -", "/x", dumpfile.ErrLinkTarget},
	{"link to itself", "/x 0 @120000 - - - - 0.0 /x - -", "/x", dumpfile.ErrLinkTarget},
	{"link to a directory", dir + "/x 0 @120000 - - - - 0.0 /d - -", "/x", dumpfile.ErrLinkTarget},
	{"link to the root", "/x 0 @120000 - - - - 0.0 / - -", "/x", dumpfile.ErrLinkTarget},
	{"link below a file", file + "/x 0 @120000 - - - - 0.0 /f/g - -", "/x", dumpfile.ErrLinkTarget},
	{"link of a directory", file + "/x 0 @40755 - - - - 0.0 /f - -", "/x", dumpfile.ErrLinkTarget},
	{"link without target", "/x 0 @120000 - - - - 0.0 - - -", "/x", dumpfile.ErrPath},
	{"link to a relative path", file + "/x 0 @120000 - - - - 0.0 f - -", "/x", dumpfile.ErrPath},
	{"link with few fields", file + "/x 0 @120000 - - - - 0.0", "/x", dumpfile.ErrField},
	{"link to a whiteout", "/w 0 20000 1 0 0 0 0.0 - - -\n/x 0 @120000 - - - - 0.0 /w - -", "/x", tree.ErrWhiteout},
	{"link without parent", file + "/d/x 0 @120000 - - - - 0.0 /f - -", "/d/x", dumpfile.ErrParent},

	{"attribute without value", fifo + "- - - a", "/x", dumpfile.ErrField},
	{"NUL in a name", fifo + `- - - a\x00=b`, "/x", dumpfile.ErrNUL},
	{"bad escape in a name", fifo + `- - - a\=b`, "/x", dumpfile.ErrEscape},
	{"bad escape in a value", fifo + `- - - a=\`, "/x", dumpfile.ErrEscape},
	{"attribute again", fifo + "- - - a=1 b=2 a=1", "/x", dumpfile.ErrDuplicate},
	{"name of an attribute too long", fifo + "- - - " + strings.Repeat("n", 256) + "=", "/x", dumpfile.ErrLimit},
	{"value too long", fifo + "- - - a=" + strings.Repeat("v", 65536), "/x", dumpfile.ErrLimit},
	{"names too long", fifo + "- - -" + strings.Repeat(" "+strings.Repeat("n", 255)+"=", 258), "/x", dumpfile.ErrLimit},
}

func TestReadErrors(t *testing.T) {
	for _, tc := range refused {
		t.Run(tc.name, func(t *testing.T) {
			dump := root + strings.TrimSuffix(tc.in, "\n") + "\n"
			checkError(t, dump, strings.Count(dump, "\n"), tc.path, tc.err)
		})
	}
}

// TestReadRootErrors has dumps whose root is at fault.
func TestReadRootErrors(t *testing.T) {
	for _, tc := range []struct {
		name, dump string
		line       int
		path       string
		err        error
	}{
		{"empty", "", 1, "", dumpfile.ErrRoot},
		{"blank", "\n \n", 3, "", dumpfile.ErrRoot},
		{"not first", "\n/a 0 40755 2 0 0 0 0.0 - - -\n" + root, 2, "/a", dumpfile.ErrRoot},
		{"a file", "/ 0 100644 1 0 0 0 0.0 - - -\n", 1, "/", dumpfile.ErrRoot},
		{"a hard link", "/ 0 @120000 - - - - 0.0 / - -\n", 1, "/", dumpfile.ErrRoot},
		{"with rdev", "/ 0 40755 2 0 0 42 0.0 - - -\n", 1, "/", dumpfile.ErrMisplaced},
		{"with digest", "/ 0 40755 2 0 0 0 0.0 - - " + sum256 + "\n", 1, "/", dumpfile.ErrMisplaced},
	} {
		t.Run(tc.name, func(t *testing.T) { checkError(t, tc.dump, tc.line, tc.path, tc.err) })
	}
}

func checkError(t *testing.T, dump string, line int, path string, want error) {
	t.Helper()
	_, err := dumpfile.Read(strings.NewReader(dump), fsverity.SHA256)
	var pe *dumpfile.ParseError
	if !errors.As(err, &pe) {
		t.Fatalf("%v is no ParseError", err)
	}
	if pe.Line != line || pe.Path != path || !errors.Is(err, want) {
		t.Errorf("%v (line %d, path %q), want %v (line %d, path %q)", err, pe.Line, pe.Path, want, line, path)
	}
	if len(err.Error()) > 2048 {
		t.Errorf("a message of %d bytes", len(err.Error()))
	}
}

// TestReadReaderErrors passes on an error of the reader, even if the text
// before it ends inside a line.
func TestReadReaderErrors(t *testing.T) {
	broken := errors.New("broken")
	for n := range len(everyKindDump) + 1 {
		r := io.MultiReader(strings.NewReader(everyKindDump[:n]), iotest.ErrReader(broken))
		if _, err := dumpfile.Read(r, fsverity.SHA256); !errors.Is(err, broken) {
			t.Fatalf("after %d bytes: %v, want the reader's error", n, err)
		}
	}
}

// TestReadSmallReads gets a byte at a time.
func TestReadSmallReads(t *testing.T) {
	tr, err := dumpfile.Read(iotest.OneByteReader(strings.NewReader(everyKindDump)), fsverity.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(everyKindDump, write(t, tr, fsverity.SHA256)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadAlgorithm(t *testing.T) {
	if _, err := dumpfile.Read(strings.NewReader(root), 0); err == nil {
		t.Error("no error without an algorithm")
	}
}

// TestDeep writes and reads a tree that is one long path.
func TestDeep(t *testing.T) {
	tr := tree.New(fsverity.SHA256)
	dir := tree.Root
	for range 1000 { // the size of the dump is the square
		sub := tr.NewDirectory(tree.Meta{Mode: 0o755})
		tr.Link(dir, []byte("d"), sub)
		dir = sub
	}
	want := write(t, tr, fsverity.SHA256)
	if got := write(t, read(t, want, fsverity.SHA256), fsverity.SHA256); got != want {
		t.Error("the dump changes")
	}
}
