"""Annotating files: sentences come in, stacks fill their columns, and everything else stays as it is."""

from __future__ import annotations

import heapq
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from badx_hub.data.conllu import NOT_ANNOTATED, RawSentence, is_conllu_name, looks_like_conllu, raw_sentences
from badx_hub.data.lines import BOM, RETURN_HINT, numbered_whole_lines, stripped
from badx_hub.data.prose_check import SNIFFED_LINES, no_prose, no_text_by_name
from badx_hub.data.treebanks import WordCount
from badx_hub.errors import DataError
from badx_hub.tasks.trees import is_tree
from badx_hub.tasks.words import sentence_of

if TYPE_CHECKING:
    from badx_hub.stack import BilingualStack
    from badx_hub.tasks import Task

CHUNK = 512
"""Sentences in memory at a time, and those that are predicted before the first of them is written."""

_PROBABILITY = re.compile(r"[01]\.[0-9]+")
_LOG = logging.getLogger(__name__)


def read_sentences(path: Path) -> Iterator[RawSentence]:
    """The sentences of a file that is CoNLL-U, by its name or its first row, or else text, a sentence a line.

    Memory holds `CHUNK` sentences. Pieces of CoNLL-U that have no word are there as well, so that all of them together
    are the file; lines of text without a word are left out.

    Raises what `badx_hub.data.conllu.read_conllu` does, DataError for what is neither, such as JSON or a table, and
    DataError if most words are withheld (FORM is "_"): before the first sentence if the first `CHUNK` have none, else
    after the last one.
    """
    kind = no_text_by_name(path)
    return sentences_in(numbered_whole_lines(path), str(path), conllu=is_conllu_name(path), other=kind)


def sentences_in(
    lines: Iterable[tuple[int, str]], name: str, *, conllu: bool = False, other: str | None = None
) -> Iterator[RawSentence]:
    """`read_sentences` of numbered whole lines, called `name` in errors; `conllu` says what they are known to be.

    `other` is what they are if they are no CoNLL-U, where that is known: ".csv".
    """
    rest = iter(lines)
    head = [] if conllu else list(islice(rest, SNIFFED_LINES))
    contents = [stripped(number, line) for number, line in head]
    # Only a row tells: text may begin with "#", too.
    row = next((content for content in contents if content.strip() and not content.startswith("#")), "")
    every = chain(head, rest)
    if conllu or looks_like_conllu(row):
        return _with_words(raw_sentences(every, name), name)
    if other is not None and row:
        raise DataError(f"{name} is {other}, neither CoNLL-U nor text. Write its sentences to a .txt file, one a line.")
    if (hint := no_prose(contents)) is not None:
        raise DataError(f"{name} is {hint}")
    return _of_text(every, name)


def output_name(path: Path) -> str:
    """The name of what is made of a file: its own, or with .conllu in place of the ending of a text file."""
    if is_conllu_name(path):
        return path.name
    packed = path.name.lower().endswith(".gz")
    return f"{Path(path.stem).stem if packed else path.stem}.conllu{'.gz' if packed else ''}"


def annotated(
    stacks: Sequence[BilingualStack],
    sentences: Iterable[RawSentence],
    *,
    overwrite: bool = False,
    confidence: bool = False,
    batch_size: int = 32,
    done: Callable[[int], object] = lambda _: None,
) -> Iterator[RawSentence]:
    """The sentences, in order, with the columns of each stack's task filled; memory holds `CHUNK` of them.

    A word is filled where all columns of the task are "_"; with `overwrite` always. What one stack fills the next one
    does not read. With `confidence`, the probability of what is filled in goes into MISC (`Task.probability_column`).
    `done` is called with the number of sentences that were just finished. A warning is logged for
    sentences in which given and predicted heads together are no tree.
    """
    source = iter(sentences)
    broken = 0
    while chunk := list(islice(source, CHUNK)):
        for stack in stacks:
            chunk, failed = _filled(stack, chunk, overwrite, confidence, batch_size)
            broken += failed
        done(sum(raw.sentence is not None for raw in chunk))
        yield from chunk
    if broken:
        _LOG.warning(
            "in %d sentences that had heads for some words only, given and predicted heads together are no tree; "
            "parse them as a whole by overwriting",
            broken,
        )


