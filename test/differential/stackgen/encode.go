// SPDX-License-Identifier: Apache-2.0

package stackgen

import (
	"strconv"
	"strings"
)

// appendTo appends the entry with all that belongs to it: the entries in front
// that say what its header cannot, and its content.
func (e Entry) appendTo(b []byte) []byte {
	h := e.header()
	records := append([]Record{}, e.Records...)
	var long []byte

	long = e.longNames(long, &h, &records)
	records = append(records, e.numberRecords(&h)...)
	records = append(records, e.Xattrs...)
	if e.LongFirst {
		b = append(b, long...)
	}
	if len(records) > 0 || e.RecordTail != "" {
		b = appendExtendedBody(b, typeExtended, append(recordBody(records), e.RecordTail...))
	}
	if !e.LongFirst {
		b = append(b, long...)
	}
	b = append(b, e.Inside...)
	b = h.appendTo(b)

	content := e.content()
	if e.CutData {
		return append(b, content[:len(content)/2]...)
	}
	return pad(append(b, content...))
}

// header returns the block as far as it needs no help.
func (e Entry) header() header {
	h := header{
		typ:  e.Type,
		mode: e.Mode, uid: e.UID, gid: e.GID, mtime: uint64(e.Mtime),
		size:  uint64(len(e.content())),
		major: e.Major, minor: e.Minor,
		format: e.Format, numbers: e.Numbers,
		badChecksum: e.BadChecksum, base256Device: e.Base256Device,
	}
	if e.Format != V7 {
		h.uname, h.gname = "user", "group"
	}
	if !e.hasContent() && e.Claim != 0 {
		h.size = e.Claim
	}
	return h
}

// content returns what follows the header: the file, or what an entry of
// another type claims to have.
func (e Entry) content() []byte {
	switch {
	case e.hasContent() && e.Text != "":
		return []byte(e.Text)
	case e.hasContent():
		return e.Data.Bytes()
	}
	return make([]byte, e.Claim)
}

// longNames puts name and link into h, or where they do not fit into GNU
// entries or PAX records.
func (e Entry) longNames(long []byte, h *header, records *[]Record) []byte {
	prefix, name, split := splitName(e.Name)
	switch {
	case e.AllPAX:
		*records = append(*records, Record{"path", e.Name})
		h.name = "not-the-name"
	case len(e.Name) <= fieldName.size:
		h.name = e.Name
	case split && e.Format == USTAR:
		h.prefix, h.name = prefix, name
	case e.Format == GNU:
		long = appendLong(long, typeLongName, e.Name)
		h.name = e.Name[:fieldName.size]
	default:
		*records = append(*records, Record{"path", e.Name})
		h.name = e.Name[:fieldName.size]
	}
	switch {
	case e.AllPAX && e.Link != "":
		*records = append(*records, Record{"linkpath", e.Link})
		h.link = "not-the-target"
	case len(e.Link) <= fieldLink.size:
		h.link = e.Link
	case e.Format == GNU:
		long = appendLong(long, typeLongLink, e.Link)
		h.link = e.Link[:fieldLink.size]
	default:
		*records = append(*records, Record{"linkpath", e.Link})
		h.link = e.Link[:fieldLink.size]
	}
	return long
}

// numberRecords returns the records for numbers; those that a record gives are
// wrong in the header of an entry that says all by PAX.
func (e Entry) numberRecords(h *header) []Record {
	var records []Record
	if e.AllPAX {
		records = append(records,
			Record{"uid", strconv.FormatUint(e.UID, 10)},
			Record{"gid", strconv.FormatUint(e.GID, 10)},
			Record{"size", strconv.FormatUint(h.size, 10)})
		h.uid, h.gid, h.size = 77, 78, 0
	}
	if e.Fraction != "" || e.AllPAX && e.Mtime >= 0 {
		records = append(records, Record{"mtime", strconv.FormatInt(e.Mtime, 10) + e.Fraction})
		h.mtime = 79
	}
	return records
}

// splitName splits a name for ustar's prefix field, at the last slash that fits.
func splitName(name string) (prefix, rest string, ok bool) {
	if len(name) <= fieldName.size || len(name) > fieldName.size+1+fieldPrefix.size {
		return "", name, false
	}
	for i := min(len(name)-2, fieldPrefix.size); i > 0 && len(name)-i-1 <= fieldName.size; i-- {
		if name[i] == '/' {
			return name[:i], name[i+1:], true
		}
	}
	return "", name, false
}

// appendLong appends a GNU entry with a name that is too long for the header.
func appendLong(b []byte, typ byte, name string) []byte {
	b = header{name: "././@LongLink", typ: typ, size: uint64(len(name)) + 1, format: GNU}.appendTo(b)
	return pad(append(append(b, name...), 0))
}

// extended returns an entry of PAX records.
func extended(typ byte, records []Record) []byte {
	return appendExtendedBody(nil, typ, recordBody(records))
}

func recordBody(records []Record) []byte {
	var body []byte
	for _, r := range records {
		body = appendRecord(body, r)
	}
	return body
}

func appendExtendedBody(b []byte, typ byte, body []byte) []byte {
	b = header{name: "PaxHeaders/entry", typ: typ, mode: 0o644, size: uint64(len(body)), format: PAX}.appendTo(b)
	return pad(append(b, body...))
}

// appendRecord appends "length key=value\n", where the length counts its own
// digits.
func appendRecord(b []byte, r Record) []byte {
	rest := len(" =\n") + len(r.Key) + len(r.Value)
	length := rest
	for length != rest+len(strconv.Itoa(length)) {
		length = rest + len(strconv.Itoa(length))
	}
	b = strconv.AppendInt(b, int64(length), 10)
	b = append(b, ' ')
	b = append(b, r.Key...)
	b = append(b, '=')
	b = append(b, r.Value...)
	return append(b, '\n')
}

// xattr returns the record of an extended attribute.
func xattr(name, value string) Record { return Record{"SCHILY.xattr." + name, value} }

// libarchiveXattr returns the record as libarchive also writes it: the name
// percent-encoded, the value in base64. Readers that follow SCHILY skip it.
func libarchiveXattr(name, value string) Record {
	return Record{"LIBARCHIVE.xattr." + strings.ReplaceAll(name, "=", "%3D"), value}
}
