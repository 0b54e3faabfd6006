// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// tarOf packs entries. Without a type, an entry is a regular file.
func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		body := ""
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
			body = h.Linkname
			h.Linkname, h.Size = "", int64(len(body))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file is a regular file with a content.
func file(name, content string) tar.Header { return tar.Header{Name: name, Linkname: content} }

func scan(t testing.TB, raw []byte) (*table, error) {
	t.Helper()
	return scanTar(t.Context(), bytes.NewReader(raw), int64(len(raw)))
}

func TestTableFinds(t *testing.T) {
	raw := tarOf(t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "x"}},
		tar.Header{Typeflag: tar.TypeDir, Name: "./blobs/"},
		file("./index.json", "old"),
		file("/abs", "absolute"),
		file("a//b/./c", "clean"),
		file("../escape", "outside"),
		file("x/../y", "dots"),
		file(strings.Repeat("n", maxMemberName), "longest"),
		file(strings.Repeat("n", maxMemberName+1), "too long"),
		tar.Header{Typeflag: tar.TypeLink, Name: "hard", Linkname: "./index.json"},
		file("index.json", "new"),
		tar.Header{Typeflag: tar.TypeSymlink, Name: "d/soft", Linkname: "../a/b/c"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "d/again", Linkname: "soft"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "d/abs", Linkname: "/abs"},
		file("d/root", "not the root's"),
		tar.Header{Typeflag: tar.TypeSymlink, Name: "d/toroot", Linkname: "/root"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "blobs/sha256", Linkname: "../data"},
		file("data/x", "through a directory"),
		tar.Header{Typeflag: tar.TypeSymlink, Name: "data/up", Linkname: "../a/b"},
		file("blobs/sha256/packed", "packed through it"),
		tar.Header{Typeflag: tar.TypeSymlink, Name: "out", Linkname: "../.."},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "round", Linkname: "round/x"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "deep", Linkname: "one/two/three"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "w", Linkname: "deep/../x"},
		file("one/two/x", "behind a link's parent"),
		tar.Header{Typeflag: tar.TypeSymlink, Name: "loop", Linkname: "loop"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "up", Linkname: "../../abs"},
		tar.Header{Typeflag: tar.TypeLink, Name: "dangling", Linkname: "later"},
		file("later", "later"),
		tar.Header{Typeflag: tar.TypeFifo, Name: "fifo"},
		file("gone", "gone"),
		tar.Header{Typeflag: tar.TypeDir, Name: "gone"},
		file("empty", ""),
	)
	table, err := scan(t, raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"index.json":                       "new",
		"hard":                             "old",
		"abs":                              "absolute",
		"a/b/c":                            "clean",
		"./a//b/c":                         "clean",
		"d/soft":                           "clean",
		"d/again":                          "clean",
		"later":                            "later",
		"blobs/sha256/x":                   "through a directory",
		"blobs/sha256/up/c":                "clean",
		"blobs/sha256/packed":              "packed through it",
		"w":                                "behind a link's parent",
		"empty":                            "",
		strings.Repeat("n", maxMemberName): "longest",
	} {
		where, ok := table.find(name)
		if !ok {
			t.Errorf("%s is not there", name)
		} else if got := string(raw[where.off:where.end()]); got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{
		"", ".", "blobs", "escape", "../escape", "y", "x/../y", "d/abs", "loop", "dangling", "fifo", "gone",
		strings.Repeat("n", maxMemberName+1), "pax_global_header", "up", "d/toroot",
		"blobs/sha256", "blobs/sha256/y", "out/abs", "round", "round/x",
	} {
		if where, ok := table.find(name); ok {
			t.Errorf("%q is at %v, want nothing", name, where)
		}
	}
}

// TestTableKeepsAllButTheIndex: what a new archive begins with is the old one
// without index.json, header for header.
func TestTableKeepsAllButTheIndex(t *testing.T) {
	long := strings.Repeat("x", 200)
	before := []tar.Header{file("oci-layout", "{}"), {Typeflag: tar.TypeDir, Name: "blobs/", Mode: 0o755}, file("blobs/"+long, "abc")}
	after := []tar.Header{file("other", strings.Repeat("y", 513)), {Typeflag: tar.TypeSymlink, Name: "l", Linkname: long}}
	indexes := []tar.Header{file("index.json", "1"), file("./index.json", long), {Name: "index.json", Linkname: "2", PAXRecords: map[string]string{"comment": long}}}
	var all []tar.Header
	all = append(all, indexes[0])
	all = append(all, before...)
	all = append(all, indexes[1])
	all = append(all, after...)
	all = append(all, indexes[2])
	raw := tarOf(t, all...)
	table, err := scan(t, raw)
	if err != nil {
		t.Fatal(err)
	}
	var kept bytes.Buffer
	for _, e := range table.keep {
		kept.Write(raw[e.off:e.end()])
	}
	if len(table.keep) != 2 {
		t.Errorf("%d parts, want 2", len(table.keep))
	}
	want := bytes.TrimRight(tarOf(t, append(before, after...)...), "\x00")
	if got := bytes.TrimRight(kept.Bytes(), "\x00"); !bytes.Equal(got, want) {
		t.Errorf("kept %d bytes, want %d", len(got), len(want))
	}
}

