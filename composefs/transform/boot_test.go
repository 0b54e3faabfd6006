// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// noContent is for trees whose files are inline.
func noContent(path string, _ tree.Ino) ([]byte, error) {
	return nil, fmt.Errorf("nobody has %s", path)
}

// bootImage applies Boot as to a container image: with its own policy.
func bootImage(tr *tree.Tree, content transform.Content) error {
	policy, err := transform.Policy(tr, content)
	if err != nil {
		return err
	}
	return transform.Boot(tr, policy)
}

const bootRoot = `
/ 0 40755 5 0 0 0 1.0 - - -
/boot 0 40700 2 1 2 0 3.4 - - -
/sysroot 0 40711 2 3 4 0 5.6 - - -
/usr 0 40755 2 0 0 0 7.8 - - -
`

// TestBootEmpties: /boot and /sysroot lose what they hold and take the time of
// /usr, nothing else of it; a hard link into another directory stays.
func TestBootEmpties(t *testing.T) {
	tr := read(t, `
/ 0 40755 5 0 0 0 1.0 - - -
/boot 0 40700 3 1 2 0 3.4 - - - user.a=b
/boot/d 0 40755 2 0 0 0 0.0 - - -
/boot/d/f 1 100644 2 0 0 0 0.0 - x - security.selinux=old user.c=d
/sysroot 0 40711 2 3 4 0 5.6 - - -
/sysroot/g 1 100644 1 0 0 0 0.0 - y -
/usr 0 40755 3 5 5 0 7.8 - - -
/usr/boot 0 40755 2 0 0 0 1.2 - - -
/usr/boot/f 0 @120000 - - - - 0.0 /boot/d/f - -
`)
	if err := bootImage(tr, noContent); err != nil {
		t.Fatal(err)
	}
	want := `/ 0 40755 5 0 0 0 1.0 - - -
/boot 0 40700 2 1 2 0 7.8 - - - user.a=b
/sysroot 0 40711 2 3 4 0 7.8 - - -
/usr 0 40755 3 5 5 0 7.8 - - -
/usr/boot 0 40755 2 0 0 0 1.2 - - -
/usr/boot/f 1 100644 1 0 0 0 0.0 - x - user.c=d
`
	if diff := cmp.Diff(want, write(t, tr)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// policyIn returns the lines of a dump that bring a policy along.
func policyIn(config, contexts string) string {
	dirs := ""
	for _, dir := range []string{"/etc", "/etc/selinux", "/etc/selinux/t", "/etc/selinux/t/contexts", "/etc/selinux/t/contexts/files"} {
		dirs += dir + " 0 40755 2 0 0 0 0.0 - - -\n"
	}
	return dirs + inline("/etc/selinux/config", config) + inline("/etc/selinux/t/contexts/files/file_contexts", contexts)
}

func inline(path, text string) string {
	escaped := strings.NewReplacer("\\", "\\\\", " ", "\\x20", "\n", "\\n", "\r", "\\r", "\t", "\\t", "\xff", "\\xff").Replace(text)
	if text == "" {
		escaped = "-"
	}
	return fmt.Sprintf("%s %d 100644 1 0 0 0 0.0 - %s -\n", path, len(text), escaped)
}

// TestBootLabels: every inode gets the policy's label in place of its own, and
// names with another label become inodes of their own, each.
func TestBootLabels(t *testing.T) {
	tr := read(t, bootRoot+policyIn("SELINUX=disabled\nSELINUXTYPE=t\n", "/ -d root\n/usr.* usr\n/usr/[bc] other\n/usr/d <<none>>\n")+
		`/usr/a 1 100644 5 0 0 0 0.0 - x - security.selinux=old user.a=b
/usr/b 0 @120000 - - - - 0.0 /usr/a - -
/usr/c 0 @120000 - - - - 0.0 /usr/a - -
/usr/d 0 @120000 - - - - 0.0 /usr/a - -
/usr/e 0 @120000 - - - - 0.0 /usr/a - -
/usr/f 1 100644 1 0 0 0 0.0 - y - security.selinux=old user.c=d
/usr/g 1 100644 1 0 0 0 0.0 - z -
`)
	if err := bootImage(tr, noContent); err != nil {
		t.Fatal(err)
	}
	got := write(t, tr)
	for _, want := range []string{
		"/ 0 40755 6 0 0 0 1.0 - - - security.selinux=root\n",
		"/boot 0 40700 2 1 2 0 7.8 - - -\n",
		"/usr 0 40755 2 0 0 0 7.8 - - - security.selinux=usr\n" +
			"/usr/a 1 100644 2 0 0 0 0.0 - x - security.selinux=usr user.a=b\n" +
			"/usr/b 1 100644 1 0 0 0 0.0 - x - security.selinux=other user.a=b\n" +
			"/usr/c 1 100644 1 0 0 0 0.0 - x - security.selinux=other user.a=b\n" +
			"/usr/d 1 100644 1 0 0 0 0.0 - x - user.a=b\n" +
			"/usr/e 0 @120000 - - - - 0.0 /usr/a - -\n" +
			"/usr/f 1 100644 1 0 0 0 0.0 - y - security.selinux=usr user.c=d\n" +
			"/usr/g 1 100644 1 0 0 0 0.0 - z - security.selinux=usr\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no\n%sin\n%s", want, got)
		}
	}
}

