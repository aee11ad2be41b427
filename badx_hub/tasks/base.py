"""What the training and evaluation loops know of a task, and how they batch its inputs. Imports no torch."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from badx_hub.data.conllu import Sentence
from badx_hub.data.splits import DataReference, Split
from badx_hub.errors import UsageError
from badx_hub.tasks.metrics import Scores

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""The label id that torch's cross entropy leaves out of the loss."""

_POOL = 64
"""Batches sorted by length together: enough to save padding, few enough to keep the order random."""

_USUAL = 64
"""Sub-words that prediction takes a window to have: it makes room for `batch_size` such windows in a batch."""


class Window(Protocol):
    """One model input: a whole example, or a part of a long one."""

    @property
    def input_ids(self) -> tuple[int, ...]:
        """Sub-words, CLS and SEP included."""

    def __len__(self) -> int:
        """The number of `input_ids`."""

    @property
    def labelled(self) -> bool:
        """Whether it carries a gold label (see `labelled_only`)."""


ExampleT = TypeVar("ExampleT")
WindowT = TypeVar("WindowT", bound=Window)
PartT = TypeVar("PartT")
PredictionT = TypeVar("PredictionT")


class Task(Protocol[ExampleT, WindowT, PartT, PredictionT]):
    """A task from file to score. Pure but for `read` and `references` (files), `add_head` and `patch_head` (the model).

    An example is what one prediction is about (a sentence, a pair), a window one model input, a part what one
    window says about its example, a prediction all that is said about one example. A task is a frozen dataclass; its
    fields are its options, which a recipe sets by name (`TaskRecipe.options`) and `task_named` checks.
    """

    @property
    def name(self) -> str: ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names in `Scores.metrics`, the most telling first."""

    @property
    def selection_metric(self) -> str:
        """The metric, higher is better, of the source's dev split by which a training step is selected."""

    @property
    def reads_conllu(self) -> bool:
        """Whether examples are sentences of words: `prepare` takes a `Sentence`."""

    @property
    def writes_conllu(self) -> bool:
        """Whether `sentence` gives one for every prediction."""

    def read(self, data: str, split: Split) -> tuple[ExampleT, ...]:
        """The examples of a split, checked. Raises NotFoundError, UsageError, DataError, StorageError."""

    def references(self, data: str, split: Split) -> tuple[DataReference, ...]:
        """Name and digest of each file that `read` reads, for a manifest."""

    def prepare(self, item: str | Sequence[str] | Sentence) -> ExampleT:
        """An example to predict on, from raw text or its parts (words; premise and hypothesis); raises UsageError."""

    def labels(self, examples: Sequence[ExampleT]) -> tuple[str, ...]:
        """The label names, in the order of their ids, for a head trained on these examples."""

    def aligned(self, examples: Sequence[ExampleT], labels: Sequence[str]) -> tuple[ExampleT, ...]:
        """The examples with every gold label as a head with `labels` calls it, by name, never by position.

        Raises DataError that lists the gold labels for which the head has none.
        """

    def encode(
        self, examples: Sequence[ExampleT], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> tuple[WindowT, ...]:
        """Model inputs of at most `max_length` sub-words, in the order of the examples."""

    def collate(self, windows: Sequence[WindowT], labels: Sequence[str] | None, pad_id: int) -> dict[str, torch.Tensor]:
        """The padded batch, int64, as arguments of the model; with gold ids unless `labels` is None."""

    def gold_count(self, batch: Mapping[str, torch.Tensor]) -> int:
        """How many gold labels the head's mean loss of a collated batch is over."""

    def add_head(self, model: Any, name: str, labels: Sequence[str]) -> None:
        """Add an untrained head of that name to an `adapters` model."""

    def patch_head(self, model: Any, name: str) -> None:
        """Make the head of that name, just loaded by `adapters`, behave as `add_head` would have made it."""

    def decode(self, output: Any, windows: Sequence[WindowT], labels: Sequence[str]) -> tuple[PartT, ...]:
        """What the model's output for a batch says about each window."""

    def merge(self, examples: Sequence[ExampleT], parts: Iterable[PartT]) -> tuple[PredictionT, ...]:
        """One prediction an example, from the parts of all their windows, in any order."""

    def score(self, examples: Sequence[ExampleT], predictions: Sequence[PredictionT]) -> Scores:
        """Raises DataError where there is no gold label to score against."""

    def counts(self, example: ExampleT, prediction: PredictionT) -> tuple[int, int]:
        """(gains, stakes) of one example: the selection metric of any examples is sum of gains / sum of stakes."""

    def rows(self, example: ExampleT, prediction: PredictionT) -> tuple[tuple[str, ...], ...]:
        """The prediction as table rows, for tab-separated text."""

    def record(self, example: ExampleT, prediction: PredictionT) -> dict[str, Any]:
        """The prediction as a JSON object."""

    def sentence(self, example: ExampleT, prediction: PredictionT) -> Sentence | None:
        """The prediction for CoNLL-U, what was not predicted left empty; None where `writes_conllu` is not."""


AnyTask: TypeAlias = Task[Any, Any, Any, Any]


def padded(windows: Sequence[Window], pad_id: int) -> dict[str, torch.Tensor]:
    """`input_ids` and `attention_mask` of windows: int64, windows x longest window."""
    return {
        "input_ids": filled([window.input_ids for window in windows], pad_id),
        "attention_mask": filled([(1,) * len(window) for window in windows], 0),
    }


def filled(rows: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
    """The rows as one tensor, the shorter ones filled up: int64, rows x longest row."""
    import torch

    width = max(map(len, rows))
    return torch.tensor([(*row, *(filler,) * (width - len(row))) for row in rows], dtype=torch.int64)


def labelled_only(windows: Sequence[WindowT]) -> tuple[WindowT, ...]:
    """The windows to train on: the loss of a batch without any gold label is NaN."""
    return tuple(window for window in windows if window.labelled)


def bucketed(
    windows: Sequence[Sized], batch_size: int, seed: int | None = None, epoch: int = 0
) -> tuple[tuple[int, ...], ...]:
    """Indices of `windows` in batches of like length; each index once.

    With a seed, for training: `batch_size` windows a batch, but for the last one, in random order, a pure function of
    (lengths, batch size, seed, epoch). Without one, for prediction: longest first, as many as have room where
    `batch_size` windows of 64 sub-words have, so that all batches need much the same memory; see `_filled_up`.
    Raises UsageError for a batch size below 1.
    """
    if batch_size < 1:
        raise UsageError(f"the batch size is {batch_size}; expected 1 or more")
    lengths = [len(window) for window in windows]
    order = list(range(len(lengths)))
    if seed is None:
        order.sort(key=lambda index: -lengths[index])
        return tuple(_filled_up(order, lengths, batch_size * _USUAL))
    # random.Random, seeded with text: the same numbers on every platform and library version.
    generator = random.Random(f"{seed}/{epoch}")
    generator.shuffle(order)
    batches = [
        batch
        for pool in _cut(order, batch_size * _POOL)
        for batch in _cut(sorted(pool, key=lengths.__getitem__), batch_size)
    ]
    generator.shuffle(batches)
    return tuple(batches)


class EpochBatches:
    """The training batch of every step: `batches[step]` is a pure function of (lengths, batch size, seed, step).

    Each epoch draws every window once, in an order of its own; a run that continues sees the same batches.
    """

    def __init__(self, windows: Sequence[Sized], batch_size: int, seed: int) -> None:
        """Raises UsageError without windows or with a batch size below 1."""
        if not windows:
            raise UsageError("there is no labelled example to train on; give data that has some")
        self._windows = windows
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0
        self._batches = bucketed(windows, batch_size, seed, epoch=0)

    @property
    def steps_per_epoch(self) -> int:
        return len(self._batches)

    def __getitem__(self, step: int) -> tuple[int, ...]:
        """Indices of the windows drawn at a step, counted from 0 and without end. Raises IndexError below 0."""
        if step < 0:
            raise IndexError(f"step {step} is before the first one, 0")
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._batches = bucketed(self._windows, self._batch_size, self._seed, epoch)
            self._epoch = epoch
        return self._batches[index]


def _filled_up(order: Iterable[int], lengths: Sequence[int], room: int) -> Iterator[tuple[int, ...]]:
    """`order`, longest first, in batches of at most `room` sub-words, padding included, or of a single window.

    A batch with an eighth of the room filled ends before a window a tenth shorter than its longest one: padding costs
    as much as words do, and a batch of that size little more a word than a full one.
    """
    batch: list[int] = []
    for index in order:
        longest = lengths[batch[0]] if batch else 0
        filled = longest * len(batch)
        if filled + longest > room or (8 * filled >= room and 10 * lengths[index] <= 9 * longest):
            yield tuple(batch)
            batch = []
        batch.append(index)
    if batch:
        yield tuple(batch)


def _cut(indices: Sequence[int], size: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(indices[start : start + size]) for start in range(0, len(indices), size))
