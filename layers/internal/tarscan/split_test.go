// SPDX-License-Identifier: Apache-2.0

package tarscan_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// splitArchives are small archives that have every state of the Scanner and
// some errors.
func splitArchives() map[string][]byte {
	good := join(
		entry('L', "a-long-name\x00", fields{"magic": gnu}),
		entry('x', record("mtime", "7.5")+record("SCHILY.xattr.user.a", "1"), nil),
		entry('0', "content", nil),
		zeros(1),
		entry('g', record("comment", "x"), nil),
		entry('5', "", nil),
		entry('0', strings.Repeat("y", 512), nil),
		zeros(2), []byte("junk"),
	)
	bad := join(good[:2*512], entry('0', "content", fields{"uid": "z"}), zeros(2))
	return map[string][]byte{
		"good": good, "bad number": bad, "cut": good[:1500],
		"orphan": join(entry('L', "x", nil), zeros(2)), "no tar": bytes.Repeat([]byte("text"), 300),
	}
}

// TestSplits: in however many pieces an archive is written, the same is found.
func TestSplits(t *testing.T) {
	for name, archive := range splitArchives() {
		want := outcome(scan(archive))
		for i := range len(archive) + 1 {
			if got := outcome(scan(archive, i)); got != want {
				t.Fatalf("%s, split at byte %d:\n%s\nin one piece:\n%s", name, i, got, want)
			}
		}
		for size := 1; size < 600; size += 1 + size/8 {
			pieces := make([]int, len(archive)/size)
			for i := range pieces {
				pieces[i] = size
			}
			if got := outcome(scan(archive, pieces...)); got != want {
				t.Fatalf("%s, in pieces of %d bytes:\n%s\nin one piece:\n%s", name, size, got, want)
			}
		}
	}
}

// TestWriteKeepsNothing: what was written may be overwritten at once.
func TestWriteKeepsNothing(t *testing.T) {
	archive := splitArchives()["good"]
	want := outcome(scan(archive))
	r := &recorder{}
	buffer := make([]byte, 300)
	err := func() error {
		s := newScanner(r)
		for rest := archive; len(rest) > 0; {
			n := copy(buffer, rest)
			rest = rest[n:]
			if _, err := s.Write(buffer[:n]); err != nil {
				return err
			}
			clear(buffer)
		}
		return s.Close()
	}()
	if got := outcome(r, err); got != want {
		t.Errorf("with a buffer that is used again:\n%s\nwithout:\n%s", got, want)
	}
}

// TestStandardWriter: what archive/tar writes in any of its formats is read as
// it was meant.
func TestStandardWriter(t *testing.T) {
	types := []byte{tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo}
	read := 0
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		var want []string
		for i := range 1 + rng.IntN(8) {
			h := &tar.Header{
				Typeflag: types[rng.IntN(len(types))],
				Name:     fmt.Sprintf("%s/%d", strings.Repeat("n", 1+rng.IntN(90)), i),
				Mode:     rng.Int64N(0o10000), Uid: rng.IntN(1 << 21), Gid: rng.IntN(1 << 21),
				ModTime: time.Unix(rng.Int64N(1<<33), 0),
				Format:  []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU}[rng.IntN(3)],
			}
			if h.Format != tar.FormatUSTAR {
				h.Name += strings.Repeat("/long", rng.IntN(60))
				h.Uid = rng.IntN(1 << 31)
			}
			if h.Format == tar.FormatPAX && rng.IntN(2) == 0 {
				h.ModTime = time.Unix(rng.Int64N(1<<40), rng.Int64N(1e9))
				h.PAXRecords = map[string]string{"SCHILY.xattr.user.a": "v\x00\n="}
			}
			var content string
			switch h.Typeflag {
			case tar.TypeReg:
				content = strings.Repeat("c", rng.IntN(1200))
				h.Size = int64(len(content))
			case tar.TypeSymlink, tar.TypeLink:
				h.Linkname = strings.Repeat("t", 1+rng.IntN(100))
			case tar.TypeChar, tar.TypeBlock:
				h.Devmajor, h.Devminor = rng.Int64N(1<<21), rng.Int64N(1<<21)
			}
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, content); err != nil {
				t.Fatal(err)
			}
			want = append(want, describe(h, content))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var got []string
		r := mustScan(t, b.Bytes())
		for i, e := range r.entries {
			got = append(got, fmt.Sprintf("%c %s -> %s %o %d:%d %d.%d %d,%d %q %q", e.Type, e.Path, e.Link, e.Mode,
				e.UID, e.GID, e.MtimeSec, e.MtimeNsec, e.DevMajor, e.DevMinor, e.Xattrs, r.content[i]))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: -written +read:\n%s", seed, diff)
		}
		read += len(got)
	}
	if read < 1000 {
		t.Errorf("only %d entries were compared", read)
	}
}

func describe(h *tar.Header, content string) string {
	xattrs := "[]"
	if v, ok := h.PAXRecords["SCHILY.xattr.user.a"]; ok {
		xattrs = fmt.Sprintf("%q", []struct{ Name, Value string }{{"user.a", v}})
	}
	return fmt.Sprintf("%c %s -> %s %o %d:%d %d.%d %d,%d %s %q", h.Typeflag, h.Name, h.Linkname, h.Mode,
		h.Uid, h.Gid, h.ModTime.Unix(), h.ModTime.Nanosecond(), h.Devmajor, h.Devminor, xattrs, content)
}

// conformanceArchives are the layers of the conformance vectors.
func conformanceArchives(t testing.TB) [][]byte {
	t.Helper()
	blobs, err := filepath.Glob("../../../testdata/conformance/*/oci/blobs/sha256/*")
	if err != nil {
		t.Fatal(err)
	}
	var archives [][]byte
	for _, name := range blobs {
		blob, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(blob))
		if err != nil {
			continue // not a layer, or compressed in another way
		}
		archive, err := io.ReadAll(z)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%s: %v", name, err)
		}
		archives = append(archives, archive)
	}
	if len(archives) < 100 {
		t.Fatalf("found %d layers among the conformance vectors", len(archives))
	}
	return archives
}

// TestSplitsOfConformanceLayers: the same for real layers, split at random.
func TestSplitsOfConformanceLayers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i, archive := range conformanceArchives(t) {
		want := outcome(scan(archive))
		var pieces []int
		for rest := len(archive); rest > 0; rest -= pieces[len(pieces)-1] {
			pieces = append(pieces, 1+rng.IntN(1500))
		}
		if got := outcome(scan(archive, pieces...)); got != want {
			t.Fatalf("layer %d in pieces: -one piece +pieces:\n%s", i, cmp.Diff(want, got))
		}
	}
}
