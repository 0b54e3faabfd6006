#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The bootable digest of images with an SELinux policy: Debian by debootstrap,
# in several layers, with Debian's policy and with one in the style of Fedora's,
# which has thousands of entries more, and look-around. For each
#
#	1. our digests must equal those of cfsctl oci compute-id --bootable: V1 and
#	   V2, SHA-512 and SHA-256, both xattr modes; and so must the dumps;
#	2. every path must have the label that libselinux has for it (matchpathcon),
#	   or one of the reasons not to that docs/bootable.md knows.
#
#	test/selinux.sh
#
# Needs root, for debootstrap. Works in test/.work/selinux, which it empties
# first. DEBIAN_MIRROR says where from (default http://deb.debian.org/debian),
# CFS_LABEL which program is tested in place of a build of this tree.
set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
suite=bookworm
min_entries=6000 # of the policy like Fedora's

work=$root/test/.work/selinux
bundle=$work/bundle
layout=$work/layout
rootfs=$bundle/rootfs

make_base() {
	umoci init --layout "$layout"
	umoci new --image "$layout:debian"
	umoci unpack --image "$layout:debian" "$bundle"
	say "debootstrap $suite from $mirror"
	debootstrap --variant=minbase --include=selinux-policy-default "$suite" "$work/debian" "$mirror" >"$work/debootstrap.log" 2>&1 ||
		{ tail -n 20 "$work/debootstrap.log" >&2; die "debootstrap"; }
	cp -a "$work/debian/." "$rootfs/"
	rm -rf "$work/debian"
	# libselinux would read these in place of the text.
	rm -f "$rootfs/etc/selinux/default/contexts/files/"*.bin
	repack "$layout:debian" "$bundle" "1: debootstrap minbase with selinux-policy-default"
}

# add_boot_files makes what a bootable image has, and what vanishes from it.
add_boot_files() {
	local kernel=usr/lib/modules/6.1.0
	mkdir -p "$rootfs/sysroot/ostree/repo/objects" "$rootfs/boot/loader/entries" "$rootfs/$kernel"
	head -c 100000 /dev/zero >"$rootfs/$kernel/vmlinuz"
	printf 'initramfs\n' >"$rootfs/$kernel/initramfs.img"
	printf 'title Debian\nlinux /%s/vmlinuz\ninitrd /%s/initramfs.img\n' "$kernel" "$kernel" >"$rootfs/boot/loader/entries/debian.conf"
	head -c 5000 /dev/zero >"$rootfs/sysroot/ostree/repo/objects/file"
	ln "$rootfs/sysroot/ostree/repo/objects/file" "$rootfs/usr/lib/from-sysroot"
	repack "$layout:debian" "$bundle" "2: /boot, /sysroot and a kernel"
}

# add_odd_files makes names of one file that get different labels, and every
# type of file.
add_odd_files() {
	mkdir -p "$rootfs/opt/odd" "$rootfs/home/user/.ssh" "$rootfs/var/lib/private/x" "$rootfs/etc/systemd/system"
	ln "$rootfs/usr/bin/env" "$rootfs/etc/env"
	ln "$rootfs/usr/bin/env" "$rootfs/usr/bin/env2"
	ln "$rootfs/usr/bin/env" "$rootfs/var/log/env"
	ln "$rootfs/etc/shells" "$rootfs/opt/odd/shells"
	printf 'key\n' >"$rootfs/home/user/.ssh/authorized_keys"
	mkdir -p "$rootfs/opt/odd/sub"
	printf 'x' >"$rootfs/opt/odd/sub/file"
	printf 'unit\n' >"$rootfs/etc/systemd/system/odd.service"
	printf 'x' >"$rootfs/var/lib/private/x/file"
	printf 'x' >"$rootfs/opt/odd/naïve name"
	printf 'x' >"$rootfs/opt/odd/"$'\xff\n'
	mkfifo "$rootfs/var/log/fifo"
	mknod "$rootfs/dev/null2" c 1 3
	mknod "$rootfs/dev/loop77" b 7 77
	ln -s env "$rootfs/usr/bin/env3"
	ln "$rootfs/usr/bin/env3" "$rootfs/etc/env3" # a symlink with two labels
	setfattr -n user.note -v remark "$rootfs/etc/env"
	setcap cap_net_raw+ep "$rootfs/usr/bin/id"
	rm -rf "$rootfs/usr/share/doc"/[a-m]* "$rootfs/usr/share/locale" "$rootfs/var/lib/apt/lists"
	touch -d '2020-02-20 20:20:20' "$rootfs/usr"
	repack "$layout:debian" "$bundle" "3: odd files and deletions"
}

