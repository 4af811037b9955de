#!/usr/bin/env python3
"""keys.py: standard input is JSON, an object a line; prints the keys of each line in order."""
import json
import sys

for line in sys.stdin:
    print(*json.loads(line))
