# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What .ci/run, the long tests and the benchmark share: finding or installing
# the programs they compare with, and a registry on a loopback port. Sourced,
# not run; the caller has set -euo pipefail.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/cfs-label
cfsctl_version=0.9.4

# Short errors from cfsctl.
export RUST_BACKTRACE=0 RUST_LIB_BACKTRACE=0

say() { printf '%s\n' "$*" >&2; }

die() {
	say "${0##*/}: $*"
	exit 1
}

# need_packages PROGRAM:PACKAGE... installs the Debian packages of the programs
# that are not there.
need_packages() {
	local pair missing=()
	for pair; do
		command -v "${pair%%:*}" >/dev/null || [ -x "/usr/sbin/${pair%%:*}" ] || missing+=("${pair#*:}")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	install_packages "${missing[@]}"
}

# install_packages PACKAGE... installs Debian packages.
install_packages() {
	local sudo=()
	command -v apt-get >/dev/null || die "please install: $*"
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || die "please install as root: $*"
		sudo=(sudo)
	fi
	say "installing: $*"
	# Packages that are services must not start here.
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get update -qq >&2
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
		apt-get install -y -qq --no-install-recommends "$@" >&2
}

need_go() {
	command -v go >/dev/null || die "needs Go 1.26 or later on PATH: https://go.dev/dl/"
}

# need_cfsctl sets and exports CFSCTL: what the variable says already, what PATH
# holds, or a build in the cache.
need_cfsctl() {
	local own=$cache/cfsctl/bin/cfsctl
	if [ -z "${CFSCTL:-}" ]; then
		if command -v cfsctl >/dev/null; then
			CFSCTL=$(command -v cfsctl)
		else
			[ -x "$own" ] || build_cfsctl
			CFSCTL=$own
		fi
	fi
	export CFSCTL
}

build_cfsctl() {
	command -v cargo >/dev/null || die "needs cfsctl $cfsctl_version, or cargo to build it: https://rustup.rs"
	need_packages gcc:build-essential pkg-config:pkg-config
	pkg-config --exists openssl || install_packages libssl-dev
	say "building cfsctl $cfsctl_version, about 8 minutes on two cores"
	cargo install composefs-ctl --version "$cfsctl_version" --locked --quiet --root "$cache/cfsctl" >&2
}

# build_cfs_label FILE builds the command under test.
build_cfs_label() {
	(cd "$root" && CGO_ENABLED=0 go build -trimpath -o "$1" ./cmd/cfs-label)
}

# start_registry DIR starts Debian's docker-registry on a free loopback port,
# with its storage, configuration and log in DIR. It sets registry (host:port)
# and registry_pid; the caller ends it with stop_registry, in a trap.
start_registry() {
	local dir=$1 port
	mkdir -p "$dir/storage"
	port=$(free_port)
	registry=127.0.0.1:$port
	cat >"$dir/config.yml" <<-EOF
		version: 0.1
		log: {level: warn, accesslog: {disabled: true}}
		storage:
		  filesystem: {rootdirectory: $dir/storage}
		  delete: {enabled: true}
		http:
		  addr: $registry
	EOF
	docker-registry serve "$dir/config.yml" >"$dir/log" 2>&1 &
	registry_pid=$!
	for _ in $(seq 100); do
		if port_answers "$port"; then return 0; fi
		kill -0 "$registry_pid" 2>/dev/null || break
		sleep 0.1
	done
	cat "$dir/log" >&2
	die "docker-registry did not start"
}

stop_registry() {
	[ -n "${registry_pid:-}" ] || return 0
	kill "$registry_pid" 2>/dev/null || true
	wait "$registry_pid" 2>/dev/null || true
	registry_pid=
}

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
	local port
	for _ in $(seq 100); do
		port=$((20000 + RANDOM % 20000))
		if ! port_answers "$port"; then
			echo "$port"
			return 0
		fi
	done
	die "found no free port"
}

# write_policy FILE writes the policy that skopeo needs where none is installed:
# the images are our own.
write_policy() { printf '{"default": [{"type": "insecureAcceptAnything"}]}\n' >"$1"; }

# start_table DIR begins a table of checks, in that directory.
start_table() {
	table=$1/table
	failures=0
	: >"$table"
}

# row WHAT RESULT DETAIL adds a line to the table.
row() {
	printf '| %-44s | %-6s | %s |\n' "$1" "$2" "$3" >>"$table"
	say "$2: $1: $3"
	[ "$2" = ok ] || failures=$((failures + 1))
}

# equal WHAT A B adds a line: are both the same, and not empty?
equal() {
	if [ -n "$2" ] && [ "$2" = "$3" ]; then
		row "$1" ok "${2:0:16}…"
	else
		row "$1" FAILED "$2 is not $3"
	fi
}

# passes WHAT COMMAND... adds a line: does the command end well?
passes() {
	local what=$1
	shift
	if "$@" >"${table%/*}/command.log" 2>&1; then
		row "$what" ok ""
	else
		row "$what" FAILED "$(tail -n 1 "${table%/*}/command.log")"
	fi
}

# print_table prints the table, and ends the script if a check failed.
print_table() {
	printf '| %-44s | %-6s | %s |\n| --- | --- | --- |\n' check result detail
	cat "$table"
	[ "$failures" = 0 ] || die "$failures checks failed; see ${table%/*}"
	printf '\n%d checks passed, 0 failed (%d s)\n' "$(wc -l <"$table")" "$SECONDS"
}

# repack IMAGE BUNDLE NAME closes a layer: what changed in umoci's bundle since
# the last one.
repack() {
	local log
	say "layer $3"
	log=$(umoci repack --refresh-bundle --image "$1" "$2" 2>&1) || die "umoci repack: $log"
}

# debian_root sets debian to a Debian root file system that debootstrap made,
# with an SELinux policy and the directories that a host wants to boot. It is
# made once; remove it to have a new one. Needs root and the network.
# DEBIAN_MIRROR says where from (default http://deb.debian.org/debian).
debian_root() {
	debian=$root/test/.work/debian
	[ ! -e "$debian/sysroot" ] || return 0
	[ "$(id -u)" = 0 ] || die "needs root, for debootstrap"
	need_packages debootstrap:debootstrap
	rm -rf "$debian"
	mkdir -p "$debian"
	say "debootstrap bookworm"
	debootstrap --variant=minbase --include=selinux-policy-default bookworm "$debian" \
		"${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$debian.log" 2>&1 ||
		{ tail -n 20 "$debian.log" >&2; die "debootstrap"; }
	mkdir "$debian/sysroot"
}
