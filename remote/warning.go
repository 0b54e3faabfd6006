// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"net/http"
	"strings"
	"sync"
	"unicode"
)

const (
	// maxWarnings is how many warnings of a registry are passed on.
	maxWarnings = 100
	// maxWarningBytes is how much a registry may say in those of one answer
	// (distribution-spec, "Warnings").
	maxWarningBytes = 4096
)

// warner passes on what is said in the Warning headers of answers, each thing
// once.
type warner struct {
	next http.RoundTripper
	tell func(string)

	mu   sync.Mutex
	told map[string]bool
}

func newWarner(next http.RoundTripper, tell func(string)) *warner {
	return &warner{next: next, tell: tell, told: map[string]bool{}}
}

func (w *warner) RoundTrip(in *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(in)
	if err != nil {
		return nil, err
	}
	for _, text := range warnings(resp.Header.Values("Warning")) {
		w.once(in.URL.Host + ": " + text)
	}
	return resp, nil
}

func (w *warner) once(message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.told[message] && len(w.told) < maxWarnings {
		w.told[message] = true
		w.tell(message)
	}
}

// warnings returns what header values say. Only such with the code 299 and the
// agent - are a registry's (distribution-spec, "Warnings"); others are from
// caches on the way and tell of their age.
func warnings(values []string) []string {
	var texts []string
	left := maxWarningBytes
	for _, v := range values {
		if left -= len(v); left < 0 {
			break
		}
		for {
			quoted, ok := strings.CutPrefix(strings.TrimLeft(v, " \t,"), `299 - "`)
			if !ok {
				break
			}
			var text string
			text, v = unquote(quoted)
			if text = printable(text); text != "" {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// unquote returns the text of a quoted string (RFC 9110, 5.6.4), whose first
// quote is gone, and what follows.
func unquote(s string) (text, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}

// printable returns the text without what could do something to a terminal.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	return strings.Join(strings.Fields(text), " ")
}
