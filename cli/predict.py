"""`badx-hub predict`: a stack at work on text or CoNLL-U."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _entries, _options, _output, _stack
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
        typer.Option("--file", metavar="F", help="Text, a sentence a line, or .conllu, whose words are kept."),
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
) -> None:
    """Predict on sentences of the target language.

    TEXT, a file, or lines on stdin; blank lines are skipped. For nli, a line is a premise, a tab and a hypothesis.
    """
    from badx_hub.tasks import task_named

    asked = _entries.query(pair, task=task, setup=setup.value, base=base, ratio=ratio, label=label)
    options = _options.task_options(option)
    chosen = task_named(task, options)
    found, resolution = _stack.open_and_find(registry, asked, lock=lock, fallback=fallback, offline=offline)
    if output is Output.CONLLU and not chosen.writes_conllu:
        raise UsageError(f"What {task} predicts has no place in CoNLL-U. Take --output tsv or json.")
    examples = _examples(chosen, text, file)
    if not examples:
        _output.note("There is nothing to predict on: no line has a word.")
        _write(chosen, (), output)
        return
    stack = _stack.load(found, resolution, base, offline=offline, options=options)
    _write(chosen, _predicted(stack, examples, batch_size), output)


def _predicted(stack: BilingualStack, examples: Sequence[Any], batch_size: int) -> Iterator[tuple[Any, Any]]:
    for start in range(0, len(examples), _CHUNK):
        part = examples[start : start + _CHUNK]
        yield from zip(part, stack.predict_examples(part, batch_size=batch_size), strict=True)


def _write(task: Task, predicted: Iterable[tuple[Any, Any]], output: Output) -> None:
    if output is Output.JSON:
        _output.write_records(task.record(example, prediction) for example, prediction in predicted)
        return
    for example, prediction in predicted:
        if output is Output.TSV:
            for row in task.rows(example, prediction):
                _output.write("\t".join(row))
            if task.reads_conllu:  # a row a word
                _output.write("")
        elif (sentence := task.sentence(example, prediction)) is not None:
            from badx_hub.data.conllu import to_conllu

            _output.write(to_conllu(sentence).removesuffix("\n"))


def _examples(task: Task, text: str | None, file: Path | None) -> tuple[Any, ...]:
    if text is not None and file is not None:
        raise UsageError("TEXT and --file are both given. Leave one out.")
    if file is not None and file.name.endswith((".conllu", ".conllu.gz")):
        from badx_hub.data.conllu import read_conllu

        if not task.reads_conllu:
            raise UsageError(f"{task.name} reads no CoNLL-U. Give lines with a premise, a tab and a hypothesis.")
        return tuple(task.prepare(sentence) for sentence in read_conllu(file))
    return tuple(task.prepare(line) for line in _lines(text, file))


def _lines(text: str | None, file: Path | None) -> Iterator[str]:
    """The lines that have a word, without space around them."""
    from badx_hub.data.lines import decoded_lines, numbered_lines

    if text is not None:
        numbered = iter([(1, text)])
    elif file is not None:
        numbered = numbered_lines(file.expanduser())
    elif sys.stdin is None or sys.stdin.isatty():
        raise UsageError('There is no text. Type it ("Nanga def?"), name a --file or pipe lines in.')
    else:
        numbered = decoded_lines(sys.stdin.buffer, "stdin")
    return (stripped for _, line in numbered if (stripped := line.strip()))
