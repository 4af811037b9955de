#!/usr/bin/python3
"""report.py FOLDER: rows.jsonl, as `./dev bench` writes it, to report.html with plots; prints a summary.

Rows are the JSON of `kiln bench --suite`: an object for the compile, then one for each implementation. Of Kiln's and
of the peers' rows of a line the fastest counts. torch.jsonl, where it is there, has rows of bench/peers/pytorch.py,
which were not timed in turns with Kiln's: they stand in a column of their own. `report.py --text FOLDER` prints the
summary alone and needs no matplotlib.
"""
import base64
import html
import io
import json
import math
import os
import re
import sys

STYLE = """body { font: 15px/1.45 sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #222 }
table { border-collapse: collapse; font-size: 13px } td, th { padding: 2px 9px; text-align: right }
th { border-bottom: 1px solid #888 } td:nth-child(-n+3), td:last-child, th:nth-child(-n+3) { text-align: left }
tr.behind td { background: #fbe6e2 } img { max-width: 100% } h2 { margin-top: 2em }"""


class Line:
    """What was measured of one graph: Kiln's fastest row and the fastest peer's."""

    def __init__(self, compiled):
        self.compiled, self.kiln, self.peer, self.torch = compiled, None, None, None
        self.profile = {}  # share of samples by operation of the tile IR, where the line was profiled
        self.least = {"kiln": math.inf, "peer": math.inf}

    def add(self, row):
        side = "kiln" if row["impl"].startswith("kiln ") else "peer"
        fastest = getattr(self, side)
        if fastest is None or row["us"] < fastest["us"]:
            setattr(self, side, row)
        self.least[side] = min(self.least[side], row.get("least_us", math.inf))

    def add_sample(self, row):
        """A line of the tile IR with its share: `%acc = mma %sum, …` counts as mma, `%x = for …` as for, `%i = %t * 8`
        as index arithmetic, line 0 as what lies outside of the kernel or in code of no line."""
        text = row["text"].strip()
        operation = text.split("=", 1)[-1].strip() if text.startswith("%") else text
        word = re.match(r"[a-z_]+(?= |$)", operation)
        name = "elsewhere" if row["line"] == 0 else word.group(0) if word else "index"
        self.profile[name] = self.profile.get(name, 0) + row["share"]

    @property
    def where(self):
        """`mma 86, tile_load 6`: percent of the samples."""
        shares = sorted(self.profile.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {100 * share:.0f}" for name, share in shares[:5] if share >= 0.01)

    @property
    def ratio(self):
        return self.peer["us"] / self.kiln["us"] if self.peer else None

    @property
    def least_ratio(self):
        """By the shortest sample of each side, which neighbours disturb least; nan in rows of before it was kept."""
        return self.least["peer"] / self.least["kiln"]

    @property
    def label(self):
        """Sizes, and what is not plain about the graph."""
        graph, dims = self.kiln["graph"], dict(part.split("=") for part in self.kiln["dims"].split())
        marks = [" x ".join(dims[name] for name in "mnk" if name in dims)]
        marks += ["B'"] if ".T" in graph else []
        marks += ["unpacked"] if "const" not in graph else []
        rest = re.search(r"y: \w+ = (.*); return", graph)
        marks += [rest.group(1)] if rest and rest.group(1) not in ("x @ w", "x @ w.T") else []
        return " ".join(marks)

    @property
    def behind(self):
        """Slower than the best peer by more than the spread of both."""
        return self.ratio is not None and self.ratio < 1 - max(self.kiln["spread"], self.peer["spread"])


def read_lines(path):
    lines = []
    with open(path, encoding="utf-8") as file:
        for text in file:
            row = json.loads(text)
            if "compile_ms" in row:
                lines.append(Line(row))
            elif "impl" in row and lines:
                lines[-1].add(row)
            elif "share" in row and lines:
                lines[-1].add_sample(row)
    return [line for line in lines if line.kiln]


def add_torch(lines, path):
    """The fastest of torch's rows to the lines of the same graph on this machine."""
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(text) for text in file]
    for line in lines:
        same = [row["us"] for row in rows if all(row[key] == line.kiln[key] for key in ("suite", "graph", "threads"))]
        line.torch = min(same, default=None)


def mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def groups(lines, key):
    found = {}
    for line in lines:
        found.setdefault(key(line), []).append(line)
    return found


def suite_key(line):
    return (line.kiln["suite"], line.kiln["type"], line.kiln["threads"], line.compiled["target"])


def summary(lines):
    """Geometric means, then every line from the smallest ratio up."""
    out = [f"{'suite':10} {'type':8} {'threads':>7} {'target':22} {'lines':>5} {'mean':>6} {'least':>6} {'worst':>6} "
           f"{'< 1':>4} {'behind':>6}"]
    for key, members in sorted(groups(lines, suite_key).items()):
        compared = [line for line in members if line.peer]
        if not compared:
            continue
        ratios = [line.ratio for line in compared]
        below, behind = sum(ratio < 1 for ratio in ratios), sum(line.behind for line in compared)
        out.append(f"{key[0]:10} {key[1]:8} {key[2]:7} {key[3]:22} {len(ratios):5} {mean(ratios):6.3f} "
                   f"{mean([line.least_ratio for line in compared]):6.3f} {min(ratios):6.2f} {below:4} {behind:6}")
    out += ["", f"{'ratio':>6} {'least':>6} {'kiln us':>11} {'+-%':>5} {'peer us':>11} {'+-%':>5} {'%peak':>6} "
                f"{'%bandw':>6}  {'suite':9} {'type':6} {'target':20} shape, best peer"]
    for line in sorted((line for line in lines if line.peer), key=lambda line: line.ratio):
        kiln, peer = line.kiln, line.peer
        out.append(f"{line.ratio:6.2f} {line.least_ratio:6.2f} {kiln['us']:11.2f} {100 * kiln['spread']:5.1f} "
                   f"{peer['us']:11.2f} {100 * peer['spread']:5.1f} {100 * kiln['peak_share']:6.1f} "
                   f"{100 * kiln['bandwidth_share']:6.1f}  {kiln['suite']:9} {kiln['type']:6} "
                   f"{line.compiled['target']:20} {line.label}, {kiln['threads']} thr, {peer['impl']}"
                   + (f"; in {line.where}" if line.profile else ""))
    times = sorted(line.compiled["compile_ms"] for line in lines if line.compiled["cache"] == "cold")
    if times:
        within = sum(ms < 20 for ms in times) / len(times)
        out += ["", f"cold compile: median {times[len(times) // 2]:.1f} ms, {100 * within:.0f} % under 20 ms, "
                    f"longest {times[-1]:.1f} ms, {len(times)} kernels"]
    return "\n".join(out)


def picture(figure, pyplot):
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=80, bbox_inches="tight")
    pyplot.close(figure)
    return f'<img alt="plot" src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}">'


def draw_roofline(lines, title, pyplot):
    """Shares of peak over intensity, in units of the machine's ridge: peak_share over bandwidth_share."""
    figure, axes = pyplot.subplots(figsize=(6, 4))
    axes.plot([1e-3, 1, 1e3], [1e-3, 1, 1], color="black", linewidth=1)
    for side, marker, size in (("peer", "x", 30), ("kiln", "o", 22)):
        rows = [getattr(line, side) for line in lines if getattr(line, side)]
        points = [(row["peak_share"] / row["bandwidth_share"], row["peak_share"]) for row in rows if row["peak_share"]]
        name = "Kiln" if side == "kiln" else "best peer"
        if points:
            axes.scatter(*zip(*points), marker=marker, s=size, label=name, alpha=0.8)
    axes.set(xscale="log", yscale="log", ylim=(1e-3, 2), xlabel="operations per byte over the ridge",
             ylabel="share of measured peak", title=title)
    axes.grid(True, which="major", alpha=0.3)
    axes.legend()
    return picture(figure, pyplot)


