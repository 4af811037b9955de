#!/usr/bin/env python3
"""generate.py: fills the tables of docs/*.md from the .def files, so that the pages are never behind them.

Between `<!-- generated:NAME -->` and `<!-- end -->` stands what the tables below say of NAME. Without arguments the
pages are rewritten; with --check nothing is written and the exit status is 1 where a page is behind. Assumes that a row
of a .def file is one line, MACRO( column, column, ... ).
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def code(text):
    return f"`{text}`" if text else ""


def graph_usage(row):
    """How an operator is written: `a @ b`, `x.T`, `gelu(x)`."""
    spelling, form, operands = row[1], row[2], (int(row[3]), int(row[4]))
    if operands[1] == 0:
        return spelling
    if form == "TRANSPOSE":
        return code("x" + spelling)
    if not spelling[0].isalpha():
        return code(f"a {spelling} b")
    written = re.match(re.escape(spelling) + r"\([^)]*\)", row[5])
    return code(written.group(0) if written else f"{spelling}({', '.join('xyz'[:operands[1]])})")


def graph_meaning(row):
    """What it means, without the usage that the first column shows."""
    return re.sub(r"^" + re.escape(row[1]) + r"\([^)]*\): ", "", row[5])


def tile_usage(row):
    """How an operation of the tile IR is written."""
    name, syntax, spelling, operands, result = row[:5]
    values = ["x", "y", "z"][:max(0, int(operands))]
    if syntax == "INFIX":
        return code(f"x {spelling} y")
    if syntax == "CALL":
        return code(f"{spelling}({', '.join(values)})")
    if syntax in ("STATEMENT", "LITERAL"):
        return code(spelling) or {"index_const": "`8`", "index_symbol": "`m`"}[name]
    text = {"tile_const": "1.5", "tile_slice": "%x[row, column]"}.get(name, ", ".join("%" + v for v in values))
    if syntax == "ACCESS":
        stored = "%x, " if name.endswith("_store") or name.startswith("atomic") else ""
        bounds = " [rows r] [cols c]" if name.endswith(("_load", "_store")) else ""
        bounds += " [streamed]" if name in ("frag_load", "tile_store") else ""
        text = f"{stored}%b[i, …]{bounds}{' level l' if name == 'prefetch' else ''}"
    return code(f"{name} {text}".rstrip() + (" : type" if result == "TYPED" else ""))


def tile_result(row):
    """What it gives, where the text does not state it."""
    if row[0] in ("for", "if"):
        return "what is yielded"
    return {"NONE": "", "INDEX": "index", "SAME": "as the operands", "BOOL": "bool", "TYPED": "as written",
            "ACC": "as the first", "REDUCED_ROWS": "Rx1", "REDUCED_COLS": "1xC", "TRANSPOSED": "CxR"}[row[4]]


def tile_table(macro):
    return ("ir/tile/ops.def", [macro], [
        ("operation", lambda row: code(row[0])), ("written", tile_usage), ("result", tile_result),
        ("effect", lambda row: row[5].lower()), ("meaning", 6)])


# marker: (file, macros, [(heading, column's number or function of the row)])
TABLES = {
    "ops": ("include/kiln/ops.def", ["GRAPH_OP"], [
        ("written", graph_usage), ("form", lambda row: row[2].lower()), ("meaning", graph_meaning)]),
    "types": ("include/kiln/types.def", ["KILN_TYPE"], [
        ("type", lambda row: code(row[1])), ("bits", 2), ("class", lambda row: row[3].lower()), ("meaning", 4)]),
    "statuses": ("include/kiln/status.def", ["KILN_STATUS"], [
        ("status", lambda row: code("KILN_" + row[0])), ("name", lambda row: code(row[1])), ("meaning", 2)]),
    "tile-control": tile_table("CONTROL_OP"),
    "tile-index": tile_table("INDEX_OP"),
    "tile-memory": tile_table("MEMORY_OP"),
    "tile-tile": tile_table("TILE_OP"),
    "tile-frag": tile_table("FRAG_OP"),
}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def split_columns(text):
    """Columns are separated by commas outside quotes and parentheses; quotes are taken off."""
    columns, depth, column = [], 0, ""
    for piece in re.findall(r'"(?:\\.|[^"\\])*"|.', text):
        depth += (piece == "(") - (piece == ")")
        if piece == "," and depth == 0:
            columns.append(column.strip())
            column = ""
        else:
            column += piece
    columns.append(column.strip())
    return [re.sub(r"\\(.)", r"\1", c[1:-1]) if c.startswith('"') else c for c in columns]


def find_rows(path, macros):
    """Rows in the order of the file, which groups them as a reader wants them."""
    pattern = r"^(?:" + "|".join(macros) + r")\((.*)\)\s*$"
    rows = [split_columns(match.group(1)) for match in re.finditer(pattern, read(path), re.MULTILINE)]
    if not rows:
        sys.exit(f"generate.py: no rows in {path}")
    return rows


def make_table(name):
    path, macros, columns = TABLES[name]
    lines = ["| " + " | ".join(heading for heading, _ in columns) + " |", "|" + "---|" * len(columns)]
    for row in find_rows(path, macros):
        cells = [get(row) if callable(get) else row[get] for _, get in columns]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def fill(page, text):
    def replace(match):
        name = match.group(1)
        if name not in TABLES:
            sys.exit(f"{page}: no table is called '{name}': there are {', '.join(TABLES)}")
        return f"<!-- generated:{name} -->\n{make_table(name)}\n<!-- end -->"

    return re.sub(r"<!-- generated:([\w-]+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)


def main():
    check, behind = "--check" in sys.argv[1:], 0
    for page in sorted(name for name in os.listdir(os.path.join(ROOT, "docs")) if name.endswith(".md")):
        path = os.path.join("docs", page)
        text = read(path)
        filled = fill(path, text)
        if filled == text:
            continue
        behind += 1
        if check:
            print(f"{path}: behind the tables: run docs/generate.py")
        else:
            with open(os.path.join(ROOT, path), "w", encoding="utf-8") as file:
                file.write(filled)
    return 1 if check and behind else 0


if __name__ == "__main__":
    sys.exit(main())
