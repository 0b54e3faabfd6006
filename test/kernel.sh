#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What Debian's kernel says of our signatures. It boots under qemu, without KVM,
# with an initramfs of test/kernel's own; that puts certificates into the keyring
# .fs-verity, sets fs.verity.require_signatures=1 and gives files on ext4
# fs-verity, each with another signature. The files hold the composefs image of
# the sample image, as cfs-label export writes it: so
#
#	1. signatures by RSA and ECDSA keys are taken, for SHA-256 and SHA-512;
#	2. those by another key, of another digest, or of another form are refused,
#	   with the error expected;
#	3. what cfs-label takes, the kernel takes;
#	4. the kernel's digest of the file is cfs-label's, and the image mounts.
#
#	test/kernel.sh
#
# Installs packages as root, or by sudo; the rest needs no root. The kernel is
# only unpacked. Works in test/.work/kernel, which it empties first.
set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

kernel_package=linux-image-6.12-cloud-amd64
boot_seconds=600
work=$root/test/.work/kernel
tree=$work/initramfs
sample=oci:$root/cmd/cfs-label/sample

# unpack_kernel downloads the kernel that the package stands for and unpacks it.
# It sets version.
unpack_kernel() {
	local package
	mkdir -p "$work/deb" "$work/kernel"
	package=$(kernel_of "$kernel_package")
	[ -n "$package" ] || die "apt knows no $kernel_package: run apt-get update; this test is for Debian on amd64"
	say "unpacking $package"
	(cd "$work/deb" && apt-get download -qq "$package" >&2 2>"$work/apt.log") ||
		{ cat "$work/apt.log" >&2; die "apt-get download $package: run apt-get update"; }
	dpkg-deb -x "$work/deb"/*.deb "$work/kernel"
	version=$(basename "$work/kernel/lib/modules"/*)
}

# kernel_of PACKAGE prints the package that it depends on.
kernel_of() { apt-cache depends --important "$1" 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }'; }

# add_modules NAME... puts the modules and what they need into the initramfs, in
# the order in which they are to be loaded.
add_modules() {
	local module number=10 file
	PATH=$PATH:/usr/sbin
	mkdir -p "$tree/modules"
	depmod -b "$work/kernel" "$version"
	for module; do
		while read -r _ file _; do
			compgen -G "$tree/modules/*-$(basename "${file%.xz}")" >/dev/null ||
				xz -dc "$file" >"$tree/modules/$number-$(basename "${file%.xz}")"
			number=$((number + 1))
		done < <(modprobe -d "$work/kernel" -S "$version" --show-depends "$module" | grep '^insmod')
	done
}

# build_initramfs puts the plan and the program that follows it into one file.
build_initramfs() {
	(cd "$root/test/kernel" && CGO_ENABLED=0 go build -trimpath -o "$tree/init" ./cmd/init)
	cp "$work/plan.json" "$tree/plan.json"
	cp "$work/image".* "$tree/"
	(cd "$tree" && find . -print0 | LC_ALL=C sort -z | cpio -0 -o -H newc --quiet --owner 0:0) | gzip -1 >"$work/initramfs.gz"
	PATH=$PATH:/usr/sbin
	mkfs.ext4 -q -b 4096 -O verity "$work/disk" 64M >&2
}

boot() {
	say "booting Linux $version"
	timeout "$boot_seconds" qemu-system-x86_64 -accel tcg -cpu max -m 512 -nodefaults -display none -no-reboot \
		-serial "file:$work/console" -serial "file:$work/serial" \
		-drive "file=$work/disk,if=virtio,format=raw" \
		-kernel "$work/kernel/boot/vmlinuz-$version" -initrd "$work/initramfs.gz" \
		-append 'console=ttyS0 panic=-1' >&2 ||
		{ tail -n 20 "$work/console" >&2; die "the kernel did not end by itself within $boot_seconds s"; }
	tr -d '\r' <"$work/serial" >"$work/outcomes"
}

main() {
	local algorithm
	need_go
	need_packages qemu-system-x86_64:qemu-system-x86 mkfs.ext4:e2fsprogs cpio:cpio depmod:kmod xz:xz-utils \
		openssl:openssl dpkg-deb:dpkg
	rm -rf "$work"
	mkdir -p "$tree"
	unpack_kernel

	build_cfs_label "$work/cfs-label"
	for algorithm in sha256 sha512; do
		"$work/cfs-label" export "$sample" --algorithm "$algorithm" --file "$work/image.$algorithm" >&2
	done
	"$work/cfs-label" dump "$sample" >"$work/dump"
	(cd "$root/test/kernel" && go build -trimpath -o "$work/cases" ./cmd/cases)
	"$work/cases" make "$work/image" "$work/dump" "$work/plan.json"

	for algorithm in sha256 sha512; do
		grep -qF "\"$("$work/cfs-label" compute "$sample" --algorithm "$algorithm")\"" "$work/plan.json" ||
			die "cfs-label compute and export do not agree"
	done

	add_modules virtio_blk erofs
	build_initramfs
	boot
	"$work/cases" report "$work/plan.json" "$work/outcomes" || die "see $work"
}

main
