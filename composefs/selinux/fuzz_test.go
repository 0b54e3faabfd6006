// SPDX-License-Identifier: Apache-2.0

package selinux_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/selinux"
)

// FuzzParse holds reading a policy to these laws: it does not panic, an error
// says where, and a policy that is read can be asked. Its entries, one by one,
// say of a path what the whole says.
func FuzzParse(f *testing.F) {
	f.Add([]byte("/.* x\n/usr/(.*/)?lib(/.*)? -- y\n/a(?!b) <<none>>\n"), []byte("/a /b\n"), []byte("/usr/lib/a"))
	f.Add([]byte("/a)|(b x\n/[a-z&&[^b]--c]{2,3} -d x\n"), []byte("# x\n"), []byte("/ab"))
	f.Add([]byte("(?i)/\xc3\xa9[[:alpha:]]\\b{start} x\n/(?<n>a)\\x{e9}\\u00e9 y\n"), []byte{}, []byte("/\xc3\xa9"))
	f.Add([]byte("/(a|b)\\2(?>a+)(?<=ab)[[:^digit:]\\w]$ x\n"), []byte{}, []byte("/aa\n"))
	f.Fuzz(func(t *testing.T, specs, subs, path []byte) {
		if len(path) > 64 {
			return
		}
		files := map[string][]byte{"file_contexts": specs, "file_contexts.subs": subs}
		p, err := selinux.Parse(func(name string) ([]byte, bool, error) {
			text, ok := files[name]
			return text, ok, nil
		})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "selinux: ") {
				t.Errorf("the error does not say where: %v", err)
			}
			return
		}
		path = p.Substitute(path)
		got, _, err := p.Lookup(path, selinux.Regular)
		if err != nil {
			return // it takes too long
		}
		if want, ok := lastOf(specs, path); ok && got != want {
			t.Errorf("%q is %q, want %q", path, got, want)
		}
	})
}

// lastOf returns the label of the last line that alone gives the path one.
func lastOf(specs, path []byte) (last string, ok bool) {
	for line := range bytes.Lines(specs) {
		p, err := parse(string(bytes.ReplaceAll(line, []byte("<<none>>"), []byte("-none-"))))
		if err != nil {
			return "", false
		}
		label, found, err := p.Lookup(path, selinux.Regular)
		if err != nil {
			return "", false
		}
		if found {
			last = strings.ReplaceAll(label, "-none-", "<<none>>")
		}
	}
	if last == "<<none>>" {
		last = ""
	}
	return last, true
}

// FuzzType: reading a config does not panic, and a name comes without white
// space around it.
func FuzzType(f *testing.F) {
	f.Add([]byte("# x\nSELINUX=enforcing\n selinuxtype = a b\n"))
	f.Fuzz(func(t *testing.T, config []byte) {
		name, ok, err := selinux.Type(config)
		if (err != nil || !ok) && name != "" || strings.TrimSpace(name) != name {
			t.Errorf("%q, %t, %v", name, ok, err)
		}
	})
}
