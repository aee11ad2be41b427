"""Learning curves of a run: a CSV of its evaluations and a picture of them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from badx_hub.errors import DataError, IntegrityError
from badx_hub.metric_key import MetricKey, Unit
from badx_hub.untrusted_files import read_plain

CurveRows = Sequence[Mapping[str, float]]
CSV = "curves.csv"
_MAX_BYTES = 2**24


def write_curves(
    folder: Path, rows: CurveRows, *, title: str, metrics: Sequence[str], best_step: int, kept: str = ""
) -> None:
    """Write `curves.csv` (a row per evaluation) and `curves.png` (a line per metric, the kept step marked).

    `kept` says which weights were kept; default: those of `best_step`.
    """
    _write_csv(folder / CSV, rows)
    _write_png(folder / "curves.png", rows, title, metrics, best_step, kept or f"step {best_step}")


def read_curves(folder: Path, digest: str) -> CurveRows:
    """The rows of `curves.csv`: step, loss since the previous row, metrics.

    Raises IntegrityError if its sha256 is not `digest`, and DataError for what is no learning curve.
    """
    path = folder / CSV
    content = read_plain(path, limit=_MAX_BYTES)
    if hashlib.sha256(content).hexdigest() != digest:
        raise IntegrityError(f"{path} is not the file that was published. Remove the adapter and train it again.")
    try:
        rows = csv.DictReader(content.decode("utf-8").splitlines())
        return [{key: float(value) for key, value in row.items()} for row in rows]
    except (TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{path} is not a learning curve ({error}). Train the adapter again.") from error


def _write_csv(path: Path, rows: CurveRows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        # The last row was measured just now; those of a checkpoint may come in another order.
        writer = csv.DictWriter(file, fieldnames=list(rows[-1]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_png(path: Path, rows: CurveRows, title: str, metrics: Sequence[str], best_step: int, kept: str) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    steps = [row["step"] for row in rows]
    # Lines differ by marker and dash as well as by colour: readable in grey and for colour-blind people.
    for metric, marker, dash in zip(metrics, cycle("osD^vPX*"), cycle(("-", "--", "-.", ":")), strict=False):
        axes.plot(steps, [row[metric] for row in rows], marker=marker, linestyle=dash, label=metric)
    axes.axvline(best_step, color="0.6", linewidth=1, label=f"kept: {kept}")
    first = MetricKey.parse(metrics[0])
    if first.unit is Unit.PERPLEXITY:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set(title=title, xlabel="optimizer steps", ylabel=first.name)
    axes.legend()
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(path, dpi=120, metadata={"Software": None})
