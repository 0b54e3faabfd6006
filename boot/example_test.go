// SPDX-License-Identifier: Apache-2.0

package boot_test

import (
	"bytes"
	"fmt"

	"github.com/cfs-label/cfs-label/boot"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

func Example() {
	digest := fsverity.Sum(fsverity.SHA256, []byte("the image"))
	file := uki(cmdline("quiet rw " + boot.DigestArgument(boot.V1, digest))).bytes()

	lines, err := boot.CommandLines(bytes.NewReader(file))
	if err != nil {
		fmt.Println(err)
	}
	for _, l := range lines {
		entries, _ := boot.Digests(l.Text)
		for _, e := range entries {
			fmt.Println(e.Format, e.Digest.Algorithm(), e.Digest == digest)
		}
	}
	// Output: v1 sha256 true
}
