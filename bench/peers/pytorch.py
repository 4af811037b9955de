#!/usr/bin/env python3
"""pytorch.py ROWS: the graphs of a run of `kiln bench --suite --json` through PyTorch: torch.compile in its
max-autotune mode with the C++ GEMM backend, and plain torch. Rows like Kiln's go to standard output.

Python cannot share a process and its rounds with Kiln, so these rows are no peers in a ratio: they stand beside them.
Shares are Kiln's of the same graph, scaled by time. A product of integers is torch._int_mm of i8 by i8, and one of
bf16 or f16 gives that type. Threads are taken one count a process, so ROWS are filtered by the environment's
OMP_NUM_THREADS.
"""
import json
import os
import re
import statistics
import sys
import time

import torch
from torch._inductor import config

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16, "i8": torch.int8}
ROUND_SECONDS, ROUNDS = 2e-3, 15


def measured_graphs(path, threads):
    """Kiln's plain row of each graph of this machine that was timed on so many threads, once each."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for text in file:
            row = json.loads(text)
            if row.get("impl", "").startswith("kiln ") and row["threads"] == threads:
                found.setdefault((row["suite"], row["graph"]), row)
    return list(found.values())


class Graph(torch.nn.Module):
    """One expression of inputs; those declared const are buffers, which freezing packs. KeyError: no such type."""

    def __init__(self, text):
        super().__init__()
        *inputs, result, _ = text.split("; ")
        self.fed, self.held = {}, []
        for declared in inputs:
            name, const, kind, sizes = re.match(r"(\w+): (const )?(\w+)\[([^]]*)\]", declared).groups()
            value = self.make([int(size) for size in sizes.split(",")], TYPES[kind])
            if const:
                self.register_buffer(name, value)
                self.held.append(name)
            else:
                self.fed[name] = value
        expression = result.split(" = ", 1)[1]
        if TYPES["i8"] in [value.dtype for value in self.fed.values()]:
            expression = re.sub(r"^(\w+) @ ([\w.]+)$", r"int_mm(\1, \2)", expression)
        self.code = compile(expression, "graph", "eval")

    @staticmethod
    def make(sizes, kind):
        if kind == torch.int8:
            return torch.randint(-128, 128, sizes, dtype=kind)
        return torch.randn(sizes).to(kind)

    def forward(self, *values):
        names = dict(zip(self.fed, values), **{name: getattr(self, name) for name in self.held})
        functions = {"gelu": torch.nn.functional.gelu, "relu": torch.relu, "int_mm": torch._int_mm}
        return eval(self.code, functions, names)


def seconds_of(run):
    """Median and spread over rounds of about 2 ms; of CPU time on one thread, as Kiln's."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    run()
    start = clock()
    run()
    count = max(1, int(ROUND_SECONDS / max(clock() - start, 1e-7)))
    times = []
    for _ in range(ROUNDS):
        run()
        start = clock()
        for _ in range(count):
            run()
        times.append((clock() - start) / count)
    middle = statistics.median(times)
    return middle, statistics.median(abs(sample - middle) for sample in times) / middle


def print_row(kiln, name, middle, spread):
    faster = kiln["us"] / (middle * 1e6)
    row = dict(kiln, impl=f"{name} {torch.__version__}", us=middle * 1e6, spread=spread)
    for share in ("gops", "peak_share", "bandwidth_share"):
        row[share] = kiln[share] * faster
    print(json.dumps(row), flush=True)


def measure(kiln):
    module = Graph(kiln["graph"]).eval()
    values = list(module.fed.values())
    print_row(kiln, "torch", *seconds_of(lambda: module(*values)))
    compiled = torch.compile(module, mode="max-autotune")
    print_row(kiln, "torch.compile", *seconds_of(lambda: compiled(*values)))


def main(args):
    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))
    torch.set_num_threads(threads)
    config.freezing = True
    config.max_autotune_gemm_backends = "CPP,ATEN"
    with torch.no_grad():
        for kiln in measured_graphs(args[0], threads):
            torch._dynamo.reset()
            try:
                measure(kiln)
            except (KeyError, RuntimeError, SyntaxError) as fault:
                print(f"pytorch.py: {kiln['graph']} is left out: {str(fault).splitlines()[0]}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
