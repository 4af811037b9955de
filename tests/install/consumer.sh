#!/bin/sh
# consumer.sh SOURCE BUILD: installs into a scratch prefix, builds consumer.c against it through pkg-config and through
# find_package, in C and with the headers in C++, and runs the programs and the installed command.
set -eu
here=$1/tests/install build=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix

cmake --install "$build" --prefix "$prefix" > "$scratch/log" || { cat "$scratch/log"; exit 1; }
for file in bin/kiln include/kiln/kiln.h include/kiln/status.def share/man/man1/kiln.1 \
            share/bash-completion/completions/kiln; do
  [ -f "$prefix/$file" ] || { echo "not installed: $file"; exit 1; }
done
libdir=$(dirname "$(find "$prefix" -name libkiln.so)")

echo "pkg-config:"
PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # the flags are words
cc -Wall -Werror -std=c11 "$here/consumer.c" $(pkg-config --cflags --libs kiln) -o "$scratch/by_pkgconfig"
LD_LIBRARY_PATH=$libdir "$scratch/by_pkgconfig"

echo "find_package:"
cmake -S "$here" -B "$scratch/by_cmake" -DCMAKE_PREFIX_PATH="$prefix" > "$scratch/log" 2>&1 ||
  { cat "$scratch/log"; exit 1; }
cmake --build "$scratch/by_cmake" > "$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
"$scratch/by_cmake/consumer"

echo "C++:"
for header in "$prefix"/include/kiln/*.h; do
  c++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only -x c++ -I"$prefix/include" "$header" 2> "$scratch/log" ||
    { grep -v 'pragma once' "$scratch/log"; exit 1; }
done

echo "command:"
"$prefix/bin/kiln" --help > /dev/null
"$prefix/bin/kiln" list types > /dev/null
