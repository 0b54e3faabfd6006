// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/lint"
)

// base is an image of which there is nothing to say.
var base = []header{aDir("usr/"), aDir("boot/"), aDir("sysroot/")}

// above returns layers of which the first has the base and the entries.
func above(entries ...header) [][]header { return [][]header{slices.Concat(base, entries)} }

// twoLayers returns the base and one layer more.
func twoLayers(first []header, second ...header) [][]header {
	return [][]header{slices.Concat(base, first), second}
}

// ruleCase is an image that breaks one rule, and one much like it that breaks
// none.
type ruleCase struct {
	rule    string
	path    string // of the finding
	says    string // a part of its message
	bad     built
	fine    built
	alsoBad []built // other images that break it
}

const (
	someDigest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	python312  = 3531
	python36   = 3379
	python32   = 3180
	python27   = 62211
)

// ownDigest stands in a UKI for the bootable digest, in V2, of the image that it
// is in.
var ownDigest = strings.Repeat("own.", 32)

// ukiIn returns layers with a UKI in the directory.
func ukiIn(dir, cmdline string) [][]header {
	entries := slices.Clone(base)
	path := ""
	for name := range strings.SplitSeq(dir, "/") {
		path += name + "/"
		if !slices.ContainsFunc(base, func(h header) bool { return h.name == path }) {
			entries = append(entries, aDir(path))
		}
	}
	return [][]header{append(entries, aFile(path+"a.efi", ukiOf(cmdline)))}
}

var archiveCases = []ruleCase{
	{
		rule: "image-unreadable", says: "compressed",
		bad:  built{layers: above(), layerType: "application/vnd.oci.image.layer.v1.tar+gzip"},
		fine: built{layers: above()},
	},
	{
		rule: "archive-malformed", says: "checksum",
		bad:  built{layers: above(aFile("usr/a", "").with(func(h *header) { h.spoiled = true }))},
		fine: built{layers: above(aFile("usr/a", ""))},
	},
	{
		rule: "sparse-file", path: "/usr/a", says: "without sparse files",
		bad:  built{layers: above(aFile("usr/a", "x").record("GNU.sparse.major", "1").record("GNU.sparse.minor", "0").record("GNU.sparse.realsize", "9").record("GNU.sparse.name", "usr/a"))},
		fine: built{layers: above(aFile("usr/a", "x").record("comment", "1"))},
	},
	{
		rule: "missing-parent", path: "/opt/app/bin", says: `"opt/"`,
		bad:  built{layers: above(aFile("opt/app/bin", ""))},
		fine: built{layers: above(aDir("opt/"), aDir("opt/app/"), aFile("opt/app/bin", ""))},
		alsoBad: []built{
			{layers: above(aFile("usr/a", ""), aLink('1', "opt/l", "usr/a"))},
			{layers: twoLayers(nil, aFile("opt/.wh.x", ""))},
		},
	},
	{
		rule: "parent-not-directory", path: "/lib/x.so", says: "symlink",
		bad:  built{layers: above(aDir("usr/lib/"), aLink('2', "lib", "usr/lib"), aFile("lib/x.so", ""))},
		fine: built{layers: above(aDir("usr/lib/"), aLink('2', "lib", "usr/lib"), aFile("usr/lib/x.so", ""))},
		alsoBad: []built{
			{layers: above(aFile("usr/f", ""), aFile("usr/f/x", ""))},
			{layers: twoLayers([]header{aLink('2', "lib", "usr")}, aFile("lib/.wh.x", ""))},
		},
	},
	{
		rule: "path-dotdot", path: "usr/../a", says: "plain paths",
		bad:  built{layers: above(aFile("usr/../a", ""))},
		fine: built{layers: above(aFile("usr/..a", ""))},
	},
	{
		rule: "root-not-directory", path: "/", says: "an entry for /",
		bad:  built{layers: above(aLink('2', "./", "usr"))},
		fine: built{layers: above(aDir("./"))},
	},
	{
		rule: "hard-link-target", path: "/usr/l", says: `"usr/none"`,
		bad:     built{layers: above(aLink('1', "usr/l", "usr/none"))},
		fine:    built{layers: above(aFile("usr/none", ""), aLink('1', "usr/l", "usr/none"))},
		alsoBad: []built{{layers: above(aLink('1', "usr/l", "usr/a"), aFile("usr/a", ""))}},
	},
	{
		rule: "hard-link-to-directory", path: "/usr/l", says: `"usr/d"`,
		bad:  built{layers: above(aDir("usr/d/"), aLink('1', "usr/l", "usr/d"))},
		fine: built{layers: above(aDir("usr/d/"), aLink('2', "usr/l", "usr/d"))},
	},
	{
		rule: "unknown-entry-type", path: "/usr/v", says: "'V'",
		bad:  built{layers: above(header{name: "usr/v", kind: 'V'})},
		fine: built{layers: above(aFile("usr/v", "").with(func(h *header) { h.kind = '7' }))},
	},
	{
		rule: "device-without-number", path: "/usr/d", says: "without numbers",
		bad:  built{layers: above(aDevice("usr/d", 1, 3).with(func(h *header) { h.v7 = true }))},
		fine: built{layers: above(aDevice("usr/d", 1, 3))},
	},
	{
		rule: "whiteout-same-layer", path: "/usr/d/.wh..wh..opq", says: "its own layer",
		bad:     built{layers: twoLayers([]header{aDir("usr/d/")}, aFile("usr/d/new", ""), aFile("usr/d/.wh..wh..opq", ""))},
		fine:    built{layers: twoLayers([]header{aDir("usr/d/"), aFile("usr/d/old", "")}, aDir("usr/d/"), aFile("usr/d/.wh..wh..opq", ""), aFile("usr/d/new", ""))},
		alsoBad: []built{{layers: above(aFile("usr/a", ""), aFile("usr/.wh.a", ""))}},
	},
}

