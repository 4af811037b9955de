#!/usr/bin/env python3
"""machine_code.py: proves that a change leaves the machine code of a fixed list of kernels as it was.

    tests/machine_code.py KILN --bless FILE     writes a digest for each kernel (SHA-256 of `kiln dump --stage asm`)
    tests/machine_code.py KILN FILE             compares with what was written
    tests/machine_code.py KILN OTHER_KILN       compares two builds, and shows how the first kernels that differ do

Exit status 0: all the same; 1: some differ or are missing. FILE names the version of LLVM by which it was made; another
LLVM makes other code, so a file is for two builds on one machine and is not kept in the tree.
"""
import argparse
import difflib
import hashlib
import os
import subprocess
import sys

TARGETS = ("x86-64", "haswell", "skylake-avx512", "sapphirerapids", "generic-aarch64", "generic-riscv64")
GRAPHS = {
    "fixed": "x: f32[13,50]; w: f32[50,37]; y = x @ w; return y",
    "square": "x: f32[1024,1024]; w: const f32[1024,1024]; y = x @ w; return y",
    "bert": "x: f32[m,768]; w: const f32[768,3072]; b: const f32[3072]; y: f32 = gelu(x @ w + b); return y",
    "bert_back": "x: f32[m,3072]; w: const f32[3072,768]; r: f32[m,768]; y: f32 = x @ w + r; return y",
    "batch": "x: f32[b,16,16]; w: f32[b,16,16]; y = x @ w; return y",
    "symbolic": "x: f32[m,k]; w: const f32[k,n]; b: f32[n]; y: f32 = relu(x @ w + b); return y",
    "strided": "x: f32[m,k] strides [ldx,1]; w: f32[k,n] strides [ldw,1]; "
               "y: f32[m,n] strides [ldy,1] = x @ w; return y",
    "transposed": "x: f32[k,m]; w: f32[n,k]; y: f32 = x.T @ w.T; return y",
    "results": "x: f32[m,64]; w: const f32[64,48]; s: f32[m,1]; h: f32 = tanh(x @ w); y: bf16 = h * s; return y, h",
    "functions": "x: f32[m,64]; w: const f32[64,48]; h = x @ w; y: f32 = exp(h) + log(h) + silu(h); return y",
    "softmax": "x: f32[m,n]; y = softmax(x); return y",
    "attention": "q: f32[h,m,8]; k: f32[h,m,8]; v: f32[h,m,8]; y = softmax(causal(q @ k.T)) @ v; return y",
    "int8": "a: u8[m,32]; w: const i8[32,8]; y: u8 = quant(dequant(a, 0.05, 128) @ dequant(w, 0.1), 0.1); return y",
    "int4": "x: f32[m,64]; w: const u4[64,48]; s: f32[2,48]; y: f32 = x @ dequant(w, s, 8); return y",
    "half": "x: f16[m,64]; w: const bf16[64,48]; y: f16 = x @ w; return y",
}


def assembly(kiln, graph, target):
    command = [kiln, "dump", GRAPHS[graph], "--stage", "asm", "--target", target, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{graph} for {target}: {done.stderr}")
    return done.stdout


def kernels(only):
    return [(graph, target) for graph in GRAPHS for target in TARGETS if only in (None, graph)]


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def llvm_version(kiln):
    """What the library links: part of what decides the code."""
    listed = subprocess.run(["ldd", kiln], capture_output=True, text=True, check=False).stdout
    return next((line.split()[0] for line in listed.splitlines() if "libLLVM" in line), "libLLVM?")


def bless(kiln, path, only):
    with open(path, "w", encoding="utf-8") as file:
        print(f"# {llvm_version(kiln)}", file=file)
        for graph, target in kernels(only):
            print(digest(assembly(kiln, graph, target)), target, graph, file=file)
    print(f"{len(kernels(only))} kernels written to {path}")
    return 0


def read_digests(path, llvm):
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    if lines[:1] != [f"# {llvm}"]:
        sys.exit(f"{path} was not made with {llvm}: bless it anew with the build to compare with")
    return {(graph, target): found for found, target, graph in (line.split() for line in lines[1:])}


def show_difference(old, new):
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "other", "this", lineterm="", n=2)
    shown = list(lines)
    print("\n".join("    " + line for line in shown[:40]))
    print(f"    ... {len(old.splitlines())} lines became {len(new.splitlines())}")


def compare(kiln, other, only):
    """`other` is a file of digests or another command."""
    is_command = os.access(other, os.X_OK)
    known = {} if is_command else read_digests(other, llvm_version(kiln))
    differing = 0
    for graph, target in kernels(only):
        new = assembly(kiln, graph, target)
        old = assembly(other, graph, target) if is_command else None
        if old == new if is_command else known.get((graph, target)) == digest(new):
            continue
        differing += 1
        print(f"{graph} for {target}: {'differs' if is_command or (graph, target) in known else 'is not in the file'}")
        if is_command and differing <= 3:
            show_difference(old, new)
    print(f"{len(kernels(only))} kernels, {differing} differ")
    return differing > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kiln", help="the command of the build in question")
    parser.add_argument("other", nargs="?", help="digests, or the command of another build")
    parser.add_argument("--bless", metavar="FILE", help="write the digests")
    parser.add_argument("--only", metavar="NAME", choices=GRAPHS, help="one graph of the list")
    given = parser.parse_intermixed_args()
    if given.bless:
        return bless(given.kiln, given.bless, given.only)
    if not given.other:
        parser.error("compare with what? name a file of digests or another command, or --bless FILE")
    return compare(given.kiln, given.other, given.only)


if __name__ == "__main__":
    sys.exit(main())
