// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// tableVariable names the file for what was found, in Markdown.
const tableVariable = "CFS_FAULTS_TABLE"

// cutCount is how many points all rows of the cut-off test were cut off at.
var cutCount struct {
	sync.Mutex
	rows, points int
}

// countCuts counts a row's points.
func countCuts(points int) {
	cutCount.Lock()
	defer cutCount.Unlock()
	cutCount.rows++
	cutCount.points += points
}

// write adds what was found to the file that the environment names.
func (s *summary) write(t *testing.T) {
	t.Helper()
	name := os.Getenv(tableVariable)
	if name == "" {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs, first seed %d.\n\n| end | runs | mild | mixed | hopeless |\n| --- | --- | --- | --- | --- |\n", s.runs, *firstFlag)
	for _, end := range []ending{sealedEnd, cleanEnd, unknownEnd} {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", end, s.ends[end], s.moods[mild][end], s.moods[mixed][end], s.moods[hopeless][end])
	}
	fmt.Fprint(&b, "\n| fault | times | in runs |\n| --- | --- | --- |\n")
	for _, kind := range slices.Sorted(maps.Keys(s.faults)) {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", kind, s.faults[kind], s.with[kind])
	}
	fmt.Fprintf(&b, "\nCut off for good at %d points, before and after each request of %d kinds of run: the tag names the old or the new image, whole.\n", cutCount.points, cutCount.rows)
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Error(err)
	}
}
