#!/usr/bin/env python3
"""exact.py FILE: standard input must be exactly what FILE holds; else the difference is shown and the status is 1.

With KILN_BLESS=1 in the environment FILE is written instead: `KILN_BLESS=1 ./dev test golden`, then read the diff.
"""
import difflib
import os
import sys


def main(path):
    found = sys.stdin.read()
    if os.environ.get("KILN_BLESS") == "1":
        with open(path, "w", encoding="utf-8") as file:
            file.write(found)
        return 0
    try:
        with open(path, encoding="utf-8") as file:
            expected = file.read()
    except OSError as error:
        sys.exit(f"{path}: {error.strerror}; KILN_BLESS=1 writes it")
    lines = difflib.unified_diff(expected.splitlines(True), found.splitlines(True), path, "found")
    sys.stdout.writelines(lines)
    return expected != found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
