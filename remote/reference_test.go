// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/remote"
)

const someHex = "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"

func TestOpenRegistry(t *testing.T) {
	for _, tc := range []struct{ ref, repo, tag, digest string }{
		{"ghcr.io/a/b:v1", "ghcr.io/a/b", "v1", ""},
		{"ghcr.io/a/b", "ghcr.io/a/b", "latest", ""},
		{"ghcr.io/a/b@sha256:" + someHex, "ghcr.io/a/b", "", "sha256:" + someHex},
		{"ghcr.io/a/b:v1@sha256:" + someHex, "ghcr.io/a/b", "v1", "sha256:" + someHex},
		{"localhost:5000/a@sha256:" + someHex, "localhost:5000/a", "", "sha256:" + someHex},
		{"localhost:5000/a:b", "localhost:5000/a", "b", ""},
		{"localhost:5000/a@sha512:" + someHex + someHex, "localhost:5000/a", "", "sha512:" + someHex + someHex},
		{"fedora", "index.docker.io/library/fedora", "latest", ""},
		{"docker.io/a/b:c", "index.docker.io/a/b", "c", ""},
	} {
		r, err := remote.Open(t.Context(), tc.ref, remote.Options{})
		if err != nil {
			t.Errorf("%s: %v", tc.ref, err)
			continue
		}
		if r.Repo.Name() != tc.repo || r.Tag != tc.tag || r.Digest != tc.digest || r.String() != tc.ref {
			t.Errorf("%s: got %s, tag %q, digest %q, text %s", tc.ref, r.Repo.Name(), r.Tag, r.Digest, r)
		}
	}
}

func TestOpenLayout(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "a:b@c")
	newLayout(t, dir)
	newLayout(t, filepath.Join(base, "d"))
	newLayout(t, filepath.Join(base, "d:e"))
	t.Chdir(base)
	for _, tc := range []struct{ ref, name, tag, digest string }{
		{"oci:" + dir + ":v1", "oci:" + dir, "v1", ""},
		{"oci:" + dir + "/", "oci:" + dir + "/", "", ""},
		{"oci:" + dir + "/:v1", "oci:" + dir + "/", "v1", ""},
		{"oci:a:b@c:v1", "oci:a:b@c", "v1", ""},
		{"oci:a:b@c", "oci:a:b@c", "", ""},
		{"oci:a:b@c:quay.io/foo/bar:v1", "oci:a:b@c", "quay.io/foo/bar:v1", ""},
		{"oci:d:e:f", "oci:d", "e:f", ""},
		{"oci:d:e", "oci:d", "e", ""},
		{"oci:d:e/:f", "oci:d", "e/:f", ""},
		{"oci:a:b@c/@sha256:" + someHex, "oci:a:b@c/", "", "sha256:" + someHex},
		{"oci:" + dir + ":v1@sha256:" + someHex, "oci:" + dir, "v1", "sha256:" + someHex},
	} {
		r, err := remote.Open(t.Context(), tc.ref, remote.Options{})
		if err != nil {
			t.Errorf("%s: %v", tc.ref, err)
			continue
		}
		if r.Repo.Name() != tc.name || r.Tag != tc.tag || r.Digest != tc.digest || r.String() != tc.ref {
			t.Errorf("%s: got %s, tag %q, digest %q, text %s", tc.ref, r.Repo.Name(), r.Tag, r.Digest, r)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	for ref, advice := range map[string]string{
		"":                                "NAME[:TAG][@DIGEST]",
		"docker://ghcr.io/a/b":            "leave out docker://",
		"https://ghcr.io/a/b":             "scheme",
		"ghcr.io/A/b:v1":                  "lowercase",
		"ghcr.io/a/b:":                    "oci:DIR[:TAG]",
		"ghcr.io/a/b:-x":                  "no tag",
		"ghcr.io/a/b@sha256:abc":          "NAME[:TAG][@DIGEST]",
		"ghcr.io/a/b@md5:" + someHex[:32]: "NAME[:TAG][@DIGEST]",
		"ghcr.io/a/b@sha384:" + someHex + someHex[:32]: "sha384",
		"oci:":                           "no directory",
		"oci::v1":                        "no directory",
		"oci:" + dir + ":":               "no tag follows",
		"oci:" + dir + "@sha256:../../x": "oci:DIR[:TAG]",
	} {
		_, err := remote.Open(t.Context(), ref, remote.Options{})
		if !errors.Is(err, remote.ErrReference) {
			t.Errorf("%q: got %v, want ErrReference", ref, err)
		}
		wantTexts(t, err, advice)
	}
}

func TestOpenChecksLayout(t *testing.T) {
	dir := t.TempDir()
	_, err := remote.Open(t.Context(), "oci:"+dir, remote.Options{})
	if !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("without oci-layout: %v, want ErrNotFound", err)
	}
	wantTexts(t, err, "no OCI layout")
	for content, text := range map[string]string{
		`{"imageLayoutVersion":"2.0.0"}`:          `version "2.0.0"`,
		`nonsense`:                                "no OCI layout",
		strings.Repeat(" ", remote.MaxManifest+1): "4194304 bytes",
	} {
		if err := os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = remote.Open(t.Context(), "oci:"+dir, remote.Options{})
		wantTexts(t, err, text)
	}
}

func TestRefWithoutText(t *testing.T) {
	r := open(t, "ghcr.io/a/b", remote.Options{})
	got := (&remote.Ref{Repo: r.Repo, Tag: "v1", Digest: "sha256:" + someHex}).String()
	if want := "ghcr.io/a/b:v1@sha256:" + someHex; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