var treeCases = []ruleCase{
	{
		rule: "no-usr", path: "/usr", says: "needs a /usr",
		bad:     built{layers: [][]header{{aDir("boot/"), aDir("sysroot/"), aFile("app", "")}}},
		fine:    built{layers: [][]header{{aDir("boot/"), aDir("sysroot/"), aFile("app", ""), aDir("usr/")}}},
		alsoBad: []built{{layers: [][]header{{aDir("boot/"), aDir("sysroot/"), aDir("lib/"), aLink('2', "usr", "lib")}}}},
	},
	{
		rule: "run-not-directory", path: "/run", says: "make it a directory",
		bad:  built{layers: above(aLink('2', "run", "usr"))},
		fine: built{layers: above(aDir("run/"))},
	},
	{
		rule: "whiteout-device-linked", path: "/usr/b", says: "more than one name",
		bad:  built{layers: above(aDevice("usr/a", 0, 1), aLink('1', "usr/b", "usr/a"), aDevice("usr/a", 0, 0), aLink('1', "usr/b", "usr/a"))},
		fine: built{layers: above(aDevice("usr/a", 0, 1), aLink('1', "usr/b", "usr/a"))},
	},
	{
		rule: "device-number", path: "/usr/a", says: "32 bits",
		bad:  built{layers: above(aDevice("usr/a", 4096, 0))},
		fine: built{layers: above(aDevice("usr/a", 4095, 0))},
	},
	{
		rule: "name-impossible", path: "/usr/" + strings.Repeat("n", 4085), says: "not a name",
		bad:  built{layers: above(aFile("x", "").record("path", "usr/"+strings.Repeat("n", 4085)))},
		fine: built{layers: above(aFile("x", "").record("path", "usr/"+strings.Repeat("n", 255)))},
	},
	{
		rule: "name-too-long", path: "/usr/" + strings.Repeat("n", 256), says: "256 bytes",
		bad:  built{layers: above(aFile("x", "").record("path", "usr/"+strings.Repeat("n", 256)))},
		fine: built{layers: above(aFile("x", "").record("path", "usr/"+strings.Repeat("n", 255)))},
	},
	{
		rule: "name-nul", path: "/usr/a\x00b", says: `"a"`,
		bad:  built{layers: above(aFile("x", "").record("path", "usr/a\x00b"))},
		fine: built{layers: above(aFile("x", "").record("path", "usr/a\x01b"))},
	},
	{
		rule: "content-in-run", path: "/run", says: "2 files and directories",
		bad:  built{layers: above(aDir("run/"), aDir("run/lock/"), aFile("run/lock/s", "").with(func(h *header) { h.mode = 0o4777 }))},
		fine: built{layers: above(aDir("run/"))},
	},
	{
		rule: "content-in-boot", path: "/boot", says: "1 file",
		bad:  built{layers: above(aFile("boot/vmlinuz", ""))},
		fine: built{layers: above()},
	},
	{
		rule: "content-in-sysroot", path: "/sysroot", says: "2 files",
		bad:  built{layers: above(aDir("sysroot/ostree/"), aFile("sysroot/ostree/x", ""))},
		fine: built{layers: above(aDir("ostree/"), aFile("ostree/sysroot", ""))},
	},
	{
		rule: "xattr-dropped", path: "/usr/a", says: `"user.a" is dropped of 2 files`,
		bad:  built{layers: above(aFile("usr/a", "").xattr("user.a", "1"), aFile("usr/b", "").xattr("user.a", "2").xattr("security.capability", "3"))},
		fine: built{layers: above(aFile("usr/a", "").xattr("security.capability", "1"))},
	},
	{
		rule: "xattr-selinux", path: "/usr/a", says: `"security.selinux" of 1 file`,
		bad:  built{layers: above(aFile("usr/a", "").xattr("security.selinux", "x"))},
		fine: built{layers: above(aFile("usr/a", ""))},
	},
	{
		rule: "mtime-future", path: "/usr/a", says: "2026-01-01T01:00:01Z",
		bad:  built{layers: above(aFile("usr/a", "").with(func(h *header) { h.mtime = now.Unix() + 3601 }))},
		fine: built{layers: above(aFile("usr/a", "").with(func(h *header) { h.mtime = now.Unix() + 3600 }))},
	},
	{
		rule: "mtime-before-1970", path: "/usr/a", says: "1969-12-31T23:59:59Z",
		bad:  built{layers: above(aFile("usr/a", "").with(func(h *header) { h.mtime = -1 }))},
		fine: built{layers: above(aFile("usr/a", "").with(func(h *header) { h.mtime = 0 }))},
	},
	{
		rule: "mtime-fraction", path: "/usr/a", says: "2 files",
		bad:  built{layers: above(aFile("usr/a", "").record("mtime", "1.5"), aFile("usr/b", "").record("mtime", "1.000000001"))},
		fine: built{layers: above(aFile("usr/a", "").record("mtime", "1.0"))},
	},
	{
		rule: "symlink-empty", path: "/usr/l", says: "empty",
		bad:  built{layers: above(aLink('2', "usr/l", ""))},
		fine: built{layers: above(aLink('2', "usr/l", "."))},
	},
	{
		rule: "char-device-zero", path: "/usr/d", says: "0,0",
		bad:  built{layers: above(aDevice("usr/d", 0, 0))},
		fine: built{layers: above(aDevice("usr/d", 0, 1), aDevice("usr/b", 0, 0).with(func(h *header) { h.kind = '4' }))},
	},
	{
		rule: "root-metadata", path: "/", says: "mode 0755, not 0700",
		bad:  built{layers: above(aDir("./").with(func(h *header) { h.mode = 0o700 }))},
		fine: built{layers: above(aDir("./"))},
		alsoBad: []built{
			{layers: above(aDir("./").with(func(h *header) { h.mtime = 2 }))},
			{layers: above(aDir("./").xattr("security.capability", "x"))},
			{layers: above(aDir("./").record("uid", "5"))},
		},
	},
	{
		rule: "not-bootable", path: "/sysroot", says: "no directory /sysroot",
		bad:     built{layers: [][]header{{aDir("usr/"), aDir("boot/")}}},
		fine:    built{layers: above()},
		alsoBad: []built{{layers: [][]header{{aDir("usr/"), aDir("sysroot/"), aLink('2', "boot", "usr")}}}},
	},
	{
		rule: "set-id", path: "/usr/su", says: "mode 4755, owner 0:0",
		bad:     built{layers: above(aFile("usr/su", "").with(func(h *header) { h.mode = 0o4755 }), aLink('1', "usr/tu", "usr/su"))},
		fine:    built{layers: above(aDir("usr/mail/").with(func(h *header) { h.mode = 0o2755 }))},
		alsoBad: []built{{layers: above(aFile("usr/wall", "").with(func(h *header) { h.mode = 0o2755 }))}},
	},
	{
		rule: "world-writable", path: "/usr/a", says: "mode 0666",
		bad:     built{layers: above(aFile("usr/a", "").with(func(h *header) { h.mode = 0o666 }))},
		fine:    built{layers: above(aDir("usr/tmp/").with(func(h *header) { h.mode = 0o1777 }), aLink('2', "usr/l", "tmp"), aDevice("usr/null", 1, 3).with(func(h *header) { h.mode = 0o666 }))},
		alsoBad: []built{{layers: above(aDir("usr/d/").with(func(h *header) { h.mode = 0o777 }))}},
	},
}

