// SPDX-License-Identifier: Apache-2.0

// Package tarscan reads tar archives as the reference implementation does
// (tar-core 0.1, which cfsctl 0.9.4 uses), down to what it accepts and what it
// refuses: a digest is only right if the host reads the same entries.
//
// It differs from archive/tar in, among other things: an entry's size says how
// many bytes follow whatever its type; PAX records are applied without regard
// to what is sane in them; global headers are skipped, and with them the
// extension headers before; LIBARCHIVE.xattr records are ignored; sparse files
// are refused; a header's checksum is unsigned.
//
// A [Scanner] is fed, and calls back: it never holds more than the headers of
// one entry.
package tarscan
