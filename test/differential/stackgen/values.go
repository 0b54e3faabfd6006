// SPDX-License-Identifier: Apache-2.0

package stackgen

import (
	"fmt"
	"strings"
)

// chance reports true with the given probability in percent.
func (g *generator) chance(percent float64) bool { return g.r.Float64()*100 < percent }

// pick returns one of the values.
func pick[T any](g *generator, values ...T) T { return values[g.r.IntN(len(values))] }

// between returns a number from low to high, both included.
func (g *generator) between(low, high int) int { return low + g.r.IntN(high-low+1) }

// letters returns a string of n letters and digits.
func (g *generator) letters(n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789_"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[g.r.IntN(len(alphabet))]
	}
	return string(b)
}

// binary returns n bytes of any value.
func (g *generator) binary(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.r.Uint32())
	}
	return string(b)
}

// name returns a file name: mostly plain, else one that sorts, quotes or
// measures in a way worth a test.
func (g *generator) name() string {
	switch n := g.r.IntN(100); {
	case n < 60:
		return g.letters(g.between(1, 12))
	case n < 66:
		// Before, between and behind the entries "." and ".." of a directory
		// block, which sort among the others.
		return pick(g, "!", "-", "+", ",", "#", ".x", "..x", "...", ".-", ".!", "..!", "\x01", "\x7f", "~", "A", "Z", "a", "0")
	case n < 72:
		return pick(g, " ", "a b", "new\nline", "tab\there", `back\slash`, `\x00`, "=", "a=b", "%", "\"q\"", "'", "*", "-", "é", "日本")
	case n < 76:
		return pick(g, "\xff", "\xff\xfe", "\x80abc", "a\xc3", "\xed\xa0\x80")
	case n < 80:
		return g.letters(pick(g, 98, 99, 100, 101, 102, 154, 155, 156, 254, 255, 255))
	case n < 84:
		return pick(g, ".wh", ".whx", "wh.x", "x.wh.", ".w", ".wi.x")
	case n < 90:
		return g.hexName()
	case n < 94:
		return pick(g, "usr", "run", "lost+found", "etc", "x")
	default:
		return g.letters(g.between(13, 60))
	}
}

// hexName returns one of the 256 names that V0 and V1 images have in their
// root on their own account.
func (g *generator) hexName() string {
	format := pick(g, "%02x", "%02x", "%02x", "%02X", "%x", "%03x")
	return fmt.Sprintf(format, g.r.IntN(256))
}

// size returns a size for a file: around the inline limit, the block, and the
// borders of the Merkle levels of both algorithms.
func (g *generator) size() int {
	switch n := g.r.IntN(1000); {
	case n < 350:
		return pick(g, 0, 1, 2, 62, 63, 64, 65, 66)
	case n < 600:
		return g.between(1, 3000)
	case n < 800:
		return pick(g, 511, 512, 513, 4095, 4096, 4097, 8191, 8192, 8193)
	case n < 970:
		return g.between(3000, 30000)
	case n < 985:
		return 64*4096 + g.between(-1, 1) // SHA-512: 64 digests a block
	case n < 995:
		return 128*4096 + g.between(-1, 1) // SHA-256: 128 digests a block
	default:
		return 100 << 10
	}
}

// data returns the content of a file, often one that is there already.
func (g *generator) data() Data {
	if len(g.contents) > 0 && g.chance(25) {
		return pick(g, g.contents...)
	}
	d := Data{Size: g.size(), Seed: uint64(g.r.IntN(1000))}
	g.contents = append(g.contents, d)
	return d
}

// mode returns permission bits, sometimes with type bits as some archives have
// them, or all that the field holds.
func (g *generator) mode(typ byte) uint64 {
	usual := uint64(0o644)
	if typ == TypeDirectory {
		usual = 0o755
	}
	switch n := g.r.IntN(100); {
	case n < 60:
		return usual
	case n < 85:
		return uint64(g.r.IntN(0o10000))
	case n < 94:
		return usual | pick(g, uint64(0o100000), 0o040000, 0o120000, 0o020000, 0o060000, 0o010000, 0o140000)
	default:
		return pick(g, uint64(g.r.IntN(0o10000000)), 1<<32|0o644, 1<<31|0o600)
	}
}

