"""How speed and memory of training a bilingual adapter grow with batch, length, vocabulary and layers.

    python benchmarks/scaling.py [--plot-only]

One thing varies at a time around a middle: batch 8, 128 tokens, 120,000 words, 4 layers, 768 wide, reduction 2. Each
point is a training as users run it, in a process of its own, on the embedded text and a random base. Memory is the
most that the process had during its steps; "above the base" is by how much it grew in them, weights read from disk
left out. Writes scaling.json beside this file and docs/scaling.svg.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from measuring import Peak, anonymous, machine, peak_memory, say
from sized import place, write_base

from badx_hub import train_language_adapter
from badx_hub.languages import pair
from badx_hub.recipes import load_recipe, override
from badx_hub.registry import open_registry
from badx_hub.training.loop import Silent

RESULT = Path(__file__).with_suffix(".json")
PLOT = Path(__file__).resolve().parents[1] / "docs" / "scaling.svg"
STEPS = 4
"""A point's steps; the first is not timed."""


@dataclass(frozen=True)
class Point:
    """The sizes of one training; the defaults are the middle."""

    batch: int = 8
    length: int = 128
    vocabulary: int = 120_000
    layers: int = 4


AXES: Mapping[str, tuple[int, ...]] = {
    "batch": (2, 8, 16, 32),
    "length": (64, 128, 256, 512),
    "vocabulary": (30_000, 60_000, 120_000, 250_000),
    "layers": (2, 4, 8, 12),
}
TITLES = {
    "batch": "blocks in a batch",
    "length": "tokens in a block",
    "vocabulary": "words of the base",
    "layers": "layers of the base",
}


class Watch(Silent):
    """Times every step and watches the memory from the first one to the last."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.whole, self.own = Peak(0, 0), Peak(0, 0)
        self._watching = ExitStack()

    def started(self, steps: int, done: int, unit: str) -> None:
        """Everything is loaded now."""
        self.whole = self._watching.enter_context(peak_memory())
        self.own = self._watching.enter_context(peak_memory(anonymous))

    def stepped(self, step: int, loss: float, units: int) -> None:
        """Note the time; the last step ends the watch, before the evaluation."""
        self.times.append(time.perf_counter())
        if step == STEPS:
            self._watching.close()


def points() -> list[Point]:
    """The middle and all the others, once each."""
    found = [replace(Point(), **{axis: value}) for axis, values in AXES.items() for value in values]
    return list(dict.fromkeys(found))


def base_of(point: Point, folder: Path) -> Path:
    """Its base in `folder`, written if it is not there."""
    name = f"base-{point.vocabulary}-{point.layers}"
    return write_base(folder / name, vocabulary=point.vocabulary, layers=point.layers)


def measured(point: Point, folder: Path) -> dict[str, float]:
    """One training in this process: tokens/s, and the peak of its memory in bytes, in all and above the base."""
    sizes = {"batch_size": point.batch, "max_length": point.length}
    recipe = override(
        load_recipe("paper").language, {**sizes, "steps": STEPS, "eval_every": STEPS, "eval_blocks": 1, "save_every": 0}
    )
    watch = Watch()
    train_language_adapter(
        pair("en", "wo"),
        recipe,
        registry=open_registry(str(folder / "registry" / "-".join(map(str, asdict(point).values())))),
        base=str(base_of(point, folder)),
        text={language: f"demo:text/{language}.txt.gz" for language in ("en", "wo")},
        reporter=watch,
    )
    a_step = median(after - before for before, after in zip(watch.times, watch.times[1:], strict=False))
    speed = point.batch * point.length / a_step
    return {"tokens_per_second": round(speed, 1), "bytes": watch.whole.most, "bytes_above": watch.own.above}


def in_own_process(point: Point, folder: Path) -> dict[str, float]:
    """`measured` in a new process, so that memory and caches are those of this point alone."""
    base_of(point, folder)  # Written here: that would leave its mark on the memory of the process that measures.
    command = [sys.executable, __file__, "--point", json.dumps(asdict(point)), "--folder", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def along(axis: str, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows of the middle and of the points that differ from it in `axis`, in order."""
    others = [(name, value) for name, value in asdict(Point()).items() if name != axis]
    return sorted((row for row in rows if all(row[name] == value for name, value in others)), key=lambda row: row[axis])


def plot(result: Mapping[str, Any], path: Path) -> None:
    """Speed above, memory below, a column an axis; the machine stands over them."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "badx_hub", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9.6, 5.0), layout="constrained")
        grid = figure.subplots(2, len(AXES), sharey="row", sharex="col")
        for column, axis in enumerate(AXES):
            _column(grid[0][column], grid[1][column], axis, along(axis, result["points"]))
        figure.suptitle(", ".join(f"{key} {value}" for key, value in result["machine"].items()), fontsize=8)
        grid[0][0].set_ylabel("tokens/s")
        grid[1][0].set_ylabel("peak memory, GB")
        grid[1][0].legend(fontsize=8)
        for first in grid[:, 0]:  # Once all is drawn: a row has one scale.
            first.set_ylim(bottom=0)
        figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)


def _column(speed: Any, memory: Any, axis: str, rows: Sequence[Mapping[str, Any]]) -> None:
    values = [row[axis] for row in rows]
    whole, above = ([row[key] / 1e9 for row in rows] for key in ("bytes", "bytes_above"))
    speed.plot(values, [row["tokens_per_second"] for row in rows], marker="o", color="#0072B2")
    memory.plot(values, whole, marker="s", color="#D55E00", label="in all")
    memory.plot(values, above, marker="D", linestyle="--", color="#009E73", label="above the base")
    memory.set_xticks(values, [f"{value // 1000}k" if value >= 1000 else str(value) for value in values], fontsize=8)
    memory.set_xlabel(TITLES[axis])
    for axes in (speed, memory):
        axes.grid(visible=True, alpha=0.3)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot-only", action="store_true", help="draw the last result again")
    parser.add_argument("--point", type=lambda text: Point(**json.loads(text)), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure all points and draw them, or be the process of one."""
    options = _arguments()
    if options.point is not None:
        print(json.dumps(measured(options.point, options.folder)))
        return
    if not options.plot_only:
        here, rows, began = machine(), [], time.perf_counter()
        with place() as folder:
            for point in points():
                rows.append({**asdict(point), **in_own_process(point, folder)})
                say(f"{point}: {rows[-1]['tokens_per_second']:.0f} tokens/s, {rows[-1]['bytes'] / 1e9:.2f} GB")
        result = {"machine": here, "seconds": round(time.perf_counter() - began, 1), "points": rows}
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    plot(json.loads(RESULT.read_text(encoding="utf-8")), PLOT)


if __name__ == "__main__":
    main()
