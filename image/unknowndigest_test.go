// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/image"
)

// TestUnknownDigestOfChild: a child of an index may have a digest of an algorithm
// that is not known. It is kept, removed, replaced and annotated like others,
// but nothing can follow its content.
func TestUnknownDigestOfChild(t *testing.T) {
	const foreign = "sha384:aaaa"
	child := `{"mediaType":"m","size":4,"digest":"` + foreign + `","data":"AAAA"}`
	other := spell(`{"mediaType":"m","size":1,"digest":"$A"}`)
	raw := []byte(`{"schemaVersion":2,"manifests":[` + child + `,` + other + `]}`)
	m, err := image.ParseManifest(raw, "")
	if err != nil {
		t.Fatal(err)
	}
	if d := m.Manifests[0]; d.Digest.String() != foreign || d.Data != nil {
		t.Errorf("got %v", d)
	}
	change := &image.DescriptorChange{Digest: hash(t, sumC), Size: 5000}
	for _, tc := range []struct {
		edit image.ChildEdit
		want string
	}{
		{image.ChildEdit{Position: 1, Change: change}, child + "," + strings.NewReplacer(spell("$A"), sumC, `"size":1`, `"size":5000`).Replace(other)},
		{image.ChildEdit{Position: 0, Remove: true}, other},
		{image.ChildEdit{Position: 0, Annotations: []image.KV{{Key: "n", Value: "v"}}}, child[:len(child)-1] + `,"annotations":{"n":"v"}},` + other},
	} {
		got, _, err := image.EditIndex(raw, []image.ChildEdit{tc.edit})
		if want := `{"schemaVersion":2,"manifests":[` + tc.want + `]}`; err != nil || string(got) != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
	replaced, _, err := image.ReplaceManifest(raw, 0, []byte(other))
	if want := `{"schemaVersion":2,"manifests":[` + other + `,` + other + `]}`; err != nil || string(replaced) != want {
		t.Errorf("got  %s, %v\nwant %s", replaced, err, want)
	}
	_, _, err = image.EditIndex(raw, []image.ChildEdit{{Position: 0, Change: change}})
	wantDigestError(t, "edited", err, "manifests[0]", foreign)
	_, _, err = image.AppendManifest(raw, []byte(child))
	wantDigestError(t, "appended", err, foreign)
}

// wantDigestError fails unless the error is ErrDigest and says all of it.
func wantDigestError(t *testing.T, what string, err error, texts ...string) {
	t.Helper()
	if !errors.Is(err, image.ErrDigest) {
		t.Errorf("%s: got %v, want ErrDigest", what, err)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v does not say %q", what, err, text)
		}
	}
}

// TestUnknownDigestElsewhere: what is no digest is none in an index either, and
// what an image is made of has digests that are known.
func TestUnknownDigestElsewhere(t *testing.T) {
	descriptor := func(digest string) string { return `{"mediaType":"m","size":1,"digest":"` + digest + `"}` }
	good := descriptor(spell("$A"))
	foreign := descriptor("sha384:aaaa")
	cases := map[string]string{
		"a layer":   `{"schemaVersion":2,"config":` + good + `,"layers":[` + foreign + `]}`,
		"a config":  `{"schemaVersion":2,"config":` + foreign + `,"layers":[]}`,
		"a subject": `{"schemaVersion":2,"manifests":[],"subject":` + foreign + `}`,
	}
	for _, digest := range []string{
		"", ":", "sha384", "sha384:", ":aaaa", "SHA384:aaaa", "sha384:a/../b", "sha384:a b", "sha256:aaaa", "sha512:aaaa",
		"sha256:../x", "-x:aaaa", "x--y:aaaa", strings.ToUpper(sumC),
	} {
		cases[digest] = `{"schemaVersion":2,"manifests":[` + descriptor(digest) + `]}`
	}
	for name, raw := range cases {
		_, err := image.ParseManifest([]byte(raw), "")
		wantDigestError(t, name, err)
	}
}
