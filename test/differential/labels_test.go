// SPDX-License-Identifier: Apache-2.0

package differential_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/selinux"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

// What test/selinux.sh hands over: the dump of a bootable tree, the directory
// of its policy's files, and where the counts go.
const (
	labelsDump   = "CFS_LABELS_DUMP"
	labelsPolicy = "CFS_LABELS_POLICY"
	labelsTable  = "CFS_LABELS_TABLE"
)

// fileTypes are the kinds of files, by the letter that matchpathcon has.
var fileTypes = map[tree.Kind]struct {
	letter string
	kind   selinux.Kind
}{
	tree.Regular:     {"f", selinux.Regular},
	tree.Directory:   {"d", selinux.Directory},
	tree.Symlink:     {"l", selinux.Symlink},
	tree.BlockDevice: {"b", selinux.BlockDevice},
	tree.CharDevice:  {"c", selinux.CharDevice},
	tree.FIFO:        {"p", selinux.FIFO},
	tree.Socket:      {"s", selinux.Socket},
}

// Why a label is not libselinux's. Each is a rule of libselinux's that hosts do
// not have; with it, our own matching gives what libselinux gives.
const (
	equalLabels = "the same label"
	otherOrder  = "libselinux: .homedirs before .local, and entries without special characters last"
	prefixSubs  = "libselinux: the longest beginning of a path is substituted, once"
	references  = "libselinux: \\1 is the first group of a pattern, for hosts it is all of the pattern"
	allRules    = "several of these"
)

var reasons = []string{equalLabels, otherOrder, prefixSubs, references, allRules}

