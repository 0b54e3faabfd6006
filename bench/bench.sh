#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Times cfs-label compute against cfsctl oci pull and oci compute-id on an image
# of more than 1 GiB, made from what this machine has, with gzip and with zstd
# layers: from an OCI layout and from a registry on loopback. Prints a table in
# Markdown with medians, CPU time, peak memory, bytes written and the ratio; both
# must give the same digest.
#
#	bench/bench.sh [RUNS]     default 3
#
# Works in bench/.work; the image made there is used again until it is removed.
# IMAGES ("gzip zstd") and SOURCES ("layout registry") narrow it down.
set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../test/lib.sh"

runs=${1:-3}
images=${IMAGES:-gzip zstd}
sources=${SOURCES:-layout registry}
work=$root/bench/.work
min_bytes=$((1 << 30))

trap stop_registry EXIT

need_go
need_packages docker-registry:docker-registry skopeo:skopeo
need_cfsctl
mkdir -p "$work/bin" "$work/home/.config/containers"
(cd "$root/bench" && go build -o "$work/bin/" ./mkimage ./compare)
build_cfs_label "$work/bin/cfs-label"

if [ ! -s "$work/image/size" ]; then
	say "making the image; this takes a few minutes"
	rm -rf "$work/image"
	mkdir -p "$work/image"
	"$work/bin/mkimage" -out "$work/image" >"$work/image/size.new"
	mv "$work/image/size.new" "$work/image/size"
fi
read -r bytes files layers <"$work/image/size"
[ "$bytes" -ge "$min_bytes" ] || die "the image has $bytes bytes, wanted $min_bytes: this machine has too little"

write_policy "$work/home/.config/containers/policy.json"
if [[ $sources == *registry* ]]; then
	rm -rf "$work/registry"
	start_registry "$work/registry"
	printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$registry" >"$work/home/.config/containers/registries.conf"
	for image in $images; do
		say "pushing $image"
		skopeo --policy "$work/home/.config/containers/policy.json" copy -q --dest-tls-verify=false \
			"oci:$work/image/$image:latest" "docker://$registry/bench/$image:latest"
	done
fi

specs=()
for source in $sources; do
	for image in $images; do
		case $source in
		layout) specs+=("$image, layout=oci:$work/image/$image:latest=oci:$work/image/$image:latest") ;;
		registry) specs+=("$image, registry=$registry/bench/$image:latest=docker://$registry/bench/$image:latest") ;;
		*) die "no source $source; there are: layout registry" ;;
		esac
	done
done

printf '%s: %d MB in %d files and %d layers, %s, %d CPUs, cfsctl %s; medians of %d runs\n\n' \
	"$(date -u +%Y-%m-%d)" $((bytes / 1000000)) "$files" "$layers" \
	"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$cfsctl_version" "$runs"
# cfsctl reads registries through skopeo, which has its configuration here.
HOME=$work/home XDG_CONFIG_HOME=$work/home/.config \
	"$work/bin/compare" -ours "$work/bin/cfs-label" -theirs "$CFSCTL" -work "$work" -runs "$runs" "${specs[@]}"
