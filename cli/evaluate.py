"""`badx-hub evaluate`: zero-shot scores of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from badx_hub.cli import _entries, _output, _stack
from badx_hub.cli._options import (
    BaseOption,
    FormatOption,
    LabelOption,
    PairArgument,
    RatioOption,
    RegistryOption,
    RequiredTaskOption,
    Setup,
    SetupOption,
    Split,
)
from badx_hub.cli._output import Format, Table

if TYPE_CHECKING:
    from badx_hub.evaluation import Evaluation


def evaluate(
    pair: PairArgument,
    task: RequiredTaskOption,
    data: Annotated[
        str,
        typer.Option("--data", metavar="SOURCE", help="Annotated data of the target: a folder, a file or ud:TREEBANK."),
    ],
    split: Annotated[Split, typer.Option("--split", help="Which part of the data.")] = Split.TEST,
    setup: SetupOption = Setup.BAD_X,
    base: BaseOption = None,
    ratio: RatioOption = None,
    label: LabelOption = None,
    registry: RegistryOption = None,
    batch_size: Annotated[int, typer.Option("--batch-size", metavar="N", min=1, help="Windows a pass.")] = 32,
    format: FormatOption = Format.TABLE,
) -> None:
    """Score a stack on annotated data of its target language.

    Every word counts. --format quiet prints one metric a line, as a fraction.
    """
    asked = _entries.wanted(pair, task=task, setup=setup.value, base=base, ratio=ratio, label=label)
    from badx_hub.tasks import task_named

    task_named(task).references(data, split.value)  # a wrong path is answered before anything loads
    found, resolution = _stack.open_and_find(registry, asked)
    from badx_hub.evaluation import evaluate as run

    done = run(_stack.load(found, resolution, base), data, split=split.value, batch_size=batch_size)
    metrics = done.scores.metrics
    _output.show(
        format,
        tables=_tables(done),
        document={
            "name": str(done.entry.name),
            "version": done.entry.version,
            "task": task,
            "setup": setup.value,
            "data": done.data,
            "split": done.split,
            "examples": done.examples,
            "metrics": dict(metrics),
            "labels": [vars(row) for row in done.scores.table],
            "seconds": done.seconds,
        },
        quiet=[f"{metric}\t{value:.6f}" for metric, value in metrics.items()],
    )


def _tables(done: Evaluation) -> list[Table]:
    title = f"{done.entry.name} on {done.data} ({done.split}: {done.examples:,} examples, {done.seconds:.1f} s)"
    metrics = tuple((key, _entries.figure(key, value)) for key, value in done.scores.metrics.items())
    labels = tuple(
        (row.label, *(f"{100 * value:.1f}" for value in (row.precision, row.recall, row.f1)), f"{row.support:,}")
        for row in done.scores.table
    )
    columns = ("label", "precision", "recall", "F1", "support")
    return [
        Table(("metric", "score"), metrics, numbers=("score",), title=title),
        Table(columns, labels, numbers=columns[1:]),
    ]