// TestLabels: every path of a bootable tree has the label that libselinux has
// for it (matchpathcon), or one of the known reasons not to. It is for the
// trees that test/selinux.sh makes.
func TestLabels(t *testing.T) {
	dump, dir := os.Getenv(labelsDump), os.Getenv(labelsPolicy)
	if dump == "" || dir == "" {
		t.Skipf("%s and %s name nothing to compare; test/selinux.sh sets them", labelsDump, labelsPolicy)
	}
	l := newLibselinux(t, dir)
	count := map[string]int{}
	example := map[string]string{}
	unknown := 0
	for letter, files := range filesOf(t, dump) {
		for i, theirs := range l.ask(t, letter, files) {
			f := files[i]
			reason := l.reason(t, f, theirs)
			if reason == "" {
				if unknown++; unknown <= 20 {
					t.Errorf("%s (%s): %s, and libselinux has %s for no known reason", f.path, letter, f.label, theirs)
				}
				continue
			}
			if count[reason]++; count[reason] == 1 {
				example[reason] = fmt.Sprintf("%#q: %s, libselinux %s", f.path, f.label, theirs)
			}
		}
	}
	if unknown > 0 {
		t.Errorf("%d labels differ for no known reason", unknown)
	}
	var table strings.Builder
	for _, reason := range reasons {
		t.Logf("%6d %s; %s", count[reason], reason, example[reason])
		if reason == equalLabels {
			example[reason] = ""
		}
		fmt.Fprintf(&table, "| %s | %d | %s |\n", reason, count[reason], example[reason])
	}
	if count[equalLabels] < 1000 {
		t.Errorf("only %d labels are equal", count[equalLabels])
	}
	if name := os.Getenv(labelsTable); name != "" {
		if err := os.WriteFile(name, []byte(table.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// file is one of a tree.
type file struct {
	path, label string
	kind        selinux.Kind
}

// filesOf returns the files of a dump by the letter of their type. What has a
// line end in its name is left out: matchpathcon writes lines.
func filesOf(t *testing.T, name string) map[string][]file {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := dumpfile.Read(bytes.NewReader(text), fsverity.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tr.Check()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]file{}
	for step := range c.Walk() {
		ft := fileTypes[c.Kind(step.Ino)]
		label := "<<none>>"
		for _, x := range c.XattrList(c.Meta(step.Ino).Xattrs) {
			if x.Name == transform.SELinuxXattr {
				label = x.Value
			}
		}
		if path := step.Path(); !strings.Contains(path, "\n") {
			files[ft.letter] = append(files[ft.letter], file{path, label, ft.kind})
		}
	}
	return files
}

// libselinux answers for libselinux, and has its rules for our own matching.
type libselinux struct {
	program, contexts string
	hosts             *selinux.Policy // as hosts have it
	ordered           *selinux.Policy // in the order of libselinux
	counted           *selinux.Policy // with the groups counted as by libselinux
	both              *selinux.Policy
}

func newLibselinux(t *testing.T, dir string) *libselinux {
	t.Helper()
	l := &libselinux{program: oracle.Require(t, "matchpathcon"), contexts: filepath.Join(dir, "file_contexts")}
	// file_contexts.bin is what libselinux would read in place of all.
	if _, err := os.Stat(l.contexts + ".bin"); !os.IsNotExist(err) {
		t.Fatalf("%s.bin is there: %v", l.contexts, err)
	}
	hosts := entriesOf(t, dir, "file_contexts", "file_contexts.local", "file_contexts.homedirs")
	ordered := entriesOf(t, dir, "file_contexts", "file_contexts.homedirs", "file_contexts.local")
	slices.SortStableFunc(ordered, func(a, b string) int { return rank(a) - rank(b) })
	l.hosts = policyOf(t, dir, hosts)
	l.ordered = policyOf(t, dir, ordered)
	l.counted = policyOf(t, dir, shiftReferences(hosts))
	l.both = policyOf(t, dir, shiftReferences(ordered))
	return l
}

// entriesOf returns the lines of the files, in that order.
func entriesOf(t *testing.T, dir string, names ...string) (lines []string) {
	t.Helper()
	for _, name := range names {
		data, _, err := readFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// policyOf makes a policy of entries and the substitutions in the directory.
func policyOf(t *testing.T, dir string, entries []string) *selinux.Policy {
	t.Helper()
	policy, err := selinux.Parse(func(name string) ([]byte, bool, error) {
		switch name {
		case "file_contexts":
			return []byte(strings.Join(entries, "\n")), true, nil
		case "file_contexts.subs", "file_contexts.subs_dist":
			return readFile(filepath.Join(dir, name))
		}
		return nil, false, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func readFile(name string) (data []byte, found bool, err error) {
	data, err = os.ReadFile(name)
	if os.IsNotExist(err) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// shiftReferences makes \1 of each pattern what hosts have for it.
func shiftReferences(lines []string) []string {
	shifted := make([]string, len(lines))
	for i, line := range lines {
		shifted[i] = strings.NewReplacer(`\\`, `\\`, `\1`, `\2`, `\2`, `\3`).Replace(line)
	}
	return shifted
}

// rank puts entries without special characters behind the others.
func rank(line string) int {
	if f := strings.Fields(line); len(f) > 0 && isExact(f[0]) {
		return 1
	}
	return 0
}

// isExact reports whether libselinux finds no special character in a pattern
// (spec_hasMetaChars).
func isExact(pattern string) bool {
	for i := 0; i < len(pattern); i++ {
		if pattern[i] == '\\' {
			i++
		} else if strings.IndexByte(".^$?*+|[({", pattern[i]) >= 0 {
			return false
		}
	}
	return true
}

// ask returns the labels that libselinux has for files of one type.
func (l *libselinux) ask(t *testing.T, letter string, files []file) (labels []string) {
	t.Helper()
	for some := range slices.Chunk(files, 1000) {
		args := []string{"-n", "-N", "-m", letter, "-f", l.contexts}
		for _, f := range some {
			args = append(args, f.path)
		}
		out, err := exec.CommandContext(t.Context(), l.program, args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		if len(lines) != len(some) {
			t.Fatalf("%d labels for %d paths", len(lines), len(some))
		}
		labels = append(labels, lines...)
	}
	return labels
}

// reason says why a file has another label than libselinux's, or that it has
// not; it is empty for an unknown one.
func (l *libselinux) reason(t *testing.T, f file, theirs string) string {
	t.Helper()
	whole, prefix := wholeSubs(l.hosts, f.path), prefixSub(l.hosts, f.path)
	switch theirs {
	case f.label:
		return equalLabels
	case labelOf(t, l.ordered, whole, f.kind):
		return otherOrder
	case labelOf(t, l.hosts, prefix, f.kind):
		return prefixSubs
	case labelOf(t, l.counted, whole, f.kind):
		return references
	case labelOf(t, l.both, prefix, f.kind):
		return allRules
	}
	return ""
}

func labelOf(t *testing.T, policy *selinux.Policy, path []byte, kind selinux.Kind) string {
	t.Helper()
	label, ok, err := policy.Lookup(path, kind)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "<<none>>"
	}
	return label
}

// wholeSubs substitutes as hosts do: each directory on the way, in turn.
func wholeSubs(policy *selinux.Policy, path string) []byte {
	at := []byte("/")
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if at[len(at)-1] != '/' {
			at = append(at, '/')
		}
		at = policy.Substitute(append(at, name...))
	}
	return at
}

// prefixSub substitutes as libselinux does: the longest beginning that there is.
func prefixSub(policy *selinux.Policy, path string) []byte {
	for i := len(path); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if to := policy.Substitute([]byte(path[:i])); string(to) != path[:i] {
			return append(to, path[i:]...)
		}
	}
	return []byte(path)
}
