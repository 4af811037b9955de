#!/usr/bin/env bash
# qemu.sh BUILD TARGET: what runs programs of a row of another family, and what compiles them, on two lines:
#   qemu-aarch64 -cpu max,sve256=on
#   aarch64-linux-gnu-gcc
# Prints "NOT EXERCISED: …" instead and ends with 77 where one is missing. Qemu is told to be the processor, or the
# largest it has with the row's length of vectors.
set -euo pipefail
build=$1 target=$2
case $target in
  generic-aarch64) cpu=cortex-a57 ;;
  neoverse-n1) cpu=neoverse-n1 ;;
  apple-m1) cpu=max,sve=off ;;
  a64fx) cpu=a64fx ;;
  neoverse-v1) cpu=max,sve256=on ;;
  sve2-256) cpu=max,sve256=on ;;
  sve2-512) cpu=max,sve512=on ;;
  neoverse-v2) cpu=max,sve128=on ;;
  generic-riscv64) cpu=rv64 ;;
  riscv64-v) cpu=rv64,v=true,vext_spec=v1.0,vlen=128 ;;
  riscv64-v256) cpu=rv64,v=true,vext_spec=v1.0,vlen=256 ;;
  *) echo "qemu.sh: no processor of qemu for $target"; exit 1 ;;
esac
triple=$("$build/kiln" list targets | awk -v target="$target" '$1 == target { print $2 }')
machine=${triple%%-*}
for tool in "qemu-$machine" "$machine-linux-gnu-gcc"; do
  command -v "$tool" >/dev/null && continue
  echo "NOT EXERCISED: $target: $tool is missing"
  exit 77
done
echo "qemu-$machine -cpu $cpu"
echo "$machine-linux-gnu-gcc"
