#!/usr/bin/env bash
# target.sh SOURCE BUILD TARGET: objects and headers made ahead of time for a row of `kiln list targets`.
#
# For every row: the objects have no undefined symbols and disassemble, the headers compile as C and C++ with all
# warnings, and program.c links with them, without libkiln and LLVM. For x86-64 it runs where this machine has the row's
# features, else its instructions are looked at; for other families qemu runs it.
set -euo pipefail
source=$1 kiln=$2/kiln target=$3
llvm=$(llvm-config-22 --bindir 2>/dev/null || echo /usr/lib/llvm-22/bin)
mkdir -p "$2/emit"
scratch=$(mktemp -d -p "$2/emit")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

die() { echo "$*"; exit 1; }

emit() { # NAME GRAPH options
  "$kiln" emit "$2" -o "$1.o" --header "$1.h" --name "$1" --target "$target" --quiet "${@:3}"
}
emit layer 'x: f32[m,k]; w: const f32[k,n]; b: f32[n]; r: f32[m,n]; y: f32 = relu(x @ w + b) + r; return y'
emit plain 'a: f32[13,50] strides [64,1]; b: const f32[37,50]; c: f32[13,37] strides [64,1] = a @ b.T; return c' \
     --pack never
emit rows 'x: f32[m,n]; y = softmax(x); return y'

for name in layer plain rows; do
  undefined=$("$llvm/llvm-nm" --undefined-only $name.o)
  [[ -z $undefined ]] || die "$name.o asks for: $undefined"
  "$llvm/llvm-readelf" -h -S -r -s $name.o > $name.elf
  grep -q 'Type: *REL' $name.elf || die "$name.o is no relocatable object"
  "$llvm/llvm-objdump" -d $name.o > $name.s
  for symbol in $name ${name}_tasks ${name}_workspace; do
    grep -q "<$symbol>:" $name.s || die "$name.o has no $symbol"
  done
  ! grep -q '<unknown>' $name.s || die "$name.o has bytes that are no instructions: $(grep -m 1 '<unknown>' $name.s)"
  cc -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c $name.h || die "$name.h in C"
  c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ $name.h || die "$name.h in C++"
  printf '#include "kiln/args.h"\n#include "%s.h"\n' $name > both.c
  printf '#include "%s.h"\n#include "kiln/args.h"\n' $name > other.c
  cc -std=c11 -Wall -Wextra -Werror -fsyntax-only -I"$source/include" -I. both.c other.c || die "$name.h with args.h"
done
grep -q '<layer_pack_w>:' layer.s || die "layer.o does not pack its weights"
! grep -q '_pack_' plain.s || die "plain.o packs, though that was forbidden"

"$kiln" list targets | awk -v target="$target" '$1 == target' > row
read -r _ triple bits _ < row
echo "$target: 3 objects without undefined symbols, 3 headers in C and C++"
if [[ $triple != x86_64-* ]]; then
  tools=$("$source/tests/cross/qemu.sh" "$2" "$target") || { echo "$tools"; exit 0; }
  { read -ra qemu; read -r compiler; } <<<"$tools"
  "$compiler" -std=c11 -O1 -Wall -Wextra -Werror -static -I. "$source/tests/emit/program.c" layer.o plain.o rows.o -lm \
    -o program
  "${qemu[@]}" ./program
  exit
fi

cc -std=c11 -O1 -Wall -Wextra -Werror -I. "$source/tests/emit/program.c" layer.o plain.o rows.o -lm -o program
needed=$(readelf -d program | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^lib[cm]\.so' || true)
[[ -z $needed ]] || die "the program needs $needed"

if "$kiln" run 'x: f32[3,4]; w: f32[4,5]; y = x @ w; return y' --target "$target" --quiet --no-cache 2> refusal; then
  ./program
elif ! grep -q 'lacks features' refusal; then
  die "kiln run: $(cat refusal)"
else
  "$llvm/llvm-objdump" -d program > program.s
  ! grep -q '<unknown>' program.s || die "llvm-objdump does not know: $(grep -m 1 '<unknown>' program.s)"
  grep -q '<layer>:' program.s || die "the program has no layer"
  echo "$target: this machine lacks features; linked and disassembled, not run"
fi
case $(sed -n '/<layer>:/,/^$/p' layer.s) in
  *vfmadd*zmm*) vectors=512 ;;
  *vfmadd*ymm*) vectors=256 ;;
  *mulps*) vectors=128 ;;
  *) die "no packed multiplication in layer" ;;
esac
((vectors == bits)) || die "layer uses vectors of $vectors bits, expected $bits"
