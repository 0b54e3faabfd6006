// SPDX-License-Identifier: Apache-2.0

package tarscan_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/layers/internal/tarscan"
)

type fields = map[string]string

const (
	v7  = "\x00\x00\x00\x00\x00\x00\x00\x00"
	gnu = "ustar  \x00"
)

// pathsOf says which entries were found: type, path, target, content.
func pathsOf(r *recorder) []string {
	var list []string
	for i, e := range r.entries {
		list = append(list, strings.Join([]string{string(rune(e.Type)), string(e.Path), string(e.Link), r.content[i]}, " "))
	}
	return list
}

// TestNames: where the name and target of an entry come from, and in which
// order the sources go before each other.
func TestNames(t *testing.T) {
	pax := func(records ...string) []byte { return entry('x', strings.Join(records, ""), nil) }
	for _, c := range []struct {
		rule    string
		archive []byte
		want    string // path and target; empty: ErrNoPath
	}{
		{"the header", block(fields{"name": "a", "link": "b"}), "a|b"},
		{"a name that fills its field", block(fields{"name": strings.Repeat("a", 100)}), strings.Repeat("a", 100) + "|"},
		{"a target that fills its field", block(fields{"link": strings.Repeat("a", 100)}), "f|" + strings.Repeat("a", 100)},
		{"up to the first NUL", block(fields{"name": "a\x00b", "link": "c\x00d"}), "a|c"},
		{"a prefix in ustar", block(fields{"name": "a", "prefix": "p/q"}), "p/q/a|"},
		{"a prefix that fills its field", block(fields{"prefix": strings.Repeat("p", 155)}), strings.Repeat("p", 155) + "/f|"},
		{"a prefix with a slash behind", block(fields{"prefix": "p/"}), "p//f|"},
		{"a prefix without a name", block(fields{"name": "", "prefix": "p"}), "p/|"},
		{"no prefix in GNU's dialect", block(fields{"prefix": "p", "magic": gnu}), "f|"},
		{"no prefix in V7's", block(fields{"prefix": "p", "magic": v7}), "f|"},
		{"nor in a dialect with another version", block(fields{"prefix": "p", "magic": "ustar\x0001"}), "f|"},
		{"a GNU name before the header's", join(entry('L', "long\x00", nil), block(fields{"prefix": "p"})), "long|"},
		{"a GNU target before the header's", join(entry('K', "long\x00", nil), block(fields{"link": "b"})), "f|long"},
		{"both in either order", join(entry('K', "k\x00", nil), entry('L', "l\x00", nil), block(nil)), "l|k"},
		{"a GNU name without NUL", join(entry('L', "long", nil), block(nil)), "long|"},
		{"of which only one NUL is cut off", join(entry('L', "long\x00\x00", nil), block(nil)), "long\x00|"},
		{"and which may have one inside", join(entry('L', "lo\x00ng", nil), block(nil)), "lo\x00ng|"},
		{"PAX before GNU before the header", join(pax(record("path", "p"), record("linkpath", "q")), entry('L', "l", nil), entry('K', "k", nil), block(nil)), "p|q"},
		{"also the other way round", join(entry('L', "l", nil), entry('K', "k", nil), pax(record("path", "p"), record("linkpath", "q")), block(nil)), "p|q"},
		{"a sparse file's name before all", join(pax(record("GNU.sparse.name", "s"), record("path", "p")), block(nil)), "s|"},
		{"an empty target of GNU's", join(entry('K', "\x00", nil), block(fields{"link": "b"})), "f|"},
		{"an empty target of PAX", join(pax(record("linkpath", "")), block(fields{"link": "b"})), "f|"},
		{"no name", block(fields{"name": ""}), ""},
		{"an empty GNU name", join(entry('L', "", nil), block(nil)), ""},
		{"an empty PAX name", join(pax(record("path", "")), block(nil)), ""},
		{"an empty sparse name", join(pax(record("GNU.sparse.name", "")), block(nil)), ""},
	} {
		r, err := scan(join(c.archive, zeros(2)))
		if c.want == "" {
			if !errors.Is(err, tarscan.ErrNoPath) {
				t.Errorf("%s: error %v, want ErrNoPath", c.rule, err)
			}
			continue
		}
		if err != nil || len(r.entries) != 1 {
			t.Errorf("%s: %d entries, error %v", c.rule, len(r.entries), err)
		} else if got := string(r.entries[0].Path) + "|" + string(r.entries[0].Link); got != c.want {
			t.Errorf("%s: got %q, want %q", c.rule, got, c.want)
		}
	}
}

