#!/usr/bin/env python3
"""figures.py FILE BITS: what the k loops of AArch64 assembly (standard input) cost, against the least they could.
figures.py: the same of unknown tiles, a line for each innermost loop: `k loop: 88 fmla, 107 instructions, 0 stack`.

FILE is the tile IR it was made from, of one k loop a kernel. For each kernel a line is printed:

    f32_in_place: 84 fmla, 102 instructions, least 103, within 10 %, 0 stack, 0 calls

Least are the products, and a load for each 128 bits of A and for each vector (BITS) of B that a step of the loop reads:
a lane, or a pair of rows, is taken from no more than 128 bits. Loads of pairs of registers count as one.
"""
import re
import sys

LABEL = re.compile(r"^([.\w$]+):")
BRANCH = re.compile(r"^\s+(?:b\.\w+|cbn?z\s+\w+,|tbn?z\s+\w+, #\d+,)\s*([.\w$]+)")
PRODUCT = re.compile(r"^\s+(fmla|fmad|fmlal2?|mla|[su]dot|usdot|bfdot|us?mmla|smmla|bfmmla)\b")
WIDTHS = {"f64": 8, "f32": 4, "f16": 2, "bf16": 2, "i8": 1, "u8": 1}


def functions(text):
    names = set(re.findall(r"\.type\s+([\w$.]+),\s*@function", text))
    found = {}
    name = None
    for line in text.split("\n"):
        label = LABEL.match(line)
        if label and label.group(1) in names:
            name = label.group(1)
            found[name] = []
        elif name and line.strip():
            found[name].append(line)
    return found


def product_loops(lines):
    """The bodies, label first, of loops with products, the shortest first."""
    labels = {m.group(1): i for i, line in enumerate(lines) if (m := LABEL.match(line))}
    bodies = []
    for i, line in enumerate(lines):
        branch = BRANCH.match(line)
        start = labels.get(branch.group(1)) if branch else None
        if start is not None and start < i and any(PRODUCT.match(inner) for inner in lines[start:i]):
            bodies.append(lines[start:i + 1])
    return sorted(bodies, key=len)


def innermost(bodies):
    return [body for body in bodies if sum(bool(BRANCH.match(line)) for line in body) == 1]


FROM_STACK = re.compile(r"^\s+(?:add|addvl|mov|sub)\s+(x\d+), (\w+)")
WRITES = re.compile(r"^\s+(?!st|cmp|cmn|tst|prf|b\.|cb|tb)[a-z]\w*\s+(?:\{ )?([xw]\d+)")


def stack_pointers(lines, known):
    """What of the registers points to the stack after these lines, where those in `known` do before them."""
    known = set(known)
    for line in lines:
        derived, written = FROM_STACK.match(line), WRITES.match(line)
        source = derived and derived.group(2) in known | {"sp"}
        if source:
            known.add(derived.group(1))
        elif written:
            known.discard("x" + written.group(1)[1:])
    return known


def count(body, function):
    """Instructions, the names of the products among them, and how many use the stack, by sp or a register of it."""
    start = next(i for i in range(len(function)) if function[i:i + len(body)] == body)
    pointers, stack = stack_pointers(function[:start], set()), 0
    instructions = [line for line in body if re.match(r"^\s+[a-z]", line)]
    for line in instructions:
        stack += any(re.search(rf"\[{register}\b", line) for register in pointers | {"sp"})
        pointers = stack_pointers([line], pointers)
    products = [m.group(1) for line in instructions if (m := PRODUCT.match(line))]
    return instructions, products, stack


def least_loads(kernel, bits):
    def operand(role):
        rows, cols, element = re.search(rf"frag<{role}, (\d+)x(\d+), (\w+)>", kernel).groups()
        return int(rows) * int(cols) * WIDTHS[element]
    return -(-operand("a") // 16) + -(-operand("b") // (bits // 8))


def name_of(products):
    return f"{len(products)} {'/'.join(sorted(set(products)))}"


def show_loops(code):
    for lines in code.values():
        for body in innermost(product_loops(lines)):
            instructions, products, stack = count(body, lines)
            print(f"k loop: {name_of(products)}, {len(instructions)} instructions, {stack} stack")


def show_figures(code, path, bits):
    with open(path, encoding="utf-8") as file:
        kernels = dict(re.findall(r"^kernel @(\w+)\((.*?)^}", file.read(), re.MULTILINE | re.DOTALL))
    for name, kernel in kernels.items():
        instructions, products, stack = count(product_loops(code[name])[0], code[name])
        least = len(products) + least_loads(kernel, int(bits))
        share = "within 10 %" if len(instructions) <= 1.1 * least else f"{len(instructions) / least - 1:.0%} over"
        calls = sum(bool(re.match(r"^\s+blr?\s", line)) for line in code[name])
        print(f"{name}: {name_of(products)}, {len(instructions)} instructions, least {least}, {share}, "
              f"{stack} stack, {calls} calls")


if __name__ == "__main__":
    found = functions(sys.stdin.read())
    if len(sys.argv) == 1:
        show_loops(found)
    else:
        show_figures(found, *sys.argv[1:])
