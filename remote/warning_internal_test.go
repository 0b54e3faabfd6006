// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestWarningHeaders: only what a registry says of itself, without quotes and
// without anything that a terminal would obey.
func TestWarningHeaders(t *testing.T) {
	for _, tc := range []struct{ header, want []string }{
		{nil, nil},
		{[]string{`299 - "one"`, `299 - "two"`}, []string{"one", "two"}},
		{[]string{`299 - "one", 299 - "two, three"`}, []string{"one", "two, three"}},
		{[]string{`299 - "a \"quoted\" \\ word"`}, []string{`a "quoted" \ word`}},
		{[]string{`110 - "Response is stale"`, `299 proxy "x"`, `299 - bare`, "299"}, nil},
		{[]string{"299 - \"\x1b[31mred\x1b[0m\u202e\u0007 \xff end\""}, []string{"[31mred [0m end"}},
		{[]string{`299 - "no end`}, []string{"no end"}},
		{[]string{`299 - "ends in \`}, []string{`ends in \`}},
		{[]string{`299 - "  "`}, nil},
		{[]string{`299 - "` + strings.Repeat("x", maxWarningBytes) + `"`}, nil},
	} {
		if got := warnings(tc.header); !slices.Equal(got, tc.want) {
			t.Errorf("%q: %q, want %q", tc.header, got, tc.want)
		}
	}
}

// TestWarningsAreBounded: a registry with something new to say each time is not
// listened to for ever.
func TestWarningsAreBounded(t *testing.T) {
	n := 0
	wire := &scripted{status: http.StatusOK}
	for i := range 2 * maxWarnings {
		wire.answers = append(wire.answers, http.Header{"Warning": {fmt.Sprintf(`299 - "warning %d"`, i)}})
	}
	w := newWarner(wire, func(string) { n++ })
	for range wire.answers {
		resp, err := w.RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if n != maxWarnings {
		t.Errorf("told %d, want %d", n, maxWarnings)
	}
}
