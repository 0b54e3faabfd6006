// SPDX-License-Identifier: Apache-2.0

package boot_test

import (
	"bytes"
	"debug/pe"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/boot"
)

// base is the command line of a UKI without profiles.
func base(text string) []boot.CommandLine {
	return []boot.CommandLine{{Profile: boot.Base, Text: text}}
}

var kilobyte = strings.Repeat("k", 1024)

// files are PE files, and what the boot stub would take for their command
// lines.
var files = []struct {
	rule string
	file []byte
	want []boot.CommandLine
	err  error
}{
	{"the section's content", uki(peSection{name: ".linux", content: kilobyte}, cmdline("quiet"), peSection{name: ".initrd", content: kilobyte}).bytes(), base("quiet"), nil},
	{"the headers may be as small as they can be", peFile{sections: []peSection{cmdline("a")}}.bytes(), base("a"), nil},
	{"a section may be longer in the file: it is padded", uki(sized(cmdline("quiet\x00\x00\x00"), 5, 8)).bytes(), base("quiet"), nil},
	{"what is behind the virtual size is not read", uki(sized(cmdline("quietly"), 5, 7)).bytes(), base("quiet"), nil},
	{"a section may be longer in memory: the rest is zero", uki(sized(cmdline("quiet"), 4096, 5), cmdline("next")).bytes(), base("quiet"), nil},
	{"the text ends at a NUL", uki(cmdline("quiet\x00 composefs=1")).bytes(), base("quiet"), nil},
	{"other bytes are kept", uki(cmdline("a=é\xff\n")).bytes(), base("a=é\xff\n"), nil},
	{"of two sections the first counts", uki(cmdline("one"), cmdline("two")).bytes(), base("one"), nil},
	{"though it be empty", uki(sized(cmdline("one"), 0, 3), cmdline("two")).bytes(), base(""), nil},
	{"an empty section does not need to be anywhere", uki(placed(sized(cmdline(""), 0, 0), 1<<31)).bytes(), base(""), nil},
	{"no section", uki(peSection{name: ".linux", content: "x"}).bytes(), nil, nil},
	{"no sections at all", uki().bytes(), nil, nil},
	{"the whole name counts", uki(peSection{name: ".cmdlin", content: "x"}, peSection{name: ".Cmdline", content: "x"}, peSection{name: "cmdline", content: "x"}).bytes(), nil, nil},
	{
		"each profile has its own", uki(cmdline("base"), profile("ID=a"), cmdline("a"), profile("ID=b"), profile("ID=c"), cmdline("c"), cmdline("d")).bytes(),
		[]boot.CommandLine{{Profile: boot.Base, Text: "base"}, {Profile: 0, Text: "a"}, {Profile: 2, Text: "c"}},
		nil,
	},
	{"profiles without a base", uki(profile("ID=a"), cmdline("a")).bytes(), []boot.CommandLine{{Profile: 0, Text: "a"}}, nil},
	{
		"sections may overlap", uki(peSection{name: ".linux", content: "0123456789"}, placed(cmdline("2345"), uint32(uki(cmdline(""), cmdline(""), profile(""), cmdline("")).headers()+2)), profile(""),
			placed(cmdline("456"), uint32(uki(cmdline(""), cmdline(""), profile(""), cmdline("")).headers()+4))).bytes(),
		[]boot.CommandLine{{Profile: boot.Base, Text: "2345"}, {Profile: 0, Text: "456"}},
		nil,
	},
	{"and be in any order", uki(placed(cmdline("late"), uint32(uki(cmdline(""), cmdline(""), profile("")).headers())), profile(""), peSection{name: ".linux", content: "late"}).bytes(), base("late"), nil},
	{"a section may be in the headers", uki(placed(sized(cmdline(""), 2, 2), 1)).bytes(), base("Z"), nil},

	{"nothing", nil, nil, boot.ErrNotPE},
	{"a text", []byte("#!/bin/sh\n" + kilobyte), nil, boot.ErrNotPE},
	{"a short text", []byte("MZ"), nil, boot.ErrNotPE},
	{"a PE header without a DOS header", peFile{dos: "ZM"}.bytes(), nil, boot.ErrNotPE},
	{"a DOS program", peFile{magic: "NE\x00\x00"}.bytes(), nil, boot.ErrNotPE},
	{"a DOS program that is shorter than where a PE header were", peFile{stub: 100}.bytes()[:0x50], nil, boot.ErrNotPE},
	{"a PE header in the DOS header", append([]byte("MZ"), make([]byte, 1000)...), nil, boot.ErrMalformed},
	{"a PE header that is far away", append(append([]byte("MZ"), make([]byte, 0x3a)...), "\xff\xff\xff\xff and more"...), nil, boot.ErrMalformed},
	{"a cut PE header", uki(cmdline("x")).bytes()[:0x40+64+10], nil, boot.ErrMalformed},
	{"a cut section table", uki(cmdline("x")).bytes()[:uki(cmdline("x")).headers()-1], nil, boot.ErrMalformed},
	{"a section that ends behind the file", uki(sized(cmdline("quiet"), 6, 6)).bytes(), nil, boot.ErrMalformed},
	{"a section that begins behind the file", uki(placed(cmdline("quiet"), 1<<20)).bytes(), nil, boot.ErrMalformed},
	{"a section that ends where no number goes", uki(placed(sized(cmdline("quiet"), 1<<16, 1<<16), 1<<32-1)).bytes(), nil, boot.ErrMalformed},
	{"a command line of 64 KiB", uki(cmdline(strings.Repeat(kilobyte, 64))).bytes(), base(strings.Repeat(kilobyte, 64)), nil},
	{"a longer one", uki(cmdline(strings.Repeat(kilobyte, 64) + "k")).bytes(), nil, boot.ErrMalformed},
	{"one of 4 GiB", uki(sized(cmdline("x"), 1<<32-1, 1<<32-1)).bytes(), nil, boot.ErrMalformed},
	{"a few that are long", uki(profiles(16, strings.Repeat(kilobyte, 64))...).bytes(), wantProfiles(16, strings.Repeat(kilobyte, 64)), nil},
	{"too many that are long", uki(profiles(17, strings.Repeat(kilobyte, 64))...).bytes(), nil, boot.ErrMalformed},
	{"many", uki(profiles(1024, "a")...).bytes(), wantProfiles(1024, "a"), nil},
	{"too many", uki(profiles(1025, "a")...).bytes(), nil, boot.ErrMalformed},
	{"a table of 2 MiB", uki(make([]peSection, 1<<16-1)...).bytes(), nil, boot.ErrMalformed},
}

