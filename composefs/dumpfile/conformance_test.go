// SPDX-License-Identifier: Apache-2.0

package dumpfile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// unreadable are the dumps that cfsctl writes and no one reads, itself
// included, and the rule that they break.
var unreadable = map[string]error{
	"symlink-empty": dumpfile.ErrTarget,
}

// TestConformance reads and writes the dumps of the reference: the same bytes
// must come out.
func TestConformance(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.name, func(t *testing.T) {
			tr, err := dumpfile.Read(strings.NewReader(v.dump), fsverity.SHA512)
			if want := unreadable[v.name]; !errors.Is(err, want) {
				t.Fatalf("Read: %v, want %v", err, want)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(v.dump, write(t, tr, fsverity.SHA512)); diff != "" {
				t.Errorf("the dump changes (-want +got):\n%s", diff)
			}
		})
	}
}
