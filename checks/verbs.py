#!/usr/bin/env python3
"""verbs.py: every verb of the command (tools/cmd_<verb>.c) has a place in the man page and in the bash completion."""
import re
import sys

from sources import complain, list_files, read


def main():
    verbs = [m.group(1) for m in (re.fullmatch(r"tools/cmd_(\w+)\.c", path) for path in list_files(".c")) if m]
    page, completion, faults = read("docs/kiln.1"), read("completion/kiln.bash"), 0
    listed = re.search(r'words="(run [^"]*)"', completion).group(1).split()
    for verb in verbs:
        if not re.search(rf'^\.B[IR]? "?kiln {verb}\b', page, re.MULTILINE):
            faults += complain("docs/kiln.1", 1, f"the verb '{verb}' is missing")
        if verb not in listed:
            faults += complain("completion/kiln.bash", 1, f"the verb '{verb}' is missing")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
