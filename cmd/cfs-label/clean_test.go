// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"testing"
	"unicode"
)

// TestCleanJSON: JSON says the same after it was cleaned, and has no character
// that could control a terminal but the line feeds between values.
func TestCleanJSON(t *testing.T) {
	for _, s := range []string{"", "plain é …", "a\x1b[31mb\x7f\u009bc", "\u202ereverse\u2066", "\U000e0001tag", "line\nfeed\t\"\\"} {
		raw, err := json.MarshalIndent(map[string]string{"k": s}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		text := cleanJSON(string(raw))
		for _, r := range text {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("%q has %q", text, r)
			}
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(text), &got); err != nil || got["k"] != s {
			t.Errorf("%q: got %q, %v", s, got["k"], err)
		}
	}
}

// TestClean: what comes from elsewhere is one line, and has nothing that could
// control a terminal.
func TestClean(t *testing.T) {
	if got, want := clean("a\x1b[31m\u202eb\u009bc\x7fd\ne"), "a\ufffd[31m\ufffdb\ufffdc\ufffdd e"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
