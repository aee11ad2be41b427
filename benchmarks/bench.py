"""Runs the timed benchmarks one after the other and puts what they found into results.json and both README.md.

    python benchmarks/bench.py [--only NAME ...]     # make bench

Each script is a process of its own with an empty home, so that none warms the others' caches. Leave the machine
alone meanwhile. `--only` runs single scripts and keeps the other rows of results.json. A script that fails does not
stop the others; the exit code is 1 then, and what it said stands at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from measuring import Row, machine, say

HERE = Path(__file__).resolve().parent
RESULTS, PAGE, FRONT_PAGE = HERE / "results.json", HERE / "README.md", HERE.parent / "README.md"
SCRIPTS = ("ba_step", "ta", "predict", "dp_head", "first_step", "load", "command_line", "checkpoints", "conllu_files")
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

_KEPT_LINES = 30
"""Lines of a failed script's stderr that are shown again at the end."""

_SHORT_HEADER = ("| | against | ratio | target |", "|---|---|---|---|")

_HEADER = (
    "| what | against | ours | peer's | ratio | target | note |",
    "|---|---|---|---|---|---|---|",
)


class ScriptFailedError(Exception):
    """A benchmark ended with an error or without rows; the text is what it said."""


@dataclass(frozen=True)
class Measured:
    """What one script found, on what machine, and the seconds it took."""

    machine: Mapping[str, Any]
    seconds: float
    rows: tuple[Row, ...]


def run(script: Path) -> tuple[Row, ...]:
    """The rows that `script` prints; its stderr is passed on as it comes.

    Raises ScriptFailedError.
    """
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryDirectory(prefix="badx-bench-") as home:
        process = subprocess.Popen(
            [sys.executable, str(script)],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "BADX_HUB_HOME": home},
        )
        said = deque[str](maxlen=_KEPT_LINES)
        for line in process.stderr or ():
            say(f"  {line.rstrip()}")
            said.append(line)
        if code := process.wait():
            raise ScriptFailedError(f"exit code {code}\n{''.join(said)}")
        stdout.seek(0)
        return rows_in(stdout.read())


def rows_in(stdout: str) -> tuple[Row, ...]:
    """The rows that `measuring.report` printed. Raises ScriptFailedError if it is not these alone, or none."""
    try:
        rows = tuple(Row(**fields) for fields in json.loads(stdout))
    except (ValueError, TypeError) as error:
        raise ScriptFailedError(f"expected the rows of measuring.report on stdout: {error}\n{stdout}") from error
    if not rows:
        raise ScriptFailedError("it printed no row")
    return rows


def merged(before: Mapping[str, Measured], found: Mapping[str, Measured]) -> dict[str, Measured]:
    """`found` in place of the same scripts' older rows, in the order of SCRIPTS."""
    together = {**before, **found}
    return {name: together[name] for name in SCRIPTS if name in together}


def table(results: Mapping[str, Measured]) -> str:
    """The Markdown between the markers of README.md: a line a row, then where and for how long."""
    rows = [row for measured in results.values() for row in measured.rows]
    lines = [*_HEADER, *(_line(row) for row in rows), "", f"{_met(rows)} {_cost(results)}", *_machines(results)]
    return "\n".join(lines)


def short_table(results: Mapping[str, Measured]) -> str:
    """The Markdown between the markers of the front page: the ratios alone."""
    rows = [row for measured in results.values() for row in measured.rows]
    return "\n".join([*_SHORT_HEADER, *(_cells(row.what, row.against, ratio(row), target(row)) for row in rows)])


def with_table(page: str, text: str) -> str:
    """`page` with `text` between its markers. Raises ValueError if the page lacks them."""
    if BEGIN not in page or END not in page:
        raise ValueError(f"the page has no {BEGIN} and {END}; the table goes between them.")
    before, rest = page.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}"


def amount(value: float, unit: str) -> str:
    """Three digits that count, with the unit: "318 tokens/s", "2.51 GB", "39.1 ms"."""
    if unit == "bytes":
        value, unit = (value / 1e9, "GB") if value >= 1e9 else (value / 1e6, "MB")
    elif unit == "s" and value < 1:
        value, unit = value * 1e3, "ms"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def load(path: Path) -> dict[str, Measured]:
    """The results of earlier runs; none where there is no file."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: Measured(one["machine"], one["seconds"], tuple(Row(**fields) for fields in one["rows"]))
        for name, one in found.items()
    }


def save(results: Mapping[str, Measured]) -> None:
    """Write results.json and the tables of the pages."""
    document = {name: asdict(measured) for name, measured in results.items()}
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for page, text in ((PAGE, table(results)), (FRONT_PAGE, short_table(results))):
        page.write_text(with_table(page.read_text(encoding="utf-8"), text), encoding="utf-8")


def ratio(row: Row) -> str:
    """Two digits behind the point, or three that count."""
    return f"{row.ratio:.2f}" if row.ratio < 100 else f"{row.ratio:,.0f}"


def target(row: Row) -> str:
    """Such as "at least 2.6", with whether it is met."""
    return f"at {row.at} {row.target:g}" + ("" if row.met else ", **missed**")


def _line(row: Row) -> str:
    sides = (amount(row.ours, row.unit), amount(row.peer, row.unit))
    return _cells(row.what, row.against, *sides, ratio(row), target(row), row.note)


def _cells(*texts: str) -> str:
    return f"| {' | '.join(text.replace('|', '&#124;') for text in texts)} |"


def _met(rows: Sequence[Row]) -> str:
    return f"{sum(row.met for row in rows)} of {len(rows)} targets are met."


def _cost(results: Mapping[str, Measured]) -> str:
    minutes = sum(measured.seconds for measured in results.values()) / 60
    return f"The scripts took {minutes:.0f} minutes in all."


def _machines(results: Mapping[str, Measured]) -> list[str]:
    """A sentence a machine, with the scripts that ran there if there are several."""
    places: dict[str, list[str]] = {}
    for name, measured in results.items():
        facts = {key: value for key, value in measured.machine.items() if key != "load"}
        places.setdefault(", ".join(f"{key} {value}" for key, value in facts.items()), []).append(name)
    return [place + (f" ({', '.join(names)})" if len(places) > 1 else "") for place, names in places.items()]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, metavar="NAME", help=f"of {', '.join(SCRIPTS)}")
    return parser.parse_args()


def main() -> None:
    """Run the scripts; what each found is written before the next one starts."""
    only = _arguments().only
    results, failed, here = load(RESULTS) if only else {}, dict[str, str](), machine()
    for name in only or SCRIPTS:
        say(f"{name}: running")
        began = time.perf_counter()
        try:
            rows = run(HERE / f"{name}.py")
        except ScriptFailedError as error:
            failed[name] = str(error)
            continue
        finally:
            seconds = time.perf_counter() - began
            say(f"{name}: {seconds:.0f} s")
        results = merged(results, {name: Measured(here, round(seconds, 1), rows)})
        save(results)
    for name, reason in failed.items():
        say(f"{name} failed: {reason}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