def draw_ratios(lines, title, pyplot):
    compared = sorted((line for line in lines if line.peer), key=lambda line: line.ratio, reverse=True)
    if not compared:
        return ""
    figure, axes = pyplot.subplots(figsize=(8, 0.6 + 0.22 * len(compared)))
    ratios = [line.ratio for line in compared]
    errors = [line.ratio * max(line.kiln["spread"], line.peer["spread"]) for line in compared]
    axes.barh(range(len(compared)), ratios, xerr=errors, height=0.7, error_kw={"elinewidth": 0.8},
              color=["#3b7ea1" if ratio >= 1 else "#c1543b" for ratio in ratios])
    axes.set_yticks(range(len(compared)), [f"{line.kiln['type']} {line.label}" for line in compared], fontsize=7)
    axes.axvline(1, color="black", linewidth=1)
    axes.set(xscale="log", title=title, xlabel="time of the best peer over Kiln's")
    low, high = min(ratios) * 0.9, max(ratios) * 1.1
    ticks = [tick for tick in (0.25, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5) if low < tick < high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.margins(y=0.01)
    return picture(figure, pyplot)


def draw_compile(lines, pyplot):
    figure, axes = pyplot.subplots(figsize=(8, 3.5))
    for suite, members in sorted(groups(lines, lambda line: line.kiln["suite"]).items()):
        times = sorted(line.compiled["compile_ms"] for line in members if line.compiled["cache"] == "cold")
        axes.plot([(i + 0.5) / len(times) for i in range(len(times))], times, marker=".", label=suite)
    axes.axhline(20, color="black", linewidth=1)
    axes.set(yscale="log", xlabel="share of the suite's kernels", ylabel="cold compile, ms", title="Compile time")
    axes.grid(True, which="both", axis="y", alpha=0.3)
    axes.legend(fontsize=8)
    return picture(figure, pyplot)


def table(lines):
    heads = ("type", "shape", "target", "Kiln, us", "± %", "% of peak", "% of bandwidth", "peer, us", "± %", "ratio",
             "by least", "torch, us", "compile, ms", "where the time goes, %", "best peer")
    rows = ["<tr>" + "".join(f"<th>{name}</th>" for name in heads) + "</tr>"]
    for line in lines:
        kiln, peer = line.kiln, line.peer
        cells = [kiln["type"], line.label, line.compiled["target"], f"{kiln['us']:.2f}", f"{100 * kiln['spread']:.1f}",
                 f"{100 * kiln['peak_share']:.1f}", f"{100 * kiln['bandwidth_share']:.1f}"]
        cells += [f"{peer['us']:.2f}", f"{100 * peer['spread']:.1f}", f"{line.ratio:.2f}",
                  f"{line.least_ratio:.2f}"] if peer else [""] * 4
        cells += [f"{line.torch:.2f}" if line.torch else "", f"{line.compiled['compile_ms']:.1f}", line.where]
        cells += [peer["impl"] if peer else "none"]
        rows.append(f"<tr{' class=behind' if line.behind else ''}>" +
                    "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    return "<table>" + "\n".join(rows) + "</table>"


def page(lines, name):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    parts = [f"<!doctype html><meta charset=utf-8><title>Kiln on {name}</title><style>{STYLE}</style>",
             f"<h1>Kiln on {html.escape(name)}</h1><p>Medians of interleaved runs; the fastest peer of each shape. "
             "Rows on red are behind by more than the spread. How it is measured: docs/measuring.md.</p>",
             f"<pre>{html.escape(summary(lines).partition(chr(10) * 2)[0])}</pre>", draw_compile(lines, pyplot)]
    by_suite = groups(lines, lambda line: (line.kiln["suite"], line.kiln["threads"]))
    for (suite, threads), members in sorted(by_suite.items()):
        title = f"{suite}, {threads} thread{'s' if threads > 1 else ''}"
        parts += [f"<h2>{html.escape(title)}</h2>", draw_roofline(members, title, pyplot),
                  draw_ratios(members, title, pyplot), table(members)]
    return "\n".join(parts) + "\n"


def main(args):
    text_only = args[:1] == ["--text"]
    folder = args[-1]
    lines = read_lines(os.path.join(folder, "rows.jsonl"))
    add_torch(lines, os.path.join(folder, "torch.jsonl"))
    if not lines:
        sys.exit(f"report.py: {folder}/rows.jsonl holds no rows")
    print(summary(lines))
    if not text_only:
        text = page(lines, os.path.basename(os.path.normpath(folder)))
        with open(os.path.join(folder, "report.html"), "w", encoding="utf-8") as file:
            file.write(text)
        print(f"\n{folder}/report.html")


if __name__ == "__main__":
    main(sys.argv[1:])
