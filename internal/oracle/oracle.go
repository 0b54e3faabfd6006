// SPDX-License-Identifier: Apache-2.0

// Package oracle finds the programs that tests compare with.
package oracle

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Required is the environment variable that turns a missing program from a
// skipped test into a failed one. CI sets it to 1.
const Required = "CFS_REQUIRE_ORACLES"

// Require returns the path of the program: what the variable of its name in
// capitals says (CFSCTL for cfsctl), else what PATH holds. Without one the test
// is skipped, or fails where CFS_REQUIRE_ORACLES is 1.
func Require(t testing.TB, program string) string {
	t.Helper()
	path := os.Getenv(strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(program)))
	if path == "" {
		path = program
	}
	path, err := exec.LookPath(path)
	if err != nil {
		if os.Getenv(Required) == "1" {
			t.Fatalf("%s is required here: %v", program, err)
		}
		t.Skipf("no %s to compare with: %v", program, err)
	}
	return path
}
