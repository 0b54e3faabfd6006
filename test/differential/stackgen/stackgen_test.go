// SPDX-License-Identifier: Apache-2.0

package stackgen

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestTarIsReadByTheLibrary has archive/tar read what is written by hand, for
// entries that it takes.
func TestTarIsReadByTheLibrary(t *testing.T) {
	long := "usr/" + strings.Repeat("directory/", 12) + strings.Repeat("n", 90)
	entries := map[string]Entry{
		"ustar":           {Type: TypeRegular, Name: "usr/a", Mode: 0o644, UID: 1, GID: 2, Mtime: 3, Data: Data{700, 1}, Format: USTAR},
		"ustar prefix":    {Type: TypeRegular, Name: long, Data: Data{10, 2}, Format: USTAR},
		"v7":              {Type: TypeRegular, Name: "usr/v7", Data: Data{1, 1}, Format: V7},
		"spaces":          {Type: TypeRegular, Name: "usr/s", Mtime: 7, Format: USTAR, Numbers: OctalBlank},
		"GNU long":        {Type: TypeSymlink, Name: long, Link: strings.Repeat("t", 300), Format: GNU},
		"GNU base-256":    {Type: TypeRegular, Name: "usr/b", UID: 1 << 30, Mtime: -5, Data: Data{600, 1}, Format: GNU, Numbers: Base256},
		"PAX":             {Type: TypeSymlink, Name: strings.Repeat("p", 300), Link: strings.Repeat("l", 200), Format: PAX},
		"all PAX":         {Type: TypeRegular, Name: "usr/all", UID: 5, GID: 6, Mtime: 8, Data: Data{5000, 2}, Format: PAX, AllPAX: true},
		"fraction":        {Type: TypeDirectory, Name: "usr/f/", Mtime: 9, Fraction: ".25", Format: PAX},
		"xattrs":          {Type: TypeRegular, Name: "usr/x", Xattrs: []Record{xattr("user.a", "\x01=\n")}, Format: PAX},
		"text":            {Type: TypeRegular, Name: "usr/t", Text: "a text\n", Format: USTAR},
		"hard link":       {Type: TypeLink, Name: "usr/h", Link: "usr/a", Format: GNU},
		"character":       {Type: TypeChar, Name: "usr/c", Major: 4, Minor: 70, Format: USTAR, Numbers: OctalSpace},
		"global in front": {Type: TypeFIFO, Name: "usr/p", Format: PAX, Before: extended(typeGlobal, []Record{{"comment", "c"}})},
	}
	for name, e := range entries {
		t.Run(name, func(t *testing.T) {
			r := tar.NewReader(bytes.NewReader(Layer{Entries: []Entry{e}}.Tar()))
			h, err := r.Next()
			if err == nil && h.Typeflag == tar.TypeXGlobalHeader {
				h, err = r.Next()
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Typeflag != e.Type || h.Name != e.Name || h.Linkname != e.Link {
				t.Errorf("type %q, name %q, link %q", h.Typeflag, h.Name, h.Linkname)
			}
			if h.Uid != int(e.UID) || h.Gid != int(e.GID) || h.Mode != int64(e.Mode) || h.ModTime.Unix() != e.Mtime {
				t.Errorf("uid %d, gid %d, mode %o, mtime %v", h.Uid, h.Gid, h.Mode, h.ModTime)
			}
			if h.Devmajor != int64(e.Major) || h.Devminor != int64(e.Minor) {
				t.Errorf("device %d, %d", h.Devmajor, h.Devminor)
			}
			if e.Fraction == ".25" && h.ModTime.Nanosecond() != 250_000_000 {
				t.Errorf("nanoseconds %d", h.ModTime.Nanosecond())
			}
			for _, x := range e.Xattrs {
				if h.PAXRecords[x.Key] != x.Value {
					t.Errorf("records %q", h.PAXRecords)
				}
			}
			content, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(content, e.content()) {
				t.Errorf("%d bytes of content, %v", len(content), err)
			}
			if _, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("after the entry: %v", err)
			}
		})
	}
}

// TestSeedDecides writes a stack twice: the layouts are equal to the byte, and
// another seed gives another.
func TestSeedDecides(t *testing.T) {
	for seed := range uint64(6) {
		first, second, other := files(t, Generate(seed)), files(t, Generate(seed)), files(t, Generate(seed+1))
		if !maps.Equal(first, second) {
			t.Errorf("seed %d gives two stacks", seed)
		}
		if maps.Equal(first, other) {
			t.Errorf("seeds %d and %d give the same stack", seed, seed+1)
		}
		boot := files(t, GenerateBootable(seed))
		if !maps.Equal(boot, files(t, GenerateBootable(seed))) || maps.Equal(boot, first) {
			t.Errorf("seed %d gives two bootable stacks, or the plain one", seed)
		}
	}
}

// TestCompressionRoundTrips decodes what compress made, of all shapes.
func TestCompressionRoundTrips(t *testing.T) {
	content := Data{Size: 100_000, Seed: 2}.Bytes()
	for _, c := range []Compression{
		{Codec: Plain},
		{Codec: Gzip, Level: 0, Parts: 1},
		{Codec: Gzip, Level: 9, Parts: 3},
		{Codec: Zstd, Level: 1, Parts: 1},
		{Codec: Zstd, Level: 4, Parts: 4, Skippable: true},
	} {
		blob, err := c.compress(content)
		if err != nil {
			t.Fatal(err)
		}
		var r io.Reader = bytes.NewReader(blob)
		switch c.Codec {
		case Plain:
		case Gzip:
			r, err = gzip.NewReader(r)
		case Zstd:
			r, err = zstd.NewReader(r)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%+v: %d bytes, %v", c, len(got), err)
		}
	}
}

// TestShrinkKeepsWhatHolds looks for one entry among many.
func TestShrinkKeepsWhatHolds(t *testing.T) {
	stack := Generate(7)
	last := &stack.Layers[len(stack.Layers)-1]
	last.Entries = append(last.Entries, Entry{Type: TypeFIFO, Name: "needle"})
	small := Shrink(stack, 10_000, func(s Stack) bool {
		for _, l := range s.Layers {
			for _, e := range l.Entries {
				if e.Name == "needle" {
					return true
				}
			}
		}
		return false
	})
	if len(small.Layers) != 1 || len(small.Layers[0].Entries) != 1 {
		t.Errorf("%d layers left, the first with %d entries", len(small.Layers), len(small.Layers[0].Entries))
	}
}

// files returns the files of the layout of a stack, with their content.
func files(t *testing.T, s Stack) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := s.Write(dir); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, dir)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
