#!/usr/bin/env python3
"""loops.py [REGEX]: answers narrow questions about x86 assembly (AT&T) from standard input, for FileCheck to judge.

Functions are told by their symbols, loops by backward jumps. For each innermost loop that has an instruction that
matches REGEX (by default a multiply-add of packed f32) a line is printed:

    hot NAME: 28 vfmadd231ps zmm, 0 stack, 0 calls

where `stack` counts operands in memory at %rsp, and at %rbp where the function uses it as a frame pointer. The last
line counts the whole text: `all: 3 functions, 0 calls`.
"""
import re
import sys
from collections import Counter

LABEL = re.compile(r"^([.\w$]+):")
JUMP = re.compile(r"^\s+j\w+\s+([.\w$]+)")
CALL = re.compile(r"^\s+call")


def functions(text):
    """(name, lines) of each symbol of type function."""
    names = set(re.findall(r"\.type\s+([\w$.]+),\s*@function", text))
    found, name = [], None
    for line in text.split("\n"):
        line = line.split("#")[0].rstrip()
        label = LABEL.match(line)
        if label and label.group(1) in names:
            name = label.group(1)
            found.append((name, []))
        elif line.lstrip().startswith(".size"):
            name = None
        elif name and line:
            found[-1][1].append(line)
    return found


def innermost_loops(lines):
    """Ranges of lines from a label to a jump back to it that hold no smaller such range."""
    labels = {m.group(1): i for i, line in enumerate(lines) if (m := LABEL.match(line))}
    loops = []
    for i, line in enumerate(lines):
        jump = JUMP.match(line)
        start = labels.get(jump.group(1)) if jump else None
        if start is not None and start <= i:
            loops.append((start, i))
    return [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]


def frame_registers(lines):
    framed = any(re.search(r"\bmovq\s+%rsp, %rbp|\bleaq\s+.*\(%rsp\), %rbp", line) for line in lines)
    return "rsp|rbp" if framed else "rsp"


def describe(name, lines, body, pattern):
    wanted = Counter()
    for line in body:
        match = re.match(r"\s+(\w+)", line)
        if match and re.search(pattern, line):
            width = re.search(r"%([xyz]mm)\d+", line)
            wanted[f"{match.group(1)} {width.group(1)}" if width else match.group(1)] += 1
    if not wanted:
        return None
    stack = sum(bool(re.search(rf"\(%({frame_registers(lines)})\b", line)) for line in body)
    calls = sum(bool(CALL.match(line)) for line in body)
    counts = ", ".join(f"{count} {what}" for what, count in sorted(wanted.items()))
    return f"hot {name}: {counts}, {stack} stack, {calls} calls"


def main(pattern):
    text = sys.stdin.read()
    found = functions(text)
    for name, lines in found:
        for first, last in innermost_loops(lines):
            line = describe(name, lines, lines[first:last + 1], pattern)
            if line:
                print(line)
    calls = sum(bool(CALL.match(line)) for _, lines in found for line in lines)
    print(f"all: {len(found)} functions, {calls} calls")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else r"\bvf(n?m)(add|sub)\d+ps\b")