func TestTableRefuses(t *testing.T) {
	whole := tarOf(t, file("a", strings.Repeat("a", 1000)), file("b", "b"))
	over := bytes.Clone(whole)
	copy(over[124:], "77777777777\x00") // the size of a
	fixChecksum(over[:tarBlock])
	negative := bytes.Clone(whole)
	copy(negative[124:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
	fixChecksum(negative[:tarBlock])
	damaged := bytes.Clone(whole)
	damaged[3*tarBlock+5]++
	old := bytes.Clone(whole)
	old[156] = tar.TypeGNUSparse
	copy(old[257:], "ustar  \x00")
	fixChecksum(old[:tarBlock])
	for name, tc := range map[string]struct {
		raw  []byte
		text string
	}{
		"empty":                 {nil, "cut off"},
		"text":                  {[]byte(strings.Repeat("text ", 1000)), "no tar archive"},
		"short":                 {[]byte("text"), "no tar archive"},
		"cut in a header":       {whole[:3*tarBlock+100], "cut off"},
		"cut in content":        {whole[:2*tarBlock], "cut off"},
		"cut after an entry":    {whole[:3*tarBlock], "cut off after 1536 bytes"},
		"without an end":        {bytes.TrimRight(whole, "\x00"), "cut off"},
		"longer than the file":  {over, "8589934591 bytes"},
		"negative size":         {negative, "no tar archive"},
		"damaged in the middle": {damaged, "damaged behind byte 1536"},
		"old GNU sparse":        {old, "sparse"},
		"PAX sparse":            {paxSparse(t), "sparse"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := scan(t, tc.raw)
			if !errors.Is(err, ErrContent) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, want ErrContent and %q", err, tc.text)
			}
		})
	}
}

// paxSparse returns a tar with a sparse file of GNU tar's format 1.0, which the
// library does not write.
func paxSparse(t *testing.T) []byte {
	t.Helper()
	raw := tarOf(t, tar.Header{Name: "x", Linkname: strings.Repeat("1\n0\n0\n", 200), PAXRecords: map[string]string{
		"XXX.sparse.major": "1", "XXX.sparse.minor": "0", "XXX.sparse.realsize": "0", "XXX.sparse.name": "x",
	}})
	return bytes.ReplaceAll(raw, []byte("XXX.sparse"), []byte("GNU.sparse"))
}

// fixChecksum makes a header valid again (POSIX pax, "ustar Interchange
// Format").
func fixChecksum(header []byte) {
	copy(header[148:156], "        ")
	sum := 0
	for _, c := range header {
		sum += int(c)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

func TestTableIsBounded(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range maxMembers + 1 {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := scan(t, b.Bytes())
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

// FuzzTable: whatever an archive says, everything in the table lies within it,
// and what is kept of it is the same archive without index.json.
func FuzzTable(f *testing.F) {
	f.Add(tarOf(f, file("oci-layout", "{}"), file("index.json", "{}"), file("./blobs/sha256/x", "y")))
	f.Add(tarOf(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "a/b", Linkname: "../c"}, file("c", "c")))
	f.Add(tarOf(f, file(strings.Repeat("a/", 150)+"b", ""), tar.Header{Typeflag: tar.TypeLink, Name: "h", Linkname: "c"}))
	f.Add(make([]byte, 2*tarBlock))
	f.Add(tarOf(f, file(strings.Repeat("l", 300), "long"), file("./index.json", "x"), file("z", strings.Repeat("z", 2000))))
	f.Fuzz(func(t *testing.T, input []byte) {
		raw := bytes.Clone(input)
		// What has no valid checksum is refused at once: give it one.
		for block := raw; len(block) >= tarBlock; block = block[tarBlock:] {
			if bytes.Equal(block[257:262], []byte("ustar")) {
				fixChecksum(block[:tarBlock])
			}
		}
		table, err := scan(t, raw)
		if err != nil {
			return
		}
		inside := func(e extent) bool { return e.off >= 0 && e.size >= 0 && e.end() <= int64(len(raw)) }
		var kept bytes.Buffer
		for _, e := range table.keep {
			if !inside(e) || e.off%tarBlock != 0 || e.size%tarBlock != 0 {
				t.Fatalf("kept %v of %d bytes", e, len(raw))
			}
			kept.Write(raw[e.off:e.end()])
		}
		kept.Write(make([]byte, 2*tarBlock))
		again, err := scan(t, kept.Bytes())
		if err != nil {
			t.Fatalf("what is kept is no archive: %v", err)
		}
		for name := range table.members {
			where, ok := table.find(name)
			if ok && !inside(where) {
				t.Fatalf("%q is at %v of %d bytes", name, where, len(raw))
			}
			m := table.members[name]
			if name == indexFile || m.link != "" || !inside(m.extent) {
				continue
			}
			if n, ok := again.members[name]; ok && !bytes.Equal(kept.Bytes()[n.off:n.end()], raw[m.off:m.end()]) {
				t.Fatalf("%q has changed", name)
			}
		}
		if _, ok := again.members[indexFile]; ok {
			t.Fatal("the index is kept")
		}
	})
}
