#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Two-phase signing with keys that never leave their token: SoftHSM holds them,
# openssl signs by its PKCS#11 engine, and cfs-label sees files only. For an RSA
# and an ECDSA key, for raw signatures and CMS messages, in a registry and in an
# OCI layout:
#
#	1. what cfs-label to-be-signed writes, the token signs, and attach takes;
#	2. each layer of the artifact is a signature that openssl cms -verify takes,
#	   of the digest that the layer names, and of the certificate and no other;
#	3. attached again, also with signatures made anew, nothing changes;
#	4. where one is missing, of another key, or of another digest, attach fails
#	   and nothing is pushed;
#	5. the image keeps its digest, and its tag.
#
#	test/softhsm.sh
#
# Installs packages as root, or by sudo; the rest needs no root. Works in
# test/.work/softhsm, which it empties first. Prints a table.
set -euo pipefail

# shellcheck source=test/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

work=$root/test/.work/softhsm
sample=oci:$root/cmd/cfs-label/sample
pin=4711
keys=(rsa:2048 EC:prime256v1)

need_token() {
	local engines
	need_packages openssl:openssl softhsm2-util:softhsm2 pkcs11-tool:opensc docker-registry:docker-registry jq:jq
	engines=$(openssl version -e | sed 's/.*"\(.*\)"/\1/')
	[ -e "$engines/pkcs11.so" ] || install_packages libengine-pkcs11-openssl
	module=$(find /usr/lib -path '*/softhsm/libsofthsm2.so' -print -quit)
	[ -n "$module" ] || die "found no libsofthsm2.so"
}

# make_token makes a token with all keys, and a certificate for each.
make_token() {
	local key number=0
	mkdir -p "$work/tokens"
	printf 'directories.tokendir = %s\nlog.level = ERROR\n' "$work/tokens" >"$work/softhsm.conf"
	export SOFTHSM2_CONF=$work/softhsm.conf OPENSSL_CONF=$work/openssl.conf
	# The engine takes the PIN from here, and not from the arguments of openssl.
	cat >"$OPENSSL_CONF" <<-END
		openssl_conf = init
		[init]
		engines = engines
		[engines]
		pkcs11 = pkcs11
		[pkcs11]
		engine_id = pkcs11
		MODULE_PATH = $module
		PIN = $pin
		init = 0
		[req]
		distinguished_name = name
		[name]
	END
	softhsm2-util --init-token --free --label cfs-label --pin "$pin" --so-pin "$pin" >&2
	for key in "${keys[@]}" other:2048; do
		number=$((number + 1))
		pkcs11-tool --module "$module" --login --pin "$pin" --token-label cfs-label --keypairgen \
			--key-type "${key/other/rsa}" --label "$key" --id "0$number" >/dev/null
		quietly openssl req -x509 -new -engine pkcs11 -keyform engine -key "$(uri "$key")" \
			-subj "/CN=$key" -days 30 -out "$work/$key.pem"
	done
}

# uri KEY prints the name of a private key in the token.
uri() { printf 'pkcs11:token=cfs-label;object=%s;type=private' "${1//:/%3A}"; }

# quietly COMMAND... says on stderr what it said if it fails.
quietly() { "$@" >"$work/said" 2>&1 || { cat "$work/said" >&2; return 1; }; }

