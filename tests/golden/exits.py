#!/usr/bin/env python3
"""exits.py STATUS COMMAND ...: runs the command, whose exit status must be STATUS; its output passes through."""
import subprocess
import sys

wanted, found = int(sys.argv[1]), subprocess.call(sys.argv[2:])
if found != wanted:
    sys.exit(f"exit status {found}, expected {wanted}: {' '.join(sys.argv[2:])}")
