// SPDX-License-Identifier: Apache-2.0

package boot_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/boot"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

var (
	sha512    = fsverity.Sum(fsverity.SHA512, []byte("image"))
	sha256    = fsverity.Sum(fsverity.SHA256, []byte("image"))
	hex512    = sha512.String()
	hex256    = sha256.String()
	v1Of512   = "composefs.digest=v1-sha512-12:" + hex512
	v2Of256   = "composefs=" + hex256
	unrelated = "root=UUID=1 rw composefs composefs.x=1 xcomposefs=2 Composefs=3 composefs-digest=4 composefs.digests=5"
)

// named are command lines with arguments that name digests.
var named = []struct {
	line string
	want []boot.Entry
}{
	{unrelated, nil},
	{unrelated + " " + v1Of512, []boot.Entry{{Format: boot.V1, Digest: sha512, Raw: v1Of512}}},
	{v2Of256 + "\n", []boot.Entry{{Format: boot.V2, Digest: sha256, Raw: v2Of256}}},
	{"composefs=" + hex512, []boot.Entry{{Format: boot.V2, Digest: sha512, Raw: "composefs=" + hex512}}},
	{"composefs.digest=v1-sha256-12:" + hex256, []boot.Entry{{Format: boot.V1, Digest: sha256, Raw: "composefs.digest=v1-sha256-12:" + hex256}}},
	{"composefs.digest=v2-sha512-12:" + hex512, []boot.Entry{{Format: boot.V2, Digest: sha512, Raw: "composefs.digest=v2-sha512-12:" + hex512}}},
	// Insecure: a ? in front of the value.
	{"composefs=?" + hex256, []boot.Entry{{Format: boot.V2, Digest: sha256, Insecure: true, Raw: "composefs=?" + hex256}}},
	{"composefs.digest=?v1-sha256-12:" + hex256, []boot.Entry{{Format: boot.V1, Digest: sha256, Insecure: true, Raw: "composefs.digest=?v1-sha256-12:" + hex256}}},
	// Several, in the order of the line; one may be there twice.
	{v2Of256 + " " + v1Of512 + " " + v2Of256, []boot.Entry{
		{Format: boot.V2, Digest: sha256, Raw: v2Of256},
		{Format: boot.V1, Digest: sha512, Raw: v1Of512},
		{Format: boot.V2, Digest: sha256, Raw: v2Of256},
	}},
	// Quotes, as the kernel has them; behind -- too, as all read /proc/cmdline.
	{`"` + v1Of512 + `"`, []boot.Entry{{Format: boot.V1, Digest: sha512, Quoted: true, Raw: `"` + v1Of512 + `"`}}},
	{`composefs="` + hex256 + `"`, []boot.Entry{{Format: boot.V2, Digest: sha256, Quoted: true, Raw: `composefs="` + hex256 + `"`}}},
	{`a="b ` + v1Of512 + `" -- ` + v2Of256, []boot.Entry{{Format: boot.V2, Digest: sha256, Raw: v2Of256}}},
	// What hosts read more generously than we write it.
	{"composefs=" + strings.ToUpper(hex256), []boot.Entry{{Format: boot.V2, Digest: sha256, Raw: "composefs=" + strings.ToUpper(hex256)}}},
	{"composefs.digest=v1-sha256-+012:" + hex256, []boot.Entry{{Format: boot.V1, Digest: sha256, Raw: "composefs.digest=v1-sha256-+012:" + hex256}}},
}

// TestDigests: every argument that names a digest is found, with what it says.
func TestDigests(t *testing.T) {
	for _, tt := range named {
		got, errs := boot.Digests(tt.line)
		if len(errs) > 0 {
			t.Errorf("%s: %v", tt.line, errs)
		}
		if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b fsverity.Digest) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.line, diff)
		}
	}
}

