// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// toBeSigned returns what is to be signed of an image that can be sealed.
func (s *store) toBeSigned(t *testing.T, name string, algorithms ...fsverity.Algorithm) *cfslabel.Detached {
	t.Helper()
	d, err := cfslabel.ToBeSigned(t.Context(), s.open(t, name), cfslabel.ToBeSignedOptions{Options: cfslabel.Options{Algorithms: algorithms}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestToBeSigned: of every Linux image and under every algorithm there is one
// entry for each role of the artifact, with the digest that the artifact would
// have; nothing is written.
func TestToBeSigned(t *testing.T) {
	s := newStore(t)
	f := pushFamily(t, s, "a:v1")
	d := s.toBeSigned(t, "a:v1", both...)
	if n := s.count(http.MethodPut, "") + s.count(http.MethodPost, ""); n > 0 {
		t.Errorf("it wrote %d times", n)
	}
	var got []string
	for _, e := range d.Entries {
		_, config, manifest := s.pull(t, "a@"+e.Manifest.Digest.String())
		alg := e.Digest.Algorithm()
		want := fsverity.Sum(alg, manifest)
		if e.Role == image.RoleConfig {
			want = fsverity.Sum(alg, config)
		}
		if e.Role != image.RoleMerged && e.Digest != want {
			t.Errorf("%s: the digest is %s, want %s", e.File, e.Digest, want)
		}
		if e.Role == image.RoleMerged && alg == fsverity.SHA512 && (e.Digest.String() != minimal || e.Input != minimalInput) {
			t.Errorf("%s: the digest is %s, the input %s", e.File, e.Digest, e.Input)
		}
		prefix := append([]byte("FSVerity"), byte(alg), 0, byte(alg.Size()), 0)
		if !bytes.Equal(e.ToBeSigned(), append(prefix, e.Digest.Bytes()...)) {
			t.Errorf("%s: to be signed is %x", e.File, e.ToBeSigned())
		}
		got = append(got, e.Manifest.Digest.String()+" "+e.File+" "+e.Signature)
	}
	var want []string
	for _, img := range []struct{ digest, platform string }{{f.amd.Digest.String(), "linux-amd64"}, {f.arm.Digest.String(), "linux-arm64"}} {
		for _, alg := range both {
			for _, role := range []string{"manifest", "config", "merged"} {
				name := fmt.Sprintf("%s.%s.%s", img.platform, alg, role)
				want = append(want, fmt.Sprintf("%s %s.tbs %s.sig", img.digest, name, name))
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestToBeSignedNames: names of files are plain and unique, also on file systems
// that do not tell case, whatever a config says its platform is; the platform is
// left out where there is one image.
func TestToBeSignedNames(t *testing.T) {
	for _, tc := range []struct {
		architectures []string
		want          []string // of the first role
	}{
		{[]string{"amd64"}, []string{"sha512.manifest.tbs"}},
		{[]string{"amd64", "arm64"}, []string{"linux-amd64.sha512.manifest.tbs", "linux-arm64.sha512.manifest.tbs"}},
		{[]string{"x", "X"}, []string{"linux-x.sha512.manifest.tbs", "linux-X.2.sha512.manifest.tbs"}},
		{[]string{"x.y", "x-y", ".."}, []string{"linux-x-y.sha512.manifest.tbs", "linux-x-y.2.sha512.manifest.tbs", "linux.sha512.manifest.tbs"}},
		{[]string{strings.Repeat("a", 300), strings.Repeat("a", 301)}, []string{
			"linux-" + strings.Repeat("a", 58) + ".sha512.manifest.tbs", "linux-" + strings.Repeat("a", 58) + ".2.sha512.manifest.tbs",
		}},
	} {
		s := newStore(t)
		var entries []string
		for i, a := range tc.architectures {
			entries = append(entries, listing(s.push(t, fmt.Sprintf("a:%d", i), platform("linux", a)), ""))
		}
		s.putText(t, "a:v1", types.OCIImageIndex, indexOf(entries...))
		d := s.toBeSigned(t, "a:v1")
		var got []string
		for _, e := range d.Entries {
			if e.Role == image.RoleManifest {
				got = append(got, e.File)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%q: got %q", tc.architectures, got)
		}
		if _, err := d.Marshal(); err != nil {
			t.Errorf("%q: %v", tc.architectures, err)
		}
	}
}

// TestToBeSignedWarns: what the image says otherwise is told, and an image that
// is left out.
func TestToBeSignedWarns(t *testing.T) {
	s := newStore(t)
	amd := s.push(t, "a:amd", odd)
	broken := plain
	broken.config = strings.Replace(plain.config, `["DIFFID"]`, `[]`, 1)
	arm := s.push(t, "a:arm", broken)
	s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(amd, on("linux/amd64")), listing(arm, on("linux/arm64"))))
	var told talk
	o := cfslabel.ToBeSignedOptions{Options: cfslabel.Options{Warn: told.warn}}
	if _, err := cfslabel.ToBeSigned(t.Context(), s.open(t, "a:v1"), o); !errors.Is(err, cfslabel.ErrLayerCount) {
		t.Errorf("without SkipUnsealable: got %v", err)
	}
	o.SkipUnsealable = true
	d, err := cfslabel.ToBeSigned(t.Context(), s.open(t, "a:v1"), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Entries) != 3 || d.Entries[0].Manifest.Digest != amd.Digest {
		t.Errorf("got %+v", d.Entries)
	}
	said := strings.Join(told.said, "\n")
	for _, want := range []string{"the image itself says something else", "containers.composefs.other: inherited", "is left out: "} {
		if !strings.Contains(said, want) {
			t.Errorf("told is %q, not %q", said, want)
		}
	}
}

// detached is what is to be signed of a made-up image.
func detached(t *testing.T) string {
	t.Helper()
	s := newStore(t)
	s.push(t, "a:v1", plain)
	d := s.toBeSigned(t, "a:v1")
	d.Reference = "r"
	text, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDetachedText: what is written is read back as it was, and gives the same
// text again.
func TestDetachedText(t *testing.T) {
	s := newStore(t)
	pushFamily(t, s, "a:v1")
	d := s.toBeSigned(t, "a:v1", both...)
	text, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := cfslabel.ParseDetached(text)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", d) {
		t.Errorf("got %+v, want %+v", again, d)
	}
	if more, err := again.Marshal(); err != nil || !bytes.Equal(more, text) {
		t.Errorf("another text: %s, %v", more, err)
	}
}

// TestParseDetachedRefuses: text that is not just what Marshal writes is refused:
// other fields and versions, names that lead elsewhere, values that are none.
func TestParseDetachedRefuses(t *testing.T) {
	good := detached(t)
	if _, err := cfslabel.ParseDetached([]byte(good)); err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(good, `"entries"`)
	entries := strings.TrimPrefix(good, head)
	for name, tc := range map[string]struct{ old, by, want string }{
		"no JSON":               {good, "x", "invalid character"},
		"an index of a layout":  {good, `{"schemaVersion":2,"manifests":[]}`, "no version"},
		"an array":              {good, `[]`, "array"},
		"more behind":           {good, good + "{}", "invalid character"},
		"a later version":       {`"version": 1`, `"version": 2, "more": true`, "version 2 is not known"},
		"no version":            {`"version": 1,`, ``, "no version"},
		"an unknown field":      {`"version": 1`, `"version": 1, "more": true`, "unknown field"},
		"an unknown field, in":  {`"role": "merged"`, `"role": "merged", "more": true`, "unknown field"},
		"no digest":             {`"digest": "sha256:`, `"digest": "`, "digest"},
		"no manifest":           {`      "digest": "sha256:`, `      "digest": "sha256:0`, "manifest"},
		"an unknown role":       {`"role": "merged"`, `"role": "layer"`, "unknown role"},
		"an unknown algorithm":  {`"algorithm": "sha512"`, `"algorithm": "sha1"`, "sha1"},
		"another algorithm":     {`"algorithm": "sha512"`, `"algorithm": "sha256"`, "digest"},
		"a digest too short":    {minimal, minimal[1:], "digest"},
		"a directory":           {`sha512.merged.sig`, `sub/merged.sig`, "no name of a file"},
		"a directory, Windows":  {`sha512.merged.sig`, `sub\\merged.sig`, "no name of a file"},
		"the directory above":   {`sha512.merged.tbs`, `..`, "no name of a file"},
		"a hidden file":         {`sha512.merged.tbs`, `.tbs`, "no name of a file"},
		"an option":             {`sha512.merged.tbs`, `-out`, "no name of a file"},
		"no name":               {`sha512.merged.tbs`, ``, "no name of a file"},
		"a line feed":           {`sha512.merged.tbs`, `a\n`, "no name of a file"},
		"a long name":           {`sha512.merged.tbs`, strings.Repeat("a", 201), "no name of a file"},
		"a name twice":          {`sha512.merged.sig`, `sha512.config.sig`, "named twice"},
		"a name twice, by case": {`sha512.merged.sig`, `SHA512.config.sig`, "named twice"},
		"no entries":            {entries, `"entries": []}`, "no entries"},
		"too large":             {good, strings.Repeat(" ", cfslabel.MaxDetachedSize) + good, "bytes"},
		"too many entries":      {entries, `"entries": [` + strings.Repeat("{},", cfslabel.MaxDetachedEntries) + `{}]}`, "entries, of at most"},
	} {
		text := strings.Replace(good, tc.old, tc.by, 1)
		if text == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		_, err := cfslabel.ParseDetached([]byte(text))
		if !errors.Is(err, cfslabel.ErrDetached) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

// FuzzParseDetached: what is taken can be written, and is taken again as the same;
// no name has a directory.
func FuzzParseDetached(f *testing.F) {
	f.Add([]byte(`{"version":1,"reference":"r","digest":"sha256:` + hexOf("a") + `","entries":[{"platform":"linux/amd64",` +
		`"manifest":{"mediaType":"m","digest":"sha256:` + hexOf("a") + `","size":1},"role":"merged","algorithm":"sha512","digest":"` + minimal +
		`","input":"i","file":"a.tbs","signature":"a.sig"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := cfslabel.ParseDetached(text)
		if err != nil {
			return
		}
		for _, e := range d.Entries {
			if strings.ContainsAny(e.File+e.Signature, `/\`) || e.File[0] == '.' || e.Signature[0] == '.' {
				t.Errorf("names %q, %q", e.File, e.Signature)
			}
		}
		once, err := d.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := cfslabel.ParseDetached(once)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := again.Marshal(); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s, then %s, %v", once, twice, err)
		}
	})
}
