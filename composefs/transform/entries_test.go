// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

// entryRules has each rule about boot entries, as the paths of an image: "F/"
// is a directory, "F -> T" a symbolic link, "F: TEXT" a file. Those that name
// no error are fine. test/differential asks cfsctl about the same kinds.
var entryRules = []struct {
	rule  string
	files []string
	want  string
}{
	{"nothing", nil, ""},
	{"a loader entry", []string{"/vmlinuz: x", "/init rd: x", "/boot/loader/entries/a.conf: title x\nlinux /vmlinuz\ninitrd\t init rd\nefi /./vmlinuz/\n"}, ""},
	{"a key is a whole word", []string{"/boot/loader/entries/a.conf: linuxx y\nlinux\n linux y\nLINUX y\ninitrd2 z\n"}, ""},
	{"what is no .conf", []string{"/boot/loader/entries/a.conf.old: linux /x\n", "/boot/loader/entries/b -> x"}, ""},
	{"a file that is missing", []string{"/boot/loader/entries/a.conf: linux /vmlinuz\n"}, `"/boot/loader/entries/a.conf" names "/vmlinuz"`},
	{"a directory that is missing", []string{"/boot/loader/entries/a.conf: linux /x/vmlinuz\n"}, `names "/x/vmlinuz"`},
	{"a file that is a link", []string{"/x -> y", "/boot/loader/entries/a.conf: linux /x\n"}, `names "/x"`},
	{"a file that is a directory", []string{"/boot/loader/entries/a.conf: efi /usr\n"}, `names "/usr"`},
	{"the root", []string{"/boot/loader/entries/a.conf: efi /\n"}, `names "/"`},
	{"no name", []string{"/boot/loader/entries/a.conf: efi \n"}, `names ""`},
	{"dots", []string{"/usr/x: y", "/boot/loader/entries/a.conf: efi /usr/../usr/x\n"}, `names "/usr/../usr/x"`},
	{"a dot first", []string{"/x: y", "/boot/loader/entries/a.conf: efi ./x\n"}, `names "./x"`},
	{"white space behind", []string{"/x: y", "/boot/loader/entries/a.conf: efi /x \n"}, `names "/x "`},
	{"a line end of DOS", []string{"/x: y", "/boot/loader/entries/a.conf: efi /x\r\n"}, `names "/x\r"`},
	{"not UTF-8", []string{"/boot/loader/entries/a.conf: \xff\n"}, `"/boot/loader/entries/a.conf" is not UTF-8`},
	{"an entry that is a directory", []string{"/boot/loader/entries/a.conf/"}, `a.conf" is a directory`},
	{"an entry that is a link", []string{"/boot/loader/entries/a.conf -> x"}, `a.conf" is a symlink`},
	{"entries that are a file", []string{"/boot/loader/entries: x"}, `"entries" of "/boot/loader/entries" is a regular file`},
	{"a /boot/loader that is a link", []string{"/boot/loader -> x"}, `"loader" of`},

	{"images", []string{"/boot/EFI/Linux/a.efi: x", "/boot/EFI/Linux/d.efi/b.efi: x", "/boot/loader/addons/a.addon.efi: x", "/usr/lib/modules/1/a.efi: x", "/usr/lib/modules/1/d/a.efi.extra.d/b.addon.efi: x", "/usr/lib/modules/x.efi -> y"}, ""},
	{"an image that is a link", []string{"/boot/EFI/Linux/a.efi -> x"}, `"a.efi", in "/boot/EFI/Linux", is a symlink`},
	{"a name with control characters, which are not printed", []string{"/boot/EFI/Linux/\x1b[2J.efi -> x"}, `"\x1b[2J.efi", in`},
	{"an addon that is a link", []string{"/boot/loader/addons/d/a.efi -> x"}, `"a.efi", in "/boot/loader/addons", is a symlink`},
	{"an image in a kernel's directory that is a link", []string{"/usr/lib/modules/1/d/a.efi -> x"}, `"a.efi", in "/usr/lib/modules/1", is a symlink`},
	{"modules that are a link", []string{"/usr/lib/modules -> x"}, `"modules" of "/usr/lib/modules" is a symlink`},

	{"kernels", []string{"/usr/lib/modules/1/vmlinuz: x", "/usr/lib/modules/\\xff/vmlinuz -> x", "/usr/lib/modules/f: x"}, ""},
	{"a kernel whose version is not UTF-8", []string{"/usr/lib/modules/\\xff/vmlinuz: x"}, `"/usr/lib/modules/\xff" has a kernel, and its name is not UTF-8`},

	{"a payload", []string{"/boot/aboot-1.img: x", "/boot/vbmeta-1.img: x", "/boot/EFI/Linux/a.addon.efi: x"}, ""},
	{"a payload without a version", []string{"/boot/aboot-.img: x"}, "no kernel version"},
	{"a payload that is a link", []string{"/boot/aboot-1.img -> x"}, `"/boot/aboot-1.img" is a symlink`},
	{"two payloads", []string{"/boot/aboot-1.img: x", "/boot/aboot-2.img: x"}, "2 payloads"},
	{"a payload and an image", []string{"/boot/aboot-1.img: x", "/boot/EFI/Linux/a.efi: x"}, "besides 1 other"},
	{"a payload and a kernel", []string{"/boot/aboot-1.img: x", "/usr/lib/modules/1/vmlinuz: x"}, "besides 1 other"},
	{"a payload and a loader entry", []string{"/boot/aboot-1.img: x", "/boot/loader/entries/a.conf: x"}, "besides 1 other"},
	{"a vbmeta without its payload", []string{"/boot/vbmeta-1.img: x"}, "has no payload"},
	{"a vbmeta that is a link", []string{"/boot/aboot-1.img: x", "/boot/vbmeta-1.img -> x"}, `"/boot/vbmeta-1.img" is a symlink`},
}

