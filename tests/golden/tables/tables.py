#!/usr/bin/env python3
"""tables.py SOURCE: walks every .def table; each row must be named in the tests, as its table asks below.

Prints a line for each table and one for each row that no test names. What is inside of LLVM (intrinsics, passes,
features) is asked in tests/unit/test_tables.c; rows of targets.def are tests of their own (tests/emit).
"""
import os
import re
import sys

# Table, what begins a row, what of the row is looked for (from its words and strings), and where.
GOLDEN, CODE = ("tests/golden",), ("tests/unit", "tests/numeric", "tests/cache", "tests/threads")
TABLES = [
    # A graph operator is spelled in a graph that is run or dumped; a function with its bracket.
    ("include/kiln/ops.def", "GRAPH_OP", "spelling", GOLDEN + CODE),
    ("include/kiln/types.def", "KILN_TYPE", "string", GOLDEN),
    ("include/kiln/status.def", "KILN_STATUS", "status", CODE),
    ("ir/tile/ops.def", r"[A-Z]+_OP", "word", GOLDEN + CODE),
    ("templates/templates.def", "TEMPLATE", "word", ("tests/golden/dump",)),
    ("templates/schedule.def", "SCHEDULE_FIELD", "word", GOLDEN + CODE),
    ("tools/verbs.def", "VERB", "verb", ("tests/golden/cli",)),
    ("tools/options.def", "OPTION", "option", ("tests/golden/cli",)),
    ("runtime/options.def", "OPTION", "second", GOLDEN + CODE),
]


def rows(source, path, macro):
    """The text inside the brackets of each row."""
    with open(os.path.join(source, path), encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
    return re.findall(rf"^(?:{macro})\(\s*(.*?)\s*\)$", text, re.MULTILINE | re.DOTALL)


def pattern_of(row, kind):
    """A regular expression that a test must match to count as one of this row."""
    words, strings = re.split(r"\s*,\s*", row), re.findall(r'"([^"]*)"', row)
    if kind == "spelling":
        enumerator, spelling = words[0], strings[0]
        if enumerator in ("INPUT", "NUMBER"):
            return r"\d|: f32"
        sign = re.escape(spelling)
        written = rf"\b{sign}\(" if spelling.isidentifier() else rf"\w\)? ?{sign}(?:[ ;)]|$)"
        return rf"{written}|KILN_OP_{enumerator}\b"
    return {
        "string": lambda: rf"\b{re.escape(strings[0])}\b",
        "status": lambda: rf"\bKILN_{words[0]}\b",
        "word": lambda: rf"(?<![a-z]){words[0]}(?![a-z])",
        "second": lambda: rf"\b{words[1]}\b",
        "verb": lambda: rf"%kiln {words[0]}\b",
        "option": lambda: rf"--{re.escape(strings[0])}\b",
    }[kind]()


def texts(source, folders):
    found = []
    for folder in folders:
        for root, _, names in os.walk(os.path.join(source, folder)):
            for name in names:
                if name.endswith((".c", ".h", ".test", ".tile", ".kgraph", ".txt", ".expected")):
                    with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
                        found.append(file.read())
    return "\n".join(found)


def main(source):
    missing = 0
    for path, macro, kind, folders in TABLES:
        text, found = texts(source, folders), rows(source, path, macro)
        unnamed = [row for row in found if not re.search(pattern_of(row, kind), text, re.MULTILINE)]
        print(f"{path}: {len(found)} rows, {len(unnamed)} without a test")
        for row in unnamed:
            print(f"  no test in {', '.join(folders)} names: {' '.join(row.split())}")
        missing += len(unnamed) + (not found)
    return missing > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
