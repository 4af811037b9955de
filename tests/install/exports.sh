#!/bin/sh
# exports.sh SOURCE BUILD: libkiln.so exports exactly what the public headers declare, under a versioned soname.
set -eu
source=$1 library=$2/libkiln.so
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

readelf -d "$library" | grep -q 'SONAME.*\[libkiln\.so\.[0-9][0-9]*\]' || { echo "no versioned soname"; exit 1; }
nm -D --defined-only "$library" | awk '{print $3}' | sort > "$scratch/exported"
for header in "$source"/include/kiln/*.h; do
  cc -E -P -I"$source/include" "$header"
done | tr '\n' ' ' | grep -o 'visibility("default")))[^;]*' | grep -o 'kiln_[a-z0-9_]* *(' | tr -d ' (' |
  sort -u > "$scratch/declared"

if ! diff "$scratch/declared" "$scratch/exported" > "$scratch/diff"; then
  echo "< declared KILN_API but not exported, > exported but not declared:"
  cat "$scratch/diff"
  exit 1
fi
wc -l < "$scratch/exported" | sed 's/$/ functions exported, all declared/'
