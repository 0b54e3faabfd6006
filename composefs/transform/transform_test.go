// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

var modes = []transform.Xattrs{transform.AllowlistOnly, transform.KeepUserXattrs}

func read(t *testing.T, dump string) *tree.Tree {
	t.Helper()
	tr, err := dumpfile.Read(strings.NewReader(dump), fsverity.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// write returns the tree's dump. The tree may be changed afterwards.
func write(t *testing.T, tr *tree.Tree) string {
	t.Helper()
	c, err := tr.Check()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := dumpfile.Write(&b, c, fsverity.SHA256); err != nil {
		t.Fatal(err)
	}
	*tr = *c.Thaw()
	return b.String()
}

// ociRules has each rule of the transform, as a dump before and after.
var ociRules = []struct {
	rule          string
	mode          transform.Xattrs
	before, after string
}{
	{
		rule: "the root takes owner, mode and time of /usr",
		before: `
/ 0 40700 3 1 2 0 3.4 - - -
/usr 0 41755 2 5 6 0 7.8 - - -
`,
		after: `
/ 0 41755 3 5 6 0 7.8 - - -
/usr 0 41755 2 5 6 0 7.8 - - -
`,
	},
	{
		rule: "the root takes the xattrs of /usr and loses its own",
		before: `
/ 0 40755 3 0 0 0 0.0 - - - security.capability=root user.a=b
/usr 0 40755 2 0 0 0 0.0 - - - security.capability=usr
`,
		after: `
/ 0 40755 3 0 0 0 0.0 - - - security.capability=usr
/usr 0 40755 2 0 0 0 0.0 - - - security.capability=usr
`,
	},
	{
		rule: "/run is emptied, however deep, takes the time of /usr and keeps all else; a /run elsewhere is any directory",
		before: `
/ 0 40755 5 0 0 0 0.0 - - -
/run 0 40711 3 8 9 0 1.2 - - - security.capability=x
/run/d 0 40755 2 0 0 0 0.0 - - -
/run/d/f 1 100644 2 0 0 0 0.0 - x -
/usr 0 40755 3 0 0 0 7.8 - - -
/usr/f 0 @120000 - - - - 0.0 /run/d/f - -
/usr/run 0 40755 2 0 0 0 1.2 - - -
/usr/run/g 1 100644 1 0 0 0 0.0 - x -
`,
		after: `
/ 0 40755 4 0 0 0 7.8 - - -
/run 0 40711 2 8 9 0 7.8 - - - security.capability=x
/usr 0 40755 3 0 0 0 7.8 - - -
/usr/f 1 100644 1 0 0 0 0.0 - x -
/usr/run 0 40755 2 0 0 0 1.2 - - -
/usr/run/g 1 100644 1 0 0 0 0.0 - x -
`,
	},
	{
		rule: "allowlist-only keeps security.capability alone, by its whole name",
		before: `
/ 0 40755 3 0 0 0 0.0 - - -
/usr 0 40755 2 0 0 0 0.0 - - - trusted.overlay.opaque=y
/usr/f 1 100644 1 0 0 0 0.0 - x - security.capability=c security.capability2=c security.selinux=s user.a=b Security.capability=c
/usr/g 0 10644 1 0 0 0 0.0 - - - user.security.capability=c
`,
		after: `
/ 0 40755 3 0 0 0 0.0 - - -
/usr 0 40755 2 0 0 0 0.0 - - -
/usr/f 1 100644 1 0 0 0 0.0 - x - security.capability=c
/usr/g 0 10644 1 0 0 0 0.0 - - -
`,
	},
	{
		rule: "keep-user-xattrs keeps user. besides, by the prefix with its point",
		mode: transform.KeepUserXattrs,
		before: `
/ 0 40755 3 0 0 0 0.0 - - - user.gone=x
/usr 0 40755 2 0 0 0 0.0 - - - trusted.a=b user.b=c
/usr/f 1 100644 1 0 0 0 0.0 - x - security.capability=c security.selinux=s user=x user.=y user.overlay.opaque=y users.a=z
`,
		after: `
/ 0 40755 3 0 0 0 0.0 - - - user.b=c
/usr 0 40755 2 0 0 0 0.0 - - - user.b=c
/usr/f 1 100644 1 0 0 0 0.0 - x - security.capability=c user.=y user.overlay.opaque=y
`,
	},
}

// TestOCI: the transform does what its rules say, and nothing else.
func TestOCI(t *testing.T) {
	for _, tc := range ociRules {
		tr := read(t, tc.before)
		if err := transform.OCI(tr, tc.mode); err != nil {
			t.Errorf("%s: %v", tc.rule, err)
			continue
		}
		if diff := cmp.Diff(strings.TrimLeft(tc.after, "\n"), write(t, tr)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.rule, diff)
		}
	}
}

// TestErrors: an image without what the transform needs is refused with the
// rule that it breaks, and stays as it is.
func TestErrors(t *testing.T) {
	const root = "/ 0 40755 2 1 2 0 3.4 - - - user.a=b\n"
	const usr = "/usr 0 40755 2 5 6 0 7.8 - - - user.c=d\n"
	for _, tc := range []struct {
		name, dump string
		want       error
	}{
		{"no /usr", root + "/user 0 40755 2 0 0 0 0.0 - - -\n", transform.ErrNoUsr},
		{"/usr is a symlink", root + "/sysroot 0 40755 2 0 0 0 0.0 - - -\n/usr 7 120777 1 0 0 0 0.0 sysroot - -\n", transform.ErrNoUsr},
		{"/usr is a file", root + "/usr 1 100644 1 0 0 0 0.0 - x -\n", transform.ErrNoUsr},
		{"/run is a file", root + "/run 1 100644 1 0 0 0 0.0 - x - user.e=f\n" + usr, transform.ErrRunNotDir},
		{"/run is a symlink", root + "/run 7 120777 1 0 0 0 0.0 var/run - -\n" + usr, transform.ErrRunNotDir},
	} {
		for _, mode := range modes {
			tr := read(t, tc.dump)
			before := write(t, tr)
			if err := transform.OCI(tr, mode); !errors.Is(err, tc.want) {
				t.Errorf("%s: error %v, want %v", tc.name, err, tc.want)
			}
			if diff := cmp.Diff(before, write(t, tr)); diff != "" {
				t.Errorf("%s: the tree was changed (-before +after):\n%s", tc.name, diff)
			}
		}
	}
}

// manyXattrs is an image with attributes of all sorts on every path.
func manyXattrs() string {
	var b strings.Builder
	names := []string{"security.capability", "security.selinux", "user.a", "user.b", "trusted.overlay.opaque", "foo"}
	for i, path := range []string{"/", "/run", "/run/x", "/usr", "/usr/a", "/usr/b"} {
		fmt.Fprintf(&b, "%s 0 40%d55 2 %d %d 0 %d.%d - - -", path, i, i, i, i, i)
		for j, name := range names[i%3:] {
			fmt.Fprintf(&b, " %s=%d", name, i*j)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestAgain: after one mode, another gives what the narrower of both gives at
// once; the same mode changes nothing.
func TestAgain(t *testing.T) {
	once := map[transform.Xattrs]string{}
	for _, mode := range modes {
		tr := read(t, manyXattrs())
		if err := transform.OCI(tr, mode); err != nil {
			t.Fatal(err)
		}
		once[mode] = write(t, tr)
	}
	if once[transform.AllowlistOnly] == once[transform.KeepUserXattrs] {
		t.Fatal("the modes make no difference here")
	}
	for _, first := range modes {
		for _, second := range modes {
			tr := read(t, manyXattrs())
			for _, mode := range []transform.Xattrs{first, second} {
				if err := transform.OCI(tr, mode); err != nil {
					t.Fatal(err)
				}
			}
			narrower := min(first, second)
			if diff := cmp.Diff(once[narrower], write(t, tr)); diff != "" {
				t.Errorf("%s after %s (-%s at once +got):\n%s", second, first, narrower, diff)
			}
		}
	}
}

// TestXattrNames: a mode has the name that ParseXattrs reads, and nothing else
// is one.
func TestXattrNames(t *testing.T) {
	for mode, name := range map[transform.Xattrs]string{
		transform.AllowlistOnly: "allowlist-only", transform.KeepUserXattrs: "keep-user-xattrs",
	} {
		if got := mode.String(); got != name {
			t.Errorf("String() = %q, want %q", got, name)
		}
		if got, err := transform.ParseXattrs(name); err != nil || got != mode {
			t.Errorf("ParseXattrs(%q) = %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "all", "Allowlist-Only", "Xattrs(2)"} {
		if got, err := transform.ParseXattrs(name); err == nil || !strings.Contains(err.Error(), "allowlist-only or keep-user-xattrs") {
			t.Errorf("ParseXattrs(%q) = %v, %v, want an error that names the modes", name, got, err)
		}
	}
	if got, want := transform.Xattrs(2).String(), "Xattrs(2)"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}