// wrong are arguments with which no host boots.
var wrong = map[string]error{
	"composefs=":                                         boot.ErrDigest,
	"composefs=?":                                        boot.ErrDigest,
	"composefs=" + hex256[1:]:                            boot.ErrDigest,
	"composefs=" + hex256 + "00":                         boot.ErrDigest,
	"composefs=g" + hex256[1:]:                           boot.ErrDigest,
	"composefs=v1-sha512-12:" + hex512:                   boot.ErrDigest,
	"composefs=??" + hex256:                              boot.ErrDigest,
	"composefs=" + hex256 + "?":                          boot.ErrMark,
	v1Of512 + "?":                                        boot.ErrMark,
	`composefs=` + hex256[:10] + `"` + hex256[10:] + `"`: boot.ErrDigest,
	"composefs.digest=" + hex512:                         boot.ErrDescriptor,
	"composefs.digest=":                                  boot.ErrDescriptor,
	"composefs.digest=v1:" + hex512:                      boot.ErrDescriptor,
	"composefs.digest=v0-sha512-12:" + hex512:            boot.ErrDescriptor,
	"composefs.digest=v3-sha512-12:" + hex512:            boot.ErrDescriptor,
	"composefs.digest=V1-sha512-12:" + hex512:            boot.ErrDescriptor,
	"composefs.digest=v1-sha512:" + hex512:               boot.ErrDescriptor,
	"composefs.digest=v1-sha512-8:" + hex512:             boot.ErrDescriptor,
	"composefs.digest=v1-sha512-268:" + hex512:           boot.ErrDescriptor, // 12 in eight bits
	"composefs.digest=v1-sha512-12-12:" + hex512:         boot.ErrDescriptor,
	"composefs.digest=v1-sha384-12:" + hex512:            boot.ErrDescriptor,
	"composefs.digest=v1-sha256-12:" + hex512:            boot.ErrDigest,
	"composefs.digest=v1-sha512-12:" + hex256:            boot.ErrDigest,
	"composefs.digest=v1-sha512-12:?" + hex512:           boot.ErrDigest,
	"composefs.digest=v1-sha512-12: " + hex512:           boot.ErrDigest,
}

// TestDigestErrors: an argument that should name a digest and does not is told,
// and those beside it are read.
func TestDigestErrors(t *testing.T) {
	for raw, want := range wrong {
		got, errs := boot.Digests("quiet " + raw + " " + v1Of512)
		if len(errs) != 1 || !errors.Is(errs[0], want) {
			t.Errorf("%s: %v, want %v", raw, errs, want)
			continue
		}
		at, ok := errors.AsType[*boot.ArgumentError](errs[0])
		first, _, _ := strings.Cut(raw, " ")
		if !ok || at.Raw != first {
			t.Errorf("%s: names %v", raw, errs[0])
		}
		if len(got) != 1 || got[0].Digest != sha512 {
			t.Errorf("%s: the other one is %v", raw, got)
		}
	}
	// However long the argument is, what is said of it is not.
	_, errs := boot.Digests("composefs=" + strings.Repeat("x", 60_000))
	if len(errs) != 1 || len(errs[0].Error()) > 600 {
		t.Errorf("got %v", errs)
	}
}

// TestDigestArgument: what is written is read again.
func TestDigestArgument(t *testing.T) {
	for want, e := range map[string]boot.Entry{
		v1Of512:               {Format: boot.V1, Digest: sha512},
		v2Of256:               {Format: boot.V2, Digest: sha256},
		"composefs=" + hex512: {Format: boot.V2, Digest: sha512},
		"composefs.digest=v1-sha256-12:" + hex256: {Format: boot.V1, Digest: sha256},
	} {
		got := boot.DigestArgument(e.Format, e.Digest)
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
		e.Raw = got
		if back, errs := boot.Digests(got); len(errs) > 0 || len(back) != 1 || back[0] != e {
			t.Errorf("%s is read as %v, %v", got, back, errs)
		}
	}
}

