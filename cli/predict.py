"""`badx-hub predict`: a stack at work on text or CoNLL-U."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _entries, _inputs, _load_stack, _options, _output
from badx_hub.errors import UsageError

if TYPE_CHECKING:
    from badx_hub.stack import BilingualStack
    from badx_hub.tasks import Task

_CHUNK = 1024
"""Sentences predicted before the first of them are printed."""


class Output(str, Enum):
    """How predictions are written."""

    TSV = "tsv"
    JSON = "json"
    CONLLU = "conllu"


def predict(
    pair: _options.PairArgument,
    task: _options.RequiredTaskOption,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="A sentence. [default: stdin, one a line]")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="F", help="Text, a sentence a line, or CoNLL-U, whose words are kept."),
    ] = None,
    output: Annotated[
        Output, typer.Option("--output", help="tsv: a word and its label a line; for nli, a pair and its label.")
    ] = Output.TSV,
    setup: _options.SetupOption = _options.SetupName.BAD_X,
    base: _options.BaseOption = None,
    ratio: _options.RatioOption = None,
    label: _options.LabelOption = None,
    registry: _options.RegistryOption = None,
    lock: _options.LockOption = None,
    fallback: _options.FallbackOption = None,
    offline: _options.OfflineOption = False,
    option: _options.TaskOptionsOption = None,
    batch_size: _options.BatchSizeOption = 32,
    precision: _options.PrecisionOption = _options.PrecisionName.AUTO,
) -> None:
    """Predict on sentences of the target language.

    TEXT, a file, or lines on stdin; blank lines are skipped. For nli, a line is a premise, a tab and a hypothesis.
    --output conllu of CoNLL-U keeps all that is not predicted; `annotate` runs several tasks and fills what is empty.
    """
    from badx_hub.tasks import task_named

    asked = _entries.query(pair, task=task, setup=setup.value, base=base, ratio=ratio, label=label)
    options = _options.task_options(option)
    chosen = task_named(task, options)
    found, resolution = _load_stack.open_and_find(registry, asked, lock=lock, fallback=fallback, offline=offline)
    if output is Output.CONLLU and not chosen.columns:
        raise UsageError(f"What {task} predicts has no place in CoNLL-U. Take --output tsv or json.")
    inputs = _inputs_of(chosen, text, file.expanduser() if file else None)
    if not inputs:
        _output.note("There is nothing to predict on: no line has a word.")
        if output is Output.JSON:
            _output.write_records(())
        return
    stack = _load_stack.load(found, resolution, base, offline=offline, options=options, precision=precision)
    if output is Output.CONLLU:
        from badx_hub.annotation import annotated

        for raw in annotated([stack], inputs, overwrite=True, batch_size=batch_size):
            _output.write_exactly(str(raw))
        return
    if chosen.reads_conllu:
        inputs = tuple(raw.sentence for raw in inputs if raw.sentence is not None)
    examples = tuple(map(chosen.prepare, inputs))
    _write(chosen, _predicted(stack, examples, batch_size), output)


def _inputs_of(task: Task, text: str | None, file: Path | None) -> tuple[Any, ...]:
    """All sentences with a word, as they stand in the input, or lines for a task that reads none."""
    from badx_hub.data.conllu import is_conllu_name

    if text is not None and file is not None:
        raise UsageError("TEXT and --file are both given. Leave one out.")
    if task.reads_conllu:
        read = tuple(_inputs.sentences(text, file))
        return read if any(raw.sentence is not None for raw in read) else ()
    if file is not None and is_conllu_name(file):
        raise UsageError(f"{task.name} reads no CoNLL-U. Give lines with a premise, a tab and a hypothesis.")
    return tuple(_inputs.lines(text, file))


def _predicted(stack: BilingualStack, examples: Sequence[Any], batch_size: int) -> Iterator[tuple[Any, Any]]:
    for start in range(0, len(examples), _CHUNK):
        part = examples[start : start + _CHUNK]
        yield from zip(part, stack.predict_examples(part, batch_size=batch_size), strict=True)


def _write(task: Task, predicted: Iterable[tuple[Any, Any]], output: Output) -> None:
    if output is Output.JSON:
        _output.write_records(task.record(example, prediction) for example, prediction in predicted)
        return
    for example, prediction in predicted:
        for row in task.rows(example, prediction):
            _output.write_row(row)
        if task.reads_conllu:  # a row a word
            _output.write("")
