#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The digest that a stage of a build computes of another, which it sees as a
# directory, against the digest of the image's layers, as hosts compute it:
#
#   1. test/multistage/Containerfile, built by buildah with and without its
#      cache: the UKI in the image must name the image's bootable digest;
#   2. ways to build that go wrong with some builders. What must be equal is a
#      failure if it is not; the others are told as they are.
#
#	test/multistage.sh [recipes|attempts]
#
# Needs root, for debootstrap and buildah. Works in test/.work/multistage, which
# it empties first.
set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

work=$root/test/.work/multistage
context=$work/context
failures=0

# It runs in $work: of an absolute path it would make a name, and not like it.
buildah_in() { (cd "$work" && buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"); }

# build NAME CONTAINERFILE FLAGS... builds the image and puts it into the layout
# $work/NAME.
build() {
	local name=$1 file=$2
	shift 2
	buildah_in bud --isolation chroot --signature-policy "$work/policy.json" "$@" -f "$file" -t "$name" "$context" >"$work/$name.log" 2>&1 ||
		{ tail -n 20 "$work/$name.log" >&2; die "buildah: $name"; }
	rm -rf "${work:?}/$name"
	buildah_in push --signature-policy "$work/policy.json" -q "$name" "oci:$work/$name:latest" >>"$work/$name.log" 2>&1 ||
		{ tail -n 20 "$work/$name.log" >&2; die "buildah push: $name"; }
}

blob() { echo "$work/$1/blobs/sha256/${2#sha256:}"; }

# file_of NAME PATH prints a file of the image, that of the highest layer.
file_of() {
	local layer
	for layer in $(jq -r '.layers | reverse | .[].digest' "$(blob "$1" "$(jq -r '.manifests[0].digest' "$work/$1/index.json")")"); do
		if tar -xzOf "$(blob "$1" "$layer")" "$2" 2>/dev/null; then return 0; fi
	done
	die "$1: there is no $2 in it"
}

# reference NAME COMMAND... asks cfsctl about the image.
reference() {
	local repo=$work/$1.repo
	if [ ! -e "$repo" ]; then
		"$CFSCTL" --repo "$repo" init --insecure --algorithm fsverity-sha512-12 >/dev/null
		"$CFSCTL" --repo "$repo" oci pull "oci:$work/$1:latest" c >/dev/null
	fi
	"$CFSCTL" --repo "$repo" oci "${@:2}" --bootable c
}

# outside NAME prints the bootable digest of the image's layers, which is the same
# for cfsctl and for us.
outside() {
	local theirs ours
	theirs=$(reference "$1" compute-id)
	ours=$("$context/cfs-label" compute "oci:$work/$1:latest" --bootable 2>>"$work/$1.log") || die "$1: $(tail -n 1 "$work/$1.log")"
	[ "$ours" = "$theirs" ] || die "$1: of the layers we compute $ours, cfsctl $theirs"
	echo "$theirs"
}

# row BUILD EXPECTED INSIDE OUTSIDE DETAIL
row() {
	local is=differ
	[ -z "$3" ] || [ "$3" != "$4" ] || is=equal
	if [ "$2" = must ] && [ "$is" != equal ]; then
		is=FAILED
		failures=$((failures + 1))
	fi
	printf '| %s | %s | %s |\n' "$1" "$is" "$5" >>"$work/table"
	say "$is: $1"
}

# recipe BUILD FLAGS... builds the documented Containerfile.
recipe() {
	local cmdline
	rm -rf "$work/recipe.repo"
	build recipe "$root/test/multistage/Containerfile" "${@:2}"
	file_of recipe boot/EFI/Linux/test.efi >"$work/test.efi"
	objcopy -O binary -j .cmdline "$work/test.efi" "$work/cmdline"
	cmdline=$(tr '\n' ' ' <"$work/cmdline")
	case $cmdline in "composefs.digest=v1-sha512-12:"*" rw quiet "*) ;; *) die "the UKI has the command line $cmdline" ;; esac
	cmdline=${cmdline%% *}
	row "$1" must "${cmdline##*:}" "$(outside recipe)" "$(reference recipe dump | wc -l) files"
	"$context/cfs-label" "oci:$work/recipe:latest" --bootable >>"$work/recipe.log" 2>&1 ||
		die "sealing: $(tail -n 2 "$work/recipe.log")"
}

