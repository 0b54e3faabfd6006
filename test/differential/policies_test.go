// SPDX-License-Identifier: Apache-2.0

package differential_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/selinux"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

var policiesFlag = flag.Int("policies", 200, "how many random policies, and how many random patterns, to compare")

// TestRandomPatterns: a random pattern matches the same files for cfsctl and
// here, unless we refuse it; what it refuses we refuse.
func TestRandomPatterns(t *testing.T) {
	roots := make(chan *patternRoot, 8)
	for range cap(roots) {
		roots <- newPatternRoot(t)
	}
	var refused, host, hits atomic.Int64
	inParallel(seeds(), func(seed uint64) {
		pattern := randomPattern(rand.New(rand.NewPCG(seed, 1)))
		root := <-roots
		defer func() { roots <- root }()
		theirs := root.verdict(t, pattern)
		verdict, names, found := strings.Cut(theirs, " ")
		switch {
		case verdict == "none":
			refused.Add(1)
			return
		case verdict == "host":
			host.Add(1)
			return
		case found:
			hits.Add(1)
		}
		if diff := cmp.Diff(names, root.ours(t, pattern)); diff != "" {
			t.Errorf("seed %d: %s (-cfsctl +ours):\n%s", seed, pattern, diff)
		}
	})
	t.Logf("of %d patterns %d matched something, %d were refused by both, %d by us alone", *policiesFlag, hits.Load(), refused.Load(), host.Load())
	if hits.Load()*10 < int64(*policiesFlag) {
		t.Error("too few of them matched anything")
	}
}

func seeds() []uint64 {
	seeds := make([]uint64, *policiesFlag)
	for i := range seeds {
		seeds[i] = *seedFlag + uint64(i)
	}
	return seeds
}

// ours returns what the pattern matches here, as verdict writes it.
func (r *patternRoot) ours(t *testing.T, pattern string) string {
	t.Helper()
	policy, err := selinux.Parse(func(name string) ([]byte, bool, error) {
		return []byte("/.* all\n" + pattern + " hit\n"), name == "file_contexts", nil
	})
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, name := range r.probes {
		kind := selinux.Regular
		if strings.HasPrefix(name, "dir") {
			kind = selinux.Directory
		}
		label, _, err := policy.Lookup([]byte("/p/"+name), kind)
		if err != nil {
			return err.Error()
		}
		if label == "hit" {
			names = append(names, strconv.Quote(name))
		}
	}
	return strings.Join(names, " ")
}

// tokens are what random patterns are made of.
var tokens = strings.Fields(`a b ab A . .* .+ [ab] [^a] [^/]* (a|b) (ab)? (?i) (?i:a) (?:b) ( ) | * + ? {2} {1,2} {,2} { } ^ $ \A \z \b \B \< \>
	\d \w \W \s \S \. \- \_ \xe9 \x{e9} é \n \t [[:alpha:]] [[:^alpha:]] [a-z] [a-z&&b] [a-z--b] [a-] []a] [^]a] [é] (?!a) (?=a) (?<=a) (?<!b) (?>a+) \2 \1
	a*+ a++ a?? (?s) (?R) (?m) [ ] - & dir lib so _ # \# , / // \/ % \ )\ (?s (?i`)

// randomPattern returns a pattern, or one with a file type behind it.
func randomPattern(r *rand.Rand) string {
	var b strings.Builder
	if r.IntN(10) > 0 {
		b.WriteString("/p/")
	}
	for range 1 + r.IntN(6) {
		b.WriteString(tokens[r.IntN(len(tokens))])
	}
	return b.String() + []string{"", "", " --", " -d"}[r.IntN(4)]
}

// TestRandomPolicies: the tree that cfsctl makes of a random directory with a
// random policy is the one that transform.Boot makes.
func TestRandomPolicies(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	inParallel(seeds(), func(seed uint64) {
		dir := workDirectory(t)
		defer os.RemoveAll(dir)
		if err := randomRoot(rand.New(rand.NewPCG(seed, 2)), dir); err != nil {
			t.Error(err)
			return
		}
		want, wantErr := readDirectory(t, cfsctl, dir, "--bootable")
		got, err := bootOurs(t, cfsctl, dir)
		if (err == nil) != (wantErr == nil) {
			t.Errorf("seed %d: error %v, and cfsctl has %v", seed, err, wantErr)
			return
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
			t.Errorf("seed %d (-cfsctl +ours):\n%s", seed, diff)
		}
	})
}

