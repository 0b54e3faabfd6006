// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/scan"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

// with returns the files with others in their place; "" takes one away.
func with(files map[string]string, others ...string) map[string]string {
	for i := 0; i < len(others); i += 2 {
		files[others[i]] = others[i+1]
		if others[i+1] == "" {
			delete(files, others[i])
		}
	}
	return files
}

const (
	config   = "etc/selinux/config"
	contexts = "etc/selinux/p/contexts/files/file_contexts"
	rules    = "/.* u:r:t:s0\n"
)

// policyTests are ways in which a directory has its policy.
var policyTests = []struct {
	name  string
	files map[string]string
	label string // of the root directory
	warns bool
	fails string // what the error says, "" for none
	// What the reference does that we don't.
	follows bool
}{
	{name: "a policy", files: policyOf("u:r:t:s0"), label: "u:r:t:s0"},
	{name: "no /etc", files: nil},
	{name: "no config", files: with(policyOf("u:r:t:s0"), config, "")},
	{name: "no type", files: with(policyOf("u:r:t:s0"), config, "SELINUX=enforcing\n")},
	{name: "an empty config", files: with(policyOf("u:r:t:s0"), config, "\n")},
	{name: "/etc/selinux is a file", files: map[string]string{"etc/selinux": "x"}, fails: "directory is wanted"},
	{name: "/etc is a file", files: map[string]string{"etc": "x"}, fails: "directory is wanted"},
	{name: "config is a directory", files: map[string]string{config + "/": ""}, fails: "regular file is wanted"},
	{name: "a policy that is not there", files: with(policyOf("u:r:t:s0"), contexts, ""), fails: "no such file"},
	{name: "config is a link", files: with(policyOf("u:r:t:s0"), config, "->../../usr/config", "usr/config", "SELINUXTYPE=p\n"), label: "u:r:t:s0", warns: true},
	{name: "a link to a link, through dots", files: with(policyOf("u:r:t:s0"), contexts, "->.././files/./a", "etc/selinux/p/contexts/files/a", "->../../../../../usr/rules", "usr/rules", rules), label: "u:r:t:s0", warns: true},
	{name: "the directory is a link", files: map[string]string{config: "SELINUXTYPE=p\n", "etc/selinux/p": "->q", "etc/selinux/q/contexts/files/file_contexts": rules}, label: "u:r:t:s0", warns: true},
	{name: "/etc/selinux is a link", files: map[string]string{"etc/selinux": "->../usr/s", "usr/s/config": "SELINUXTYPE=p\n", "usr/s/p/contexts/files/file_contexts": rules}, label: "u:r:t:s0", warns: true},
	{name: "into /run, which is emptied", files: with(policyOf("u:r:t:s0"), contexts, "->../../../../../run/rules", "run/rules", rules), label: "u:r:t:s0", warns: true},
	{name: "config is a dangling link", files: with(policyOf("u:r:t:s0"), config, "->none"), warns: true},
	{name: "a link in a circle", files: with(policyOf("u:r:t:s0"), config, "->config"), fails: "too many links"},
	{name: "a link through a file", files: with(policyOf("u:r:t:s0"), config, "->p/contexts/files/file_contexts/"), fails: "directory is wanted"},
	{name: "a type with dots", files: map[string]string{config: "SELINUXTYPE=../p\n", "etc/p/contexts/files/file_contexts": rules}, label: "u:r:t:s0"},
	{name: "an empty type", files: map[string]string{config: "SELINUXTYPE=\n", contexts: rules}, fails: "leads out"},
	{name: "an absolute type", files: map[string]string{config: "SELINUXTYPE=/none\n"}, fails: "leads out"},
	{name: "an absolute link", files: with(policyOf("u:r:t:s0"), config, "->/dev/null"), fails: "leads out", follows: true},
	{name: "a link that climbs out", files: with(policyOf("u:r:t:s0"), config, "->"+strings.Repeat("../", 40)+"dev/null"), fails: "leads out", follows: true},
}