// TestMetadata: what a header's numbers become, and what PAX records change.
func TestMetadata(t *testing.T) {
	all := fields{
		"mode": "0004755", "uid": "0000017", "gid": "0000020", "mtime": "00000000100",
		"major": "0000010", "minor": "0000003", "type": "3",
	}
	pax := entry('x', record("uid", "4294967301")+record("gid", "6")+record("mtime", "7.5")+record("SCHILY.xattr.user.a", "1")+record("SCHILY.xattr.", "")+record("LIBARCHIVE.xattr.user.b", "x"), nil)
	want := tarscan.Entry{
		Type: '3', Path: []byte("f"), Link: []byte{}, Mode: 0o4755, UID: 15, GID: 16, MtimeSec: 64,
		HasDevice: true, DevMajor: 8, DevMinor: 3,
	}
	withPAX := want
	withPAX.UID, withPAX.GID, withPAX.MtimeSec, withPAX.MtimeNsec = 5, 6, 7, 500_000_000
	withPAX.Xattrs = []tarscan.Xattr{{Name: "user.a", Value: "1"}, {Name: "", Value: ""}}
	r := mustScan(t, join(block(all), pax, block(all), block(all), zeros(2)))
	if diff := cmp.Diff([]tarscan.Entry{want, withPAX, want}, r.entries); diff != "" {
		t.Errorf("an extended header counts for the one entry behind it: -want +got:\n%s", diff)
	}

	all["magic"] = v7
	want.HasDevice, want.DevMajor, want.DevMinor = false, 0, 0
	all["major"], all["minor"] = "junk", "\x80"
	if diff := cmp.Diff([]tarscan.Entry{want}, mustScan(t, join(block(all), zeros(2))).entries); diff != "" {
		t.Errorf("V7 has no device numbers, whatever stands there: -want +got:\n%s", diff)
	}
}