func bootOurs(t *testing.T, cfsctl, dir string) ([]byte, error) {
	t.Helper()
	plain, err := readDirectory(t, cfsctl, dir)
	if err != nil {
		return nil, err
	}
	tr, err := dumpfile.Read(bytes.NewReader(plain), fsverity.SHA256)
	if err != nil {
		return nil, err
	}
	policy, err := transform.Policy(tr, func(path string, _ tree.Ino) ([]byte, error) {
		return os.ReadFile(filepath.Join(dir, path))
	})
	if err != nil {
		return nil, err
	}
	if err := transform.Boot(tr, policy); err != nil {
		return nil, err
	}
	c, err := tr.Check()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = dumpfile.Write(&b, c, fsverity.SHA256)
	return b.Bytes(), err
}

// names are what directories of random trees have; few, so that patterns and
// substitutions hit.
var names = []string{"a", "b", "ab", "lib", "lib.so", "x-1", "A", "é", "\xff", "etc"}

func randomRoot(r *rand.Rand, dir string) error {
	var paths []string
	for _, sub := range []string{"usr/a/b", "usr/lib", "boot", "sysroot", "a", "b/lib", policyFolder} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	for range 20 + r.IntN(30) {
		parent := []string{"usr", "usr/a", "usr/a/b", "usr/lib", "boot", "sysroot", "a", "b/lib"}[r.IntN(8)]
		path := filepath.Join(dir, parent, names[r.IntN(len(names))])
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		var err error
		switch kind := r.IntN(8); {
		case kind == 0:
			err = os.Mkdir(path, 0o755)
		case kind == 1:
			err = os.Symlink("x", path)
		case kind < 4 && len(paths) > 0:
			err = os.Link(paths[r.IntN(len(paths))], path)
		default:
			err = os.WriteFile(path, nil, 0o600)
		}
		if err != nil {
			return err
		}
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
			paths = append(paths, path)
		}
	}
	files := randomPolicy(r)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func randomPolicy(r *rand.Rand) map[string]string {
	path := func() string {
		var b strings.Builder
		for range 1 + r.IntN(3) {
			b.WriteString("/" + []string{"usr", "a", "b", "lib", "ab"}[r.IntN(5)])
		}
		return b.String()
	}
	spec := func(n int) string {
		var b strings.Builder
		for i := range n {
			tail := []string{"", "", "(/.*)?", "/.*", ".*", "(/[^/]*)?", "/(a|b)(/.*)?", "/lib.*", "(?!/a).*", "/.*/a", ".*b"}[r.IntN(11)]
			kind := []string{" ", " ", " -- ", " -d ", " -l "}[r.IntN(5)]
			label := fmt.Sprintf("l%d", i)
			if r.IntN(8) == 0 {
				label = "<<none>>"
			}
			b.WriteString(path() + tail + kind + label + "\n")
		}
		return b.String()
	}
	subs := func() string {
		var b strings.Builder
		for range 4 {
			b.WriteString(path() + " " + path() + []string{"", "", "", "/", "//", "/."}[r.IntN(6)] + "\n")
		}
		return b.String()
	}
	files := map[string]string{
		"etc/selinux/config":            "SELINUXTYPE=t\n",
		policyFolder + "/file_contexts": spec(30),
	}
	for i, name := range []string{".local", ".homedirs", ".subs", ".subs_dist"} {
		text := spec(3)
		if i > 1 {
			text = subs()
		}
		if r.IntN(2) == 0 {
			files[policyFolder+"/file_contexts"+name] = text
		}
	}
	if r.IntN(20) == 0 {
		files[policyFolder+"/file_contexts"] += "/a(\tx\n"
	}
	return files
}