// TestBootErrors: what hosts refuse is an error that says which path, and
// leaves the tree as it was.
func TestBootErrors(t *testing.T) {
	const longFile = "/etc/selinux/t/contexts/files/file_contexts 100 100644 1 0 0 0 0.0 00/11111111111111111111111111111111111111111111111111111111111111 - 0011111111111111111111111111111111111111111111111111111111111111\n"
	const config = "SELINUXTYPE=t\n"
	withoutContexts, _, _ := strings.Cut(policyIn(config, ""), "/etc/selinux/t/contexts/files/file_contexts")
	for _, tc := range []struct{ name, dump, want string }{
		{"no /usr", "/ 0 40755 2 0 0 0 0.0 - - -\n", "no directory /usr"},
		{"no /sysroot", strings.Replace(bootRoot, "/sysroot", "/sysrood", 1), "no directory /sysroot"},
		{"/boot is a link", strings.Replace(bootRoot, "/boot 0 40700 2 1 2 0 3.4 - - -", "/boot 3 120777 1 0 0 0 0.0 usr - -", 1), "/boot is a symlink"},
		{"/etc is a link", bootRoot + "/etc 7 120777 1 0 0 0 0.0 usr/etc - -\n", `"etc" of "etc/selinux" is a symlink`},
		{"the config is a link", bootRoot + "/etc 0 40755 2 0 0 0 0.0 - - -\n/etc/selinux 0 40755 2 0 0 0 0.0 - - -\n/etc/selinux/config 1 120777 1 0 0 0 0.0 x - -\n", `"/etc/selinux/config" is a symlink`},
		{"no such policy", bootRoot + policyIn("SELINUXTYPE=u\n", ""), `names the policy "u", but there is no directory "/etc/selinux/u/contexts/files"`},
		{"a policy above", bootRoot + policyIn("SELINUXTYPE=t/../t\n", ""), `names the policy "t/../t"`},
		{"no file_contexts", bootRoot + withoutContexts, "no such file"},
		{"a sparse file_contexts", bootRoot + withoutContexts + "/etc/selinux/t/contexts/files/file_contexts 5 100644 1 0 0 0 0.0 - - -\n", "no such file"},
		{"a bad pattern", bootRoot + policyIn(config, "/a( x\n"), "file_contexts: line 1"},
		{"content that nobody has", bootRoot + withoutContexts + longFile, "nobody has /etc/selinux/t/contexts/files/file_contexts"},
		{"a directory", bootRoot + withoutContexts + "/etc/selinux/t/contexts/files/file_contexts 0 40755 2 0 0 0 0.0 - - -\n", "is a directory, and hosts want a regular file"},
	} {
		tr := read(t, tc.dump)
		before := write(t, tr)
		if err := bootImage(tr, noContent); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %s", tc.name, err, tc.want)
		}
		if diff := cmp.Diff(before, write(t, tr)); diff != "" {
			t.Errorf("%s: the tree was changed (-before +after):\n%s", tc.name, diff)
		}
	}
	if err := bootImage(read(t, "/ 0 40755 2 0 0 0 0.0 - - -\n"), noContent); !errors.Is(err, transform.ErrNoUsr) {
		t.Errorf("error %v, want %v", err, transform.ErrNoUsr)
	}
}

