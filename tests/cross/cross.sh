#!/usr/bin/env bash
# cross.sh SOURCE BUILD TARGET: kernels for a row of `kiln list targets` of another family, run by qemu-user.
#
# make_cases compiles the kernels here and says what they must give; driver.c, cross-compiled and linked statically with
# their objects, runs them. KILN_KEEP=1 keeps the files.
set -euo pipefail
source=$1 build=$2 target=$3
llvm=$(llvm-config-22 --bindir 2>/dev/null || echo /usr/lib/llvm-22/bin)
tools=$("$source/tests/cross/qemu.sh" "$build" "$target") || { status=$?; echo "$tools"; exit $status; }
{ read -ra qemu; read -r compiler; } <<<"$tools"

mkdir -p "$build/cross"
scratch=$(mktemp -d -p "$build/cross")
[[ -n ${KILN_KEEP:-} ]] || trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

"$build/tests/make_cases" "$target" . | sort -u
mapfile -t objects < <(sed -n 's/^\(KERNEL\|GRAPH\)(\(.*\))$/\2.o/p' kernels.h)
undefined=$("$llvm/llvm-nm" --undefined-only --quiet "${objects[@]}" | grep -v -e ':$' -e '^$' || true)
[[ -z $undefined ]] || { echo "undefined symbols: $undefined"; exit 1; }
"$compiler" -std=c11 -O1 -Wall -Wextra -Werror -static -I"$source" -I"$source/include" -I. \
  "$source"/tests/cross/driver.c "$source"/ir/support/{types,assert}.c "${objects[@]}" -lm -o driver
timeout 600 "${qemu[@]}" ./driver cases.bin