// compiled returns an image with /usr/p/x.py of 3 bytes and the time 1000, and
// compiled Python.
func compiled(name, content string) built {
	source := aFile("usr/p/x.py", "abc").with(func(h *header) { h.mtime = 1000 })
	return built{layers: above(aDir("usr/p/"), aDir("usr/p/__pycache__/"), source, aFile("usr/p/"+name, content))}
}

const cached = "__pycache__/x.cpython-312.pyc"

var contentCases = []ruleCase{
	{
		rule: "stale-pyc", path: "/usr/p/" + cached, says: "of 1970-01-01T00:00:00Z, which is of 1970-01-01T00:16:40Z now",
		bad:  compiled(cached, pyc(python312, 0, 0, 3)),
		fine: compiled(cached, pyc(python312, 0, 1000, 3)),
		alsoBad: []built{
			compiled(cached, pyc(python312, 0, 1000, 4)),
			compiled("__pycache__/x.cpython-312.opt-1.pyc", pyc(python312, 0, 999, 3)),
			compiled("__pycache__/x.cpython-36.pyc", pyc(python36, 999, 3)),
			compiled("__pycache__/x.cpython-36.pyc", pyc(python36, 1000, 4)),
			compiled("__pycache__/x.cpython-32.pyc", pyc(python32, 999, 3)),
			compiled("x.pyc", pyc(python27, 999)),
			compiled("x.pyc", pyc(python312, 0, 999, 3)),
			compiled(cached, pyc(python312, 0, 999, 3)[:16]), // kept in the tree
			{layers: above(aFile("x.py", ""), aFile("x.pyc", pyc(python312, 0, 999, 3)))},
			{layers: above(aFile("x.py", ""), aDir("__pycache__/"), aFile(cached, pyc(python312, 0, 999, 3)))},
			{layers: append(compiled(cached, pyc(python312, 0, 1000, 3)).layers, []header{aFile("usr/p/x.py", "abc")})},
			{layers: above(aDir("usr/p/"), aFile("usr/p/obj", pyc(python312, 0, 999, 3)), aFile("usr/p/x.py", ""), aLink('1', "usr/p/x.pyc", "usr/p/obj"))},
		},
	},
	{
		rule: "boot-entry", path: "/boot", says: "no regular file is there",
		bad:  built{layers: above(aDir("boot/loader/"), aDir("boot/loader/entries/"), aFile("boot/loader/entries/a.conf", "linux /none\n"))},
		fine: built{layers: above()},
	},
	{
		rule: "selinux-policy", path: "/etc/selinux", says: "targeted",
		bad:  built{layers: above(aDir("etc/"), aDir("etc/selinux/"), aFile("etc/selinux/config", "SELINUXTYPE=targeted\n"))},
		fine: built{layers: above(aDir("etc/"), aDir("etc/selinux/"), aFile("etc/selinux/config", "SELINUX=disabled\n"))},
	},
	{
		rule: "uki-malformed", path: "/usr/lib/modules/1/a.efi", says: "not an EFI executable",
		bad:  built{layers: above(aDir("usr/lib/"), aDir("usr/lib/modules/"), aDir("usr/lib/modules/1/"), aFile("usr/lib/modules/1/a.efi", strings.Repeat("text ", 50)))},
		fine: built{layers: ukiIn("usr/lib/modules/1", "quiet")},
		alsoBad: []built{
			{layers: above(aDir("usr/lib/"), aDir("usr/lib/modules/"), aDir("usr/lib/modules/1/"), aFile("usr/lib/modules/1/a.efi", "text"))},
			{layers: above(aDir("usr/lib/"), aDir("usr/lib/modules/"), aDir("usr/lib/modules/1/"), aFile("usr/lib/modules/1/a.efi", ukiOf("composefs=" + someDigest)[:200]))},
		},
	},
	{
		rule: "uki-argument", path: "/boot/EFI/Linux/a.efi", says: "md5",
		bad:  built{layers: ukiIn("boot/EFI/Linux", "composefs.digest=v1-md5-12:00")},
		fine: built{layers: ukiIn("boot/EFI/Linux", "composefs.other=v1-md5-12:00")},
	},
	{
		rule: "uki-mismatch", path: "/boot/EFI/Linux/a.efi", says: someDigest,
		bad:  built{layers: ukiIn("boot/EFI/Linux", "composefs="+someDigest)},
		fine: built{layers: ukiIn("boot/EFI/Linux", "composefs="+ownDigest)},
	},
	{
		rule: "uki-mark", path: "/boot/EFI/Linux/a.efi", says: "?",
		bad:  built{layers: ukiIn("boot/EFI/Linux", "composefs="+ownDigest+"?")},
		fine: built{layers: ukiIn("boot/EFI/Linux", "composefs="+ownDigest)},
	},
	{
		rule: "uki-insecure", path: "/boot/EFI/Linux/a.efi", says: "composefs=?",
		bad:  built{layers: ukiIn("boot/EFI/Linux", "composefs=?"+ownDigest)},
		fine: built{layers: ukiIn("boot/EFI/Linux", "composefs="+ownDigest)},
	},
	{
		rule: "uki-quoted", path: "/boot/EFI/Linux/a.efi", says: "composefs=",
		bad:  built{layers: ukiIn("boot/EFI/Linux", `composefs="`+ownDigest+`"`)},
		fine: built{layers: ukiIn("boot/EFI/Linux", `root="x y" composefs=`+ownDigest)},
	},
	{
		rule: "uki-circular", path: "/usr/lib/modules/1/a.efi", says: "composefs=",
		bad:  built{layers: ukiIn("usr/lib/modules/1", "composefs="+someDigest)},
		fine: built{layers: ukiIn("usr/lib/modules/1", "root=x")},
	},
	{
		rule: "label-inherited", says: "it should be",
		bad:  built{layers: above(), labels: map[string]string{image.LabelKey: someDigest}},
		fine: built{layers: above(), labels: map[string]string{"a": someDigest}},
		alsoBad: []built{
			{layers: above(), annotations: map[string]string{image.AnnotationKey(image.RoleMerged, fsverity.SHA512): someDigest}},
			{layers: above(), annotations: map[string]string{image.AnnotationKey(image.RoleMerged, fsverity.SHA256): someDigest[:64]}},
			{layers: above(), annotations: map[string]string{image.AnnotationKey(image.RoleMergedBootable, fsverity.SHA512): someDigest}},
			{layers: above(), labels: map[string]string{image.LabelKey: "none"}},
		},
	},
}

