#!/usr/bin/env python3
"""tidy.py BUILD_DIR [FILE ...]: clang-tidy 22 with .clang-tidy over the library, the command, benches and examples.

Uses BUILD_DIR/compile_commands.json. Tests are left out: Criterion's macros are not ours to mend.
"""
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from sources import ROOT


def sources(build, wanted):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        files = {os.path.relpath(entry["file"], ROOT) for entry in json.load(file)}
    files = {f for f in files if not f.startswith(("tests/", "../", "build/"))}
    return sorted(files & set(wanted) if wanted else files)


def tidy(build, path):
    """What clang-tidy says of one file, empty where it is content."""
    is_program = path.split("/")[0] in ("tools", "bench", "examples", "docs")  # may exit, and set its environment
    selection = ["--checks=-concurrency-mt-unsafe"] if is_program else []
    done = subprocess.run(["clang-tidy-22", "-p", build, "--quiet", *selection, path], cwd=ROOT,
                          capture_output=True, text=True)
    said = done.stdout.strip()
    if done.returncode != 0 and not re.search(r"(error|warning):", said):
        said += done.stderr.strip()
    return said if done.returncode != 0 or "warning:" in said else ""


def main(args):
    build = os.path.abspath(args[0])
    files = sources(build, args[1:])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reports = [said for said in pool.map(lambda path: tidy(build, path), files) if said]
    print("\n".join(reports + [f"  {len(files)} files, {len(reports)} with findings"]))
    return 1 if reports else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
