// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTreeFileOtherBytes: an image that has other bytes than are written for
// its tree is read, with a warning that says where; one that has them is read
// without.
func TestTreeFileOtherBytes(t *testing.T) {
	image, err := os.ReadFile("../../testdata/conformance/typical/v1-sha512.erofs")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		at   int // of a byte that is another one
		want string
	}{
		{"as-written", -1, ""},
		{"header", 0x20, "(from 0x20 on)"},                                   // reserved bytes
		{"last", len(image) - 1, fmt.Sprintf("(from %#x on)", len(image)-1)}, // padding
	} {
		t.Run(tc.name, func(t *testing.T) {
			changed := append([]byte(nil), image...)
			if tc.at >= 0 {
				changed[tc.at] ^= 1
			}
			path := filepath.Join(t.TempDir(), "img")
			if err := os.WriteFile(path, changed, 0o600); err != nil {
				t.Fatal(err)
			}
			var warnings []string
			c, err := treeFile(anEROFS, path, func(m string) { warnings = append(warnings, m) })
			if err != nil || c == nil {
				t.Fatal(err)
			}
			got := strings.Join(warnings, "\n")
			if !strings.Contains(got, tc.want) || (got == "") != (tc.want == "") {
				t.Errorf("warnings %q, want one with %q", got, tc.want)
			}
		})
	}
}
