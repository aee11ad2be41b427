"""`badx-hub annotate`: whole files, several tasks, nothing lost."""

from __future__ import annotations

import gzip
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from badx_hub.cli import _annotate_places, _entries, _inputs, _load_stack, _options, _output
from badx_hub.cli._progress import counting
from badx_hub.errors import UsageError

if TYPE_CHECKING:
    from badx_hub.annotation import LeastCertain
    from badx_hub.data.conllu import RawSentence


_FilesArgument = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FILE...", help="CoNLL-U, or text, a sentence a line. [default: - (stdin)]"),
]
_OutputOption = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="OUT", help="A file, or a folder for several. [default: - (stdout)]"),
]
_ReviewOption = Annotated[
    int | None,
    typer.Option("--review", metavar="N", min=1, help="Also write the N least certain sentences to OUT.review.conllu."),
]


def annotate(
    pair: _options.PairArgument,
    tasks: Annotated[str, typer.Option("--tasks", metavar="TASKS", help="In this order, such as pos,dp,ner.")],
    files: _FilesArgument = None,
    output: _OutputOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is annotated. [default: fill only what is _]")
    ] = False,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Write how probable each tag and head is into MISC.")
    ] = False,
    review: _ReviewOption = None,
    show: Annotated[
        bool, typer.Option("--show", help="Print trees and tags to look at; without -o in place of CoNLL-U.")
    ] = False,
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
    """Fill UPOS (pos), HEAD and DEPREL (dp) and name= in MISC (ner) of files.

    Comments, range lines, empty nodes and all other columns stay as they are. Each task uses its own adapters, on one
    base. A file is written whole or not at all. The keys of --confidence, which --review implies, are UposProb,
    HeadProb and NameProb.
    """
    from badx_hub.annotation import LeastCertain, annotated

    options = _options_of_tasks(tasks, _options.task_options(option))
    paths = _annotate_places.inputs(files or ())
    outputs = _annotate_places.outputs(paths, output, review)
    found = []
    for task in options:
        asked = _entries.query(pair, task=task, setup=setup.value, base=base, ratio=ratio, label=label)
        found.append(_load_stack.open_and_find(registry, asked, lock=lock, fallback=fallback, offline=offline))
    totals = [_checked(path) for path in paths]  # a bad line is answered before work is spent
    stacks = _load_stack.load_together(found, list(options.values()), base, offline=offline, precision=precision)
    fill = partial(annotated, stacks, overwrite=overwrite, confidence=confidence or bool(review), batch_size=batch_size)
    columns = [column for stack in stacks if (column := stack.task.probability_column)]
    inputs: list[tuple[Path | None, int | None]] = list(zip(paths, totals, strict=True)) or [(None, None)]
    for (path, total), out in zip(inputs, outputs, strict=True):
        worst = LeastCertain(review or 0, columns)
        with counting("sentences", total, shown=(bool(out) and not show) or not sys.stdout.isatty()) as done:
            filled = fill(_inputs.sentences(None, path), done=done)
            written = _write(_shown(filled) if show else filled, out, worst, quiet=show)
        if not written:
            _output.note("There is nothing to annotate: no line of stdin has a word.")
        if review and out:
            _annotate_places.write_review(out, worst.text())


def _write(sentences: Iterator[RawSentence], out: Path | None, worst: LeastCertain, *, quiet: bool) -> int:
    """Write the sentences, to a file alone if `quiet`, and remember the least certain ones; how many have a word."""
    count = 0
    with nullcontext() if quiet and out is None else _opened(out) as write:
        for raw in sentences:
            if write:
                write(str(raw))
            worst.add(raw)
            count += raw.sentence is not None
    return count


def _shown(sentences: Iterator[RawSentence]) -> Iterator[RawSentence]:
    """The sentences, each of which is printed as a tree first."""
    from badx_hub.terminal_trees import text_tree

    width = shutil.get_terminal_size().columns
    for raw in sentences:
        if tree := text_tree(raw, width):
            _output.write(tree)
        yield raw


def _options_of_tasks(tasks: str, given: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The options of each task by its name; one that several tasks know is for all of them. Raises UsageError."""
    from badx_hub.tasks import options_of, task_named

    chosen = {name: task_named(name) for name in (part.strip() for part in tasks.split(","))}
    for name, task in chosen.items():
        if not task.columns:
            raise UsageError(f"What {name} predicts has no place in CoNLL-U. Take badx-hub predict.")
    known = {
        name: {key: value for key, value in given.items() if key in options_of(task)} for name, task in chosen.items()
    }
    if unknown := [key for key in given if not any(key in options for options in known.values())]:
        raise UsageError(f"None of the tasks {', '.join(chosen)} has an option {unknown[0]!r}.")
    for name, options in known.items():
        task_named(name, options)
    return known


def _checked(path: Path) -> int:
    """The number of sentences with a word in a file; raises DataError if it has none."""
    from badx_hub.annotation import read_sentences
    from badx_hub.errors import DataError

    if not (total := sum(raw.sentence is not None for raw in read_sentences(path))):
        raise DataError(f"{path} has no word; expected CoNLL-U, or text, a sentence a line.")
    return total


@contextmanager
def _opened(path: Path | None) -> Iterator[Callable[[str], object]]:
    """What writes text to a file, gzipped if its name says so, or to stdout."""
    if path is None:
        yield _output.write_exactly
        return
    from badx_hub.storage import atomic_file

    # A link stays a link to what is written.
    with atomic_file(path.resolve()) as stream:
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed:
                yield lambda text: packed.write(text.encode())
        else:
            yield lambda text: stream.write(text.encode())
    _output.note(f"wrote {path}")
