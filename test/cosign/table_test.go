// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// tableVariable is the environment variable that says into which file goes, as
// Markdown, what the tests have seen.
const tableVariable = "CFS_COSIGN_TABLE"

// ours is this project, in the table.
const ours = "cfs-label"

// shown is what was seen: of what, who, what they did.
var shown = struct {
	sync.Mutex

	rows map[string]map[string]string
}{rows: map[string]map[string]string{}}

// show notes what somebody did, unless the test has failed by then.
func show(t *testing.T, what, who, did string) {
	t.Helper()
	shown.Lock()
	defer shown.Unlock()
	if t.Failed() {
		did = "**failed**"
	}
	if shown.rows[what] == nil {
		shown.rows[what] = map[string]string{}
	}
	shown.rows[what][who] = did
}

// did says what an answer means.
func did(err error) string {
	if err != nil {
		return "refuses"
	}
	return "verifies"
}

// TestMain writes the table when all has been seen.
func TestMain(m *testing.M) {
	code := m.Run()
	if path := os.Getenv(tableVariable); path != "" {
		if err := os.WriteFile(path, []byte(table()), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code) //nolint:forbidigo // a table that is not written is a failure
}

func table() string {
	var b strings.Builder
	row := func(cells ...string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	columns := []string{versions[0].String(), versions[1].String(), ours}
	row("signed", versions[0].full, versions[1].full, ours)
	row("---", "---", "---", "---")
	shown.Lock()
	defer shown.Unlock()
	for _, what := range slices.Sorted(maps.Keys(shown.rows)) {
		cells := []string{what}
		for _, who := range columns {
			cells = append(cells, shown.rows[what][who])
		}
		row(cells...)
	}
	return b.String()
}
