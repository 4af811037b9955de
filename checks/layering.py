#!/usr/bin/env python3
"""layering.py: the two rules that keep the house clean (docs/design.md, "Rooms").

Includes go in the direction of the table only, LLVM's headers appear in lower/ and jit/ only, and no name of a template
appears below templates/. Also: who may see which system headers, and what the library may never call.
"""
import os
import re
import sys

from sources import ROOT, complain, list_files, read, without_comments

# Headers that a build writes: the generator's build id, and what tests/emit and tests/cross have compiled.
GENERATED = ("build_id.h", "layer.h", "plain.h", "rows.h", "kernels.h", "headers.h")

# Room: what it may include, as prefixes of paths from the root (public headers as kiln/).
MAY_INCLUDE = {
    "include/kiln": ["kiln/"],
    "ir/support": ["kiln/", "ir/support/"],
    "ir/target": ["kiln/", "ir/support/", "ir/target/"],
    "ir/graph": ["kiln/", "ir/support/", "ir/target/", "ir/graph/"],
    "ir/tile": ["kiln/", "ir/"],
    "ir": ["kiln/", "ir/"],
    "templates": ["kiln/", "ir/", "templates/"],
    "lower": ["kiln/", "ir/", "lower/"],
    "jit": ["kiln/", "ir/", "lower/", "jit/", "build_id.h"],
    "runtime": ["kiln/", "ir/", "templates/", "lower/", "jit/", "runtime/", "build_id.h"],
    "tools": ["kiln/", "ir/", "bench/", "tools/", "build_id.h"],
    "bench": ["kiln/", "bench/"],
    "docs": ["tools/verbs.def", "tools/options.def", "runtime/options.def"],  # what it writes comes from tables
    "examples": ["kiln/", "examples/"],
    "tests": ["kiln/", "ir/", "templates/", "lower/", "jit/", "runtime/", "bench/", "tests/", *GENERATED],
}

# System headers and the only rooms that may include them.
RESERVED_HEADERS = {
    r"llvm": ["lower", "jit", "tests"],  # the jit's tests hand it modules
    r"cpuinfo\.h|pthreadpool\.h": ["runtime"],
    r"criterion/": ["tests"],
    r"pthread\.h|threads\.h|stdatomic\.h": ["jit", "runtime", "tools", "bench", "examples", "tests"],
    r"fcntl\.h|unistd\.h|dirent\.h|sys/": ["jit", "runtime", "tools", "bench", "examples", "tests"],
}

LIBRARY = ("include/kiln", "ir", "templates", "lower", "jit", "runtime")
BELOW_TEMPLATES = ("ir", "lower", "jit", "runtime")
ENGLISH = {"reference"}  # names of templates that are words of their own: only the whole identifier or string counts

# Calls that a library does not make (outside the named files).
FORBIDDEN_CALLS = {
    r"\b(?:printf|puts|putchar|vprintf|perror)\s*\(": (),
    r"\bstd(?:out|err)\b": (),
    r"\babort\s*\(": ("ir/support/assert.c",),
    r"\bexit\s*\(": (),
}


def room_of(path):
    rooms = [room for room in MAY_INCLUDE if path.startswith(room + "/")]
    return max(rooms, key=len) if rooms else None


def is_in(room, rooms):
    return any(room == r or room.startswith(r + "/") for r in rooms)


def check_include(path, number, room, line):
    match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
    if not match:
        return 0
    quote, name = match.groups()
    ours = quote == '"' or name.startswith("kiln/")
    if not ours:
        for pattern, rooms in RESERVED_HEADERS.items():
            if re.match(pattern, name) and not is_in(room, rooms):
                return complain(path, number, f"<{name}> is for {', '.join(rooms)} only")
        return 0
    base = "include" if name.startswith("kiln/") else ""
    if name not in GENERATED and not os.path.isfile(os.path.join(ROOT, base, name)):
        return complain(path, number, f'"{name}" is no path from the root of the tree')
    if not any(name.startswith(prefix) for prefix in MAY_INCLUDE[room]):
        return complain(path, number, f'{room}/ may not include "{name}"')
    return 0


def template_names():
    try:
        table = without_comments(read("templates/templates.def"))
    except OSError:
        return set()
    return set(re.findall(r"^TEMPLATE\(\s*(\w+)", table, re.MULTILINE))


def check_names(path, number, line, names):
    """A template's name as a word, or as a word of an identifier, in code or in a string."""
    whole = set(re.findall(r"\w+", line))
    parts = {word.lower() for word in re.findall(r"[A-Za-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", line))}
    for name in sorted(names):
        if name in whole or (name in parts and name not in ENGLISH):
            return complain(path, number, f"names the template '{name}', which only templates/ knows")
    return 0


def check_calls(path, number, line):
    for pattern, files in FORBIDDEN_CALLS.items():
        found = re.search(pattern, line)
        if found and path not in files:
            return complain(path, number, f"the library never uses {found.group(0).rstrip('( ')}")
    return 0


def main():
    faults, names = 0, template_names()
    for path in list_files(".c", ".h", ".def"):
        room = room_of(path)
        if room is None:
            faults += complain(path, 1, "is in no room of docs/design.md (Rooms)")
            continue
        for number, line in enumerate(without_comments(read(path)).split("\n"), 1):
            faults += check_include(path, number, room, line)
            if is_in(room, LIBRARY):
                faults += check_calls(path, number, line)
            if is_in(room, BELOW_TEMPLATES) and not re.match(r"\s*#\s*include", line):
                faults += check_names(path, number, line, names)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