recipes() {
	debian_root
	tar --xattrs --xattrs-include='*' --format=pax -C "$debian" -cf "$context/debian.tar" .
	recipe "test/multistage/Containerfile, Debian"
	recipe "the same, with a cache (--layers)" --layers
	recipe "the same, all from the cache" --layers
	rm "$context/debian.tar" # else every build below would copy it
}

# attempt BUILD must|may FLAGS... builds the Containerfile that comes by stdin,
# with stages base and uki; @COMPUTE in it is what the latter does.
attempt() {
	local what=$1 expected=$2 differ inside
	shift 2
	sed "s#@COMPUTE#RUN --mount=type=bind,from=base,target=/target mkdir /out \&\& cfs-label compute --karg @SECONDS /target --file /out/karg \&\& cfs-label dump --bootable @SECONDS /target >/out/dump#; s#@SECONDS#$seconds#g" >"$work/Containerfile"
	rm -rf "$work/attempt.repo"
	build attempt "$work/Containerfile" "$@"
	reference attempt dump | sort >"$work/outside"
	file_of attempt boot/out/dump | sort >"$work/inside"
	differ=$(comm -3 "$work/inside" "$work/outside" | sed 's/^\t//' | cut -d' ' -f1 | sort -u | wc -l)
	inside=$(file_of attempt boot/out/karg)
	row "$what" "$expected" "${inside##*:}" "$(outside attempt)" "$differ of $(wc -l <"$work/outside") files differ"
}

# The end of all attempts.
last='FROM base\nCOPY --from=uki /out /boot/out\n'
uki='COPY cfs-label /bin/cfs-label\n@COMPUTE\n'
change='RUN echo x >/usr/x \&\& rm /usr/old \&\& echo y >/usr/lib/y\n'

# lines TEXT... prints a Containerfile.
lines() { printf '%b' "$(printf '%s' "$@")" | sed 's/\\&/\&/g'; }

attempts() {
	local flat='FROM scratch AS base\nCOPY --from=build / /\n'
	seconds=--whole-seconds
	lines 'FROM scratch AS build\nADD small.tar /\n' "$change" "$flat" 'FROM build AS uki\n' "$uki" "$last" |
		attempt "one layer (COPY --from=build / /)" must
	lines 'FROM scratch AS build\nADD small.tar /\n' "$change" "$flat" 'FROM build AS uki\n' "$uki" "$last" |
		attempt "the same, with a cache (--layers)" must --layers
	lines 'FROM scratch AS build\nADD small.tar /\nRUN echo z >/usr/z\n' "$change" "$flat" 'FROM build AS uki\n' "$uki" "$last" |
		attempt "the same, with a cache, the base changed" must --layers
	lines 'FROM scratch AS base\nADD small.tar /\n' "$change" 'FROM base AS uki\n' "$uki" "$last" |
		attempt "layers as they come, --whole-seconds" must
	seconds=
	lines 'FROM scratch AS build\nADD small.tar /\n' "$change" "$flat" 'FROM build AS uki\n' "$uki" "$last" |
		attempt "one layer, without --whole-seconds" may
	lines 'FROM scratch AS base\nADD small.tar /\n' "$change" 'FROM base AS uki\n' "$uki" "$last" |
		attempt "layers as they come, without --whole-seconds" may
	seconds=--whole-seconds
	lines 'FROM oci:gap:latest AS base\n' 'FROM base AS uki\n' "$uki" "$last" |
		attempt "a base with a layer that has a file without its directories" may
	lines 'FROM oci:gap:latest AS build\n' "$flat" 'FROM build AS uki\n' "$uki" "$last" |
		attempt "the same as one layer" must
	local link='RUN ln /usr/lib/one /usr/third\n'
	lines 'FROM scratch AS base\nADD small.tar /\n' "$link" 'FROM base AS uki\n' "$uki" "$last" |
		attempt "a hard link to a file of a layer below (--layers)" may --layers --no-cache
	lines 'FROM scratch AS build\nADD small.tar /\n' "$link" "$flat" 'FROM build AS uki\n' "$uki" "$last" |
		attempt "the same as one layer" must --layers --no-cache
	caches
	lines 'FROM scratch AS base\nADD small.tar /\n' 'FROM base AS uki\n' "$uki" "$last" |
		attempt "times set by the builder (--timestamp)" may --timestamp 1700000000
	lines 'FROM scratch AS base\nADD small.tar /\n' 'FROM base AS uki\n' "$uki" "$last" 'RUN true\n' |
		attempt "a RUN in the last stage" may
}

