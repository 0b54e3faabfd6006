// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

const (
	// tarBlock is the size of a header, and what the length of everything in a
	// tar is a multiple of, in bytes.
	tarBlock = 512
	// maxMembers is how many entries an archive may have. Layouts have one a
	// blob.
	maxMembers = 1 << 16
	// maxMemberName is the length of the longest name, in bytes, that anybody can
	// ask for. A blob's has 141.
	maxMemberName = 512
	// maxLinks is how many symbolic links may follow one on another.
	maxLinks = 8
)

// table says where the files of a tar are.
type table struct {
	members map[string]member
	// keep is where the entries are, with their headers and padding, but for
	// those of index.json. It is what a new version of the archive begins with.
	keep []extent
}

// member is a file of a tar.
type member struct {
	extent
	link string // of a symbolic link, which has no content: where it leads
}

// extent is a part of a file.
type extent struct{ off, size int64 } // in bytes

func (e extent) end() int64 { return e.off + e.size }

// scanTar makes the table of the tar in r, which has size bytes. Of entries with
// one name the last counts, and a hard link is what its target was by then: it
// is as if the archive were unpacked.
func scanTar(ctx context.Context, r io.ReaderAt, size int64) (*table, error) {
	section := io.NewSectionReader(r, 0, size)
	entries := tar.NewReader(section)
	t := &table{members: make(map[string]member)}
	end := int64(0) // of the entries so far
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return t, checkTarEnd(r, end)
		}
		if err != nil {
			return nil, scanError(n, end, err)
		}
		if n == maxMembers {
			return nil, kinded(ErrTooLarge, fmt.Errorf("the archive has more than the %d entries that are read at most", maxMembers))
		}
		here, err := section.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		content := extent{here, contentSize(h)}
		if err := checkContent(h, content, size); err != nil {
			return nil, kinded(ErrContent, fmt.Errorf("%.*q: %w", maxMemberName, h.Name, err))
		}
		start := end
		end = roundUp(content.end())
		t.add(h, content, extent{start, end - start})
	}
}

// add takes note of an entry: of its content, and of the whole of it.
func (t *table) add(h *tar.Header, content, whole extent) {
	name, ok := memberName(h.Name)
	if name != indexFile {
		t.keepAlso(whole)
	}
	if !ok || h.Typeflag == tar.TypeXGlobalHeader {
		return
	}
	delete(t.members, name)
	switch h.Typeflag {
	case tar.TypeReg:
		t.members[name] = member{extent: content}
	case tar.TypeSymlink:
		if h.Linkname != "" && len(h.Linkname) <= maxMemberName {
			t.members[name] = member{link: strings.Clone(h.Linkname)}
		}
	case tar.TypeLink:
		target, _ := memberName(h.Linkname)
		if m, ok := t.members[target]; ok {
			t.members[name] = m
		}
	}
}

func (t *table) keepAlso(e extent) {
	if last := len(t.keep) - 1; last >= 0 && t.keep[last].end() == e.off {
		t.keep[last].size += e.size
		return
	}
	t.keep = append(t.keep, e)
}

// find returns where the content of a file is. Symbolic links are followed,
// also those that stand for a directory on the way, but not out of the archive.
func (t *table) find(name string) (extent, bool) {
	name, ok := memberName(name)
	if !ok {
		return extent{}, false
	}
	if m, ok := t.members[name]; ok && m.link == "" {
		return m.extent, true
	}
	at, links := "", 0 // at is the way so far, which has no links
	for left := strings.Split(name, "/"); len(left) > 0; {
		part := left[0]
		left = left[1:]
		if part == ".." {
			if at == "" {
				return extent{}, false
			}
			if at = path.Dir(at); at == "." {
				at = ""
			}
			continue
		}
		next := path.Join(at, part)
		link := t.members[next].link
		if link == "" {
			at = next
			continue
		}
		if links++; links > maxLinks || path.IsAbs(link) {
			return extent{}, false
		}
		left = append(strings.Split(link, "/"), left...)
	}
	m, ok := t.members[at]
	return m.extent, ok
}

// memberName returns the name that a file of an archive is asked for by, unless
// it is one that nobody asks for: too long, or outside of where it is unpacked.
func memberName(name string) (string, bool) {
	if len(name) > maxMemberName {
		return "", false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", false
		}
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	return strings.Clone(name), name != ""
}

// contentSize returns how many bytes follow the header. Some kinds of entries
// have a size that is none.
func contentSize(h *tar.Header) int64 {
	switch h.Typeflag {
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo, tar.TypeXGlobalHeader:
		return 0
	}
	return h.Size
}

// checkContent fails if the content of an entry is not there as it is, in an
// archive of size bytes.
func checkContent(h *tar.Header, content extent, size int64) error {
	if isSparse(h) {
		return errors.New("it is stored as a sparse file, which is not supported: unpack the archive and pack it again without --sparse")
	}
	if content.size > size-content.off {
		return fmt.Errorf("it should have %d bytes, but the archive ends before that: it was cut off", content.size)
	}
	return nil
}

// isSparse reports whether less of the content is stored than its size says:
// its offset is not where the rest of it follows.
func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func roundUp(n int64) int64 { return (n + tarBlock - 1) / tarBlock * tarBlock }

// scanError says what is wrong with what follows the entries that end at an
// offset.
func scanError(entries int, end int64, err error) error {
	switch {
	case entries == 0:
		err = fmt.Errorf("this is no tar archive: %w", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("the archive ends within an entry: it was cut off: %w", err)
	default:
		err = fmt.Errorf("the archive is damaged behind byte %d, after %d entries: %w", end, entries, err)
	}
	return kinded(ErrContent, err)
}

// checkTarEnd fails unless the mark of the end follows the entries, of whose two
// blocks of zeros some programs write only one.
func checkTarEnd(r io.ReaderAt, end int64) error {
	var block [tarBlock]byte
	if n, err := r.ReadAt(block[:], end); n < tarBlock {
		if !errors.Is(err, io.EOF) {
			return err
		}
		return kinded(ErrContent, fmt.Errorf("nothing marks the end of the archive: it was cut off after %d bytes", end))
	}
	if block != [tarBlock]byte{} {
		return kinded(ErrContent, fmt.Errorf("the archive is damaged behind byte %d", end))
	}
	return nil
}
