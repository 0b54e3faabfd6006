// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/diff"
	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// parse reads lines of a dump, before which come a root and a /usr, unless
// there are some. $a to $f are objects, as payload and digest.
func parse(t testing.TB, alg fsverity.Algorithm, lines string) *tree.Checked {
	t.Helper()
	for c := 'a'; c <= 'f'; c++ {
		sum := strings.Repeat(string(c), 2*alg.Size())
		lines = strings.ReplaceAll(lines, "$"+string(c), fmt.Sprintf("%s/%s - %s", sum[:2], sum[2:], sum))
	}
	if !strings.HasPrefix(lines, "/ ") {
		lines = "/ 0 40755 3 0 0 0 10.5 - - -\n/usr 0 40755 2 0 0 0 10.5 - - -\n" + lines
	}
	tr, err := dumpfile.Read(strings.NewReader(lines), alg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tr.Check()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// summary has a line for each cause: its ID, how many paths it has, and how
// many more are below or follow.
func summary(r *diff.Result) []string {
	var lines []string
	for _, c := range r.Causes {
		line := fmt.Sprint(c.ID, " ", len(c.Differences))
		if c.Below > 0 {
			line += fmt.Sprint(" below ", c.Below)
		}
		if c.Follow > 0 {
			line += fmt.Sprint(" follow ", c.Follow)
		}
		for _, also := range c.Also {
			line += fmt.Sprint(" also ", also.ID, " ", also.Count)
		}
		lines = append(lines, line)
	}
	return lines
}
