"""`badx-hub demo`: the whole way on embedded data, and a table of what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from badx_hub.cli import _options, _output
from badx_hub.cli._output import Format
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.demo.run import DemoReport, DemoRow
    from badx_hub.manifest import Training

_SCORES = ("accuracy", "macro F1")


def demo(format: _options.FormatOption = Format.TABLE) -> None:
    """Train, share, load and use a pair in a few minutes, offline.

    Trains a bilingual adapter on English and Wolof text and a part-of-speech tagger on English alone, both on
    the small embedded base; evaluates on Wolof; pushes, pulls, loads and predicts. A second run starts from
    what the first one left.
    """
    from badx_hub.cli._progress import reporter
    from badx_hub.demo.run import run_demo

    report = run_demo(announce=_output.note, reporter=reporter)
    _output.show(
        format,
        tables=_tables(report),
        document=_document(report),
        quiet=[f"{row.stack}\t{row.accuracy:.6f}\t{row.macro_f1:.6f}" for row in report.rows],
    )


def _tables(report: DemoReport) -> list[Table]:
    columns = ("stack", "adapter training", "tagger training", *_SCORES)
    sentences = tuple((" ".join(f"{word}/{tag}" for word, tag in sentence),) for sentence in report.predictions)
    return [
        Table.of(
            columns,
            (_row(row) for row in report.rows),
            numbers=_SCORES,
            folding=columns[:3],
            title=f"POS on Wolof, zero-shot, measured just now (all in all {report.seconds:.0f} s)",
        ),
        Table.of(("predictions of the shipped stack",), sentences, folding=("predictions of the shipped stack",)),
        Table.of(
            ("registry", "folder (curves.png and curves.csv beside each adapter)"),
            tuple((name, str(folder)) for name, folder in report.folders),
            folding=("folder (curves.png and curves.csv beside each adapter)",),
        ),
    ]


def _row(row: DemoRow) -> tuple[str, ...]:
    scores = (f"{100 * value:.1f}" for value in (row.accuracy, row.macro_f1))
    return (row.stack, _budget(row.language_side), _budget(row.task_side), *scores)


def _budget(training: Training | None) -> str:
    if training is None:
        return "none"
    return f"{training.steps:,} steps, {training.seconds:,.0f} s"


def _document(report: DemoReport) -> dict[str, Any]:
    return {
        "rows": [
            {
                "stack": row.stack,
                "language_side": row.language_side.model_dump() if row.language_side else None,
                "task_side": row.task_side.model_dump(),
                "accuracy": row.accuracy,
                "macro_f1": row.macro_f1,
            }
            for row in report.rows
        ],
        "predictions": report.predictions,
        "folders": {name: str(folder) for name, folder in report.folders},
        "seconds": report.seconds,
    }
