#!/usr/bin/env python3
"""summary.py: adds up what ctest, Criterion and lit wrote, and prints the closing line of ./dev test.

Usage: summary.py ALLOWED BUILD_DIR=NAME ... [--note 'FEATURE: REASON'] [--rows KILN]

Each build folder holds results/ctest.xml and, per ctest test <folder>/<name>, perhaps results/<folder>-<name>.xml with
its single tests; a test without such a file counts as one. Leak reports beyond the failed tests of a program count as
failed tests, and a program that fails though all its single tests pass adds one failure. Lines "NOT EXERCISED:
<feature>: <reason>" in any output are collected; one that no pattern in the file ALLOWED covers is a failure. Lines
"EXERCISED: <row> on <target>, <how>" fill the table of matrix instructions; with --rows, an instruction of
`KILN list mma` that is neither there nor reported as "NOT EXERCISED: mma <row>: ..." is a failure. Exit status 1 where
anything failed.
"""
import fnmatch
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.seconds = 0.0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.seconds += other.seconds

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def count_cases(path, failures, skips, where):
    """Totals of a JUnit file by Criterion or lit; None where there is no readable one."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    totals = Totals()
    for suite in root.iter("testsuite"):
        for case in suite.findall("testcase"):
            name = f"{where}: {case.get('classname') or suite.get('name')}::{case.get('name')}"
            if case.find("failure") is not None or case.find("error") is not None:
                totals.failed += 1
                failures.append(name)
            elif case.find("skipped") is not None:
                totals.skipped += 1
                skips.append(name)
            else:
                totals.passed += 1
    return totals


def count_whole(test, where, failures, skips):
    """Totals of a ctest test that is one test."""
    totals, skipped = Totals(), test.find("skipped")
    if test.get("status") == "run":
        totals.passed = 1
    elif skipped is not None and "SKIP_RETURN_CODE" in skipped.get("message", ""):
        totals.skipped = 1
        skips.append(where)
    else:
        totals.failed = 1
        failures.append(f"{where}: {test.get('status')}")
    return totals


def count_program(build, preset, test, failures, skips):
    """Totals of one ctest test, by its own file of results where it has one."""
    where = f"{preset} {test.get('name')}"
    path = os.path.join(build, "results", test.get("name").replace("/", "-") + ".xml")
    totals = count_cases(path, failures, skips, where)
    if totals is None:
        totals = count_whole(test, where, failures, skips)
    else:
        # Leaks are found after Criterion has called a test passed; a failed one leaks what it had not yet freed.
        leaks = (test.findtext("system-out") or "").count("ERROR: LeakSanitizer") - totals.failed
        if leaks > 0:
            totals.passed -= min(leaks, totals.passed)
            totals.failed += leaks
            failures.append(f"{where}: {leaks} leaking")
        elif test.get("status") != "run" and totals.failed == 0:
            totals.failed = 1
            failures.append(f"{where}: failed as a whole (a sanitizer's report, a timeout or a crash at its end)")
    totals.seconds = float(test.get("time") or 0)
    return totals


def read_build(build, preset, failures, skips, missing, exercised):
    """Prints a line per folder; returns the sum."""
    try:
        root = ElementTree.parse(os.path.join(build, "results", "ctest.xml")).getroot()
    except (OSError, ElementTree.ParseError) as error:
        failures.append(f"{preset}: no results: {error}")
        total = Totals()
        total.failed = 1
        return total
    folders, total = {}, Totals()
    for test in root.iter("testcase"):
        folder = test.get("name").split("/")[0]
        folders.setdefault(folder, Totals()).add(count_program(build, preset, test, failures, skips))
        output = test.findtext("system-out") or ""
        missing.update(line.strip() for line in re.findall(r"NOT EXERCISED: *(.*)", output))
        exercised.update(re.findall(r"(?<!NOT )EXERCISED: (\S+) on (\S+), (.*)", output))
    for folder, totals in sorted(folders.items()):
        print(f"  {preset:8} {folder:9} {totals}  ({totals.seconds:.1f} s)")
        total.add(totals)
    return total


def read_patterns(path):
    with open(path, encoding="utf-8") as file:
        lines = (line.strip() for line in file)
        return [line for line in lines if line and not line.startswith("#")]


def print_list(title, lines):
    if lines:
        print(f"\n{title}")
        for line in lines:
            print(f"  {line}")


def print_rows(kiln, exercised, missing):
    """The table of matrix instructions; returns those that no test speaks of."""
    listed = subprocess.run([kiln, "list", "mma", "--json"], check=True, capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in listed.splitlines()]
    unseen = []
    print("\nMatrix instructions:")
    for row in rows:
        ways = {}
        for name, target, how in sorted(exercised):
            if name == row["name"]:
                ways.setdefault(how, []).append(target)
        text = "; ".join(f"{how} ({', '.join(targets)})" for how, targets in sorted(ways.items()))
        if not ways:
            text = "not run"
            if not any(line.startswith(f"mma {row['name']}:") for line in missing):
                unseen.append(f"{row['name']}: no test speaks of it")
        print(f"  {row['a']:7} x {row['b']:7} in {row['acc']:4} {row['name']:18} {text}")
    return unseen


def main(args):
    allowed = read_patterns(args[0])
    failures, skips, missing, exercised, total, kiln = [], [], set(), set(), Totals(), None
    rest = iter(args[1:])
    print("\nTests by build and folder:")
    for arg in rest:
        if arg == "--note":
            missing.add(next(rest))
        elif arg == "--rows":
            kiln = next(rest)
        else:
            build, preset = arg.rsplit("=", 1)
            total.add(read_build(build, preset, failures, skips, missing, exercised))
    if kiln:
        unseen = print_rows(kiln, exercised, missing)
        total.failed += len(unseen)
        failures += unseen
    unlisted = [line for line in sorted(missing) if not any(fnmatch.fnmatchcase(line, p) for p in allowed)]
    total.failed += len(unlisted)
    print_list("SKIPPED:", skips)
    print_list("NOT EXERCISED on this machine:", sorted(missing))
    print_list(f"NOT EXERCISED and not in {args[0]}, so failed:", unlisted)
    print_list("FAILED:", failures)
    if total.passed == 0 and total.failed == 0:
        total.failed = 1
        print("\nNo test ran.")
    print(f"\n{total}")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