# fedora_entries prints entries in the style of Fedora's policy, for the
# directories that are read: a name is in about as many of them as there.
fedora_entries() {
	awk '
		function label(what) { return "system_u:object_r:" what "_t:s0" }
		{
			name = $0
			sub(/.*\//, "", name)
			gsub(/[^A-Za-z0-9_-]/, "\\\\&", name)
			word = name
			gsub(/[^A-Za-z0-9_]/, "_", word)
			print "/usr/bin/" name "\t--\t" label(word "_exec")
			print "/usr/lib/systemd/system/" name ".*\t--\t" label(word "_unit_file")
			print "/var/lib/" name "(/.*)?\t\t" label(word "_var_lib")
			print "/usr/lib(64)?/(.*/)?" name "(-[0-9.]+)?/[^/]+\\.so(\\.[^/]*)*\t--\t" label(word "_lib")
			if (NR % 9 == 0) print "/usr/share/(.*/)?" name "(/.*)?\t\t" label(word "_share")
			if (NR % 11 == 0) print "/usr/(share|lib)/" name "/.*\t-l\t<<none>>"
			if (NR % 13 == 0) print "/var/log/" name "[^/]*\t-d\t" label(word "_log")
		}
	'
}

# fedora_policy puts a policy named targeted in the place of Debian's.
fedora_policy() {
	local etc=$rootfs/etc/selinux files=$rootfs/etc/selinux/targeted/contexts/files
	mkdir -p "$files"
	mv "$etc/default/contexts/files/"file_contexts* "$files/"
	rm -rf "$etc/default"
	sed -i 's/^SELINUXTYPE=.*/SELINUXTYPE=targeted/' "$etc/config"
	(cd "$rootfs" && find usr/lib usr/share var etc -mindepth 1 -maxdepth 5 -type d -print | LC_ALL=C sort -u | head -n 1200) |
		fedora_entries >>"$files/file_contexts"
	cat >>"$files/file_contexts" <<-'EOF'
		/usr/share/(?!doc|zoneinfo)[^/]+/copyright	--	system_u:object_r:copyright_t:s0
		/usr/lib/([^/]+)/\1[^/]*	--	system_u:object_r:twice_t:s0
		/usr/share/man/man[0-9]++(/.*)?		system_u:object_r:man_page_t:s0
		/usr/bin/(?>perl|python)[0-9.]*	--	system_u:object_r:interpreter_t:s0
		/usr/s?bin/.*(?<!\.real)	-l	system_u:object_r:bin_link_t:s0
		/usr/share/zoneinfo/[^[:lower:]/][\w+-]*(/[^/]*)?	--	system_u:object_r:locale_t:s0
		/srv/odd/[^\x00-\x7f].*	--	system_u:object_r:beyond_ascii_t:s0
	EOF
	cat >"$files/file_contexts.local" <<-'EOF'
		/etc/env	--	system_u:object_r:local_t:s0
		/usr/share/zoneinfo/Etc(/.*)?		<<none>>
		/home/[^/]+/\.ssh(/.*)?		system_u:object_r:local_ssh_t:s0
		/var/log/fifo	-p	system_u:object_r:pipe_t:s0
	EOF
	# What is substituted is substituted again below, by hosts.
	printf '/opt/odd /srv/odd\n/srv/odd/sub /usr/bin\n/var/lib/dpkg/info /usr/share/man/man1\n/usr/share/perl /usr/lib\n' >"$files/file_contexts.subs"
	repack "$layout:fedora" "$bundle" "4: a policy in the style of Fedora's"
}

cfsctl_in() { "$CFSCTL" --repo "$work/repo-$1" "${@:2}"; }

make_repositories() {
	local algorithm image
	for algorithm in sha512 sha256; do
		cfsctl_in "$algorithm" init --insecure --algorithm "fsverity-$algorithm-12" >/dev/null
		for image in debian fedora; do
			cfsctl_in "$algorithm" oci pull "oci:$layout:$image" "$image" >/dev/null
		done
	done
}

# compare_digests IMAGE compares all digests and, in each xattr mode, the trees.
compare_digests() {
	local image=$1 algorithm format xattrs ours theirs
	for algorithm in sha512 sha256; do
		for format in v1 v2; do
			for xattrs in allowlist-only keep-user-xattrs; do
				theirs=$(cfsctl_in "$algorithm" --erofs-version "${format#v}" oci compute-id --bootable --xattrs "$xattrs" "$image")
				ours=$("$cfs_label" compute "oci:$layout:$image" --bootable --format "$format" --algorithm "$algorithm" --xattrs "$xattrs")
				equal "$image: $format $algorithm $xattrs" "$ours" "$theirs"
			done
		done
	done
	for xattrs in allowlist-only keep-user-xattrs; do
		cfsctl_in sha512 oci dump --bootable --xattrs "$xattrs" "$image" >"$work/$image-$xattrs.cfsctl"
		"$cfs_label" dump "oci:$layout:$image" --bootable --xattrs "$xattrs" >"$work/$image-$xattrs.dump"
		passes "$image: the dumps are equal, $xattrs" cmp "$work/$image-$xattrs.cfsctl" "$work/$image-$xattrs.dump"
	done
}

# compare_labels IMAGE compares the labels with libselinux's, by the policy that
# was kept of the image.
compare_labels() {
	local image=$1
	if (cd "$root/test/differential" && CFS_REQUIRE_ORACLES=1 CFS_LABELS_DUMP=$work/$image-allowlist-only.dump \
		CFS_LABELS_POLICY=$work/policy-$image CFS_LABELS_TABLE=$work/$image.labels \
		go test -count=1 -run '^TestLabels$' -v .) >"$work/$image.log" 2>&1; then
		row "$image: labels explained" ok "$(awk -F'|' '{ n += $3 } END { print n }' "$work/$image.labels") paths"
	else
		row "$image: labels explained" FAILED "see $work/$image.log"
	fi
}

# keep_policy IMAGE keeps the files of the policy that the bundle has now.
keep_policy() { cp -r "$rootfs/etc/selinux/"*/contexts/files "$work/policy-$1"; }

# entries_of IMAGE prints how many entries the image's policy has.
entries_of() {
	find "$work/policy-$1" \( -name file_contexts -o -name file_contexts.local -o -name file_contexts.homedirs \) -exec cat {} + |
		grep -cv -e '^[[:space:]]*$' -e '^#'
}

check_cases() {
	local entries splits
	entries=$(entries_of fedora)
	if [ "$entries" -ge "$min_entries" ]; then
		row "entries like Fedora's" ok "$entries"
	else
		row "entries like Fedora's" FAILED "$entries, wanted $min_entries"
	fi
	# Four names of one file, with at least three labels.
	splits=$(awk '$1 ~ "^/(usr/bin/env|usr/bin/env2|etc/env|var/log/env)$" && $3 !~ /^@/' "$work/debian-allowlist-only.dump" | wc -l)
	if [ "$splits" -ge 3 ]; then
		row "hard links that labels split" ok "$splits of 4 names"
	else
		row "hard links that labels split" FAILED "$splits of 4 names"
	fi
}

print_labels() {
	local image
	for image in debian fedora; do
		printf '\n%s, %s entries:\n\n' "$image" "$(entries_of "$image")"
		printf '| label of hosts and of libselinux | paths | for example |\n| --- | --- | --- |\n'
		cat "$work/$image.labels"
	done
}

main() {
	[ "$(id -u)" = 0 ] || die "needs root, for debootstrap"
	need_go
	need_packages debootstrap:debootstrap umoci:umoci matchpathcon:selinux-utils setfattr:attr setcap:libcap2-bin
	need_cfsctl
	rm -rf "$work"
	mkdir -p "$work"

	cfs_label=${CFS_LABEL:-}
	if [ -z "$cfs_label" ]; then
		cfs_label=$work/cfs-label
		build_cfs_label "$cfs_label"
	fi
	make_base
	add_boot_files
	add_odd_files
	keep_policy debian
	fedora_policy
	keep_policy fedora
	make_repositories

	start_table "$work"
	for image in debian fedora; do
		compare_digests "$image"
		compare_labels "$image"
	done
	check_cases
	print_table
	print_labels
}

main