# caches are builds of which the second finds parts of the first.
caches() {
	local n
	for n in one two; do
		lines 'FROM scratch AS base\nADD small.tar /\nRUN echo cached >/usr/cached\n' "FROM base AS uki\nLABEL n=$n\n" "$uki" "$last" |
			attempt "several steps of the base from the cache ($n)" may --layers
	done
	for n in one two; do
		lines 'FROM scratch AS tools\nADD small.tar /\nFROM scratch AS build\nADD small.tar /\n' "RUN echo $n >/usr/changed\n" \
			"$flat" 'FROM tools AS uki\n' "$uki" "$last" |
			attempt "a stage of tools that is not FROM the base, the base changed ($n)" may --layers
	done
}

# small_root makes a little root file system with what a builder may lose.
small_root() {
	local r=$work/small busybox
	busybox=$(command -v busybox)
	mkdir -p "$r/usr/bin" "$r/usr/lib" "$r/etc/selinux/p/contexts/files" "$r/boot" "$r/sysroot" "$r/run" "$r/proc" "$r/sys" "$r/dev" "$r/var/tmp"
	cp "$busybox" "$r/usr/bin/busybox"
	for name in sh ln rm mkdir true; do ln -s busybox "$r/usr/bin/$name"; done
	ln -s usr/bin "$r/bin"
	printf 'SELINUXTYPE=p\n' >"$r/etc/selinux/config"
	printf '/.* u:r:t:s0\n/usr/bin/.* -- u:r:bin_t:s0\n' >"$r/etc/selinux/p/contexts/files/file_contexts"
	printf 'old' >"$r/usr/old"
	cp "$busybox" "$r/usr/bin/ping"
	ln "$r/usr/bin/ping" "$r/usr/lib/ping"
	setcap cap_net_raw+ep "$r/usr/bin/ping"
	cp "$busybox" "$r/usr/lib/one" # the policy splits the names of ping, and not these
	ln "$r/usr/lib/one" "$r/usr/lib/two"
	mkfifo "$r/usr/lib/fifo"
	chown 1000:70000 "$r/usr/old"
	find "$r" -depth -exec touch -h -d '2024-03-01 10:11:12.623456789' {} +
	tar --xattrs --xattrs-include='*' --format=pax -C "$r" -cf "$context/small.tar" .
	# An image of two layers, of which the upper has a file alone.
	find "$r" -depth -exec touch -h -d '2024-03-01 10:11:12' {} +
	tar --xattrs --xattrs-include='*' --format=pax -C "$r" -cf "$work/lower.tar" .
	tar --format=gnu -C "$r" --transform 's#old#new#' -cf "$work/upper.tar" usr/old
	umoci init --layout "$work/gap"
	umoci new --image "$work/gap:latest"
	umoci raw add-layer --image "$work/gap:latest" "$work/lower.tar" >"$work/umoci.log" 2>&1
	umoci raw add-layer --image "$work/gap:latest" "$work/upper.tar" >>"$work/umoci.log" 2>&1
}

main() {
	[ "$(id -u)" = 0 ] || die "needs root"
	need_go
	need_packages buildah:buildah jq:jq umoci:umoci objcopy:binutils setcap:libcap2-bin
	if ! command -v busybox >/dev/null || ldd "$(command -v busybox)" >/dev/null 2>&1; then install_packages busybox-static; fi
	need_cfsctl
	rm -rf "$work"
	mkdir -p "$context"
	write_policy "$work/policy.json"
	build_cfs_label "$context/cfs-label"
	(cd "$root/test/multistage" && CGO_ENABLED=0 go build -trimpath -o "$context/mkuki" ./cmd/mkuki)
	small_root

	printf '| build | digests inside and outside | |\n| --- | --- | --- |\n' >"$work/table"
	[ "${1:-recipes}" != recipes ] || recipes
	[ "${1:-attempts}" != attempts ] || attempts
	printf '%s. Inside: what cfs-label computes in a stage that sees another as a directory. Outside: cfsctl %s, of the layers.\n\n' \
		"$(buildah --version | cut -d' ' -f1-3)" "$cfsctl_version"
	cat "$work/table"
	rm -rf "$work/storage"
	[ "$failures" = 0 ] || die "$failures failures"
}

main "$@"