// TestContent: the size says how many bytes follow, whatever the type, and a PAX
// record says it last.
func TestContent(t *testing.T) {
	archive := join(
		entry('5', "directory", nil),
		entry('2', strings.Repeat("s", 513), nil),
		entry('V', "unknown", nil),
		entry('x', record("size", "3"), nil), entry('0', "abc", fields{"size": "00000000000"}),
		entry('x', record("size", "0"), nil), entry('0', "", fields{"size": "77777777777"}),
		entry('0', strings.Repeat("b", 512), nil),
		entry('0', "", nil),
		zeros(2),
	)
	got := mustScan(t, archive).content
	want := []string{"directory", strings.Repeat("s", 513), "unknown", "abc", "", strings.Repeat("b", 512), ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestGlobalHeader: it is skipped, and what stood before it with it; this is so
// in every dialect.
func TestGlobalHeader(t *testing.T) {
	for _, magic := range []string{"ustar\x0000", gnu, v7} {
		global := entry('g', record("path", "global"), fields{"magic": magic})
		r := mustScan(t, join(
			global, block(fields{"name": "a"}),
			entry('x', record("path", "pax"), nil), global, block(fields{"name": "b"}),
			entry('L', "long", nil), entry('K', "long", nil), global, block(fields{"name": "c"}),
			entry('L', "l", nil), global, entry('L', "d", nil), block(nil), // no duplicate
			global,
		))
		if diff := cmp.Diff([]string{"0 a  ", "0 b  ", "0 c  ", "0 d  "}, pathsOf(r)); diff != "" {
			t.Errorf("magic %q: -want +got:\n%s", magic, diff)
		}
	}
	// It may be broken inside: nobody reads it.
	mustScan(t, join(entry('g', "99 broken", nil), zeros(2)))
}

// TestDialects: only archives with a magic have GNU's and PAX' extension
// headers; in V7 these are entries.
func TestDialects(t *testing.T) {
	for _, typ := range []byte("xLK") {
		for magic, extension := range map[string]bool{"ustar\x0000": true, gnu: true, v7: false, "ustar\x0001": false, "ustar \x00\x00": false} {
			content := ""
			if typ == 'x' {
				content = record("path", "p")
			}
			r, err := scan(join(entry(typ, content, fields{"magic": magic}), block(fields{"name": "g"}), zeros(2)))
			if typ == 'L' && extension {
				if !errors.Is(err, tarscan.ErrNoPath) {
					t.Errorf("type %c, magic %q: error %v, want ErrNoPath", typ, magic, err)
				}
				continue
			}
			if want := map[bool]int{true: 1, false: 2}[extension]; err != nil || len(r.entries) != want {
				t.Errorf("type %c, magic %q: %d entries, error %v; want %d", typ, magic, len(r.entries), err, want)
			}
		}
	}
}

// TestHandlerErrors: an error of the handler ends the scan, sticks, and is what
// Write and Close return.
func TestHandlerErrors(t *testing.T) {
	mine := errors.New("mine")
	for _, r := range []*recorder{{failEntry: mine}, {failEnd: mine}} {
		s := tarscan.New(r)
		archive := join(entry('0', "abc", nil), entry('0', "def", nil), zeros(2))
		n, err := s.Write(archive)
		if !errors.Is(err, mine) || n >= len(archive) {
			t.Errorf("Write = %d, %v; want fewer than %d bytes and the handler's error", n, err, len(archive))
		}
		if n, err := s.Write(zeros(2)); n != 0 || !errors.Is(err, mine) {
			t.Errorf("Write after the error = %d, %v", n, err)
		}
		if err := s.Close(); !errors.Is(err, mine) || len(r.entries) != 1 {
			t.Errorf("Close = %v after %d entries", err, len(r.entries))
		}
	}
}

// TestErrorPlace: where the headers tell the name of the entry that is wrong,
// the error has it.
func TestErrorPlace(t *testing.T) {
	for _, c := range []struct {
		archive []byte
		path    string
		err     error
	}{
		{block(fields{"uid": "x"}), "f", nil},
		{block(fields{"prefix": "p", "minor": "x"}), "p/f", nil},
		{entry('S', "", fields{"name": "s"}), "s", tarscan.ErrSparse},
		{join(entry('L', "long\x00", nil), entry('x', "1 x=\n", nil), block(nil)), "long", tarscan.ErrPAX},
		{join(entry('x', record("path", "p")+record("GNU.sparse.map", "0,1"), nil), block(nil)), "p", tarscan.ErrSparse},
	} {
		_, err := scan(join(c.archive, zeros(2)))
		var at *tarscan.EntryError
		if !errors.As(err, &at) || at.Path != c.path || !errors.Is(err, c.err) && c.err != nil {
			t.Errorf("error %v, want one at %q, %v", err, c.path, c.err)
		}
	}
}

// TestCloseTwice: Close says the same again.
func TestCloseTwice(t *testing.T) {
	s := tarscan.New(&recorder{})
	_, _ = s.Write([]byte("not a block"))
	first, second := s.Close(), s.Close()
	if !errors.Is(first, io.ErrUnexpectedEOF) || !errors.Is(second, io.ErrUnexpectedEOF) {
		t.Errorf("Close = %v, then %v", first, second)
	}
}
