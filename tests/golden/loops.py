#!/usr/bin/env python3
"""loops.py: answers narrow questions about x86 assembly (AT&T) from standard input, for FileCheck to judge.

Functions are told by their symbols, loops by backward jumps. A k loop is an innermost loop that multiplies and adds
packed f32 or groups of narrower numbers and broadcasts from memory (not a constant from beside the code), or that
multiplies tile registers. For each a line is printed:

    k loop of NAME: 28 vfmadd231ps zmm, 3 stack (1 vectors), 0 calls
    k loop of NAME: 0 ldtilecfg, 4 tdpbf16ps tmm, 4 tileloadd, 0 stack (0 vectors), 0 calls

where `stack` counts operands in memory at %rsp, and at %rbp where the function uses it as a frame pointer, and
`vectors` those of them that move or use a vector or tile. The last line counts the whole text:
`all: 3 functions, 0 calls`.
"""
import re
import sys
from collections import Counter

LABEL = re.compile(r"^([.\w$]+):")
JUMP = re.compile(r"^\s+j\w+\s+([.\w$]+)")
CALL = re.compile(r"^\s+call")
MULTIPLY_ADD = re.compile(r"^\s+(?:\{vex\}\s+)?"
                          r"(vfn?m(?:add|sub)\d+ps|mulps|vpdpb\w+|vdp\w+|vpmaddwd|tdp\w+)\b.*%([xyzt]mm)\d+")
BROADCAST = re.compile(r"^\s+v(?:p?broadcast|bcst)\w+\s[^(]*\(%r(?!ip)|^\s+movss\s[^(]*\(%r(?!ip)|"
                       r"\{1to\d+\}|\btileload")
TILES = ("tileloadd", "tileloaddt1", "ldtilecfg")


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
    """Bodies from a label to a jump back to it that hold no smaller such body."""
    labels = {m.group(1): i for i, line in enumerate(lines) if (m := LABEL.match(line))}
    loops = []
    for i, line in enumerate(lines):
        jump = JUMP.match(line)
        start = labels.get(jump.group(1)) if jump else None
        if start is not None and start <= i:
            loops.append((start, i))
    innermost = [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    return [lines[first:last + 1] for first, last in innermost]


def stack_registers(lines):
    framed = any(re.search(r"\bmovq\s+%rsp, %rbp|\bleaq\s+.*\(%rsp\), %rbp", line) for line in lines)
    return "rsp|rbp" if framed else "rsp"


def describe(lines, body):
    """The counts of a k loop; None where it is another loop."""
    products = Counter(" ".join(m.groups()) for line in body if (m := MULTIPLY_ADD.match(line)))
    if not products or not any(BROADCAST.search(line) for line in body):
        return None
    stack = [line for line in body if re.search(rf"\(%({stack_registers(lines)})\b", line)]
    vectors = sum("mm" in line.split("(%")[0] + line.split(")")[-1] for line in stack)
    if any(what.startswith("tdp") for what in products):
        products.update({"tileloadd": 0, "ldtilecfg": 0})
        products.update(word for line in body for word in TILES if line.split()[0] == word)
    calls = sum(bool(CALL.match(line)) for line in body)
    counts = ", ".join(f"{count} {what}" for what, count in sorted(products.items()))
    return f"{counts}, {len(stack)} stack ({vectors} vectors), {calls} calls"


def main():
    found = functions(sys.stdin.read())
    for name, lines in found:
        for body in innermost_loops(lines):
            counts = describe(lines, body)
            if counts:
                print(f"k loop of {name}: {counts}")
    calls = sum(bool(CALL.match(line)) for _, lines in found for line in lines)
    print(f"all: {len(found)} functions, {calls} calls")


if __name__ == "__main__":
    main()
