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
# A listing that fails, or that lists nothing, must not look like success.
packages=$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...)
for package in $packages; do
	listing=$(go test -list '^Fuzz' "$package")
	for target in $(grep '^Fuzz' <<<"$listing" || true); do
		say "$package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" "$package" >&2
		count=$((count + 1))
	done
done
[ "$count" -gt 0 ] || die "found no fuzz target"
say "$count fuzz targets, $fuzztime each"