func profiles(n int, text string) []peSection {
	var s []peSection
	for range n {
		s = append(s, profile(""), cmdline(text))
	}
	return s
}

func wantProfiles(n int, text string) []boot.CommandLine {
	var lines []boot.CommandLine
	for i := range n {
		lines = append(lines, boot.CommandLine{Profile: i, Text: text})
	}
	return lines
}

// TestCommandLines: each rule holds, in whatever pieces the file comes.
func TestCommandLines(t *testing.T) {
	for _, tt := range files {
		t.Run(tt.rule, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"whole":    bytes.NewReader(tt.file),
				"in bytes": iotest.OneByteReader(bytes.NewReader(tt.file)),
				"at once":  iotest.DataErrReader(bytes.NewReader(tt.file)),
			} {
				got, err := boot.CommandLines(r)
				if !errors.Is(err, tt.err) || (err != nil) != (tt.err != nil) {
					t.Errorf("%s: %v, want %v", name, err, tt.err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// TestReadError: an error of the reader is not one of the file.
func TestReadError(t *testing.T) {
	broken := errors.New("broken")
	file := uki(cmdline("quiet")).bytes()
	for _, n := range []int{0, 10, len(file) - 1} {
		_, err := boot.CommandLines(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// TestReadsNoFurther: what is behind the last command line is not read, nor
// anything of a file of another kind but its beginning.
func TestReadsNoFurther(t *testing.T) {
	unread := iotest.ErrReader(errors.New("read too far"))
	for rule, file := range map[string][]byte{
		"a UKI":              uki(cmdline("quiet")).bytes(),
		"no UKI":             uki(peSection{name: ".text"}).bytes(),
		"another kind":       []byte("\x7fELF" + kilobyte),
		"a damaged file":     uki(cmdline(strings.Repeat(kilobyte, 65))).bytes(),
		"an empty last line": uki(cmdline("a"), profile(""), placed(sized(cmdline(""), 0, 0), 1<<30)).bytes(),
	} {
		_, err := boot.CommandLines(io.MultiReader(bytes.NewReader(file), unread))
		if err != nil && !errors.Is(err, boot.ErrNotPE) && !errors.Is(err, boot.ErrMalformed) {
			t.Errorf("%s: %v", rule, err)
		}
	}
}

// TestRealFiles: the standard library finds the same sections where it reads
// them, in the files of the table and in the boot stub of this machine, if
// there is one.
func TestRealFiles(t *testing.T) {
	contents := map[string][]byte{}
	for _, tt := range files {
		contents[tt.rule] = tt.file
	}
	if stub, err := os.ReadFile("/usr/lib/systemd/boot/efi/linuxx64.efi.stub"); err == nil {
		contents["stub"] = stub
	}
	compared := 0
	for name, content := range contents {
		lines, err := boot.CommandLines(bytes.NewReader(content))
		f, theirErr := pe.NewFile(bytes.NewReader(content))
		if err != nil || theirErr != nil {
			continue
		}
		s := f.Section(".cmdline") // the first
		if (s == nil) != (len(lines) == 0) {
			t.Errorf("%s: %d command lines, debug/pe finds %v", name, len(lines), s)
			continue
		}
		if s == nil {
			continue
		}
		data, err := io.ReadAll(io.NewSectionReader(bytes.NewReader(content), int64(s.Offset), int64(min(s.Size, s.VirtualSize))))
		if err != nil {
			t.Fatal(err)
		}
		want, _, _ := strings.Cut(string(data), "\x00")
		if lines[0].Text != want {
			t.Errorf("%s: %q, debug/pe has %q", name, lines[0].Text, want)
		}
		compared++
	}
	if compared < 5 {
		t.Errorf("%d files compared", compared)
	}
}

// FuzzCommandLines: no file makes the reader panic or keep more than its
// limits, and what it finds does not depend on the pieces.
func FuzzCommandLines(f *testing.F) {
	for _, tt := range files {
		if len(tt.file) < 1<<16 {
			f.Add(tt.file, uint16(7))
		}
	}
	f.Fuzz(func(t *testing.T, file []byte, size uint16) {
		want, wantErr := boot.CommandLines(bytes.NewReader(file))
		var s boot.Scanner
		for rest := file; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			if wrote, err := s.Write(rest[:n]); wrote != n || err != nil {
				t.Fatalf("Write = %d, %v", wrote, err)
			}
			rest = rest[n:]
		}
		got, err := s.CommandLines()
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (wantErr == nil) {
			t.Errorf("in pieces of %d: %v, else %v\n%s", int(size)+1, err, wantErr, diff)
		}
		if err != nil && !errors.Is(err, boot.ErrNotPE) && !errors.Is(err, boot.ErrMalformed) {
			t.Errorf("unknown error %v", err)
		}
		total := 0
		for _, l := range got {
			total += len(l.Text)
			if strings.ContainsRune(l.Text, 0) {
				t.Errorf("a NUL in %q", l.Text)
			}
		}
		if total > 1<<20 || len(got) > 1<<10 {
			t.Errorf("%d command lines of %d bytes", len(got), total)
		}
	})
}
