// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"fmt"
	"path"
	"strings"
)

// Kind says what an EFI executable in an image is, and where.
type Kind uint8

// The kinds.
const (
	// UKI is one in /boot/EFI/Linux.
	UKI Kind = iota + 1
	// Addon is of one UKI in /boot/EFI/Linux.
	Addon
	// GlobalAddon is of all UKIs, in /boot/loader/addons.
	GlobalAddon
	// ModuleUKI is one in /usr/lib/modules/<kernel>, from where hosts copy it to
	// /boot.
	ModuleUKI
	// ModuleAddon is of one UKI in /usr/lib/modules/<kernel>.
	ModuleAddon
)

var kindNames = [...]string{
	UKI:         "UKI",
	Addon:       "UKI addon",
	GlobalAddon: "global UKI addon",
	ModuleUKI:   "UKI below /usr",
	ModuleAddon: "UKI addon below /usr",
}

// String names the kind in words.
func (k Kind) String() string {
	if int(k) < len(kindNames) && k > 0 {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// IsAddon reports whether it is an addon: its command line comes behind that of
// the UKI.
func (k Kind) IsAddon() bool { return k == Addon || k == GlobalAddon || k == ModuleAddon }

// Circular reports whether the file is part of what a bootable digest is of, so
// that it cannot name the digest of its own image. /boot is not a part of it.
func (k Kind) Circular() bool { return k == ModuleUKI || k == ModuleAddon }

const (
	executableSuffix = ".efi"
	addonSuffix      = ".addon.efi"
)

// IsUKI tells by its path whether a file of an image is a UKI or an addon, where
// hosts look for them (composefs-boot/src/bootloader.rs, Type2Entry): at any
// depth below these directories, as addons are in directories of their UKI's
// name (x.efi.extra.d). Names are compared as they are, upper and lower case.
func IsUKI(file string) (Kind, bool) {
	file = path.Clean("/" + file)
	if !strings.HasSuffix(file, executableSuffix) {
		return 0, false
	}
	addon := strings.HasSuffix(file, addonSuffix)
	choose := func(uki, addonOf Kind) (Kind, bool) {
		if addon {
			return addonOf, true
		}
		return uki, true
	}
	if strings.HasPrefix(file, "/boot/EFI/Linux/") {
		return choose(UKI, Addon)
	}
	if strings.HasPrefix(file, "/boot/loader/addons/") {
		return choose(UKI, GlobalAddon)
	}
	if rest, ok := strings.CutPrefix(file, "/usr/lib/modules/"); ok && strings.Contains(rest, "/") {
		return choose(ModuleUKI, ModuleAddon)
	}
	return 0, false
}