// TestBootTooMuchWork: a policy that makes too much work for a tree is an error
// that names the path and does not grow with it, and no label has changed.
func TestBootTooMuchWork(t *testing.T) {
	tr := read(t, bootRoot+policyIn("SELINUXTYPE=t\n", "/ -d root\n/("+strings.Repeat("[ab]", 6)+"){1000} -- x\n"))
	dir, name := tree.Root, []byte(strings.Repeat("a", 4000))
	for range 300 {
		below := tr.NewDirectory(tree.Meta{Mode: 0o755})
		tr.Link(dir, name, below)
		dir = below
	}
	tr.Link(dir, name, tr.NewInline(tree.Meta{Mode: 0o644}, nil))
	err := bootImage(tr, noContent)
	if err == nil || !strings.Contains(err.Error(), "too much work") || !strings.Contains(err.Error(), `"/aaa`) || len(err.Error()) > 1000 {
		t.Errorf("error %.2000v", err)
	}
	if tr.Meta(tree.Root).Xattrs != 0 {
		t.Error("a label has changed")
	}
}

// TestBootNoPolicy: without a policy nobody has a label.
func TestBootNoPolicy(t *testing.T) {
	for name, policy := range map[string]string{
		"nothing":         "",
		"no type":         policyIn("SELINUX=enforcing\n", "/.* x\n"),
		"an empty file":   policyIn("", "/.* x\n"),
		"a sparse config": "/etc 0 40755 2 0 0 0 0.0 - - -\n/etc/selinux 0 40755 2 0 0 0 0.0 - - -\n/etc/selinux/config 5 100644 1 0 0 0 0.0 - - -\n",
	} {
		tr := read(t, bootRoot+policy+"/usr/a 1 100644 1 0 0 0 0.0 - x - security.selinux=old\n")
		if err := bootImage(tr, noContent); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := write(t, tr); strings.Contains(got, "security.selinux") {
			t.Errorf("%s: labels are left:\n%s", name, got)
		}
	}
}

// TestBootNarrower: filtering a bootable tree to a narrower xattr mode gives
// what Boot gives after that mode.
func TestBootNarrower(t *testing.T) {
	dump := bootRoot + policyIn("SELINUXTYPE=t\n", "/.* x\n/usr/b y\n") +
		"/usr/a 1 100644 2 0 0 0 0.0 - x - user.a=b security.selinux=old security.capability=c\n/usr/b 0 @120000 - - - - 0.0 /usr/a - -\n"
	boot := func(mode transform.Xattrs) *tree.Tree {
		tr := read(t, dump)
		if err := transform.OCI(tr, mode); err != nil {
			t.Fatal(err)
		}
		if err := bootImage(tr, noContent); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	narrowed := boot(transform.KeepUserXattrs)
	narrowed.FilterXattrs(transform.AllowlistOnly.KeepsBootable)
	want := write(t, boot(transform.AllowlistOnly))
	if diff := cmp.Diff(want, write(t, narrowed)); diff != "" || strings.Contains(want, "user.a") {
		t.Errorf("(-at once +narrowed):\n%s", diff)
	}
}
