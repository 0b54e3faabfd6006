// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

// fsckRefuses has the images that fsck.erofs of erofs-utils 1.5 takes for
// broken, and why. The reference writes them so.
var fsckRefuses = map[string]string{
	"name-256/v0":      "names end at 255 bytes",
	"name-256/v1":      "names end at 255 bytes",
	"name-256/v2":      "names end at 255 bytes",
	"chunk-indexes/v0": "indexes in a block of their own are no feature of EROFS",
	"chunk-indexes/v1": "indexes in a block of their own are no feature of EROFS",
	"chunk-indexes/v2": "V2 has one chunk index, however large the file is",
}

// TestFsck: fsck.erofs finds nothing wrong with our images, except for those
// that are listed, with which it does.
func TestFsck(t *testing.T) {
	fsck := oracle.Require(t, "fsck.erofs")
	accepted := 0
	each := func(name string, c *tree.Checked, alg fsverity.Algorithm) {
		for _, f := range formats {
			name := fmt.Sprintf("%s/%s", name, f)
			out, err := exec.CommandContext(t.Context(), fsck, tempFile(t, writeImage(t, c, f, alg))).CombinedOutput()
			switch reason := fsckRefuses[name]; {
			case err != nil && reason == "":
				t.Errorf("%s: %v\n%s", name, err, out)
			case err == nil && reason != "":
				t.Errorf("%s is accepted, though %s", name, reason)
			case err == nil:
				accepted++
			}
		}
	}
	for _, v := range vectors(t) {
		if v.name != "symlink-empty" { // which no dump says
			each(v.name, readDump(t, v.dump, fsverity.SHA512), fsverity.SHA512)
		}
	}
	for _, s := range shapes() {
		if !s.strange && !s.slow {
			m := newMaker()
			s.make(m)
			each(s.name, check(t, m.t), fsverity.SHA256)
		}
	}
	if accepted < 350 {
		t.Errorf("only %d images were accepted", accepted)
	}
}