// TestDirectoryPolicy: the policy is found where hosts find it; links are
// followed in the directory, with a warning, and never out of it.
func TestDirectoryPolicy(t *testing.T) {
	for _, tt := range policyTests {
		t.Run(tt.name, func(t *testing.T) {
			var warnings []string
			dir := aRoot(t, tt.files)
			all, err := labels(t, dir, cfslabel.DirectoryOptions{Options: cfslabel.Options{
				Warn: func(message string) { warnings = append(warnings, message) },
			}})
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) || !strings.Contains(err.Error(), dir) {
					t.Fatalf("got %v, want %q", err, tt.fails)
				}
				return
			}
			ok(t, err)
			if all["/"] != tt.label {
				t.Errorf("label %q, want %q", all["/"], tt.label)
			}
			if (len(warnings) > 0) != tt.warns || tt.warns && !strings.Contains(warnings[0], "link") {
				t.Errorf("warnings: %q", warnings)
			}
		})
	}
}

// TestDirectoryPolicyOracle: where we find a policy, or none, or fail, so does
// cfsctl, and the digest is the same, but for what leads out of the directory.
func TestDirectoryPolicyOracle(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	for _, tt := range policyTests {
		t.Run(tt.name, func(t *testing.T) {
			dir := aRoot(t, tt.files)
			cmd := exec.CommandContext(t.Context(), cfsctl, "--no-repo", "--hash", "sha512", "compute-id", "--bootable", dir)
			want, wantErr := cmd.Output()
			digests, err := cfslabel.ComputeDirectory(t.Context(), dir, cfslabel.DirectoryOptions{Options: cfslabel.Options{Bootable: true}})
			switch {
			case tt.follows:
				if wantErr != nil || err == nil {
					t.Errorf("cfsctl: %v; ours: %v; want that it follows, and we do not", wantErr, err)
				}
			case (err == nil) != (wantErr == nil):
				t.Errorf("cfsctl: %v; ours: %v", wantErr, err)
			case err == nil && digests[1].Digest.String() != strings.TrimSpace(string(want)):
				t.Errorf("got %s, want %s", digests[1].Digest, want)
			}
		})
	}
}

// TestDirectoryPolicyOdd: nothing but a regular file is opened for a policy: a
// fifo would make the program wait for ever.
func TestDirectoryPolicyOdd(t *testing.T) {
	dir := aRoot(t, with(policyOf("u:r:t:s0"), config, ""))
	ok(t, unix.Mkfifo(filepath.Join(dir, config), 0o600))
	if _, err := labels(t, dir, cfslabel.DirectoryOptions{}); err == nil || !strings.Contains(err.Error(), "a fifo, and a regular file is wanted") {
		t.Errorf("got %v", err)
	}
}

// TestDirectoryPolicyChanged: the policy is what was hashed, or there is an
// error that names the file.
func TestDirectoryPolicyChanged(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"other content": func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("x", 200)), 0o600) },
		"a link":        func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/dev/null", path)) },
		"gone":          os.Remove,
		"its directory": func(path string) error {
			return os.Rename(filepath.Dir(path), filepath.Dir(path)+"2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := aRoot(t, policyOf("u:r:t:s0"))
			// It is hashed last, and long after the policy.
			ok(t, os.WriteFile(dir+"/usr/zz", make([]byte, 8<<20), 0o600))
			var calls atomic.Int32
			var changeErr error
			_, err := labels(t, dir, cfslabel.DirectoryOptions{Options: cfslabel.Options{Jobs: 1}, Hashed: func(int) {
				if calls.Add(1) == 20 {
					changeErr = change(filepath.Join(dir, contexts))
				}
			}})
			ok(t, changeErr)
			at, isPlace := errors.AsType[*scan.Error](err)
			if !isPlace || !strings.HasPrefix(filepath.Join(dir, contexts), at.Path) ||
				!errors.Is(err, scan.ErrChanged) && !errors.Is(err, scan.ErrVanished) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestScanFile: a file is read by names alone, up to a size.
func TestScanFile(t *testing.T) {
	dir := aRoot(t, map[string]string{"etc/a": "content", "etc/link": "->a", "l": "->etc"})
	data, err := scan.File(dir, "etc/a", 7)
	if err != nil || string(data) != "content" {
		t.Errorf("got %q, %v", data, err)
	}
	for path, most := range map[string]int{"etc/a": 6, "etc/link": 7, "l/a": 7, "etc": 7, "etc/../etc/a": 7, "/etc/a": 7, "": 7, "etc/none": 7} {
		if data, err := scan.File(dir, path, most); err == nil {
			t.Errorf("%q: got %q", path, data)
		}
	}
}
