// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/image"
)

// FuzzParseLabel: what is taken for a digest is one of the two ways in which a
// label says it, and no other text says the same.
func FuzzParseLabel(f *testing.F) {
	for _, n := range []int{0, 63, 64, 128, 130} {
		f.Add(strings.Repeat("a", n))
		f.Add("sha256:" + strings.Repeat("0", n))
		f.Add("sha512:" + strings.Repeat("f", n))
	}
	f.Fuzz(func(t *testing.T, value string) {
		d, ok := parseLabel(value)
		if ok != !d.IsZero() {
			t.Fatalf("%q: %v, %v", value, d, ok)
		}
		if ok && value != Hex.value(d) && value != Prefixed.value(d) {
			t.Errorf("%q is taken for %s", value, d)
		}
	})
}

// FuzzParseSignature: only one text stands for the bytes of a signature, and no
// more of them are taken than the kernel does.
func FuzzParseSignature(f *testing.F) {
	for _, text := range []string{"", "AA==", "AB==", "AAAA", "AA\n==", "AAA", "%"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, value string) {
		der, err := parseSignature(value)
		if err != nil {
			return
		}
		if len(der) == 0 || len(der) > image.MaxSignatureSize || base64.StdEncoding.EncodeToString(der) != value {
			t.Errorf("%q gives %x", value, der)
		}
	})
}

// TestOrders: each choice is there once, in every order.
func TestOrders(t *testing.T) {
	want := []string{"a", "ab", "abc", "ac", "acb", "b", "ba", "bac", "bc", "bca", "c", "ca", "cab", "cb", "cba"}
	var got []string
	for _, o := range orders([]string{"a", "b", "c"}) {
		got = append(got, strings.Join(o, ""))
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
