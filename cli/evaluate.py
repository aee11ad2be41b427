"""`badx-hub evaluate`: zero-shot scores of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from badx_hub.cli import _entries, _evaluate_perplexity, _load_stack, _options, _output
from badx_hub.cli._output import Format
from badx_hub.errors import UsageError
from badx_hub.metric_key import MetricKey
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.cli._options import Fallback
    from badx_hub.evaluation import Evaluation
    from badx_hub.registry import AdapterQuery, Entry
    from badx_hub.registry.chain import RegistryChain


_DataOption = Annotated[
    str | None, typer.Option("--data", metavar="SOURCE", help="Annotated data: a folder, a file or ud:TREEBANK.")
]
_TextOption = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="LANG=SOURCE", help="Without --task: text to measure the perplexity on."),
]


def evaluate(
    pair: _options.PairArgument,
    task: _options.TaskOption = None,
    data: _DataOption = None,
    text: _TextOption = None,
    split: _options.SplitOption = _options.SplitName.TEST,
    setup: _options.SetupOption = _options.SetupName.BAD_X,
    base: _options.BaseOption = None,
    ratio: _options.RatioOption = None,
    label: _options.LabelOption = None,
    registry: _options.RegistryOption = None,
    lock: _options.LockOption = None,
    fallback: _options.FallbackOption = None,
    offline: _options.OfflineOption = False,
    option: _options.TaskOptionsOption = None,
    record: Annotated[
        bool, typer.Option("--record", help="Register a new version of the weights with these scores.")
    ] = False,
    language: Annotated[
        str | None, typer.Option("--language", metavar="LANG", help="Of the data, for --record. [default: the target]")
    ] = None,
    batch_size: _options.BatchSizeOption = 32,
    precision: _options.PrecisionOption = _options.PrecisionName.AUTO,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Score a stack on annotated data of its target language, or a language adapter on text.

    All of the data counts. --format quiet prints one metric a line, as a fraction. With --record the scores stand in
    the manifest and on the card of a new version, which is what push publishes. Without --task it is the perplexity
    on the held-out part of each --text, as training measures it.
    """
    asked = _entries.query(pair, task=task, setup=setup.value, base=base, ratio=ratio, label=label)
    if task is None:
        if data or record or option or fallback:
            raise UsageError("--data, --record, --option and --fallback are about a task: add --task pos.")
        _evaluate_perplexity.measure(asked, text or [], registry, base=base, lock=lock, offline=offline, format=format)
        return
    if data is None or text:
        raise UsageError(f"--task {task} is scored on annotated data: --data SOURCE. --text goes without --task.")
    from badx_hub.tasks import task_named

    options = _options.task_options(option)
    task_named(task, options).references(data, split.value)  # a wrong path is answered before anything loads
    spoken = _recorded_language(language, asked, registry, fallback) if record else None
    found, resolution = _load_stack.open_and_find(registry, asked, lock=lock, fallback=fallback, offline=offline)
    from badx_hub.evaluation import evaluate as run

    stack = _load_stack.load(found, resolution, base, offline=offline, options=options, precision=precision)
    done = run(stack, data, split=split.value, batch_size=batch_size)
    entry = done.entry if spoken is None else _record(done, found, spoken)
    _show(done, entry, task, format)


def _show(done: Evaluation, entry: Entry, task: str, format: Format) -> None:
    metrics = done.scores.metrics
    _output.show(
        format,
        tables=_tables(done),
        document={
            "name": str(done.entry.name),
            "version": entry.version,
            "task": task,
            "setup": done.setup,
            "data": done.data,
            "split": done.split,
            "examples": done.examples,
            "metrics": dict(metrics),
            "labels": [vars(row) for row in done.scores.table],
            "confusion": vars(done.scores.confusion) if done.scores.confusion else None,
            "seconds": done.seconds,
        },
        quiet=[f"{metric}\t{value:.6f}" for metric, value in metrics.items()],
    )


def _recorded_language(
    language: str | None, asked: AdapterQuery, registry: str | None, fallback: Fallback | None
) -> str:
    """The language whose scores are recorded; what cannot be recorded is refused before anything is computed."""
    from badx_hub.languages import normalise

    if registry == "demo":
        raise UsageError("The demo registry is read-only: leave --record out, or pull from it and record there.")
    if fallback is not None:
        raise UsageError("--record is about a task adapter on its own adapter: leave --fallback out.")
    if language is not None:
        return normalise(language)
    if len(asked.mixture.targets) > 1:
        raise UsageError(f"{asked.mixture} has several targets. Say which one the data is in: --language LANG.")
    return asked.mixture.targets[0]


def _record(done: Evaluation, chain: RegistryChain, language: str) -> Entry:
    from badx_hub.evaluation.record_scores import record

    recorded = record(done, chain, language=language)
    if recorded.already:
        _output.note(f"These very scores are in {recorded.entry.name} {recorded.entry.version} already.")
    else:
        _output.note(f"recorded in {recorded.entry.location}")
    return recorded.entry


def _tables(done: Evaluation) -> list[Table]:
    title = f"{done.entry.name} on {done.data} ({done.split}: {done.examples:,} examples, {done.seconds:.1f} s)"
    metrics = tuple((key, MetricKey.parse(key).shown(value)) for key, value in done.scores.metrics.items())
    labels = tuple(
        (row.label, *(f"{100 * value:.1f}" for value in (row.precision, row.recall, row.f1)), f"{row.support:,}")
        for row in done.scores.table
    )
    columns = ("label", "precision", "recall", "F1", "support")
    return [
        Table.of(("metric", "score"), metrics, numbers=("score",), title=title),
        Table.of(columns, labels, numbers=columns[1:]),
        *_confusion(done),
    ]


def _confusion(done: Evaluation) -> list[Table]:
    """Which label was taken for which, for tasks that say so."""
    if (found := done.scores.confusion) is None:
        return []
    rows = tuple(
        (label, *(f"{count:,}" for count in counts)) for label, counts in zip(found.labels, found.counts, strict=True)
    )
    return [Table.of(("gold \\ predicted", *found.labels), rows, numbers=found.labels)]