// TestBootEntries: boot entries that hosts refuse are errors that say which,
// and the tree stays as it is either way.
func TestBootEntries(t *testing.T) {
	for _, tc := range entryRules {
		tr := read(t, entryDump(tc.files))
		before := write(t, tr)
		err := transform.BootEntries(tr, noContent)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: error %v, want %s", tc.rule, err, tc.want)
		}
		if diff := cmp.Diff(before, write(t, tr)); diff != "" {
			t.Errorf("%s: the tree was changed (-before +after):\n%s", tc.rule, diff)
		}
	}
}

// TestBootEntriesOfReference: cfsctl refuses what the table says, and nothing
// else of it.
func TestBootEntriesOfReference(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	repository := filepath.Join(t.TempDir(), "repository")
	command := exec.CommandContext(t.Context(), cfsctl, "--repo", repository, "init", "--insecure", "--algorithm", "fsverity-sha256-12")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, tc := range entryRules {
		if tc.rule == "a payload" {
			continue // it reads the payload, and this is none
		}
		root := makeRoot(t, nil)
		must(t, os.RemoveAll(filepath.Join(root, "etc")))
		for _, file := range tc.files {
			makeEntry(t, root, file)
		}
		out, err := exec.CommandContext(t.Context(), cfsctl, "--repo", repository, "create-image", "--bootable", root).CombinedOutput()
		if (err == nil) != (tc.want == "") {
			t.Errorf("%s: want %q, cfsctl says %v %.300s", tc.rule, tc.want, err, out)
		}
	}
}

func makeEntry(t *testing.T, root, file string) {
	t.Helper()
	path, text, isFile := strings.Cut(file, ": ")
	link, target, isLink := strings.Cut(file, " -> ")
	path = filepath.Join(root, strings.ReplaceAll(path, `\xff`, "\xff"))
	if isLink {
		path = filepath.Join(root, strings.ReplaceAll(link, `\xff`, "\xff"))
	}
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	switch {
	case isFile:
		must(t, os.WriteFile(path, []byte(text), 0o600))
	case isLink:
		must(t, os.Symlink(target, path))
	default:
		must(t, os.MkdirAll(path, 0o755))
	}
}

// entryDump returns the dump of an image with these files.
func entryDump(files []string) string {
	dump := bootRoot
	made := map[string]bool{"/boot": true, "/usr": true}
	parents := func(path string) {
		for i, c := range path {
			if dir := path[:i]; c == '/' && i > 0 && !made[dir] {
				made[dir] = true
				dump += dir + " 0 40755 2 0 0 0 0.0 - - -\n"
			}
		}
	}
	for _, file := range files {
		path, text, isFile := strings.Cut(file, ": ")
		link, target, isLink := strings.Cut(file, " -> ")
		switch {
		case isFile:
			path = strings.ReplaceAll(path, " ", "\\x20")
			parents(path)
			dump += inline(path, text)
		case isLink:
			parents(link)
			dump += link + " 1 120777 1 0 0 0 0.0 " + target + " - -\n"
		default:
			parents(file)
		}
	}
	return dump
}
