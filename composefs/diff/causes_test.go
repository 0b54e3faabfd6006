// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/diff"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// scenario is two trees, what is found, and the sentence that comes first.
type scenario struct {
	name     string
	a, b     string
	want     []string
	sentence string
}

// TestCauses: two trees that differ in one way have the cause of it, in both
// directions where it does not matter which comes first.
func TestCauses(t *testing.T) {
	met := map[string]bool{}
	for _, tc := range slices.Concat(contentScenarios, ownerScenarios, metaScenarios, mtimeScenarios) {
		t.Run(tc.name, func(t *testing.T) {
			a, b := parse(t, fsverity.SHA256, tc.a), parse(t, fsverity.SHA256, tc.b)
			r := diff.Compare(a, b)
			if d := cmp.Diff(tc.want, summary(r)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			checkCauses(t, r)
			if len(r.Causes) > 0 && (r.Causes[0].Sentence != tc.sentence || r.Causes[0].Remedy == "") {
				t.Errorf("sentence %q, want %q", r.Causes[0].Sentence, tc.sentence)
			}
			for _, c := range r.Causes {
				met[c.ID] = true
			}
			for _, c := range []int{0, 1} { // nothing differs from itself
				same := parse(t, fsverity.SHA256, []string{tc.a, tc.b}[c])
				if r := diff.Compare(same, same); !r.Equal() || len(r.Causes) > 0 {
					t.Errorf("a tree differs from itself: %v", summary(r))
				}
			}
			if d := cmp.Diff(slices.Sorted(slices.Values(tc.want)), otherWay(diff.Compare(b, a))); d != "" {
				t.Errorf("the other way round (-want +got):\n%s", d)
			}
		})
	}
	for _, id := range diff.Causes() {
		if !met[id] {
			t.Errorf("no scenario has the cause %s", id)
		}
	}
}

// otherWay has the summary, sorted, as it is with the sides exchanged.
func otherWay(r *diff.Result) []string {
	lines := summary(r)
	for i, line := range lines {
		lines[i] = strings.NewReplacer("only-in-a", "only-in-b", "only-in-b", "only-in-a").Replace(line)
	}
	slices.Sort(lines)
	return lines
}

// checkCauses fails unless each difference is in exactly the cause that it
// names.
func checkCauses(t *testing.T, r *diff.Result) {
	t.Helper()
	seen := map[int]bool{}
	for at, c := range r.Causes {
		for _, i := range c.Differences {
			if seen[i] || r.Differences[i].Cause != at {
				t.Errorf("%s has the cause %d, and is listed for %d", r.Path(&r.Differences[i]), r.Differences[i].Cause, at)
			}
			seen[i] = true
		}
	}
	if len(seen) != len(r.Differences) {
		t.Errorf("%d of %d differences have a cause", len(seen), len(r.Differences))
	}
}

var contentScenarios = []scenario{
	{
		name: "equal",
		a:    "/f 100 100644 1 0 0 0 1.0 $a", b: "/f 100 100644 1 0 0 0 1.0 $a",
	},
	{
		name: "content",
		a:    "/f 100 100644 1 0 0 0 1.0 $a\n/g 1 100644 1 0 0 0 1.0 - x -\n/h 100 100644 1 0 0 0 1.0 $a",
		b:    "/f 100 100644 1 0 0 0 2.0 $b\n/g 1 100644 1 0 0 0 1.0 - y -\n/h 101 100644 1 0 0 0 1.0 $a",
		want: []string{"content 3 also file-mtime 1"}, sentence: "3 files have other content",
	},
	{
		// A directory in which a name came or went has another mtime for that.
		name: "only-in-a",
		a:    "/d 0 40755 3 0 0 0 1.0 - - -\n/d/e 0 40755 2 0 0 0 1.0 - - -\n/d/e/f 1 100644 1 0 0 0 1.0 - x -\n/d/e/g 1 100644 1 0 0 0 1.0 - x -",
		b:    "/d 0 40755 2 0 0 0 2.0 - - -",
		want: []string{"only-in-a 2 below 2 follow 1"}, sentence: "1 path (and 2 below) is only in A, and so 1 directory has another mtime",
	},
	{
		name: "only-in-b",
		a:    "/d 0 40755 2 0 0 0 1.0 - - -", b: "/c 0 40755 2 0 0 0 1.0 - - -\n/d 0 40755 2 0 0 0 1.0 - - -\n/e 0 40755 2 0 0 0 1.0 - - -",
		want: []string{"only-in-b 2"}, sentence: "2 paths are only in B",
	},
	{
		name: "pyc",
		a:    "/d 0 40755 2 0 0 0 1.0 - - -\n/d/a.pyc 100 100644 1 0 0 0 1.0 $a\n/d/b.pyc 100 100644 1 0 0 0 1.0 $a\n/e 0 40755 3 0 0 0 1.0 - - -\n/e/__pycache__ 0 40755 2 0 0 0 1.0 - - -\n/e/__pycache__/x 1 100644 1 0 0 0 1.0 - x -",
		b:    "/d 0 40755 2 0 0 0 2.0 - - -\n/d/a.pyc 100 100644 1 0 0 0 2.0 $b\n/e 0 40755 3 0 0 0 1.0 - - -",
		want: []string{"pyc 4 below 1 follow 1 also file-mtime 1"}, sentence: "3 paths (and 1 below) of compiled Python differ: Python wrote them while the image was built, and so 1 directory has another mtime",
	},
	{
		name: "builder-files",
		a: "/.dockerenv 0 100644 1 0 0 0 1.0 - - -\n/dev 0 40755 3 0 0 0 1.0 - - -\n/dev/pts 0 40755 2 0 0 0 1.0 - - -\n" +
			"/etc 0 40755 2 0 0 0 1.0 - - -\n/etc/hosts 1 100644 1 0 0 0 1.0 - x -\n/etc/resolv.conf 1 100644 1 0 0 0 1.0 - x -\n/run 0 40755 2 0 0 0 1.0 - - -",
		b: "/dev 0 40755 2 0 0 0 2.0 - - -\n/etc 0 40755 2 0 0 0 2.0 - - -\n/etc/hosts 1 100644 1 0 0 0 2.0 - y -\n/run 0 40755 2 0 0 0 1.0 - - -\n" +
			"/run/.containerenv 1 100644 1 0 0 0 1.0 - x -",
		want:     []string{"builder-files 7 follow 1"},
		sentence: "6 paths are what builders and runtimes put in: /etc/resolv.conf, /etc/hosts, /dev and the like, and so 1 directory has another mtime",
	},
	{
		name: "not-transformed",
		a:    "/boot 0 40755 3 0 0 0 1.0 - - -\n/boot/efi 0 40755 2 0 0 0 1.0 - - -\n/boot/efi/k 1 100644 1 0 0 0 1.0 - x -\n/run 0 40755 2 0 0 0 1.0 - - -\n/sysroot 0 40755 2 0 0 0 1.0 - - -",
		b:    "/boot 0 40755 2 0 0 0 10.5 - - -\n/run 0 40755 2 0 0 0 10.5 - - -\n/sysroot 0 40755 2 0 0 0 3.0 - - -",
		want: []string{"not-transformed 3 below 1", "directory-mtime 1"}, sentence: "3 paths (and 1 below) of /run, /boot or /sysroot differ in what A still has: the other side was made ready as hosts do",
	},
	{
		name: "boot-content", // B is not emptied: a file there is a file like others
		a:    "/boot 0 40755 3 0 0 0 1.0 - - -\n/boot/efi 0 40755 2 0 0 0 1.0 - - -\n/boot/efi/k 1 100644 1 0 0 0 1.0 - x -\n/boot/l 1 100644 1 0 0 0 1.0 - x -",
		b:    "/boot 0 40755 3 0 0 0 1.0 - - -\n/boot/efi 0 40755 2 0 0 0 1.0 - - -", want: []string{"only-in-a 2"}, sentence: "2 paths are only in A",
	},
	{
		name: "type",
		a:    "/d 0 40755 2 0 0 0 1.0 - - -\n/d/f 1 100644 1 0 0 0 1.0 - x -\n/e 1 100644 1 0 0 0 1.0 - x -", b: "/d 3 120777 1 0 0 0 1.0 usr - -\n/e 0 10644 1 0 0 0 1.0 - - -",
		want: []string{"type 2 below 1"}, sentence: "2 paths (and 1 below) are of another type",
	},
	{
		name: "symlink-target",
		a:    "/l 3 120777 1 0 0 0 1.0 usr - -", b: "/l 4 120777 1 0 0 0 1.0 /usr - -",
		want: []string{"symlink-target 1"}, sentence: "1 symlink points elsewhere",
	},
	{
		name: "device-number",
		a:    "/n 0 20666 1 0 0 259 1.0 - - -", b: "/n 0 20666 1 0 0 261 1.0 - - -",
		want: []string{"device-number 1"}, sentence: "1 device has another number",
	},
	{
		// The digest of "x" is known: that it is in an object is all that differs.
		name:     "storage",
		a:        "/f 1 100644 1 0 0 0 1.0 - x -\n/g 100 100644 1 0 0 0 1.0 $a",
		b:        "/f 1 100644 1 0 0 0 1.0 " + objectOf("x") + "\n/g 100 100644 1 0 0 0 1.0 " + strings.Fields(object("a"))[0] + " - -",
		want:     []string{"storage 2"},
		sentence: "2 paths are stored in another way, in the image or in an object, with the same content",
	},
	{
		// So it is under each name of a file that has several, and for content
		// that both images hold.
		name: "storage-of-links",
		a:    "/f 1 100644 3 0 0 0 1.0 - x -\n/g 0 @120000 - - - - 0.0 /f - -\n/h 0 @120000 - - - - 0.0 /f - -\n/i 1 100644 2 0 0 0 1.0 - x -\n/j 0 @120000 - - - - 0.0 /i - -\n/k 1 100644 2 0 0 0 1.0 - x -\n/l 0 @120000 - - - - 0.0 /k - -",
		b:    "/f 1 100644 2 0 0 0 1.0 " + objectOf("x") + "\n/g 0 @120000 - - - - 0.0 /f - -\n/h 1 100644 1 0 0 0 1.0 " + objectOf("y") + "\n/i 1 100644 2 0 0 0 1.0 - y -\n/j 0 @120000 - - - - 0.0 /i - -\n/k 1 100644 2 0 0 0 1.0 - x -\n/l 0 @120000 - - - - 0.0 /k - -",
		want: []string{"content 3 also storage 1", "storage 2"}, sentence: "3 files have other content",
	},
	{
		// A file of the same size, in an object on one side, is another one.
		name: "storage-and-content",
		a:    "/f 1 100644 1 0 0 0 1.0 - y -\n/g 9 100644 1 0 0 0 1.0 - - -", b: "/f 1 100644 1 0 0 0 1.0 " + objectOf("x") + "\n/g 9 100644 1 0 0 0 1.0 $a",
		want: []string{"content 2 also storage 2"}, sentence: "2 files have other content",
	},
}

// objectOf is the payload and digest of a file with that content.
func objectOf(content string) string {
	sum := fsverity.Sum(fsverity.SHA256, []byte(content)).String()
	return sum[:2] + "/" + sum[2:] + " - " + sum
}

// object is what parse makes of a dollar and a letter.
func object(letter string) string {
	sum := strings.Repeat(letter, 64)
	return sum[:2] + "/" + sum[2:] + " - " + sum
}

var ownerScenarios = []scenario{
	{
		// /usr and the root are of the other namespace, too.
		name: "owner-shift",
		a:    "/ 0 40755 3 0 0 0 1.0 - - -\n/f 1 104755 1 0 0 0 1.0 - x -\n/g 1 100644 1 5 6 0 1.0 - x -\n/usr 0 40755 2 0 0 0 1.0 - - -",
		b:    "/ 0 40755 3 1000 1000 0 1.0 - - -\n/f 1 100755 1 1000 1000 0 1.0 - x -\n/g 1 100644 1 1005 1006 0 1.0 - x -\n/usr 0 40755 2 1000 1000 0 1.0 - - -",
		want: []string{"owner-shift 4 also setuid-lost 1"}, sentence: "4 paths are owned by other numbers, uid +1000 and gid +1000 from A to B: one side is of another user namespace",
	},
	{
		// Rootless builders map root to the user, and the others elsewhere.
		name: "owner-shift-rootless",
		a:    "/ 0 40755 3 1 1 0 1.0 - - -\n/f 1 100644 1 0 0 0 1.0 - x -\n/g 1 100644 1 5 6 0 1.0 - x -\n/usr 0 40755 2 1 1 0 1.0 - - -",
		b:    "/ 0 40755 3 100000 100000 0 1.0 - - -\n/f 1 100644 1 1000 1000 0 1.0 - x -\n/g 1 100644 1 100004 100005 0 1.0 - x -\n/usr 0 40755 2 100000 100000 0 1.0 - - -",
		want: []string{"owner-shift 4"}, sentence: "4 paths are owned by other numbers, uid +99999 and gid +99999 from A to B: one side is of another user namespace",
	},
	{
		// A group of root alone is moved with root's, in a file of root's.
		name: "owner-shift-rootless-groups",
		a:    "/ 0 40755 3 0 0 0 1.0 - - -\n/f 1 100644 1 0 42 0 1.0 - x -\n/g 1 100644 1 33 0 0 1.0 - x -\n/usr 0 40755 2 0 0 0 1.0 - - -",
		b:    "/ 0 40755 3 1000 1001 0 1.0 - - -\n/f 1 100644 1 1000 100041 0 1.0 - x -\n/g 1 100644 1 100032 1001 0 1.0 - x -\n/usr 0 40755 2 1000 1001 0 1.0 - - -",
		want: []string{"owner-shift 4"}, sentence: "4 paths are owned by other numbers, uid +99999 and gid +99999 from A to B: one side is of another user namespace",
	},
	{
		// A namespace moves all: what was given away below a directory is none.
		name: "owner-of-most",
		a:    "/ 0 40755 3 0 0 0 1.0 - - -\n/etc 0 40755 2 0 0 0 1.0 - - -\n/usr 0 40755 2 0 0 0 1.0 - - -\n/usr/f 1 100644 1 0 0 0 1.0 - x -\n/usr/g 1 100644 1 0 0 0 1.0 - x -",
		b:    "/ 0 40755 3 9 9 0 1.0 - - -\n/etc 0 40755 2 0 0 0 1.0 - - -\n/usr 0 40755 2 9 9 0 1.0 - - -\n/usr/f 1 100644 1 9 9 0 1.0 - x -\n/usr/g 1 100644 1 9 9 0 1.0 - x -",
		want: []string{"owner-root 4"}, sentence: "4 paths are owned by root in A, and by others on the other side",
	},
	{
		// It makes no one owner of root and another, as chown -R does.
		name: "owner-of-all",
		a:    "/ 0 40755 3 0 0 0 1.0 - - -\n/f 1 100644 1 33 33 0 1.0 - x -\n/usr 0 40755 2 0 0 0 1.0 - - -",
		b:    "/ 0 40755 3 9 9 0 1.0 - - -\n/f 1 100644 1 9 9 0 1.0 - x -\n/usr 0 40755 2 9 9 0 1.0 - - -",
		want: []string{"owner-root 2", "owner 1"}, sentence: "2 paths are owned by root in A, and by others on the other side",
	},
	{
		// One owner in place of several is no shift, and neither is one that
		// leaves groups alone.
		name: "owner-mixed",
		a:    "/f 1 100644 1 5 5 0 1.0 - x -\n/g 1 100644 1 6 6 0 1.0 - x -\n/h 1 100644 1 6 6 0 1.0 - x -", b: "/f 1 100644 1 7 7 0 1.0 - x -\n/g 1 100644 1 7 7 0 1.0 - x -\n/h 1 100644 1 7 7 0 1.0 - x -",
		want: []string{"owner 3"}, sentence: "3 paths have another owner",
	},
	{
		name: "owner-of-user-alone",
		a:    "/f 1 100644 1 5 5 0 1.0 - x -\n/g 1 100644 1 6 6 0 1.0 - x -", b: "/f 1 100644 1 7 5 0 1.0 - x -\n/g 1 100644 1 8 6 0 1.0 - x -",
		want: []string{"owner 2"}, sentence: "2 paths have another owner",
	},
	{
		// A tree of root's, as it is outside of a namespace.
		name: "owner-shift-of-root",
		a:    "/ 0 40755 3 0 0 0 1.0 - - -\n/f 1 100644 1 0 0 0 1.0 - x -\n/usr 0 40755 2 0 0 0 1.0 - - -", b: "/ 0 40755 3 9 9 0 1.0 - - -\n/f 1 100644 1 9 9 0 1.0 - x -\n/usr 0 40755 2 9 9 0 1.0 - - -",
		want: []string{"owner-shift 3"}, sentence: "3 paths are owned by other numbers, uid +9 and gid +9 from A to B: one side is of another user namespace",
	},
	{
		// A copy by a user: a namespace would have moved what was the user's, too.
		name: "owner-root-copied-by-user",
		a:    "/ 0 40755 3 0 0 0 1.0 - - -\n/f 1 100644 1 0 0 0 1.0 - x -\n/g 1 100644 1 9 9 0 1.0 - x -\n/usr 0 40755 2 0 0 0 1.0 - - -", b: "/ 0 40755 3 9 9 0 1.0 - - -\n/f 1 100644 1 9 9 0 1.0 - x -\n/g 1 100644 1 9 9 0 1.0 - x -\n/usr 0 40755 2 9 9 0 1.0 - - -",
		want: []string{"owner-root 3"}, sentence: "3 paths are owned by root in A, and by others on the other side",
	},
	{
		// And it would not have made one owner of two.
		name: "owner-root-one-of-two",
		a:    "/ 0 40755 3 0 0 0 1.0 - - -\n/f 1 100644 1 0 0 0 1.0 - x -\n/g 1 100644 1 8 8 0 1.0 - x -\n/usr 0 40755 2 0 0 0 1.0 - - -", b: "/ 0 40755 3 9 9 0 1.0 - - -\n/f 1 100644 1 9 9 0 1.0 - x -\n/g 1 100644 1 9 9 0 1.0 - x -\n/usr 0 40755 2 9 9 0 1.0 - - -",
		want: []string{"owner-root 3", "owner 1"}, sentence: "3 paths are owned by root in A, and by others on the other side",
	},
	{
		name: "owner-root",
		a:    "/f 1 100644 1 5 5 0 1.0 - x -\n/g 1 100644 1 0 7 0 1.0 - x -", b: "/f 1 100644 1 0 0 0 1.0 - x -\n/g 1 100644 1 0 0 0 1.0 - x -",
		want: []string{"owner-root 2"}, sentence: "2 paths are owned by root in B, and by others on the other side",
	},
	{
		name: "owner",
		a:    "/f 1 100644 1 101 0 0 1.0 - x -\n/g 1 100644 1 0 0 0 1.0 - x -", b: "/f 1 100644 1 102 0 0 1.0 - x -\n/g 1 100644 1 0 0 0 1.0 - x -",
		want: []string{"owner 1"}, sentence: "1 path has another owner",
	},
	{
		// One path is no user namespace, however its owner differs.
		name: "owner-of-one",
		a:    "/f 1 100644 1 101 101 0 1.0 - x -\n/g 1 100644 1 0 0 0 1.0 - x -", b: "/f 1 100644 1 102 102 0 1.0 - x -\n/g 1 100644 1 0 0 0 1.0 - x -",
		want: []string{"owner 1"}, sentence: "1 path has another owner",
	},
	{
		name: "root-metadata",
		a:    "/ 0 40755 3 0 0 0 10.0 - - -\n/usr 0 40755 2 0 0 0 10.0 - - -", b: "/ 0 40700 3 0 0 0 11.0 - - -\n/usr 0 40755 2 0 0 0 10.0 - - -",
		want: []string{"root-metadata 1"}, sentence: "the root has the metadata of /usr in A, and its own in B",
	},
	{
		name: "root-metadata-of-both",
		a:    "/ 0 40755 3 0 0 0 12.0 - - -\n/usr 0 40755 2 0 0 0 10.0 - - -", b: "/ 0 40755 3 0 0 0 11.0 - - -\n/usr 0 40755 2 0 0 0 10.0 - - -",
		want: []string{"root-metadata 1"}, sentence: "the root has its own metadata on each side, not that of /usr",
	},
	{
		// The root that took /usr's metadata differs for what /usr differs for.
		name: "root-like-usr",
		a:    "/ 0 40755 3 0 0 0 10.0 - - -\n/usr 0 40755 2 0 0 0 10.0 - - -", b: "/ 0 40755 3 0 0 0 11.0 - - -\n/usr 0 40755 2 0 0 0 11.0 - - -",
		want: []string{"directory-mtime 2"}, sentence: "2 directories differ only in mtime: the build changed them after the layer was made",
	},
}

var metaScenarios = []scenario{
	{
		name: "setuid-lost",
		a:    "/f 1 104755 1 0 0 0 1.0 - x -\n/g 1 106755 1 0 0 0 1.0 - x -", b: "/f 1 100755 1 0 0 0 1.0 - x -\n/g 1 100755 1 0 0 0 1.0 - x -",
		want: []string{"setuid-lost 2"}, sentence: "2 paths lost set-user-ID or set-group-ID in B",
	},
	{
		name: "umask",
		a:    "/f 1 100600 1 0 0 0 1.0 - x -\n/g 1 100640 1 0 0 0 1.0 - x -", b: "/f 1 100644 1 0 0 0 1.0 - x -\n/g 1 100664 1 0 0 0 1.0 - x -",
		want: []string{"umask 2"}, sentence: "2 paths have fewer permissions for group and others in A: a umask took them",
	},
	{
		name: "mode",
		a:    "/f 1 100600 1 0 0 0 1.0 - x -\n/g 1 100755 1 0 0 0 1.0 - x -", b: "/f 1 100700 1 0 0 0 1.0 - x -\n/g 1 100674 1 0 0 0 1.0 - x -",
		want: []string{"mode 2"}, sentence: "2 paths have another mode",
	},
	{
		// No umask applies to symlinks; other systems give them other modes.
		name: "mode-of-symlink",
		a:    "/l 1 120777 1 0 0 0 1.0 x - -", b: "/l 1 120755 1 0 0 0 1.0 x - -",
		want: []string{"mode 1"}, sentence: "1 path has another mode",
	},
	{
		name: "capability-lost",
		a:    "/f 1 100755 1 0 0 0 1.0 - x - security.capability=v security.selinux=l", b: "/f 1 100755 1 0 0 0 1.0 - x -",
		want: []string{"capability-lost 1 also selinux-lost 1"}, sentence: "1 path has security.capability in A alone",
	},
	{
		name: "selinux-lost",
		a:    "/f 1 100755 1 0 0 0 1.0 - x -\n/g 1 100755 1 0 0 0 1.0 - x -", b: "/f 1 100755 1 0 0 0 1.0 - x - security.selinux=l\n/g 1 100755 1 0 0 0 1.5 - x - security.selinux=l",
		want: []string{"selinux-lost 2 also nanoseconds 1"}, sentence: "2 paths have security.selinux in B alone",
	},
	{
		name: "selinux-label",
		a:    "/f 1 100755 1 0 0 0 1.0 - x - security.selinux=k", b: "/f 1 100755 1 0 0 0 1.0 - x - security.selinux=l",
		want: []string{"selinux-label 1"}, sentence: "1 path has another SELinux label",
	},
	{
		name: "xattrs-dropped",
		a:    "/f 1 100755 1 0 0 0 1.0 - x - trusted.a=1 user.b=2\n/g 1 100755 1 0 0 0 1.0 - x - system.posix_acl_access=1",
		b:    "/f 1 100755 1 0 0 0 1.0 - x -\n/g 1 100755 1 0 0 0 1.0 - x - security.ima=1",
		want: []string{"xattrs-dropped 2 also user-xattrs 1"}, sentence: "2 paths have extended attributes on one side alone that hosts drop",
	},
	{
		name: "user-xattrs",
		a:    "/f 1 100755 1 0 0 0 1.0 - x - user.a=1", b: "/f 1 100755 1 0 0 0 1.0 - x -",
		want: []string{"user-xattrs 1"}, sentence: "1 path has user. attributes in A alone",
	},
	{
		name: "xattrs",
		a:    "/f 1 100755 1 0 0 0 1.0 - x - user.a=1\n/g 1 100755 1 0 0 0 1.0 - x - security.capability=1",
		b:    "/f 1 100755 1 0 0 0 1.0 - x - user.a=2\n/g 1 100755 1 0 0 0 1.0 - x - security.capability=2",
		want: []string{"xattrs 2"}, sentence: "2 paths have extended attributes with other values",
	},
	{
		name: "hard-links",
		a:    "/f 1 100644 3 0 0 0 1.0 - x -\n/g 0 @120000 - - - - 0.0 /f - -\n/h 0 @120000 - - - - 0.0 /f - -\n/i 1 100644 2 0 0 0 1.0 - x -\n/j 0 @120000 - - - - 0.0 /i - -",
		b:    "/f 1 100644 2 0 0 0 1.0 - x -\n/g 0 @120000 - - - - 0.0 /f - -\n/h 1 100644 1 0 0 0 1.0 - x -\n/i 1 100644 2 0 0 0 1.0 - x -\n/j 0 @120000 - - - - 0.0 /i - -",
		want: []string{"hard-links 3"}, sentence: "3 paths are hard links of one file on one side and files of their own on the other side",
	},
	{
		name: "hard-links-of-one-side",
		a:    "/f 1 100644 1 0 0 0 1.0 - x -\n/g 1 100644 1 0 0 0 2.0 - x -", b: "/f 1 100644 2 0 0 0 1.0 - x -\n/g 0 @120000 - - - - 0.0 /f - -",
		want: []string{"hard-links 2 also file-mtime 1"}, sentence: "2 paths are hard links of one file in B and files of their own on the other side",
	},
	{
		// Who writes a name as a file of its own writes to the directory.
		name: "hard-links-and-directory",
		a:    "/d 0 40755 2 0 0 0 1.0 - - -\n/d/f 1 100644 2 0 0 0 1.0 - x -\n/d/g 0 @120000 - - - - 0.0 /d/f - -", b: "/d 0 40755 2 0 0 0 3.0 - - -\n/d/f 1 100644 1 0 0 0 1.0 - x -\n/d/g 1 100644 1 0 0 0 1.0 - x -",
		want: []string{"hard-links 3 follow 1"}, sentence: "2 paths are hard links of one file in A and files of their own on the other side, and so 1 directory has another mtime",
	},
	{
		// What was written anew got an inode of its own: that is all that differs.
		name: "hard-link-replaced",
		a:    "/f 1 100644 2 0 0 0 1.0 - x -\n/g 0 @120000 - - - - 0.0 /f - -\n/h 0 @120000 - - - - 0.0 /f - -", b: "/f 1 100644 1 0 0 0 1.0 - y -\n/g 1 100644 1 0 0 0 1.0 - x -",
		want: []string{"only-in-a 1", "content 1"}, sentence: "1 path is only in A",
	},
}

// mtimes makes files and directories with these mtimes.
func mtimes(files, dirs []string) string {
	var b strings.Builder
	for i, m := range files {
		b.WriteString("/f" + string(rune('a'+i)) + " 1 100644 1 0 0 0 " + m + " - x -\n")
	}
	for i, m := range dirs {
		b.WriteString("/d" + string(rune('a'+i)) + " 0 40755 2 0 0 0 " + m + " - - -\n")
	}
	return b.String()
}

var mtimeScenarios = []scenario{
	{
		name: "nanoseconds",
		a:    mtimes([]string{"1.5", "2.999999999", "3.0"}, []string{"4.1", "9.1"}), b: mtimes([]string{"1.0", "2.0", "3.0"}, []string{"4.0", "9.0"}),
		want: []string{"nanoseconds 4"}, sentence: "4 paths have no fraction of a second in the mtime in B: it was cut",
	},
	{
		// About half of what was rounded was rounded up.
		name: "seconds-rounded",
		a:    mtimes([]string{"2.0", "3.0", "3.0"}, nil), b: mtimes([]string{"1.500000000", "2.999999999", "3.1"}, nil),
		want: []string{"seconds-rounded 3"}, sentence: "3 paths have the mtime rounded to seconds in A",
	},
	{
		// One of many is a file that was touched.
		name: "nanoseconds-and-one-touched",
		a:    mtimes([]string{"1.1", "2.600000000", "3.1", "4.1", "5.1", "6.1"}, nil), b: mtimes([]string{"1.0", "3.0", "3.0", "4.0", "5.0", "6.0"}, nil),
		want: []string{"nanoseconds 5", "file-mtime 1"}, sentence: "5 paths have no fraction of a second in the mtime in B: it was cut",
	},
	{
		// One side rounded and the other cut: half are a second later.
		name: "seconds-rounded-and-cut",
		a:    mtimes(strings.Fields("1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0"), []string{"10.0", "11.0", "12.0"}), b: mtimes(strings.Fields("2.0 3.0 4.0 5.0 6.0 7.0 8.0 8.0 10.0"), []string{"11.0", "12.0", "12.0"}),
		want: []string{"seconds-rounded 10"}, sentence: "10 paths have the mtime rounded to seconds in B",
	},
	{
		// In both directions, they were touched.
		name: "a-second-later-and-earlier",
		a:    mtimes(strings.Fields("1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0 10.0 11.0 12.0"), nil), b: mtimes(strings.Fields("2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0 10.0 11.0 10.0 11.0"), nil),
		want: []string{"file-mtime 12"}, sentence: "12 paths differ only in mtime: written again with the same content, or touched",
	},
	{
		name: "one-mtime",
		a:    mtimes(strings.Fields("1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0"), []string{"1.0", "2.0", "3.0"}), b: mtimes(strings.Fields("86400.0 86400.0 86400.0 86400.0 86400.0 86400.0 86400.0 86400.0"), []string{"86400.0", "86400.0", "5.0"}),
		want: []string{"one-mtime 10", "directory-mtime 1"}, sentence: "10 paths have one mtime in B, 1970-01-02T00:00:00Z",
	},
	{
		// That /run has the mtime of /usr is nothing where everything has.
		name: "one-mtime-of-files-and-run",
		a:    "/ 0 40755 3 0 0 0 5.0 - - -\n" + mtimes(strings.Fields("1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0"), nil) + "/run 0 40755 2 0 0 0 3.0 - - -\n/usr 0 40755 2 0 0 0 5.0 - - -",
		b:    "/ 0 40755 3 0 0 0 86400.0 - - -\n" + mtimes(strings.Fields(strings.Repeat("86400.0 ", 9)), nil) + "/run 0 40755 2 0 0 0 86400.0 - - -\n/usr 0 40755 2 0 0 0 86400.0 - - -",
		want: []string{"one-mtime 12"}, sentence: "12 paths have one mtime in B, 1970-01-02T00:00:00Z",
	},
	{
		// Files alone were touched, all to one time.
		name: "one-mtime-of-files",
		a:    mtimes(strings.Fields("1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0 10.0"), nil), b: mtimes(strings.Fields(strings.Repeat("86400.0 ", 10)), nil),
		want: []string{"one-mtime 10"}, sentence: "10 paths have one mtime in B, 1970-01-02T00:00:00Z",
	},
	{
		// All directories were touched: /run did not take /usr's mtime as on hosts.
		name: "directory-mtime-of-run",
		a:    "/ 0 40755 3 0 0 0 5.0 - - -\n/run 0 40755 2 0 0 0 3.0 - - -\n/usr 0 40755 2 0 0 0 5.0 - - -",
		b:    "/ 0 40755 3 0 0 0 9.0 - - -\n/run 0 40755 2 0 0 0 9.0 - - -\n/usr 0 40755 2 0 0 0 9.0 - - -",
		want: []string{"directory-mtime 3"}, sentence: "3 directories differ only in mtime: the build changed them after the layer was made",
	},
	{
		name: "directory-mtime-of-one",
		a:    mtimes(nil, []string{"1.0"}), b: mtimes(nil, []string{"2.0"}),
		want: []string{"directory-mtime 1"}, sentence: "1 directory differs only in mtime: the build changed it after the layer was made",
	},
	{
		// Directories alone were touched, even if all at once.
		name: "directory-mtime",
		a:    mtimes([]string{"1.0"}, strings.Fields("1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0 10.0 11.0")), b: mtimes([]string{"2.0"}, strings.Fields("99.0 99.0 99.0 99.0 99.0 99.0 99.0 99.0 99.0 99.0 99.0")),
		want: []string{"directory-mtime 11", "file-mtime 1"}, sentence: "11 directories differ only in mtime: the build changed them after the layer was made",
	},
	{
		// What builders mount over and what hosts empty was touched with the rest,
		// /usr at the same time; a file there was not.
		name: "directory-mtime-everywhere",
		a: "/ 0 40755 3 0 0 0 10.5 - - -\n/boot 0 40755 2 0 0 0 3.0 - - -\n/dev 0 40755 2 0 0 0 3.0 - - -\n/dev/log 1 100644 1 0 0 0 3.0 - x -\n/usr 0 40755 2 0 0 0 10.5 - - -\n" +
			mtimes(nil, strings.Fields("1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0 10.0")),
		b: "/ 0 40755 3 0 0 0 99.5 - - -\n/boot 0 40755 2 0 0 0 99.5 - - -\n/dev 0 40755 2 0 0 0 98.5 - - -\n/dev/log 1 100644 1 0 0 0 98.5 - x -\n/usr 0 40755 2 0 0 0 99.5 - - -\n" +
			mtimes(nil, strings.Fields("91.5 92.5 93.5 94.5 95.5 96.5 97.5 98.5 99.5 99.6")),
		want: []string{"directory-mtime 14", "builder-files 1"}, sentence: "14 directories differ only in mtime: the build changed them after the layer was made",
	},
	{
		name: "file-mtime",
		a:    mtimes([]string{"1.1", "2.0", "5.0"}, nil) + "/l 1 120777 1 0 0 0 1.0 x - -", b: mtimes([]string{"1.2", "3.0", "5.0"}, nil) + "/l 1 120777 1 0 0 0 2.0 x - -",
		want: []string{"file-mtime 3"}, sentence: "3 paths differ only in mtime: written again with the same content, or touched",
	},
}