# sign_all KEY FORM DIR signs all that is to be signed, in the token.
sign_all() {
	local file algorithm
	for file in "$3"/*.tbs; do
		algorithm=$(basename "$file")
		algorithm=${algorithm%%.*}
		case $2 in
		raw) quietly openssl dgst -engine pkcs11 -keyform engine "-$algorithm" -sign "$(uri "$1")" \
			-out "${file%.tbs}.sig" "$file" ;;
		cms) quietly openssl cms -sign -engine pkcs11 -keyform engine -binary -noattr -md "$algorithm" \
			-signer "$work/$1.pem" -inkey "$(uri "$1")" -outform DER -in "$file" -out "${file%.tbs}.sig" ;;
		esac
	done
}

# stored prints the names and digests of all that the registry and the layouts
# hold, but for uploads that were begun.
stored() { find "$work/registry/storage" "$work/layouts" -type f -not -path '*/_uploads/*' -print0 | sort -z | xargs -0 sha256sum; }

# blob HEX prints the file of a blob or manifest, wherever it is.
blob() { find "$work/layouts" "$work/registry/storage/docker/registry/v2/blobs" -path "*$1" -type f -o -path "*$1/data" -type f | head -n 1; }

# refuse WHAT TEXT ARGUMENT... fails unless attach fails with that text, and
# leaves all as it was.
refuse() {
	local what=$1 text=$2
	shift 2
	stored >"$work/before"
	if "$cfs_label" attach "$@" >"$work/said" 2>&1; then die "attach takes a signature that is $what"; fi
	grep -q "$text" "$work/said" || { cat "$work/said" >&2; die "attach does not say that a signature is $what"; }
	stored | cmp - "$work/before" >&2 || die "attach pushed though a signature is $what"
	refused=$((refused + 1))
}

# verify_artifact KEY DIR DIGEST holds each layer of an artifact against the
# certificate, by openssl. It sets verified.
verify_artifact() {
	local layer name file digest number algorithm
	jq -r '.layers[] | .digest + " " + (.annotations | to_entries[] | .key + " " + .value)' \
		"$(blob "${3#sha256:}")" >"$work/layers"
	while read -r layer name digest; do
		name=${name#composefs.} # as in merged.erofs.v1.fsverity-sha512-12
		algorithm=${name##*fsverity-}
		file=$2/${algorithm%-12}.${name%%.*}.tbs
		[ "$(tail -c +13 "$file" | od -An -v -tx1 | tr -d ' \n')" = "$digest" ] || die "$file is not of $digest"
		for number in "$1" other:2048; do
			if openssl cms -verify -binary -inform DER -in "$(blob "${layer#sha256:}")" -content "$file" \
				-certfile "$work/$number.pem" -CAfile "$work/$number.pem" -purpose any -out /dev/null 2>"$work/said"; then
				[ "$number" = "$1" ] || die "openssl takes another certificate as well"
			else
				[ "$number" != "$1" ] || { cat "$work/said" >&2; die "openssl refuses $file"; }
			fi
		done
		verified=$((verified + 1))
	done <"$work/layers"
}

# check KEY FORM PLACE IMAGE signs an image and prints a line of the table.
check() {
	local key=$1 form=$2 place=$3 image=$4 dir args artifact answer before verified=0 refused=0
	dir=$work/sign.${key//:/}.$form.$place
	args=("$image" --dir "$dir" --fsverity-cert "$work/$key.pem")
	before=$("$cfs_label" compute "$image" -o json | jq -r '.images[].manifest')
	"$cfs_label" -q to-be-signed "$image" --dir "$dir" --algorithm sha512,sha256 >&2

	refuse missing 'not all signatures are there' "${args[@]}"
	sign_all other:2048 "$form" "$dir"
	refuse "of another key" 'manifest.sig: ' "${args[@]}"
	sign_all "$key" "$form" "$dir"
	cp "$dir/sha256.merged.sig" "$work/right"
	cp "$dir/sha256.config.sig" "$dir/sha256.merged.sig"
	refuse "of another digest" 'sha256.merged.sig: ' "${args[@]}"
	cp "$work/right" "$dir/sha256.merged.sig"

	answer=$("$cfs_label" -q attach "${args[@]}" -o json)
	[ "$(jq '[.artifacts[] | select(.pushed)] | length' <<<"$answer")" = 2 ] || die "attach did not push two artifacts"
	for artifact in $(jq -r '.artifacts[].digest' <<<"$answer"); do
		verify_artifact "$key" "$dir" "$artifact"
	done
	[ "$verified" = 6 ] || die "there are $verified signatures, not 6"

	stored >"$work/before"
	"$cfs_label" -q attach "${args[@]}" >&2
	sign_all "$key" "$form" "$dir" # ECDSA gives other bytes
	"$cfs_label" -q attach "${args[@]}" >&2
	stored | cmp - "$work/before" >&2 || die "attached again, something changed"
	[ "$("$cfs_label" compute "$image" -o json | jq -r '.images[].manifest')" = "$before" ] || die "the image changed"
	printf '| %s | %s | %s | %d | %d | nothing |\n' "$key" "$form" "$place" "$verified" "$refused"
}

main() {
	local key form name
	need_go
	need_token
	rm -rf "$work"
	mkdir -p "$work/layouts" "$work/registry"
	cfs_label=$work/cfs-label
	build_cfs_label "$cfs_label"
	make_token
	trap stop_registry EXIT
	start_registry "$work/registry"

	printf 'Keys in a SoftHSM token (%s), used by %s and its PKCS#11 engine.\n\n' \
		"$(softhsm2-util --version)" "$(openssl version | cut -d ' ' -f 1-2)"
	printf '| key | signatures | image in | pushed, and verified by openssl | refused: missing, other key, other digest | changed by a second attach |\n'
	printf '| --- | --- | --- | --- | --- | --- |\n'
	for key in "${keys[@]}"; do
		for form in raw cms; do
			name=$(tr '[:upper:]' '[:lower:]' <<<"${key//:/}$form")
			"$cfs_label" -q "$sample" --to "$registry/$name:v1" >&2
			"$cfs_label" -q "$sample" --to "oci:$work/layouts/$name:v1" >&2
			check "$key" "$form" registry "$registry/$name:v1"
			check "$key" "$form" layout "oci:$work/layouts/$name:v1"
		done
	done
}

main
