// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cfs-label/cfs-label/internal/oracle"
)

// password opens the keys of the tests.
const password = "s3cret-passw0rd-of-the-tests"

// version is a version of cosign.
type version struct {
	major int
	full  string // as test/cosign/vN/go.mod has it
}

var versions = []version{{2, "v2.6.5"}, {3, "v3.1.3"}}

func (v version) String() string { return fmt.Sprintf("cosign-v%d", v.major) }

// building is held while a program is built.
var building sync.Mutex

// path returns the program: what COSIGN_V2 or COSIGN_V3 say, else what is built
// of the module below once, which takes minutes.
func (v version) path(t *testing.T) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	variable := fmt.Sprintf("COSIGN_V%d", v.major)
	if os.Getenv(variable) == "" {
		cache, err := os.UserCacheDir()
		must(t, err)
		path := filepath.Join(cache, "cfs-label", "cosign", "cosign-"+v.full)
		if _, err := os.Stat(path); err != nil {
			v.build(t, path)
		}
		t.Setenv(variable, path)
	}
	return oracle.Require(t, v.String())
}

// build builds the program, as what is missing if it cannot.
func (v version) build(t *testing.T, path string) {
	t.Helper()
	t.Logf("building %s", path)
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path+".new",
		fmt.Sprintf("github.com/sigstore/cosign/v%d/cmd/cosign", v.major))
	build.Dir = fmt.Sprintf("v%d", v.major)
	if out, err := build.CombinedOutput(); err != nil {
		t.Logf("%v\n%s", err, out)
		return
	}
	must(t, os.Rename(path+".new", path))
}

// run runs the program, with no more of an environment than is given, and
// returns all it says.
func (v version) run(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), v.path(t), args...)
	c.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "COSIGN_PASSWORD=" + password}, env...)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	err := c.Run()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", v, strings.Join(args, " "), err, said.String())
	}
	return said.String(), err
}

func givePassword(context.Context) ([]byte, error) { return []byte(password), nil }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
