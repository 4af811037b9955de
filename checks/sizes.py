#!/usr/bin/env python3
"""sizes.py: files near 500 lines (a warning; 700 fail), functions over 80 lines, lines over 120 columns, leftovers.

The rows of .def tables may be wider. A function may be longer where it is a switch whose cases are single lines: those
do not count. Prints each room's share of comments, which should be 12 to 16 %.
"""
import re
import sys

from sources import complain, list_files, read, without_comments

FILE_WARN, FILE_MOST, FUNCTION_MOST, LINE_MOST = 500, 700, 80, 120
CODE = (".c", ".h", ".def", ".py", ".sh", ".cmake")


def check_file(path, lines):
    faults = 0
    if len(lines) > FILE_MOST:
        faults += complain(path, len(lines), f"{len(lines)} lines, at most {FILE_MOST}")
    elif len(lines) > FILE_WARN:
        print(f"{path}: warning: {len(lines)} lines: a design question")
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_MOST and not path.endswith(".def"):
            faults += complain(path, number, f"{len(line)} columns, at most {LINE_MOST}")
        if line != line.rstrip() or "\t" in line:
            faults += complain(path, number, "a tab or a space at the end")
        if path.endswith((".c", ".h")) and re.search(r"\b(TODO|FIXME|XXX)\b|^\s*#\s*if\s+0\b", line):
            faults += complain(path, number, "a leftover: do it or delete it")
    return faults


def check_functions(path, lines):
    """Functions begin with a line at column 0 that ends in an opening brace and end with a brace at column 0."""
    faults, start = 0, None
    for number, line in enumerate(lines, 1):
        if start is None and re.match(r"[A-Za-z ].*\)\s*\{$", line):
            start = number
        elif start is not None and line == "}":
            body = lines[start:number - 1]
            counted = [text for text in body if not re.match(r"\s*(case\b.*|default\s*):.*;\s*$", text)]
            if len(counted) > FUNCTION_MOST:
                faults += complain(path, start, f"a function of {len(counted)} lines, at most {FUNCTION_MOST}")
            start = None
    return faults


def comment_lines(text):
    """Lines that hold a comment and those that hold anything."""
    bare = without_comments(text).split("\n")
    pairs = [(full, code) for full, code in zip(text.split("\n"), bare) if full.strip()]
    return sum(full.rstrip() != code.rstrip() for full, code in pairs), len(pairs)


def main():
    faults, shares = 0, {}
    for path in list_files(*CODE):
        text = read(path)
        lines = text.rstrip("\n").split("\n")
        faults += check_file(path, lines)
        if path.endswith((".c", ".h")):
            faults += check_functions(path, without_comments(text).split("\n"))
            room = path.split("/")[0]
            comments, total = comment_lines(text)
            before = shares.get(room, (0, 0))
            shares[room] = (before[0] + comments, before[1] + total)
    for room, (comments, total) in sorted(shares.items()):
        print(f"  {room:10} {total:6} lines, {100 * comments / total:4.1f} % with comments")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
