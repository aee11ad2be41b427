"""From the text of a request to sentences, and from stacks at work to what the answer says of them."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

from badx_hub.annotation import annotated, sentences_in
from badx_hub.data.conllu import NOT_ANNOTATED, RawSentence
from badx_hub.data.lines import whole_lines
from badx_hub.stack import BilingualStack
from badx_hub.web.limits import Limits, RequestRefused

STEP_SENTENCES = 32
STEP_WORDS = 1_000
"""A step of work ends at the first of both: after it, it is another text's turn."""

NAME = "the text"
"""What the text of a request is called in errors, before the number of the line."""


@dataclass(frozen=True)
class AnnotatedSentence:
    """A piece of the text, as `RawSentence`, and the probability of what was filled in, by the column it is about.

    `probabilities` has a number a word, None where nothing was filled in: of the tag ("UPOS"), the head ("HEAD") and
    the entity tag ("NAME").
    """

    raw: RawSentence
    probabilities: Mapping[str, tuple[float | None, ...]]


def read(text: str, limits: Limits, *, conllu: bool = False) -> tuple[RawSentence, ...]:
    """The pieces of a text, all of it; `conllu` as in `sentences_in`.

    Raises DataError for what is not CoNLL-U, and what `bounded` does.
    """
    return bounded(sentences_in(_lines(text, limits), NAME, conllu=conllu), limits)


def _lines(text: str, limits: Limits) -> Iterator[tuple[int, str]]:
    """The numbered whole lines. Raises RequestRefused (413) at the first that is too long, or one too many."""
    for number, line in whole_lines(BytesIO(text.encode()), NAME):
        if number > limits.lines or len(line) > limits.characters_a_line:
            raise RequestRefused(
                413,
                f"The text has more than {limits.lines:,} lines, or {limits.characters_a_line:,} characters in one.",
            )
        yield number, line


def bounded(given: Iterable[RawSentence], limits: Limits) -> tuple[RawSentence, ...]:
    """The pieces, drawn one by one. Raises RequestRefused (413) at the first that is more than the limits allow."""
    pieces: list[RawSentence] = []
    sentences = words = 0
    for raw in given:
        sentences += raw.sentence is not None
        words += len(raw.words)
        # Blank lines and comments that stand alone are pieces, too.
        if sentences > limits.sentences or words > limits.words or len(pieces) > 2 * limits.sentences:
            raise RequestRefused(
                413,
                f"The text has more than {limits.sentences:,} sentences or {limits.words:,} words. Send it in parts.",
            )
        _check(raw, sentences, limits)
        pieces.append(raw)
    return tuple(pieces)


def _check(raw: RawSentence, number: int, limits: Limits) -> None:
    if len(raw.words) > limits.words_a_sentence:
        raise RequestRefused(
            413, f"Sentence {number} has more than {limits.words_a_sentence:,} words. Put each one on its own line."
        )
    if any(len(word) > limits.characters_a_word for word in raw.cells("FORM")):
        raise RequestRefused(
            413, f"A word of sentence {number} has more than {limits.characters_a_word:,} characters. Split it."
        )


def filled(
    stacks: Sequence[BilingualStack], pieces: Sequence[RawSentence], *, overwrite: bool = False
) -> Generator[None, None, tuple[AnnotatedSentence, ...]]:
    """The pieces with the columns of the stacks' tasks filled as `annotated` does; a job for a worker.

    Nothing else in them changes: the probabilities stand beside them and not in MISC.
    """
    done: list[AnnotatedSentence] = []
    for step in _steps(pieces):
        done += _filled(stacks, step, overwrite) if stacks else (AnnotatedSentence(raw, {}) for raw in step)
        yield
    return tuple(done)


def _filled(
    stacks: Sequence[BilingualStack], pieces: Sequence[RawSentence], overwrite: bool
) -> Iterator[AnnotatedSentence]:
    keys = [key for stack in stacks if (key := stack.task.probability_column) is not None]
    # Numbers of an earlier run are taken out of the way, so that all that is there afterwards comes from this one.
    bare = [raw.replaced({key: [NOT_ANNOTATED] * len(raw.words) for key in keys}) for raw in pieces]
    columns = [column for stack in stacks for column in stack.task.columns]
    for raw, result in zip(pieces, annotated(stacks, bare, overwrite=overwrite, confidence=True), strict=True):
        yield AnnotatedSentence(
            raw.replaced({column: result.cells(column) for column in columns}),
            {stack.task.columns[0].removeprefix("MISC.").upper(): _numbers(result, stack) for stack in stacks},
        )


def _numbers(raw: RawSentence, stack: BilingualStack) -> tuple[float | None, ...]:
    key = stack.task.probability_column
    cells: Iterable[str] = raw.cells(key) if key else (NOT_ANNOTATED for _ in raw.words)
    return tuple(None if cell == NOT_ANNOTATED else float(cell) for cell in cells)


def _steps(pieces: Sequence[RawSentence]) -> Iterator[Sequence[RawSentence]]:
    """The pieces in order, a few at a time."""
    step: list[RawSentence] = []
    words = 0
    for raw in pieces:
        if step and (len(step) >= STEP_SENTENCES or words + len(raw.words) > STEP_WORDS):
            yield step
            step, words = [], 0
        step.append(raw)
        words += len(raw.words)
    if step:
        yield step
