#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The digests of a directory against cfsctl:
#
#   1. a Debian root file system with an SELinux policy, plain and bootable, as
#      hosts see it and as it is (--no-propagate-usr-to-root), in every format
#      and algorithm, and the kernel argument;
#   2. random directories (DIRECTORIES, 200), likewise.
#
#	test/directory.sh
#
# Needs root, for debootstrap. Works in test/.work/directory, which it empties
# first.
set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

work=$root/test/.work/directory
cfs_label=$work/cfs-label
failures=0

# ours FLAGS prints what was computed with all formats and algorithms, a line
# each: role, format, algorithm, digest.
ours() {
	"$cfs_label" compute "dir:$debian" --bootable --format v0,v1,v2 --algorithm sha512,sha256 -o json "$@" |
		jq -r '.images[0].digests[] | "\(.role) \(.format) \(.algorithm) \(.digest)"'
}

# theirs FORMAT ALGORITHM COMMAND FLAGS...
theirs() { "$CFSCTL" --no-repo --erofs-version "${1#v}" --hash "$2" "${@:3}" "$debian"; }

# cell OURS THEIRS prints a field of the table: are both the same, and not empty?
cell() {
	if [ -n "$1" ] && [ "$1" = "$2" ]; then
		printf ' ok |'
	else
		printf ' FAILED |'
		say "FAILED: $1 is not $2"
		failures=$((failures + 1))
	fi
}

# of ROLE FORMAT ALGORITHM FILE picks a digest.
of() { awk -v r="$1" -v f="$2" -v a="$3" '$1 == r && $2 == f && $3 == a { print $4 }' "$4"; }

compare() {
	local format algorithm
	ours >"$work/as-hosts"
	ours --no-propagate-usr-to-root >"$work/as-it-is"
	printf '| format | algorithm | plain | bootable | as it is | as it is, bootable | kernel argument |\n'
	printf '| --- | --- | --- | --- | --- | --- | --- |\n'
	for format in v0 v1 v2; do
		for algorithm in sha512 sha256; do
			printf '| %s | %s |' "$format" "$algorithm"
			cell "$(of merged "$format" "$algorithm" "$work/as-hosts")" \
				"$(theirs "$format" "$algorithm" compute-id)"
			cell "$(of merged.bootable "$format" "$algorithm" "$work/as-hosts")" \
				"$(theirs "$format" "$algorithm" compute-id --bootable)"
			cell "$(of merged "$format" "$algorithm" "$work/as-it-is")" \
				"$(theirs "$format" "$algorithm" compute-id --no-propagate-usr-to-root)"
			cell "$(of merged.bootable "$format" "$algorithm" "$work/as-it-is")" \
				"$(theirs "$format" "$algorithm" compute-id --bootable --no-propagate-usr-to-root)"
			cell "$("$cfs_label" compute --karg "dir:$debian" --format "$format" --algorithm "$algorithm")" \
				"$(theirs "$format" "$algorithm" compute-karg)"
			printf '\n'
		done
	done
}

main() {
	need_go
	need_packages jq:jq
	need_cfsctl
	rm -rf "$work"
	mkdir -p "$work"
	debian_root
	build_cfs_label "$cfs_label"
	compare >"$work/table"
	printf 'Debian by debootstrap, %s files, a policy with %s rules, against cfsctl %s.\n\n' \
		"$("$cfs_label" dump "dir:$debian" | wc -l)" \
		"$(grep -c '^[^#]' "$debian/etc/selinux/default/contexts/files/file_contexts")" "$cfsctl_version"
	cat "$work/table"
	(cd "$root" && CFS_REQUIRE_ORACLES=1 go test -count=1 -timeout 2h -run 'TestDirectories|TestOverlay' -v \
		./composefs/scan -args -directories "${DIRECTORIES:-200}") >"$work/random.log" 2>&1 ||
		{ cat "$work/random.log" >&2; die "random directories"; }
	printf '\n%s random directories, each in three formats, two algorithms and five ways: no difference (%s).\n' "${DIRECTORIES:-200}" \
		"$(grep -o 'cfsctl accepts.*' "$work/random.log")"
	[ "$failures" = 0 ] || die "$failures failures"
}

main "$@"