// id returns an owner or a group.
func (g *generator) id() uint64 {
	switch n := g.r.IntN(100); {
	case n < 60:
		return 0
	case n < 80:
		return uint64(g.r.IntN(2000))
	case n < 90:
		return pick(g, uint64(65534), 65535, 65536, 65537, 100000, 2097151, 2097152)
	case n < 98:
		return uint64(g.r.Uint32())
	default:
		return pick(g, 1<<32+uint64(g.r.IntN(1000)), ^uint64(0)) // the reader keeps 32 bits
	}
}

// mtime returns seconds. Stacks where all are the same keep inodes compact.
func (g *generator) mtime() int64 {
	if g.sameMtime && !g.chance(1) {
		return g.baseMtime
	}
	switch n := g.r.IntN(100); {
	case n < 30:
		return g.baseMtime
	case n < 80:
		return int64(g.r.Uint32())
	case n < 90:
		return pick(g, int64(0), 1, 1<<31-1, 1<<31, 1<<32-1, 1<<32, 1<<33-1, 1<<33, 1<<40)
	case n < 93:
		return -int64(g.between(1, 100000))
	default:
		return g.baseMtime + int64(g.between(-2, 2))
	}
}

// fraction returns what follows the seconds of a PAX mtime; not all of it is
// what the standard has in mind.
func (g *generator) fraction() string {
	if g.chance(15) {
		return pick(g, ".", ".0", ".000000000", ".x", ".5x", ".+5", ".-5", ".1.2", ". 5", ".5 ", ".00000000000000000001", ".5e3")
	}
	digits := fmt.Sprintf("%015d", g.r.Int64N(1e15))
	return "." + digits[:g.between(1, 15)]
}

// target returns the target of a symlink.
func (g *generator) target() string {
	switch n := g.r.IntN(100); {
	case n < 50:
		return pick(g, "x", "/", ".", "..", "../x", "/usr/bin/env", "a b", "new\nline", `\`, "\xff", "usr", "//")
	case n < 85:
		return g.letters(g.between(1, 70))
	default:
		return g.letters(pick(g, 59, 60, 61, 63, 64, 65, 99, 100, 101, 155, 255, 1023, 1024, 2000, 3000, 4000, 4032, 4063, 4064, 4065, 4094, 4095))
	}
}

// xattrs returns the records of the extended attributes of an entry.
func (g *generator) xattrs() []Record {
	names := []string{
		"user.a", "user.b", "user.mime_type", "user.", "user.overlay.opaque",
		"security.capability", "security.capability", "security.capability", "security.capabilitY",
		"security.selinux", "security.ima", "security.evm", "security.",
		"trusted.overlay.opaque", "trusted.overlay.redirect", "trusted.overlay.metacopy",
		"trusted.overlay.origin", "trusted.overlay.overlay.opaque", "trusted.overlay.", "trusted.overlay", "trusted.x",
		"system.posix_acl_access", "system.posix_acl_default", "system.posix_acl_access.x", "system.x",
		"lustre.lov", "btrfs.compression", "noprefix",
	}
	var records []Record
	for range pick(g, 1, 1, 1, 2, 3, 8, 20) {
		name := pick(g, names...)
		if g.chance(10) {
			name = pick(g, "user.", "trusted.", "security.", "system.") + g.letters(pick(g, 1, 5, 20, 100, 240))
		}
		if g.chance(5) {
			records = append(records, libarchiveXattr(name, "dmFsdWU"))
			continue
		}
		records = append(records, xattr(name, g.xattrValue()))
	}
	return records
}

// xattrValue returns a value: text, binary, the empty one, a long one.
func (g *generator) xattrValue() string {
	switch n := g.r.IntN(100); {
	case n < 40:
		return g.letters(g.between(1, 30))
	case n < 50:
		return pick(g, "", "y", "=", "\n", "\x00", "a\x00", "a=b\nc", "-", " ", `\x00`)
	case n < 75:
		return "\x01\x00\x00\x02" + g.binary(16) // about a capability
	case n < 97:
		return g.binary(g.between(1, 200))
	default:
		return strings.Repeat("v", pick(g, 255, 256, 1000, 2000, 3900, 4050, 4096))
	}
}
