#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A real image from nothing: Debian by debootstrap, in four layers with
# deletions, pushed by skopeo into Debian's docker-registry. Then
#
#   1. our digests from the registry must equal those of cfsctl oci pull and
#      oci compute-id, V1 and V2, SHA-512 and SHA-256;
#   2. the image that cfs-label seals must pass skopeo inspect, skopeo copy and
#      cfsctl oci fsck, and carry the digest as label and annotation.
#
#	test/debootstrap.sh
#
# Needs root, for debootstrap. Works in test/.work/debootstrap, which it empties
# first. DEBIAN_MIRROR says where from (default http://deb.debian.org/debian).
set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
suite=bookworm
min_files=10000
min_layers=3

work=$root/test/.work/debootstrap
bundle=$work/bundle
layout=$work/layout
policy=$work/policy.json

cleanup() {
	stop_registry
	umount_chroot
}
trap cleanup EXIT

umount_chroot() { ! mountpoint -q "$bundle/rootfs/proc" || umount "$bundle/rootfs/proc"; }

in_chroot() { chroot "$bundle/rootfs" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }

make_base() {
	umoci init --layout "$layout"
	umoci new --image "$layout:latest"
	umoci unpack --image "$layout:latest" "$bundle"
	say "debootstrap $suite from $mirror"
	debootstrap --variant=minbase "$suite" "$work/debian" "$mirror" >"$work/debootstrap.log" 2>&1 ||
		{ tail -n 20 "$work/debootstrap.log" >&2; die "debootstrap"; }
	cp -a "$work/debian/." "$bundle/rootfs/"
	rm -rf "$work/debian"
	repack "$layout:latest" "$bundle" "1: debootstrap minbase"
}

add_packages() {
	cp /etc/resolv.conf "$bundle/rootfs/etc/resolv.conf"
	printf '#!/bin/sh\nexit 101\n' >"$bundle/rootfs/usr/sbin/policy-rc.d"
	chmod 755 "$bundle/rootfs/usr/sbin/policy-rc.d"
	mount -t proc proc "$bundle/rootfs/proc"
	in_chroot apt-get update -qq >"$work/apt.log" 2>&1
	in_chroot apt-get install -y -qq --no-install-recommends \
		perl python3 vim locales iputils-ping man-db >>"$work/apt.log" 2>&1 ||
		{ tail -n 20 "$work/apt.log" >&2; die "apt-get install"; }
	umount_chroot
	repack "$layout:latest" "$bundle" "2: packages"
}

# remove_and_change makes what layers are for: files, trees and links that go,
# and types that change.
remove_and_change() {
	local r=$bundle/rootfs
	rm -rf "$r/usr/share/doc/"* "$r/usr/share/man" "$r/var/lib/apt/lists" "$r/var/cache/apt" "$r/usr/sbin/policy-rc.d"
	find "$r/usr/share/locale" -mindepth 1 -maxdepth 1 -name '[a-m]*' -exec rm -rf {} +
	rm -f "$r/usr/share/common-licenses/GPL" # a symlink
	printf 'changed\n' >>"$r/etc/issue"
	chmod 0600 "$r/etc/issue.net"
	chown 1000:70000 "$r/etc/debian_version"
	touch -d '1999-12-31 23:59:59' "$r/etc/host.conf"
	repack "$layout:latest" "$bundle" "3: deletions"
}

add_odd_files() {
	local r=$bundle/rootfs
	mkdir -p "$r/opt/odd/a directory"
	# A directory becomes a symlink. Only now that it is empty: umoci would put
	# the whiteouts of its files behind the symlink, which cfsctl refuses.
	rmdir "$r/usr/share/doc"
	ln -s /var/empty "$r/usr/share/doc"
	ln "$r/usr/bin/perl" "$r/opt/odd/perl" # a hard link to a file of another layer
	mkfifo "$r/opt/odd/fifo"
	printf 'x' >"$r/opt/odd/a directory/naïve name"
	head -c 3000000 /dev/zero >"$r/opt/odd/zeros"
	: >"$r/opt/odd/empty"
	chmod 6755 "$r/opt/odd/zeros"
	setfattr -n user.note -v remark "$r/opt/odd/empty"
	setcap cap_net_raw+ep "$r/opt/odd/zeros"
	rm -rf "$r/var/log"
	mkdir "$r/var/log"
	repack "$layout:latest" "$bundle" "4: odd files"
}

check_size() {
	local files layers
	files=$(wc -l <"$work/dump-cfsctl")
	layers=$(skopeo --policy "$policy" inspect "oci:$layout:latest" | jq '.Layers | length')
	if [ "$files" -ge "$min_files" ]; then
		row "files of the image" ok "$files"
	else
		row "files of the image" FAILED "$files, wanted $min_files"
	fi
	if [ "$layers" -ge "$min_layers" ]; then
		row "layers of the image" ok "$layers"
	else
		row "layers of the image" FAILED "$layers, wanted $min_layers"
	fi
}

