// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/internal/ukitest"
	"github.com/cfs-label/cfs-label/remote"
)

// header is an entry of a tar archive, as odd as it may be.
type header struct {
	name, link   string
	kind         byte // the type; a file if zero
	mode         int64
	mtime        int64
	content      string
	pax          map[string]string
	major, minor int64
	v7           bool // without a magic
	spoiled      bool // with a wrong checksum
}

// The usual entries. All times are 1.
func aDir(name string) header { return header{name: name, kind: '5', mode: 0o755, mtime: 1} }

func aFile(name, content string) header {
	return header{name: name, kind: '0', mode: 0o644, mtime: 1, content: content}
}

func aLink(kind byte, name, to string) header {
	return header{name: name, kind: kind, mode: 0o777, mtime: 1, link: to}
}

func aDevice(name string, major, minor int64) header {
	return header{name: name, kind: '3', mode: 0o600, mtime: 1, major: major, minor: minor}
}

// with changes an entry.
func (h header) with(change func(*header)) header {
	change(&h)
	return h
}

func (h header) xattr(name, value string) header {
	return h.record("SCHILY.xattr."+name, value)
}

func (h header) record(key, value string) header {
	h.pax = maps.Clone(h.pax)
	if h.pax == nil {
		h.pax = map[string]string{}
	}
	h.pax[key] = value
	return h
}

func (h header) appendTo(b []byte) []byte {
	if len(h.pax) > 0 {
		var records string
		for _, key := range slices.Sorted(maps.Keys(h.pax)) {
			records += paxRecord(key + "=" + h.pax[key])
		}
		b = header{name: "pax", kind: 'x', content: records}.appendTo(b)
	}
	block := make([]byte, 512)
	copy(block, h.name)
	copy(block[157:257], h.link)
	number := func(at, width int, n int64) {
		if n < 0 || n>>(3*(width-1)) != 0 { // base 256
			binary.BigEndian.PutUint64(block[at+width-8:], uint64(n))
			block[at] |= 0x80
			return
		}
		copy(block[at:], fmt.Sprintf("%0*o", width-1, n))
	}
	number(100, 8, h.mode)
	number(108, 8, 0)
	number(116, 8, 0)
	number(124, 12, int64(len(h.content)))
	number(136, 12, h.mtime)
	block[156] = h.kind
	if !h.v7 {
		copy(block[257:], "ustar\x0000")
		number(329, 8, h.major)
		number(337, 8, h.minor)
	}
	copy(block[148:], "        ")
	sum := 0
	for _, c := range block {
		sum += int(c)
	}
	if h.spoiled {
		sum++
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
	b = append(append(b, block...), h.content...)
	return append(b, make([]byte, -len(h.content)&511)...)
}

// paxRecord returns "LENGTH KEY=VALUE\n".
func paxRecord(text string) string {
	n := len(text) + 2
	for n != len(text)+2+len(fmt.Sprint(n)) {
		n = len(text) + 2 + len(fmt.Sprint(n))
	}
	return fmt.Sprintf("%d %s\n", n, text)
}

// archiveOf makes an archive.
func archiveOf(entries ...header) []byte {
	var b []byte
	for _, e := range entries {
		b = e.appendTo(b)
	}
	return append(b, make([]byte, 1024)...)
}

// built is an image that a test makes.
type built struct {
	layers      [][]header
	labels      map[string]string
	annotations map[string]string
	layerType   string // the default is that of a plain archive
}

// pushBuilt pushes the image and returns its reference.
func (s *store) pushBuilt(t testing.TB, name string, img built) *remote.Ref {
	t.Helper()
	ref := openFor(t, s.host+"/"+name)
	push := func(data []byte) v1.Descriptor {
		d := v1.Descriptor{Digest: digestOf(data), Size: int64(len(data))}
		if err := ref.Repo.PushBlob(t.Context(), d, data); err != nil {
			t.Fatal(err)
		}
		return d
	}
	type object = map[string]any
	var diffIDs []string
	var layers []object
	for _, entries := range s.withOwnDigest(t, img.layers) {
		d := push(archiveOf(entries...))
		diffIDs = append(diffIDs, d.Digest.String())
		mediaType := string(types.OCIUncompressedLayer)
		if img.layerType != "" {
			mediaType = img.layerType
		}
		layers = append(layers, object{"mediaType": mediaType, "digest": d.Digest.String(), "size": d.Size})
	}
	config := marshal(t, object{
		"os": "linux", "architecture": "amd64", "config": object{"Labels": img.labels},
		"rootfs": object{"type": "layers", "diff_ids": diffIDs},
	})
	d := push(config)
	manifest := marshal(t, object{
		"schemaVersion": 2, "annotations": img.annotations, "layers": layers,
		"config": object{"mediaType": types.OCIConfigJSON, "digest": d.Digest.String(), "size": d.Size},
	})
	top := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf(manifest), Size: int64(len(manifest))}
	if err := ref.Repo.Tag(t.Context(), ref.Tag, top, manifest, ""); err != nil {
		t.Fatal(err)
	}
	return ref
}

// withOwnDigest puts the digest in for ownDigest.
func (s *store) withOwnDigest(t testing.TB, layers [][]header) [][]header {
	t.Helper()
	var uki *header
	for _, entries := range layers {
		for i := range entries {
			if strings.Contains(entries[i].content, ownDigest) {
				uki = &entries[i]
			}
		}
	}
	if uki == nil {
		return layers
	}
	other := strings.ReplaceAll(uki.content, ownDigest, someDigest) // of which the digest does not depend
	uki.content = other
	images, err := cfslabel.Compute(t.Context(), s.pushBuilt(t, "own:digest", built{layers: layers}), cfslabel.Options{
		Bootable: true, Formats: []erofs.Format{erofs.V2},
	})
	if err != nil {
		t.Fatal(err)
	}
	uki.content = strings.ReplaceAll(other, someDigest, images[0].Digests[1].Digest.String())
	return layers
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func openFor(t testing.TB, name string) *remote.Ref {
	t.Helper()
	ref, err := remote.Open(t.Context(), name, remote.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// now is when the images of tests are looked at.
var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// lintOne looks at the one image of the reference.
func lintOne(t testing.TB, ref *remote.Ref) cfslabel.Linted {
	t.Helper()
	all, err := cfslabel.Lint(t.Context(), ref, cfslabel.LintOptions{Now: now})
	if err != nil || len(all) != 1 {
		t.Fatalf("%d images: %v", len(all), err)
	}
	return all[0]
}

// rulesOf returns the rules that were broken, each once and in their order.
func rulesOf(l cfslabel.Linted) []string {
	var ids []string
	for _, f := range l.Findings {
		ids = append(ids, f.Rule)
	}
	return slices.Compact(ids)
}

// pyc makes the header of compiled Python and something behind it.
func pyc(magic uint16, fields ...uint32) string {
	b := binary.LittleEndian.AppendUint16(nil, magic)
	b = append(b, "\r\n"...)
	for _, f := range fields {
		b = binary.LittleEndian.AppendUint32(b, f)
	}
	return string(b) + strings.Repeat("c", 200)
}

// ukiOf makes a UKI with a command line.
func ukiOf(cmdline string) string { return string(ukitest.CommandLine(cmdline)) }
