// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

// policyDir is where the tests' policies are, in a root directory.
const policyDir = "etc/selinux/t/contexts/files"

// makeRoot makes what a bootable image needs, and files. A name that ends with
// a slash is a directory; "A => B" is a hard link A to B.
func makeRoot(t *testing.T, files map[string]string, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"usr", "boot", "sysroot", policyDir} {
		must(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	must(t, os.WriteFile(root+"/etc/selinux/config", []byte("SELINUXTYPE=t\n"), 0o600))
	for _, name := range names {
		link, old, isLink := strings.Cut(name, " => ")
		path := filepath.Join(root, link)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		switch {
		case isLink:
			must(t, os.Link(filepath.Join(root, old), path))
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(path, 0o755))
		default:
			must(t, os.WriteFile(path, nil, 0o600))
		}
	}
	for name, content := range files {
		path := filepath.Join(root, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return root
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dump asks cfsctl for the dump of a directory. What it refuses is an error.
func dump(t *testing.T, cfsctl, root string, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"--no-repo", "--hash", "sha256", "create-dumpfile"}, append(args, root)...)
	out, err := exec.CommandContext(t.Context(), cfsctl, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return string(out), nil
}

// bootDump applies our transform to what cfsctl reads of the directory without
// its own.
func bootDump(t *testing.T, cfsctl, root string) (string, error) {
	t.Helper()
	plain, err := dump(t, cfsctl, root)
	must(t, err)
	tr := read(t, plain)
	err = bootImage(tr, func(path string, _ tree.Ino) ([]byte, error) {
		return os.ReadFile(filepath.Join(root, path))
	})
	if err != nil {
		return "", err
	}
	return write(t, tr), nil
}

// spec, config and the like make the files of a policy.
func spec(text string) map[string]string {
	return map[string]string{policyDir + "/file_contexts": text}
}

func with(files map[string]string, name, text string) map[string]string {
	more := map[string]string{policyDir + "/" + name: text}
	for n, content := range files {
		if _, ok := more[n]; !ok {
			more[n] = content
		}
	}
	return more
}

func config(text string) map[string]string {
	files := spec("/.* all\n")
	files["etc/selinux/config"] = text
	return files
}

// long is a comment that makes a file too large to be inline.
var long = "#" + strings.Repeat(" long", 20) + "\n"

// bootRules has each rule of the boot transform as a directory.
var bootRules = []struct {
	rule  string
	files map[string]string
	names []string
	fails bool
}{
	{
		rule: "/boot and /sysroot are emptied, and hard links out of them stay", files: spec("/.* all\n"),
		names: []string{"boot/a/b", "sysroot/c", "usr/d => sysroot/c", "usr/e => boot/a/b", "usr/boot/f"},
	},
	{rule: "the last entry that matches holds", files: spec("/.* all\n/usr/a first\n/usr/a second\n/usr/.* third\n/usr/b fourth\n"), names: []string{"usr/a", "usr/b"}},
	{rule: "file types", files: spec("/.* all\n/usr/.* -- file\n/usr/.* -d dir\n/usr/.* -l link\n/usr/a -d nodir\n"), names: []string{"usr/a", "usr/b/"}},
	{rule: "a pattern that ends the group itself", files: spec("/.* all\n/usr/a)\\ -d x\n/usr/b)c\\ -- y\n/usr/d)(e -d z\n/usr/f)(?i -d f\n"), names: []string{"usr/a/", "usr/a)/", "usr/b", "usr/bc)", "usr/d/", "usr/de/", "usr/f/"}},
	{rule: "files without an entry get no label", files: spec("/usr/a x\n"), names: []string{"usr/a", "usr/b"}},
	{rule: "<<none>> is no label, and hides entries before it", files: spec("/.* all\n/usr/a <<none>>\n/usr/b -- <<none>>\n"), names: []string{"usr/a", "usr/b", "usr/c"}},
	{rule: "the root is looked for as /", files: spec("/ -d root\n"), names: []string{"usr/a"}},
	{rule: "an empty pattern matches no path", files: spec("() x\n"), names: []string{"usr/a"}},
	{rule: ".local and .homedirs come behind", files: with(with(spec("/.* all\n/usr/c x\n"), "file_contexts.local", "/usr/[ab] local\n"), "file_contexts.homedirs", "/usr/[bc] home\n"), names: []string{"usr/a", "usr/b", "usr/c"}},
	{
		rule: ".subs_dist beats .subs, exact paths only", files: with(with(spec("/.* all\n/x(/.*)? x\n/y(/.*)? y\n/z/a z\n"), "file_contexts.subs", "/usr/a /x\n/usr/b /x\n"), "file_contexts.subs_dist", "/usr/b /y\n/usr/c/d /z\n/usr/c/d/b /x\n/z/b /y\n"),
		names: []string{"usr/a/a", "usr/b/b", "usr/bb", "usr/c/d/a", "usr/c/d/b"},
	},
	{rule: "a substitution counts for names below, not for itself again", files: with(spec("/.* all\n/b.* b\n/c.* c\n"), "file_contexts.subs", "/usr/a /b\n/b /c\n/b/x /c\n"), names: []string{"usr/a/x", "usr/a/y"}},
	{rule: "the root is not substituted", files: with(spec("/ root\n/x x\n"), "file_contexts.subs", "/ /x\n"), names: []string{"usr/a"}},
	{
		rule: "a slash at the end of a substitution is seen by the directory and its first name", files: with(spec("/.* all\n//.* slashes\n/x/ slash\n/x//+. first\n/x/. one\n/x/\\.+/. dot\n"), "file_contexts.subs", "/usr/a /x/\n/usr/b /x//\n/usr/c //\n/usr/d /x/.\n/usr/e /x/..\n/usr/f /.\n"),
		names: []string{"usr/a/1", "usr/a/2", "usr/b/1", "usr/b/2", "usr/c/1", "usr/c/2/3", "usr/c/2/4", "usr/d/1", "usr/d/2", "usr/e/1", "usr/e/2", "usr/f/1", "usr/f/2"},
	},
	{
		rule: "a substitution need not begin with a slash", files: with(spec("/.* all\nx.* x\n[.]/. dot\n[.]. other\n"), "file_contexts.subs", "/usr/a x\n/usr/b .\n/usr/c ./\n/usr/d x/.\n/usr/e ./.\n"),
		names: []string{"usr/a/1", "usr/a/2", "usr/b/1", "usr/b/2", "usr/c/1", "usr/c/2", "usr/d/1", "usr/d/2", "usr/e/1", "usr/e/2"},
	},
	{rule: "hard links with one label stay one", files: spec("/.* all\n"), names: []string{"usr/a", "usr/b => usr/a"}},
	{rule: "hard links with other labels are split, each by itself", files: spec("/.* all\n/usr/[bd] x\n/usr/e <<none>>\n"), names: []string{"usr/a", "usr/b => usr/a", "usr/c => usr/a", "usr/d => usr/a", "usr/e => usr/a"}},
	{rule: "hard links whose first has no label", files: spec("/usr/[bd] x\n"), names: []string{"usr/a", "usr/b => usr/a", "usr/c => usr/a"}},
	{rule: "a large file_contexts", files: spec("/.* all\n" + long + "/usr/a x\n"), names: []string{"usr/a"}},
	{rule: "comments, white space of all sorts, line ends", files: spec("  # x y z a\n#\n\t\n\r\n/.*\u00a0\u3000all\r\n\v/usr/a\f--\u2028x\u0085\n/usr/b\ty"), names: []string{"usr/a", "usr/b", "usr/c"}},
	{rule: "# is none within a line", files: spec("/usr/a#b x\n"), names: []string{"usr/a#b"}},
	{rule: "an empty file_contexts", files: spec(""), names: []string{"usr/a"}},

	{rule: "a comment behind an entry", files: spec("/usr/a x # why\n"), fails: true},
	{rule: "no label", files: spec("/usr/a\n"), fails: true},
	{rule: "no label behind a type", files: spec("/usr/a --\n"), fails: true},
	{rule: "an unknown type", files: spec("/usr/a -x y\n"), fails: true},
	{rule: "a label like a type", files: spec("/usr/a -x\n"), fails: true},
	{rule: "a type of two letters", files: spec("/usr/a -bc y\n"), fails: true},
	{rule: "an empty type", files: spec("/usr/a - y\n"), fails: true},
	{rule: "a type and another", files: spec("/usr/a -d -d\n"), names: []string{"usr/a/"}},
	{rule: "a file that is not UTF-8", files: spec("/usr/a x\n# \xff\n"), fails: true},
	{rule: "a substitution of one path", files: with(spec("/.* x\n"), "file_contexts.subs", "/a\n"), fails: true},
	{rule: "a substitution of three paths", files: with(spec("/.* x\n"), "file_contexts.subs_dist", "/a /b /c\n"), fails: true},
	{rule: "a comment in a substitution", files: with(spec("/.* x\n"), "file_contexts.subs_dist", "# a b c\n/a /b # c\n"), fails: true},
	{rule: "no file_contexts", files: map[string]string{policyDir + "/file_contexts.local": "/.* x\n"}, fails: true},

	{rule: "SELINUX=disabled changes nothing", files: config("SELINUX=disabled\nSELINUXTYPE=t\n"), names: []string{"usr/a"}},
	{rule: "config: case, white space, the first counts", files: config("#SELINUXTYPE=x\n xSELINUXTYPE=y\n \u00a0seLinuxtype\t= t \u3000\r\nSELINUXTYPE=u\n")},
	{rule: "config: letters that fold to ASCII are none", files: config("\u017fELINUXTYPE=x\nSELINUXTYPE=t\n")},
	{rule: "config: not UTF-8 behind the type", files: config("SELINUXTYPE=t\n\xff\n")},
	{rule: "config: not UTF-8 before the type", files: config("\xff\nSELINUXTYPE=t\n"), fails: true},
	{rule: "config: a comment behind the type", files: config("SELINUXTYPE=t # x\n"), fails: true},
	{rule: "config: no type", files: config("SELINUX=enforcing\nTYPE\n")},
	{rule: "config: empty", files: config("")},
	{rule: "config: slashes and dots in the type", files: config("SELINUXTYPE=t/.//\n")},
	{rule: "config: two equal signs", files: config("SELINUXTYPE=t=u\n"), fails: true},
	{rule: "config: no such policy", files: config("SELINUXTYPE=u\n"), fails: true},
}

// TestBootRules: the tree that cfsctl makes of a directory for booting is the
// one that Boot makes, and what it refuses Boot refuses.
func TestBootRules(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	for _, tc := range bootRules {
		t.Run(tc.rule, func(t *testing.T) {
			root := makeRoot(t, tc.files, tc.names...)
			want, wantErr := dump(t, cfsctl, root, "--bootable")
			got, err := bootDump(t, cfsctl, root)
			if (wantErr != nil) != tc.fails {
				t.Fatalf("cfsctl: error %v, want one: %t", wantErr, tc.fails)
			}
			if (err != nil) != tc.fails {
				t.Fatalf("error %v, and cfsctl has %v", err, wantErr)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-cfsctl +ours)\n%s", diff)
			}
		})
	}
}