// TestArgumentsOfReference: what cfsctl prints for a directory is what we write
// for the same digest.
func TestArgumentsOfReference(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	dir := t.TempDir()
	for _, name := range []string{"usr", "boot", "sysroot"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, alg := range []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256} {
		for version, format := range map[string]boot.Format{"0": boot.V1, "1": boot.V1, "2": boot.V2} {
			for _, insecure := range []bool{false, true} {
				args := []string{"--no-repo", "--hash", alg.String(), "--erofs-version", version}
				if insecure {
					args = append(args, "--insecure")
				}
				cmd := exec.CommandContext(t.Context(), cfsctl, append(args, "compute-karg", dir)...)
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s: %v", cmd, err)
				}
				printed := strings.TrimSpace(string(out))
				entries, errs := boot.Digests(printed)
				if len(errs) > 0 || len(entries) != 1 {
					t.Fatalf("%s is read as %v, %v", printed, entries, errs)
				}
				e := entries[0]
				if e.Format != format || e.Digest.Algorithm() != alg || e.Insecure != insecure {
					t.Errorf("%s is read as %+v", printed, e)
				}
				if got := boot.DigestArgument(e.Format, e.Digest); got != strings.Replace(printed, "=?", "=", 1) {
					t.Errorf("cfsctl prints %s, we write %s", printed, got)
				}
			}
		}
	}
}

// FuzzDigests: no line makes the parser panic; what it reads, written again, is
// read as the same.
func FuzzDigests(f *testing.F) {
	for _, tt := range named {
		f.Add(tt.line)
	}
	for raw := range wrong {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, line string) {
		entries, _ := boot.Digests(line)
		for _, e := range entries {
			if !strings.Contains(line, e.Raw) {
				t.Errorf("%q is not in the line", e.Raw)
			}
			again, errs := boot.Digests(boot.DigestArgument(e.Format, e.Digest))
			if len(errs) > 0 || len(again) != 1 || again[0].Digest != e.Digest || again[0].Format != e.Format {
				t.Errorf("%+v is read again as %+v, %v", e, again, errs)
			}
		}
	})
}

// TestIsUKI: UKIs and addons are known by where they are.
func TestIsUKI(t *testing.T) {
	for file, want := range map[string]boot.Kind{
		"boot/EFI/Linux/a.efi":                          boot.UKI,
		"/boot/EFI/Linux/a.efi":                         boot.UKI,
		"./boot/EFI/Linux//bootc/a.efi":                 boot.UKI,
		"boot/EFI/Linux/a.efi.extra.d/b.addon.efi":      boot.Addon,
		"boot/EFI/Linux/b.addon.efi":                    boot.Addon,
		"boot/loader/addons/b.addon.efi":                boot.GlobalAddon,
		"boot/loader/addons/b.efi":                      boot.UKI,
		"usr/lib/modules/6.1/a.efi":                     boot.ModuleUKI,
		"usr/lib/modules/6.1/a.efi.extra.d/b.addon.efi": boot.ModuleAddon,
		"usr/lib/modules/a.efi":                         0,
		"boot/EFI/BOOT/BOOTX64.EFI":                     0,
		"boot/EFI/systemd/systemd-bootx64.efi":          0,
		"boot/EFI/Linux/a.EFI":                          0,
		"boot/EFI/Linux/a.efi.txt":                      0,
		"boot/efi/linux/a.efi":                          0,
		"boot/EFI/Linux":                                0,
		"usr/boot/EFI/Linux/a.efi":                      0,
		"":                                              0,
	} {
		got, ok := boot.IsUKI(file)
		if got != want || ok != (want != 0) {
			t.Errorf("IsUKI(%q) = %s, %t, want %s", file, got, ok, want)
		}
	}
	for kind, want := range map[boot.Kind][2]bool{
		boot.UKI: {false, false}, boot.Addon: {true, false}, boot.GlobalAddon: {true, false},
		boot.ModuleUKI: {false, true}, boot.ModuleAddon: {true, true},
	} {
		if got := [2]bool{kind.IsAddon(), kind.Circular()}; got != want {
			t.Errorf("%s: addon, circular: %v, want %v", kind, got, want)
		}
	}
}
