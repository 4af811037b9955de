#!/usr/bin/env python3
"""examples.py KILN FOLDER: pastes the example of each verb's help into a shell, in a scratch folder below FOLDER;
each must succeed, and print something or make a file. The verbs come from `kiln --help`, so a new one cannot be
forgotten.
"""
import os
import re
import subprocess
import sys
import tempfile


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(kiln, scratch):
    environment = dict(os.environ, PATH=os.path.dirname(os.path.abspath(kiln)) + ":" + os.environ["PATH"])
    verbs = re.findall(r"^  kiln (\w+)", output_of(kiln, "--help"), re.MULTILINE)
    failed = not verbs
    for verb in verbs:
        example = re.search(r"^example:\n  (.*)$", output_of(kiln, verb, "--help"), re.MULTILINE).group(1)
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            # pipefail: a pipe is as good as its first part.
            done = subprocess.run(["bash", "-o", "pipefail", "-c", example], cwd=folder, env=environment, text=True,
                                  capture_output=True, check=False)
            good = done.returncode == 0 and (done.stdout or os.listdir(folder)) and not done.stderr
        print(f"{verb}: {'good' if good else 'FAULTY'}: {example}")
        if not good:
            failed = True
            print(f"status {done.returncode}\n{done.stdout}{done.stderr}")
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