# configure_containers writes what the skopeo below cfsctl reads.
configure_containers() {
	write_policy "$policy"
	mkdir -p "$work/home/.config/containers"
	cp "$policy" "$work/home/.config/containers/policy.json"
	printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$registry" >"$work/home/.config/containers/registries.conf"
}

cfsctl_in() { HOME=$work/home XDG_CONFIG_HOME=$work/home/.config "$CFSCTL" --repo "$@"; }

# reference ALGORITHM pulls the image from the registry into a repository.
reference_pull() {
	cfsctl_in "$work/repo-$1" init --insecure --algorithm "fsverity-$1-12" >/dev/null
	cfsctl_in "$work/repo-$1" oci pull "docker://$image:plain" c >/dev/null
}

compare_digests() {
	local algorithm format ours theirs
	"$cfs_label" compute "$image:plain" --format v1,v2 --algorithm sha512,sha256 -o json >"$work/ours.json"
	for algorithm in sha512 sha256; do
		reference_pull "$algorithm"
		for format in v1 v2; do
			theirs=$(cfsctl_in "$work/repo-$algorithm" --erofs-version "${format#v}" oci compute-id c)
			ours=$(jq -r --arg f "$format" --arg a "$algorithm" \
				'.images[0].digests[] | select(.format == $f and .algorithm == $a) | .digest' "$work/ours.json")
			equal "$format $algorithm: cfs-label and cfsctl" "$ours" "$theirs"
		done
	done
	cfsctl_in "$work/repo-sha512" oci dump c >"$work/dump-cfsctl"
	"$cfs_label" dump "$image:plain" >"$work/dump-ours"
	passes "the dumps are equal" diff "$work/dump-cfsctl" "$work/dump-ours"
}

# check_sealed seals the image under another tag and looks at it with others'
# tools.
check_sealed() {
	local printed digest label annotation
	local skopeo=(skopeo --policy "$policy")
	local key=containers.composefs.fsverity
	printed=$("$cfs_label" "$image:plain" --tag sealed)
	digest=$("${skopeo[@]}" inspect --tls-verify=false "docker://$image:sealed" | jq -r .Digest)
	equal "the digest printed is the tag's" "${printed##*@}" "$digest"
	passes "skopeo inspect" "${skopeo[@]}" inspect --tls-verify=false "docker://$image:sealed"
	passes "skopeo copy to an OCI layout" "${skopeo[@]}" copy --src-tls-verify=false "docker://$image:sealed" "oci:$work/copy:latest"
	passes "skopeo copy to a directory" "${skopeo[@]}" copy --src-tls-verify=false "docker://$image:sealed" "dir:$work/copy-dir"

	label=$("${skopeo[@]}" inspect --config "oci:$work/copy:latest" | jq -r --arg k "$key" '.config.Labels[$k] // ""')
	annotation=$("${skopeo[@]}" inspect --raw "oci:$work/copy:latest" |
		jq -r '.annotations["composefs.merged.erofs.v1.fsverity-sha512-12"] // ""')
	equal "the label is the digest" "$label" "$(cfsctl_in "$work/repo-sha512" --erofs-version 1 oci compute-id c)"
	equal "the annotation is the label" "$annotation" "$label"
	equal "the digest of the sealed image" "$("$cfs_label" compute "$image:sealed")" "$label"
	equal "a second run changes nothing" "$("$cfs_label" "$image:sealed")" "$image@$digest"

	cfsctl_in "$work/repo-sealed" init --insecure --algorithm fsverity-sha512-12 >/dev/null
	passes "cfsctl oci pull of the sealed image" cfsctl_in "$work/repo-sealed" oci pull "docker://$image:sealed" sealed
	passes "cfsctl oci fsck" cfsctl_in "$work/repo-sealed" oci fsck sealed
	equal "the plain tag is untouched" \
		"$("${skopeo[@]}" inspect --tls-verify=false "docker://$image:plain" | jq -r .Digest)" "$plain_digest"
}

main() {
	[ "$(id -u)" = 0 ] || die "needs root, for debootstrap"
	need_go
	need_packages debootstrap:debootstrap umoci:umoci skopeo:skopeo docker-registry:docker-registry jq:jq \
		setfattr:attr setcap:libcap2-bin
	need_cfsctl
	umount_chroot
	rm -rf "$work"
	mkdir -p "$work"

	cfs_label=$work/cfs-label
	build_cfs_label "$cfs_label"
	make_base
	add_packages
	remove_and_change
	add_odd_files

	start_registry "$work/registry"
	configure_containers
	image=$registry/test/debian
	skopeo --policy "$policy" copy -q --dest-tls-verify=false "oci:$layout:latest" "docker://$image:plain"
	plain_digest=$(skopeo --policy "$policy" inspect --tls-verify=false "docker://$image:plain" | jq -r .Digest)

	start_table "$work"
	compare_digests
	check_size
	check_sealed

	print_table
}

main
