#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What diff and lint say of trees that real programs made: the cause that is
# named first must be the right one, of as many paths as it is.
#
#   1. one tree, as buildah and as umoci make layers of it;
#   2. a layout, and the tree unpacked from it and touched afterwards;
#   3. copies that lose something, and changes;
#   4. compiled Python that is stale;
#   5. a UKI that was made before a later layer.
#
#	test/diff.sh
#
# Needs root. Works in test/.work/diff, which it empties first. CFS_LABEL says
# which program is tested in place of a build of this tree.
set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

work=$root/test/.work/diff
context=$work/context
layout=$work/layout
python=usr/lib/python3/site

# make_tree DIR makes a little root file system with what tools may lose: a
# hard link pair, a file capability, a set-user-ID bit, attributes, owners,
# names in bytes of their own, Python. Its mtimes have fractions.
make_tree() {
	local r=$1 d f name
	mkdir -p "$r"/{usr/{bin,lib,sbin},etc/app,boot,sysroot,run,dev,proc,sys,var/{log,tmp,lib/app}} "$r/$python"
	cp "$(command -v busybox)" "$r/usr/bin/busybox"
	cp "$r/usr/bin/busybox" "$r/usr/bin/ping"
	for name in sh ln rm mkdir true; do ln -s busybox "$r/usr/bin/$name"; done
	ln -s usr/bin "$r/bin"
	printf 'one file of two names\n' >"$r/usr/lib/one"
	ln "$r/usr/lib/one" "$r/usr/lib/two"
	mkfifo "$r/var/lib/app/fifo"
	for d in {1..20}; do
		mkdir -p "$r/usr/share/app/$d"
		for f in {1..12}; do printf 'file %d of %d, of more bytes than are kept in the image: %064d\n' "$f" "$d" "$f" >"$r/usr/share/app/$d/$f"; done
	done
	mkdir -p "$r/usr/share/package"
	for f in {1..30}; do printf 'package %d\n' "$f" >"$r/usr/share/package/$f"; done
	for f in {1..20}; do printf 'def f%d():\n    return %d\n' "$f" "$f" >"$r/$python/m$f.py"; done
	printf 'app:x\n' >"$r/etc/app/users"
	printf 'log\n' >"$r/var/log/app"
	chown 33:33 "$r/etc/app/users" "$r/var/lib/app"
	chown 0:42 "$r/var/log/app"
	chmod 0660 "$r/var/log/app"
	chmod 4755 "$r/usr/bin/busybox"
	setcap cap_net_raw+ep "$r/usr/bin/ping"
	setfattr -n user.note -v remark "$r/usr/lib/one" "$r/etc/app"
	setfattr -n security.selinux -v u:r:bin_t:s0 "$r/usr/bin/ping" "$r/usr/bin"
	set_times "$r" fractions
}

# set_times DIR fractions|whole gives every path a time of its own, by its place
# in the order of names.
set_times() {
	local n=0 path fraction
	while IFS= read -r path; do
		n=$((n + 1))
		fraction=0
		[ "$2" = whole ] || fraction=$((n * 37 % 1000))
		touch -h -d "@$((1700000000 + n * 60)).$(printf %03d "$fraction")" "$path"
	done < <(find "$1" -depth -print | LC_ALL=C sort -r)
}

