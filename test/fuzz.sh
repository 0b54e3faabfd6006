#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs every fuzz target of the root module for a while each:
#
#	test/fuzz.sh [TIME]   TIME as -fuzztime takes it, default 10s
#
# Finding no target is a failure: the search is broken then.
set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

fuzztime=${1:-10s}
count=0

# fuzz PACKAGE TARGET [again]. Making inputs smaller is cut short: nothing is
# fuzzed meanwhile, and where a run is slow that takes all of the time. At the
# end of its time a fuzzer that is busy may take that end for a failure: only
# then, and only once, it is asked again.
fuzz() {
	local log status=0
	log=$(mktemp)
	go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" -fuzzminimizetime 10x "$1" >"$log" 2>&1 || status=$?
	cat "$log" >&2
	if [ "$status" != 0 ] && { [ -n "${3:-}" ] || ! grep -q 'context deadline exceeded' "$log"; }; then
		rm -f "$log"
		exit 1
	fi
	rm -f "$log"
	return "$status"
}
# A listing that fails, or that lists nothing, must not look like success.
packages=$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...)
for package in $packages; do
	listing=$(go test -list '^Fuzz' "$package")
	for target in $(grep '^Fuzz' <<<"$listing" || true); do
		say "$package $target"
		fuzz "$package" "$target" || fuzz "$package" "$target" again
		count=$((count + 1))
	done
done
[ "$count" -gt 0 ] || die "found no fuzz target"
say "$count fuzz targets, $fuzztime each"
