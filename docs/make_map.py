"""Draws docs/assets/map.svg, who imports whom, and writes docs/files.md: `python docs/make_map.py`.

The page has a line for each file, the first of its docstring. The map has a row and a column for each part of the
house, in the order of the floors from top to bottom. The number in a cell is how many files of the row's part import
the column's. All of them stand right of the diagonal: no import leads upward.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PICTURE = Path(__file__).with_name("assets") / "map.svg"
PAGE = Path(__file__).with_name("files.md")
PACKAGE = "badx_hub"

FLOOR_CONTRACT = "floors"
"""The contract of import-linter in pyproject.toml that lists the floors; `make lint` checks it."""

_INTRODUCTION = """\
# Every file, in a line

<!-- Made by docs/make_map.py: change the docstrings and run it again. -->

What is where, the highest floor first. [Contributing](../CONTRIBUTING.md#the-map-of-the-house) says what the floors are
for.
"""

# Pixels.
CELL, LABEL, HEAD, GAP = 24, 104, 96, 4


def floors(root: Path = ROOT) -> tuple[tuple[str, ...], ...]:
    """The parts floor by floor, the highest first, as the contract has them."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["id"] == FLOOR_CONTRACT)
    return tuple(tuple(part.strip() for part in layer.split("|")) for layer in layers)


def sources(root: Path = ROOT) -> Iterator[tuple[str, Path]]:
    """(Part, file) of every module but the front doors `badx_hub/__init__.py` and `__main__.py`; cli/ is a part."""
    for path in sorted(root.glob(f"{PACKAGE}/**/*.py")):
        first = path.relative_to(root / PACKAGE).parts[0].removesuffix(".py")
        if not first.startswith("__"):
            yield first, path
    yield from (("cli", path) for path in sorted(root.glob("cli/*.py")))


def imported(source: str) -> set[str]:
    """The parts of badx_hub that a module imports, at its head or inside a function."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            names += [f"{PACKAGE}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return {name.split(".")[1] for name in names if name.startswith(f"{PACKAGE}.")}


def page(root: Path = ROOT) -> str:
    """The page of all files: a table for each part that is a folder, and one for the files at the top of badx_hub/."""
    lines: dict[str, list[str]] = {part: [] for part in chain.from_iterable(floors(root))}
    for part, path in sources(root):
        place = path.relative_to(root).as_posix()
        summary = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
        lines[part].append(f"| `{place}` | {' '.join(summary.split()).replace('|', chr(92) + '|')} |")
    folders = {part: rows for part, rows in lines.items() if f"`{PACKAGE}/{part}.py`" not in rows[0]}
    alone = chain.from_iterable(rows for part, rows in lines.items() if part not in folders)
    tables = {**folders, "Beside the folders": list(alone)}
    return "\n".join([_INTRODUCTION, *(_table(title, rows) for title, rows in tables.items())])


def _table(title: str, rows: Sequence[str]) -> str:
    return "\n".join([f"## {title}\n", "| File | What is in it |", "|---|---|", *rows, ""])


def imports(root: Path = ROOT) -> Counter[tuple[str, str]]:
    """(Importing part, imported part) -> how many files of the first import the second."""
    files = list(sources(root))
    parts = {part for part, _ in files}
    pairs = ((part, other) for part, path in files for other in imported(path.read_text(encoding="utf-8")) & parts)
    return Counter((part, other) for part, other in pairs if part != other)


def draw(counts: Mapping[tuple[str, str], int], floors: Sequence[Sequence[str]]) -> str:
    """The map as SVG; a number left of the diagonal, an import upward, stands in a black cell."""
    parts = list(chain.from_iterable(floors))
    if wrong := {part for pair in counts for part in pair} ^ {*parts}:
        raise SystemExit(f"The floors in pyproject.toml and badx_hub/ differ in: {', '.join(sorted(wrong))}.")
    # A gap between floors, none inside one.
    steps = [CELL + (GAP if last else 0) for floor in floors for last in (*[False] * (len(floor) - 1), True)]
    at = dict(zip(parts, accumulate(steps, initial=0), strict=False))
    end = sum(steps) - GAP
    shapes = [
        *(_row(part, at[part], end) for part in parts),
        *(_column(part, at[part]) for part in parts),
        *(_cell(at[above], at[below], count) for (above, below), count in sorted(counts.items())),
    ]
    size = f'width="{LABEL + end + 1}" height="{HEAD + end + 1}" viewBox="0 0 {LABEL + end + 1} {HEAD + end + 1}"'
    title = "<title>Which part of badx_hub imports which: the row imports the column</title>"
    style = 'font-family="sans-serif" font-size="13"'
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>', title, ground, *shapes, "</svg>\n"])


def _row(part: str, y: int, end: int) -> str:
    """A part's name, its band across the map and its cell on the diagonal."""
    band = f'<rect x="{LABEL}" y="{HEAD + y}" width="{end}" height="{CELL}" fill="#f2f2f2"/>'
    own = f'<rect x="{LABEL + y}" y="{HEAD + y}" width="{CELL}" height="{CELL}" fill="#8c8c8c"/>'
    return f'{band}{own}<text x="{LABEL - 8}" y="{HEAD + y + 17}" text-anchor="end">{part}</text>'


def _column(part: str, x: int) -> str:
    left, bottom = LABEL + x + 17, HEAD - 8
    return f'<text x="{left}" y="{bottom}" transform="rotate(-90 {left} {bottom})">{part}</text>'


def _cell(y: int, x: int, count: int) -> str:
    paper, ink = ("#000", "#fff") if x < y else (("#d0d0d0", "#000") if count > 2 else ("#e4e4e4", "#000"))
    box = f'<rect x="{LABEL + x}" y="{HEAD + y}" width="{CELL}" height="{CELL}" fill="{paper}" stroke="#fff"/>'
    middle = f'x="{LABEL + x + CELL / 2:g}" y="{HEAD + y + 16}"'
    return f'{box}<text {middle} text-anchor="middle" font-size="11" fill="{ink}">{count}</text>'


if __name__ == "__main__":
    PICTURE.write_text(draw(imports(), floors()), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
