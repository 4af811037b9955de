#!/bin/sh
# exports.sh SOURCE BUILD: libkiln.so exports exactly what the public headers declare, under a versioned soname, and
# holds no mutable statics but those it may.
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

# Named here: the once-flags of LLVM's own initialisation (jit/machine.c), the lock of gdb's list (jit/gdb.c), and
# gcc's.
may='gdb_list_lock|done\.[0-9]*|completed\.[0-9]*|__dso_handle|__TMC_END__'
objdump -t "$library" | awk 'NF > 3 && $(NF-2) ~ /^\.t?(data|bss)$/ && $0 !~ / d  *\./ {print $NF}' |
  grep -vxE "$may" > "$scratch/statics" || true
if [ -s "$scratch/statics" ]; then
  echo "mutable statics:"
  cat "$scratch/statics"
  exit 1
fi
wc -l < "$scratch/exported" | sed 's/$/ functions exported, all declared; no mutable statics/'