// elsewhere are the rules that no image of a test can break, and what holds them.
var elsewhere = map[string]string{
	"socket":           "TestTree of package lint: tar has none",
	"mtime-impossible": "TestTree of package lint: tar has none",
	"directory-linked": "TestTree of package lint: tar has none",
	"too-deep":         "TestTree of package lint: the archive would have 268 MB",
	"too-large":        "nobody: it takes 128 GiB of inodes",
}

// besides are notes that come with where a case must put its files.
var besides = map[string][]string{
	"boot-entry": {"content-in-boot"}, "uki-mismatch": {"content-in-boot"}, "uki-argument": {"content-in-boot"}, "uki-mark": {"content-in-boot"},
	"uki-insecure": {"content-in-boot"}, "uki-quoted": {"content-in-boot"}, "whiteout-device-linked": {"char-device-zero"},
}

// TestLintRules: for each rule there is an image that breaks it and no other,
// and one much like it that breaks none. The finding has the path, and what is
// wrong.
func TestLintRules(t *testing.T) {
	s := newStore(t)
	covered := map[string]bool{}
	for _, c := range slices.Concat(archiveCases, treeCases, contentCases) {
		covered[c.rule] = true
		t.Run(c.rule, func(t *testing.T) {
			found := lintOne(t, s.pushBuilt(t, c.rule+":bad", c.bad))
			want := append([]string{c.rule}, besides[c.rule]...)
			if diff := cmp.Diff(want, rulesOf(found)); diff != "" {
				t.Errorf("rules (-want +got):\n%s%+v", diff, found.Findings)
			}
			if !slices.ContainsFunc(found.Findings, func(f lint.Finding) bool {
				return f.Rule == c.rule && f.Path == c.path && strings.Contains(f.Message, c.says)
			}) {
				t.Errorf("no finding at %.50q that says %q: %+v", c.path, c.says, found.Findings)
			}
			checkDigests(t, found)
			for i, img := range c.alsoBad {
				if got := rulesOf(lintOne(t, s.pushBuilt(t, c.rule+":bad", img))); len(got) == 0 || got[0] != c.rule {
					t.Errorf("image %d: rules %q", i, got)
				}
			}
			fine := lintOne(t, s.pushBuilt(t, c.rule+":fine", c.fine))
			if got := slices.DeleteFunc(rulesOf(fine), func(id string) bool { return id == "content-in-boot" }); len(got) > 0 || len(fine.Skipped) > 0 {
				t.Errorf("the image that is fine: %+v, not looked at: %v", fine.Findings, fine.Skipped)
			}
		})
	}
	for _, r := range lint.Rules() {
		if covered[r.ID] == (elsewhere[r.ID] != "") {
			t.Errorf("%s: an image breaks it: %v, elsewhere: %q", r.ID, covered[r.ID], elsewhere[r.ID])
		}
	}
}