def probabilities(raw: RawSentence, columns: Sequence[str]) -> list[float]:
    """All probabilities that these columns hold for the words."""
    found = [cell for column in columns for cell in raw.cells(column) if cell != NOT_ANNOTATED]
    return [float(cell) for cell in found if _PROBABILITY.fullmatch(cell)]


def certainty(raw: RawSentence, columns: Sequence[str]) -> float | None:
    """The mean of these probabilities; None if there are none."""
    numbers = probabilities(raw, columns)
    return sum(numbers) / len(numbers) if numbers else None


class LeastCertain:
    """The `count` sentences of lowest certainty, of any number of them; memory holds no more."""

    def __init__(self, count: int, columns: Sequence[str]) -> None:
        """`columns` as for `certainty`."""
        self._count, self._columns = count, columns
        self._worst: list[tuple[float, int, RawSentence]] = []
        self._seen = 0

    def add(self, raw: RawSentence) -> None:
        """Keep the sentence if it is among them so far; of equal ones the first."""
        mean = certainty(raw, self._columns)
        if mean is None:
            return
        self._seen += 1
        heapq.heappush(self._worst, (-mean, -self._seen, raw))
        if len(self._worst) > self._count:
            heapq.heappop(self._worst)

    def text(self) -> str:
        """The sentences as a CoNLL-U file, the least certain first."""
        ordered = sorted(self._worst, reverse=True)
        rows = ([line.removesuffix("\n") for line in raw.lines if line.strip(" \r\n")] for _, _, raw in ordered)
        return "".join("\n".join([*lines, "", ""]).removeprefix(BOM) for lines in rows)


def _with_words(pieces: Iterator[RawSentence], name: str) -> Iterator[RawSentence]:
    count = WordCount(name)
    while chunk := list(islice(pieces, CHUNK)):
        for raw in chunk:
            if raw.sentence is not None:
                count.add(raw.sentence)
        if not count.has_words:
            count.refuse()
        yield from chunk
    count.refuse()


def _of_text(lines: Iterable[tuple[int, str]], name: str) -> Iterator[RawSentence]:
    for number, line in lines:
        content = stripped(number, line).strip()
        if "\r" in content:
            raise DataError(f"{name}:{number}: {RETURN_HINT}")
        sentence = sentence_of(content)
        if sentence.words:
            yield RawSentence.of(sentence)


def _filled(
    stack: BilingualStack, chunk: Sequence[RawSentence], overwrite: bool, confidence: bool, batch_size: int
) -> tuple[list[RawSentence], int]:
    """The chunk with the task's columns filled, and the number of sentences that were no tree afterwards."""
    task = stack.task
    result = list(chunk)
    due = [
        (index, raw.sentence, words)
        for index, raw in enumerate(chunk)
        if raw.sentence is not None and any(words := _due(raw, task, overwrite))
    ]
    if not due:
        return result, 0
    examples = [task.prepare(sentence) for _, sentence, _ in due]
    predictions, chances = stack.predict_with_probabilities(examples, batch_size=batch_size)
    broken = 0
    for (index, _, words), example, prediction, chance in zip(due, examples, predictions, chances, strict=True):
        columns = dict(zip(task.columns, task.cells(example, prediction), strict=True))
        if confidence and task.probability_column is not None:
            columns[task.probability_column] = tuple(f"{probability:.3f}" for probability in chance)
        result[index] = _with(chunk[index], columns, words)
        broken += not all(words) and not _sound(result[index], task)
    return result, broken


def _with(raw: RawSentence, columns: Mapping[str, Sequence[str]], words: Sequence[bool]) -> RawSentence:
    """The sentence with the columns replaced at these words."""
    return raw.replaced(
        {
            column: [new if here else old for here, new, old in zip(words, cells, raw.cells(column), strict=True)]
            for column, cells in columns.items()
        }
    )


def _due(raw: RawSentence, task: Task, overwrite: bool) -> list[bool]:
    """Whether each word is to be filled."""
    if overwrite:
        return [True] * len(raw.words)
    rows = zip(*(raw.cells(column) for column in task.columns), strict=True)
    return [all(cell == NOT_ANNOTATED for cell in row) for row in rows]


def _sound(raw: RawSentence, task: Task) -> bool:
    if raw.sentence is None or "HEAD" not in task.columns:
        return True
    heads = [head for head in raw.sentence.heads if head is not None]
    return len(heads) == len(raw.words) and is_tree(heads)
