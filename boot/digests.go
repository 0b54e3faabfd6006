// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// Format is that of the image whose digest an argument names. Kernel arguments
// know no others.
type Format uint8

// The formats. V1 stands for V0 as well: hosts mount both in the same way.
const (
	V1 Format = 1
	V2 Format = 2
)

// String returns the format's name in commands: v1 or v2.
func (f Format) String() string { return fmt.Sprintf("v%d", uint8(f)) }

// The names of arguments.
const (
	// bareName has the digest alone for a value, and means V2.
	bareName = "composefs"
	// digestName has format and algorithm in its value.
	digestName = "composefs.digest"
)

// insecureMark in front of a value makes fs-verity optional.
const insecureMark = "?"

// Entry is one argument that names a digest.
type Entry struct {
	Format Format
	Digest fsverity.Digest
	// Insecure says that the host boots the image though its files have no
	// fs-verity: nothing is sealed then.
	Insecure bool
	// Quoted says that there are double quotes in the argument. The kernel takes
	// them off what it reads itself, but /proc/cmdline has them, and what reads
	// that at boot does not: neither composefs-rs nor bootc, which parses with
	// composefs-rs, finds a digest then, and the host does not boot.
	Quoted bool
	// Raw is the argument as it is written.
	Raw string
}

// What can be wrong with an argument. Hosts fail to boot with any of these.
var (
	ErrDescriptor = errors.New("what is in front of the colon is no format with an algorithm that hosts know: use v1-sha512-12, v1-sha256-12, v2-sha512-12 or v2-sha256-12")
	ErrDigest     = errors.New("not a digest in hexadecimal, of 128 digits for SHA-512 or 64 for SHA-256; compute it again")
	ErrMark       = errors.New("a ? behind the digest; hosts know it in front of the value only, and there it makes fs-verity optional: leave it out")
)

// ArgumentError says which argument is wrong.
type ArgumentError struct {
	Raw string // as it is written
	Err error
}

func (e *ArgumentError) Error() string {
	const most = 300 // bytes; the longest valid one has 160
	return fmt.Sprintf("kernel argument %.*q: %v", most, e.Raw, e.Err)
}

func (e *ArgumentError) Unwrap() error { return e.Err }

// Digests returns the digests that the kernel command line names, in its order,
// and an *ArgumentError for each argument that should name one and does not.
//
// bootc takes the first composefs.digest whose algorithm is SHA-512, and
// composefs only where there is none (ComposefsCmdline::from_cmdline); the
// initramfs of composefs-rs takes the first of either whose image it has
// (composefs-setup-root). Which entry is booted is not to be told from here:
// all should be right.
func Digests(line string) ([]Entry, []error) {
	var entries []Entry
	var errs []error
	for a := range Arguments(line) {
		if !a.HasValue || a.Name != bareName && a.Name != digestName {
			continue
		}
		e, err := parseEntry(a)
		if err != nil {
			errs = append(errs, &ArgumentError{a.Raw, err})
			continue
		}
		entries = append(entries, e)
	}
	return entries, errs
}

func parseEntry(a Argument) (Entry, error) {
	value, insecure := strings.CutPrefix(a.Value, insecureMark)
	e := Entry{Format: V2, Insecure: insecure, Quoted: strings.Contains(a.Raw, `"`), Raw: a.Raw}
	if strings.HasSuffix(value, insecureMark) {
		return e, ErrMark
	}
	var err error
	if a.Name == bareName {
		// The length alone tells the algorithm, for a host that has either.
		alg := fsverity.SHA512
		if len(value) == hex.EncodedLen(fsverity.SHA256.Size()) {
			alg = fsverity.SHA256
		}
		e.Digest, err = parseDigest(alg, value)
		return e, err
	}
	descriptor, sum, ok := strings.Cut(value, ":")
	version, algorithm, ok2 := strings.Cut(descriptor, "-")
	if !ok || !ok2 {
		return e, ErrDescriptor
	}
	switch version {
	case V1.String():
		e.Format = V1
	case V2.String():
	default:
		return e, ErrDescriptor
	}
	alg, err := parseAlgorithm(algorithm)
	if err != nil {
		return e, err
	}
	e.Digest, err = parseDigest(alg, sum)
	return e, err
}

// parseAlgorithm reads a hash algorithm with the logarithm of its block size.
func parseAlgorithm(text string) (fsverity.Algorithm, error) {
	name, bits, _ := strings.Cut(text, "-")
	// The reference reads a number: 012 and +12 are 12 for it.
	n, err := strconv.ParseUint(strings.TrimPrefix(bits, "+"), 10, 8)
	alg, algErr := fsverity.ParseAlgorithm(name)
	if err != nil || algErr != nil || n != fsverity.BlockBits {
		return 0, ErrDescriptor
	}
	return alg, nil
}

// parseDigest reads hexadecimal digits of either case, as hosts do.
func parseDigest(alg fsverity.Algorithm, text string) (fsverity.Digest, error) {
	d, err := fsverity.ParseDigest(alg, strings.ToLower(text))
	if err != nil {
		return fsverity.Digest{}, ErrDigest
	}
	return d, nil
}

// DigestArgument returns the kernel argument that names a digest: as
// composefs.digest for V1, and as composefs for V2, which is what older hosts
// know it by.
func DigestArgument(f Format, d fsverity.Digest) string {
	switch f {
	case V1:
		return fmt.Sprintf("%s=%s-%s-%d:%s", digestName, f, d.Algorithm(), fsverity.BlockBits, d)
	case V2:
		return fmt.Sprintf("%s=%s", bareName, d)
	}
	panic("boot: no kernel argument for " + f.String())
}
