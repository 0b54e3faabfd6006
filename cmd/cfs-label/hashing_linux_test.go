// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestHashingOnTerminal: on a terminal it is seen how much of a directory was
// hashed, and nothing of it stands in the answer, or anywhere if nobody looks.
func TestHashingOnTerminal(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "usr"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "usr", "file"), make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	answer := filepath.Join(t.TempDir(), "answer")
	seen := onTerminal(t, "cfs-label compute "+dir+" > "+answer)
	hashed := regexp.MustCompile(`hashed +3\.0 MiB`)
	if !hashed.MatchString(seen) {
		t.Errorf("no %s in\n%s", hashed, seen)
	}
	if !strings.Contains(seen, "cfs-label: computing digests") {
		t.Errorf("what is done is not told:\n%s", seen)
	}
	if text, err := os.ReadFile(answer); err != nil || !regexp.MustCompile(`^[0-9a-f]{128}\n$`).Match(text) {
		t.Errorf("the answer is %q, %v", text, err)
	}
	for _, flag := range []string{"-q", "--no-progress"} {
		if seen := onTerminal(t, "cfs-label "+flag+" compute "+dir); strings.Contains(seen, "hashed") {
			t.Errorf("%s: there is more than the answer:\n%s", flag, seen)
		}
	}
}