buildah_in() { (cd "$work" && buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"); }

# by_buildah NAME FLAGS LINE... builds an image of the lines, layout:NAME, with
# the flags, which are one word each.
by_buildah() {
	local name=$1 flags=$2 log=$work/$1.log
	shift 2
	printf '%s\n' 'FROM scratch' "$@" >"$work/Containerfile"
	# shellcheck disable=SC2086 # flags are words
	buildah_in bud --isolation chroot --signature-policy "$work/policy.json" $flags -f "$work/Containerfile" -t "$name" "$context" >"$log" 2>&1 ||
		{ tail -n 20 "$log" >&2; die "buildah: $name"; }
	buildah_in push --signature-policy "$work/policy.json" -q "$name" "oci:$layout:$name" >>"$log" 2>&1 ||
		{ tail -n 20 "$log" >&2; die "buildah push: $name"; }
}

# by_umoci NAME DIR makes an image of the directory, layout:NAME. Its bundle
# stays in $work/NAME.
by_umoci() {
	umoci new --image "$layout:$1"
	umoci unpack --image "$layout:$1" "$work/$1" >/dev/null 2>&1
	cp -a "$2/." "$work/$1/rootfs/"
	repack "$layout:$1" "$work/$1" "of $1"
}

# named WHAT WANT A B FLAGS... adds a line: what is named first, of how many
# paths? WANT is "equal", or ID COUNT.
named() {
	local what=$1 want=$2 got status=0 wanted=3
	shift 2
	[ "$want" != equal ] || wanted=0
	"$cfs_label" diff "$@" -o json >"$work/answer.json" 2>"$work/answer.err" || status=$?
	got=$(jq -r 'if .equal then "equal" else .causes[0] | "\(.id) \(.count)" end' "$work/answer.json")
	if [ "$got" = "$want" ] && [ "$status" = "$wanted" ]; then
		row "$what" ok "$(jq -r 'if .equal then "equal, \(.paths) paths" else .causes[0] | "\(.id): \(.sentence)" end' "$work/answer.json")"
	else
		row "$what" FAILED "$got, wanted $want; status $status, wanted $wanted: $(tail -n 1 "$work/answer.err")"
	fi
}

# paths_of RULE SOURCE prints the paths of a rule's findings, sorted.
paths_of() {
	"$cfs_label" lint "$2" -o json 2>"$work/lint.err" >"$work/lint.json" || die "lint $2: $(tail -n 1 "$work/lint.err")"
	jq -r --arg rule "$1" '.images[].findings[] | select(.rule == $rule) | .path' "$work/lint.json" | LC_ALL=C sort
}

# rule WHAT RULE COUNT SOURCE adds a line: has lint so many findings of the rule?
rule() {
	local found
	found=$(paths_of "$2" "$4" | wc -l)
	if [ "$found" = "$3" ]; then
		row "$1" ok "$2: $found"
	else
		row "$1" FAILED "$2: $found, wanted $3"
	fi
}

# copy makes $copy, a copy of the tree with whole seconds.
copy() {
	rm -rf "$copy"
	cp -a "$whole" "$copy"
}

# count FIND-ARGUMENTS prints how many paths find finds.
count() { find "$@" -printf x | wc -c; }

# What the builders do: umoci and buildah's COPY of a directory round mtimes to
# seconds, buildah's ADD of an archive cuts them. COPY gives all to root, which
# clears set-user-ID, and keeps the capability. None loses hard links. Labels
# and user attributes are in no plain digest.
builders() {
	local times
	for times in fractions whole; do
		tar --xattrs --xattrs-include='*' --format=pax -C "$context/$times" -cf "$context/$times.tar" .
		by_umoci "umoci-$times" "$context/$times"
		by_buildah "add-$times" "" "ADD $times.tar /"
		by_buildah "copy-$times" "" "COPY $times/ /"
	done
	named "umoci, buildah ADD" equal "oci:$layout:umoci-whole" "oci:$layout:add-whole"
	named "the same, user attributes kept" equal "oci:$layout:umoci-whole" "oci:$layout:add-whole" --xattrs keep-user-xattrs
	named "umoci, buildah COPY" "owner-root 3" "oci:$layout:umoci-whole" "oci:$layout:copy-whole"
	named "the tree, umoci" equal "dir:$whole" "oci:$layout:umoci-whole"
	named "the tree, buildah ADD" equal "dir:$whole" "oci:$layout:add-whole"

	local tree=$context/fractions changed ups
	changed=$(fractions_of "$tree" 0.001)
	ups=$(fractions_of "$tree" 0.5)
	named "the tree with fractions, umoci" "seconds-rounded $changed" "dir:$tree" "oci:$layout:umoci-fractions"
	named "the tree with fractions, buildah ADD" "nanoseconds $changed" "dir:$tree" "oci:$layout:add-fractions"
	named "the same, cut (--whole-seconds)" equal "dir:$tree" "oci:$layout:add-fractions" --whole-seconds
	named "the tree with fractions, buildah COPY" "seconds-rounded $((changed - 4))" "dir:$tree" "oci:$layout:copy-fractions"
	named "umoci, buildah ADD, both of fractions" "seconds-rounded $ups" "oci:$layout:umoci-fractions" "oci:$layout:add-fractions"

	by_buildah timestamp "--timestamp 1600000000" "ADD whole.tar /"
	named "buildah ADD, with --timestamp" "one-mtime $everything" "oci:$layout:add-whole" "oci:$layout:timestamp"
	by_buildah run "" "ADD whole.tar /" "RUN true"
	named "buildah ADD, with a RUN that does nothing" "builder-files 4" "oci:$layout:add-whole" "oci:$layout:run"
}

# fractions_of DIR LEAST counts the paths whose mtime, as a host sees it, has at
# least that fraction of a second: the root and /run have that of /usr.
fractions_of() {
	local usr
	usr=$(find "$1/usr" -maxdepth 0 -printf %T@)
	find "$1" -printf '%T@ %P\n' |
		awk -v usr="$usr" -v least="$2" '{ t = $2 == "" || $2 == "run" ? usr : $1; sub(/.*\./, "0.", t); if (t >= least) n++ } END { print n + 0 }'
}

touched() {
	umoci unpack --image "$layout:umoci-whole" "$work/unpacked" >/dev/null 2>&1
	named "a layout, unpacked by umoci" equal "$base" "dir:$work/unpacked/rootfs"
	find "$work/unpacked/rootfs" -type d -exec touch {} +
	named "the same, all directories touched" "directory-mtime $(count "$work/unpacked/rootfs" -type d)" "$base" "dir:$work/unpacked/rootfs"
}

changes() {
	local path owner
	copy
	for path in 1 2 3 4 5; do echo changed >>"$copy/usr/share/app/7/$path"; done
	named "files written to" "content 5" "$base" "dir:$copy"
	copy
	sed -i s/file/FILE/ "$copy"/usr/share/app/7/[1-5]
	named "files replaced" "content 6" "$base" "dir:$copy"
	copy
	rm -r "$copy/usr/share/package"
	named "a package removed" "only-in-a 2" "$base" "dir:$copy"
	copy
	cp -a "$copy/usr/share/package" "$copy/usr/share/another"
	named "a package added" "only-in-b 2" "$base" "dir:$copy"
	copy
	chown -hR 1000:1000 "$copy"
	named "chown -R of all" "owner-root $((everything - 3))" "$base" "dir:$copy"
	copy
	chown -hR 1000:1000 "$copy/usr"
	named "chown -R of /usr" "owner-root $((1 + $(count "$copy/usr")))" "$base" "dir:$copy"
	copy
	while IFS= read -r -d '' path; do
		owner=${path%% /*}
		chown -h "$((${owner% *} + 100000)):$((${owner#* } + 100000))" "${path#* * }"
	done < <(find "$copy" -printf '%U %G %p\0')
	named "all owners moved by 100000" "owner-shift $everything" "$base" "dir:$copy"
}

# empty makes $copy an empty directory.
empty() {
	rm -rf "$copy"
	mkdir "$copy"
}

copies() {
	rm -rf "$copy"
	cp -r "$whole" "$copy"
	named "cp -r" "file-mtime $(count "$copy" -not -type d -not -path '*/usr/lib/one' -not -path '*/usr/lib/two' \
		-not -path '*/etc/app/users' -not -path '*/var/log/app' -not -name ping -not -name busybox)" "$base" "dir:$copy"
	rm -rf "$copy"
	cp -a --no-preserve=links "$whole" "$copy"
	named "cp -a --no-preserve=links" "hard-links 2" "$base" "dir:$copy"
	empty
	tar -C "$whole" -c . | tar -C "$copy" -xp
	named "tar without --xattrs" "capability-lost 1" "$base" "dir:$copy"
	named "the same, user attributes kept" "user-xattrs 3" "$base" "dir:$copy" --xattrs keep-user-xattrs
	empty
	tar --xattrs --xattrs-include='*' -C "$whole" -c . | (umask 027 && tar --xattrs --xattrs-include='*' -C "$copy" -x --no-same-permissions)
	named "tar with umask 027" "umask $(count "$whole" -not -type l -perm /027 -not -name busybox)" "$base" "dir:$copy"
	copy
	find "$copy" -exec setfattr -h -n security.selinux -v system_u:object_r:unlabeled_t:s0 {} +
	named "labels of a host" equal "$base" "dir:$copy"
	named "the same, as it is (--no-propagate-usr-to-root)" "selinux-lost $((everything - 2))" "$base" "dir:$copy" --no-propagate-usr-to-root
}

# stale_by_python DIR prints the compiled files that Python itself calls stale,
# sorted.
stale_by_python() {
	local modules
	modules=$(cd "$1/$python" && printf '%s,' m*.py | sed 's/\.py,/,/g; s/,$//')
	(cd "$work" && PYTHONPATH=$1/$python python3 -B -v -c "import $modules" 2>&1) |
		sed -n "s#^\# bytecode is stale for '\(.*\)'#/$python/__pycache__/\1.$tag.pyc#p" | LC_ALL=C sort
}

# stale WHAT COUNT DIR [SOURCE] adds a line: does lint call the same files of the
# directory stale as Python, and as many?
stale() {
	local ours theirs
	ours=$(paths_of stale-pyc "${4:-dir:$3}")
	theirs=$(stale_by_python "$3")
	if [ "$ours" = "$theirs" ] && [ "$(grep -c . <<<"$ours")" = "$2" ]; then
		row "$1" ok "stale-pyc: $2 of $(count "$3/$python" -name '*.pyc')"
	else
		row "$1" FAILED "lint: $(grep -c . <<<"$ours"), Python: $(grep -c . <<<"$theirs"), wanted $2"
	fi
}

compiled() {
	local fresh=$work/compiled ups
	tag=$(python3 -c 'import sys; print(sys.implementation.cache_tag)')
	cp -a "$whole" "$fresh"
	python3 -m compileall -q "$fresh/$python"
	named "Python ran" "pyc 2" "$base" "dir:$fresh"
	touch -d @1700100000 "$fresh/$python" "$fresh/$python/__pycache__"{,/*}
	by_umoci fresh "$fresh"
	stale "compiled, by umoci" 0 "$work/fresh/rootfs" "oci:$layout:fresh"

	touch -d @1690000000 "$fresh/$python"/m[1-5].py
	by_umoci stale "$fresh"
	stale "the same, 5 sources touched before" 5 "$fresh" "oci:$layout:stale"
	stale "the same, the directory" 5 "$fresh"
	named "compiled, 5 sources touched" "file-mtime 5" "oci:$layout:fresh" "oci:$layout:stale"
	python3 -m compileall -q "$fresh/$python"
	touch -d @1700100000 "$fresh/$python/__pycache__"/*
	by_umoci again "$fresh"
	stale "the same, compiled again" 0 "$fresh" "oci:$layout:again"
	named "compiled, compiled again" "pyc 6" "oci:$layout:fresh" "oci:$layout:again"
	named "stale, compiled again" "pyc 6" "oci:$layout:stale" "oci:$layout:again"

	find "$fresh" -exec touch -h -d @0 {} +
	stale "all mtimes 0, as by ostree" 20 "$fresh"
	python3 -m compileall -q -f --invalidation-mode unchecked-hash "$fresh/$python"
	find "$fresh" -exec touch -h -d @0 {} +
	stale "the same, compiled by content" 0 "$fresh"

	rm -rf "$fresh"
	cp -a "$context/fractions" "$fresh"
	python3 -m compileall -q "$fresh/$python"
	stale "sources with fractions" 0 "$fresh"
	by_umoci rounded "$fresh"
	umoci unpack --image "$layout:rounded" "$work/rounded-unpacked" >/dev/null 2>&1
	ups=$(find "$fresh/$python" -name '*.py' -printf '%T@\n' | grep -c '\.[5-9]')
	stale "the same, by umoci, which rounds" "$ups" "$work/rounded-unpacked/rootfs" "oci:$layout:rounded"
	tar --xattrs --xattrs-include='*' --format=pax -C "$fresh" -cf "$context/compiled.tar" .
	by_buildah compiled-add "" "ADD compiled.tar /"
	rule "the same, by buildah ADD, which cuts" stale-pyc 0 "oci:$layout:compiled-add"
	by_buildah compiled-copy "" "ADD compiled.tar /" "FROM scratch" "COPY --from=0 / /"
	rule "the same, COPY --from by buildah, which rounds" stale-pyc "$ups" "oci:$layout:compiled-copy"
}

# seal WHAT STATUS DIGEST... adds a line: does sealing end so, name each digest,
# and leave the layout as it is unless it is done?
seal() {
	local what=$1 want=$2 status=0 digest
	shift 2
	cp "$layout/index.json" "$work/index.json"
	"$cfs_label" "oci:$layout:host" --bootable --tag sealed >"$work/seal.out" 2>"$work/seal.err" || status=$?
	for digest; do
		grep -q "$digest" "$work/seal.err" || status="$status, and $digest is not named"
	done
	if [ "$status" != 0 ] && ! cmp -s "$work/index.json" "$layout/index.json"; then status="$status, and the layout changed"; fi
	if [ "$status" = "$want" ]; then
		row "$what" ok "exit status $status, $# digests named"
	else
		row "$what" FAILED "exit status $status, wanted $want"
	fi
}

uki() {
	local rootfs=$work/host/rootfs inside outside
	by_umoci host "$whole"
	inside=$("$cfs_label" compute --bootable "oci:$layout:host")
	"$cfs_label" dump --bootable "oci:$layout:host" >"$work/inside.dump"
	mkdir -p "$rootfs/boot/EFI/Linux"
	"$cfs_label" compute --karg "oci:$layout:host" --file "$work/cmdline"
	printf 'ID=test\n' >"$work/osrel"
	"$work/mkuki" -osrel "$work/osrel" -cmdline "$work/cmdline" -linux "$work/osrel" -output "$rootfs/boot/EFI/Linux/test.efi"
	repack "$layout:host" "$work/host" "of a UKI"
	seal "an image with a UKI" 0
	rule "the same" uki-mismatch 0 "oci:$layout:host"
	named "the same, from where the UKI was made" equal "dump:$work/inside.dump" "oci:$layout:host" --bootable

	sed -i s/file/FILE/ "$rootfs"/usr/share/app/7/[1-5]
	repack "$layout:host" "$work/host" "that changes files"
	outside=$("$cfs_label" compute --bootable "oci:$layout:host")
	seal "the same, a later layer replaces files" 3 "$inside" "$outside"
	rule "the same" uki-mismatch 1 "oci:$layout:host"
	named "the same, from where the UKI was made" "content 6" "dump:$work/inside.dump" "oci:$layout:host" --bootable
}

main() {
	[ "$(id -u)" = 0 ] || die "needs root"
	need_go
	need_packages buildah:buildah jq:jq umoci:umoci setcap:libcap2-bin setfattr:attr python3:python3 busybox:busybox-static
	rm -rf "$work"
	mkdir -p "$context"
	write_policy "$work/policy.json"
	cfs_label=${CFS_LABEL:-}
	if [ -z "$cfs_label" ]; then
		cfs_label=$work/cfs-label
		build_cfs_label "$cfs_label"
	fi
	(cd "$root/test/multistage" && CGO_ENABLED=0 go build -trimpath -o "$work/mkuki" ./cmd/mkuki)

	whole=$context/whole
	copy=$work/copy
	base=oci:$layout:umoci-whole
	umoci init --layout "$layout"
	make_tree "$context/fractions"
	cp -a "$context/fractions" "$whole"
	set_times "$whole" whole
	everything=$(count "$whole")

	start_table "$work"
	builders
	touched
	changes
	copies
	compiled
	uki
	printf '%s, %s, %s. What diff names first of two trees, and what lint finds.\n\n' \
		"$(buildah --version | cut -d' ' -f1-3)" "$(umoci --version)" "$(python3 --version)"
	print_table
	rm -rf "$work/storage"
}

main
