// SPDX-License-Identifier: Apache-2.0

package selinux_test

import (
	"bufio"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/selinux"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

// TestMatchpathcon: with the policy that is installed here, paths of this
// machine get the label that libselinux has for them. Where hosts' rules are
// others than libselinux's, the difference is one of the kinds that are known.
func TestMatchpathcon(t *testing.T) {
	config, err := os.ReadFile("/etc/selinux/config")
	if err != nil {
		t.Skip("no policy is installed here")
	}
	program := oracle.Require(t, "matchpathcon")
	name, ok, err := selinux.Type(config)
	if err != nil || !ok {
		t.Fatalf("no type of policy: %v", err)
	}
	dir := "/etc/selinux/" + name + "/contexts/files"
	policy, err := selinux.Parse(func(name string) ([]byte, bool, error) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			return nil, false, nil
		}
		return data, err == nil, err
	})
	if err != nil {
		t.Fatal(err)
	}
	paths, kinds := machinePaths(t)
	want := matchpathcon(t, program, filepath.Join(dir, "file_contexts"), paths)
	equal, substituted := 0, 0
	different := map[string]int{}
	for i, path := range paths {
		got := ourLabel(t, policy, path, kinds[i])
		switch {
		case got == want[i]:
			equal++
		case ourPrefixLabel(t, policy, path, kinds[i]) == want[i]:
			substituted++
		default:
			if different[got+" "+want[i]]++; different[got+" "+want[i]] == 1 {
				t.Logf("%s: %s, and libselinux has %s", path, got, want[i])
			}
		}
	}
	others := 0
	for _, n := range different {
		others += n
	}
	t.Logf("%d entries, %d paths: %d equal, %d but for substitutions within a path, %d of %d kinds differ", policy.Rules(), len(paths), equal, substituted, others, len(different))
	if others*100 > len(paths) {
		t.Errorf("more than 1 %% of the labels differ: %d of %d", others, len(paths))
	}
}

// ourLabel walks down the path, as substitutions of directories count below.
func ourLabel(t *testing.T, policy *selinux.Policy, path string, kind selinux.Kind) string {
	t.Helper()
	at := []byte("/")
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			continue
		}
		if at[len(at)-1] != '/' {
			at = append(at, '/')
		}
		at = policy.Substitute(append(at, name...))
	}
	return lookup(t, policy, at, kind)
}

// ourPrefixLabel substitutes as libselinux does: the first prefix that there
// is, once.
func ourPrefixLabel(t *testing.T, policy *selinux.Policy, path string, kind selinux.Kind) string {
	t.Helper()
	for i := len(path); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if to := policy.Substitute([]byte(path[:i])); string(to) != path[:i] {
			return lookup(t, policy, append(to, path[i:]...), kind)
		}
	}
	return lookup(t, policy, []byte(path), kind)
}

func lookup(t *testing.T, policy *selinux.Policy, path []byte, kind selinux.Kind) string {
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

// machinePaths returns up to some ten thousand paths of this machine.
func machinePaths(t *testing.T) (paths []string, kinds []selinux.Kind) {
	t.Helper()
	const most = 40_000
	letters := map[fs.FileMode]selinux.Kind{
		0: selinux.Regular, fs.ModeDir: selinux.Directory, fs.ModeSymlink: selinux.Symlink, fs.ModeDevice: selinux.BlockDevice,
		fs.ModeDevice | fs.ModeCharDevice: selinux.CharDevice, fs.ModeNamedPipe: selinux.FIFO, fs.ModeSocket: selinux.Socket,
	}
	for _, top := range []string{"/bin", "/etc", "/home", "/lib", "/opt", "/sbin", "/srv", "/usr/bin", "/usr/lib/systemd", "/usr/lib", "/usr/local", "/usr/sbin", "/usr/share", "/var/lib", "/var/log", "/var/spool"} {
		n := 0
		_ = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || n > most/8 {
				return fs.SkipDir
			}
			n++
			if kind, ok := letters[entry.Type()]; ok && !strings.ContainsAny(path, "\n\t") {
				paths = append(paths, path)
				kinds = append(kinds, kind)
			}
			return nil
		})
	}
	return paths, kinds
}

// matchpathcon asks libselinux for the labels of paths.
func matchpathcon(t *testing.T, program, file string, paths []string) []string {
	t.Helper()
	var labels []string
	for len(paths) > 0 {
		some := paths[:min(len(paths), 1000)]
		paths = paths[len(some):]
		out, err := exec.CommandContext(t.Context(), program, append([]string{"-n", "-N", "-f", file}, some...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
			labels = append(labels, lines.Text())
		}
	}
	return labels
}