// checkDigests fails unless an image has digests just if hosts take it.
func checkDigests(t *testing.T, found cfslabel.Linted) {
	t.Helper()
	if refused := found.Has(lint.Refused); refused == (len(found.Digests) > 0) {
		t.Errorf("refused: %v, and it has %d digests", refused, len(found.Digests))
	}
}

// TestLintPycFine: compiled Python is fine that goes by a hash, has no source, is
// of an unknown kind, or whose source is what Python would not compare it with.
func TestLintPycFine(t *testing.T) {
	stale := pyc(python312, 0, 999, 3)
	for name, entries := range map[string][]header{
		"unchecked hash": {aFile("usr/x.py", ""), aFile("usr/x.pyc", pyc(python312, 1, 999, 3))},
		"checked hash":   {aFile("usr/x.py", ""), aFile("usr/x.pyc", pyc(python312, 3, 999, 3))},
		"no source":      {aFile("usr/x.pyc", stale)},
		"another kind":   {aFile("usr/x.py", ""), aFile("usr/x.pyc", pyc(100, 0, 999, 3))},
		"no code":        {aFile("usr/x.py", ""), aFile("usr/x.pyc", strings.Repeat("text", 50))},
		"a link":         {aFile("usr/y.py", ""), aLink('2', "usr/x.py", "y.py"), aFile("usr/x.pyc", stale)},
		"directories":    {aDir("usr/x.py/"), aFile("usr/x.pyc", stale), aFile("usr/y.py", ""), aDir("usr/y.pyc/")},
		"in /run":        {aDir("run/"), aFile("run/x.py", ""), aFile("run/x.pyc", stale)},
	} {
		s := newStore(t)
		found := lintOne(t, s.pushBuilt(t, "app:latest", built{layers: above(entries...)}))
		if slices.Contains(rulesOf(found), "stale-pyc") || len(found.Skipped) > 0 {
			t.Errorf("%s: %+v, not looked at: %v", name, found.Findings, found.Skipped)
		}
	}
}
