// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func nestedArrays(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// TestScanErrors: each kind of bad text is told apart, with the place where it
// is.
func TestScanErrors(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		err        error
		message    string
	}{
		{"empty", ``, ErrSyntax, "image: config: at byte 0: not valid JSON: the text ends where a value is due"},
		{"white space only", " \n", ErrSyntax, "at byte 2"},
		{"byte order mark", "\ufeff{}", ErrSyntax, "byte order mark"},
		{"trailing text", "{} x", ErrTrailing, "at byte 3"},
		{"second document", "{}\n{}", ErrTrailing, "at byte 3"},
		{"trailing NUL", "{}\x00", ErrTrailing, "at byte 2"},
		{"bare word", `{"a":nul}`, ErrSyntax, "config: a: at byte 5"},
		{"open object", `{"a":1`, ErrSyntax, "ends where a comma or }"},
		{"open array", `[1`, ErrSyntax, "ends where a comma or ]"},
		{"open string", `["a`, ErrSyntax, "closing quote"},
		{"no colon", `{"a" 1}`, ErrSyntax, "a colon"},
		{"no key", `{1:2}`, ErrSyntax, "a key"},
		{"comma before }", `{"a":1,}`, ErrSyntax, "a key"},
		{"comma before ]", `[1,]`, ErrSyntax, "a value"},
		{"single quotes", `{'a':1}`, ErrSyntax, "a key"},
		{"comment", `{/**/}`, ErrSyntax, "a key"},
		{"leading zero", `[01]`, ErrSyntax, "config: [0]: at byte 2"},
		{"leading plus", `[+1]`, ErrSyntax, "a value"},
		{"no digit", `[-]`, ErrSyntax, "a digit"},
		{"no fraction", `[1.]`, ErrSyntax, "a digit"},
		{"no exponent", `[1e+]`, ErrSyntax, "a digit"},
		{"line break in a string", "[\"a\nb\"]", ErrSyntax, "at byte 3"},
		{"unknown escape", `["\x"]`, ErrSyntax, "an escape"},
		{"short escape", `["\u12"]`, ErrSyntax, "hexadecimal"},
		{"escape at the end", `["\`, ErrSyntax, "the text ends"},
		{"not UTF-8", "[\"\xff\"]", ErrEncoding, "0xff"},
		{"surrogate in UTF-8", "[\"\xed\xa0\x80\"]", ErrEncoding, "0xed"},
		{"low surrogate", `["\udc00"]`, ErrEncoding, "surrogate"},
		{"half an escape after a high surrogate", `["\ud800\u0"]`, ErrSyntax, "hexadecimal"},
		{"key with a bad escape", `{"\x":1}`, ErrSyntax, "an escape"},
		{"high surrogate", `["\ud800x"]`, ErrEncoding, "surrogate"},
		{"two high surrogates", `["\ud800\ud800"]`, ErrEncoding, "surrogate"},
		{"duplicate", `{"a":1,"a":1}`, ErrDuplicateKey, `image: config: at byte 7: "a": the same key twice`},
		{"duplicate by escape", `{"x":[0,{"a":1,"\u0061":2}]}`, ErrDuplicateKey, `image: config: x[1]: at byte 15: "a"`},
		{"duplicate of nothing", `{"":1,"":2}`, ErrDuplicateKey, `""`},
		{"too deep", nestedArrays(MaxDepth + 1), ErrTooDeep, "127"},
		{"too large", strings.Repeat(" ", 1001), ErrTooLarge, "1001 bytes, of at most 1000"},
		{"odd key in the place", `{"a.b":{"c":tru}}`, ErrSyntax, `config: ["a.b"].c: at byte`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := parse("config", []byte(tc.text), 1000)
			var e *Error
			if !errors.Is(err, tc.err) || !errors.As(err, &e) || !strings.Contains(err.Error(), tc.message) {
				t.Errorf("got %v, want %v with %q", err, tc.err, tc.message)
			}
		})
	}
}

// TestScanAccepts what is JSON, and nothing of it is lost.
func TestScanAccepts(t *testing.T) {
	for _, text := range []string{
		`null`, ` true `, "\t\r\nfalse", `0`, `-0`, `-0.5e-7`, `1E+22`, `"a"`, `[]`, `{}`, "[ ]", "{\n}",
		`{"a":{"a":{"a":[{"a":1},{"a":2}]}}}`, `["\ud83d\ude00\uD83D\uDE00\u00eF","\"\\\/\b\f\n\r\t\u0000"]`, `{"A":1,"a":2}`,
		nestedArrays(MaxDepth),
	} {
		d, err := parse("config", []byte(text), 1000)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := d.root().text(); got != strings.TrimSpace(text) {
			t.Errorf("the value of %q is %q", text, got)
		}
	}
}

// TestErrorsQuoteLittle: what a hostile document puts into an error is bounded.
func TestErrorsQuoteLittle(t *testing.T) {
	long := strings.Repeat("k", 100_000)
	_, err := parse("config", []byte(`{"`+long+`":{"`+long+`":x}}`), 1<<20)
	if err == nil || len(err.Error()) > 600 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

// FuzzScan: what is accepted is JSON to encoding/json as well, and what is not
// is no JSON, or breaks one of the rules that JSON does not have. Objects and
// arrays give their parts back.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,{"b":null}],"c":"\ud83d\ude00"}`, `{"a":1,"\u0061":2}`, `[01]`, `[1.5e+9,-0]`, "{\"a\" :\t1 ,\r\n\"b\":[ ] }", `"\ud800"`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := parse("x", raw, 1<<20)
		valid := json.Valid(raw) && utf8.Valid(raw)
		if err != nil {
			if valid && (errors.Is(err, ErrSyntax) || errors.Is(err, ErrTrailing)) {
				t.Errorf("%q is JSON: %v", raw, err)
			}
			return
		}
		if !valid {
			t.Fatalf("%q is no JSON", raw)
		}
		checkParts(t, d.root())
	})
}

// checkParts compares how a value comes apart with what encoding/json makes of
// it.
func checkParts(t *testing.T, n node) {
	t.Helper()
	switch n.text()[0] {
	case '{':
		var want map[string]json.RawMessage
		if err := json.Unmarshal([]byte(n.text()), &want); err != nil {
			t.Fatal(err)
		}
		o, err := n.object()
		if err != nil || len(o.members) != len(want) {
			t.Fatalf("%s has %d members, not %d: %v", n.text(), len(want), len(o.members), err)
		}
		for i, m := range o.members {
			if got := o.at(i).text(); got != string(want[m.key]) {
				t.Errorf("%q is %s, not %s", m.key, want[m.key], got)
			}
			checkParts(t, o.at(i))
		}
	case '[':
		var want []json.RawMessage
		if err := json.Unmarshal([]byte(n.text()), &want); err != nil {
			t.Fatal(err)
		}
		elements, err := n.array()
		if err != nil || len(elements) != len(want) {
			t.Fatalf("%s has %d elements, not %d: %v", n.text(), len(want), len(elements), err)
		}
		for i, e := range elements {
			if e.text() != string(want[i]) {
				t.Errorf("element %d is %s, not %s", i, want[i], e.text())
			}
			checkParts(t, e)
		}
	case '"':
		var want string
		if err := json.Unmarshal([]byte(n.text()), &want); err != nil {
			t.Fatal(err)
		}
		if got, err := n.str(); err != nil || got != want || unquote([]byte(encode(got))) != want {
			t.Errorf("%s is %q, not %q: %v", n.text(), want, got, err)
		}
	}
}
