// SPDX-License-Identifier: Apache-2.0

package differential_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/selinux"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

var updateFlag = flag.Bool("update", false, "write what cfsctl says of the patterns into composefs/selinux/testdata")

const (
	patternsFile = "../../composefs/selinux/testdata/patterns.txt"
	probesFile   = "../../composefs/selinux/testdata/probes.txt"
	policyFolder = "etc/selinux/t/contexts/files"
)

// TestPatterns: the table of patterns, which the tests of composefs/selinux
// hold our reading to, is what cfsctl says.
func TestPatterns(t *testing.T) {
	roots := make(chan *patternRoot, 8)
	for range cap(roots) {
		roots <- newPatternRoot(t)
	}
	table, err := os.ReadFile(patternsFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(table), "\n")
	numbers := make([]int, len(lines))
	for i := range numbers {
		numbers[i] = i
	}
	said := slices.Clone(lines)
	inParallel(numbers, func(i int) {
		pattern, _, ok := strings.Cut(lines[i], " ")
		if !ok || strings.HasPrefix(pattern, "#") {
			return
		}
		root := <-roots
		defer func() { roots <- root }()
		said[i] = pattern + " " + root.verdict(t, pattern)
		if said[i] != lines[i] && !*updateFlag {
			t.Errorf("the table has\n%s\nand cfsctl says\n%s", lines[i], said[i])
		}
	})
	if *updateFlag {
		if err := os.WriteFile(patternsFile, []byte(strings.Join(said, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A patternRoot is a directory with the probes, for one pattern at a time.
type patternRoot struct {
	cfsctl, dir string
	probes      []string
}

func newPatternRoot(t *testing.T) *patternRoot {
	t.Helper()
	r := &patternRoot{cfsctl: oracle.Require(t, "cfsctl"), dir: t.TempDir()}
	data, err := os.ReadFile(probesFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"usr", "boot", "sysroot", "p", policyFolder} {
		if err := os.MkdirAll(filepath.Join(r.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(r.dir+"/etc/selinux/config", []byte("SELINUXTYPE=t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		name, err := strconv.Unquote(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("%s: %q: %v", probesFile, line, err)
		}
		r.probes = append(r.probes, name)
		path := filepath.Join(r.dir, "p", name)
		if strings.HasPrefix(name, "dir") {
			err = os.Mkdir(path, 0o755)
		} else {
			err = os.WriteFile(path, nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// verdict says of a pattern what the table shall have.
func (r *patternRoot) verdict(t *testing.T, pattern string) string {
	t.Helper()
	policy := []byte("/.* all\n" + pattern + " hit\n")
	_, ours := selinux.Parse(func(name string) ([]byte, bool, error) { return policy, name == "file_contexts", nil })
	if err := os.WriteFile(filepath.Join(r.dir, policyFolder, "file_contexts"), policy, 0o600); err != nil {
		t.Error(err)
		return ""
	}
	out, err := readDirectory(t, r.cfsctl, r.dir, "--bootable")
	if err != nil {
		if ours == nil {
			t.Errorf("we take %s, and cfsctl says: %v", pattern, err)
		}
		return "none"
	}
	verdict := "both"
	if ours != nil {
		verdict = "host"
	}
	labels, err := labelsOf(out)
	if err != nil {
		t.Error(err)
		return ""
	}
	for _, name := range r.probes {
		if labels["/p/"+name] == "hit" {
			verdict += " " + strconv.Quote(name)
		}
	}
	return verdict
}

// readDirectory asks cfsctl for the dump of a directory, as it is or as what it
// makes of it for booting ("--bootable"). What it refuses is an error.
func readDirectory(t *testing.T, cfsctl, dir string, args ...string) ([]byte, error) {
	t.Helper()
	args = append([]string{"--no-repo", "--hash", "sha256", "create-dumpfile", dir}, args...)
	command := exec.CommandContext(t.Context(), cfsctl, args...)
	command.Env = append(os.Environ(), "RUST_BACKTRACE=0", "RUST_LIB_BACKTRACE=0")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.Bytes())
	}
	return out, nil
}

// labelsOf returns the labels in a dump by path.
func labelsOf(dump []byte) (map[string]string, error) {
	tr, err := dumpfile.Read(bytes.NewReader(dump), fsverity.SHA256)
	if err != nil {
		return nil, err
	}
	c, err := tr.Check()
	if err != nil {
		return nil, err
	}
	labels := map[string]string{}
	for step := range c.Walk() {
		for _, x := range c.XattrList(c.Meta(step.Ino).Xattrs) {
			labels[step.Path()] = x.Value
		}
	}
	return labels, nil
}
