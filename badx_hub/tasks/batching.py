"""Batches of windows: padding, the order of training, and prediction on all of them. Imports torch when it is used."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import TYPE_CHECKING, Any, TypeVar

from badx_hub.errors import UsageError
from badx_hub.tasks.base import Task, Window

if TYPE_CHECKING:
    import torch

_POOL = 64
"""Batches sorted by length together: enough to save padding, few enough to keep the order random."""

_USUAL = 64
"""The usual length of a window, in sub-words: a prediction batch has room for `batch_size` windows of this length."""

WindowT = TypeVar("WindowT", bound=Window)


ForEach = Callable[[Sequence[tuple[int, ...]], Callable[[Sequence[int]], tuple[Any, ...]]], Iterable[tuple[Any, ...]]]
"""How a function is called for each of several batches of indices: in turn, or spread over several processes."""


def _in_turn(
    batches: Sequence[tuple[int, ...]], call: Callable[[Sequence[int]], tuple[Any, ...]]
) -> Iterable[tuple[Any, ...]]:
    return map(call, batches)


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

    With a seed, for training: batches of `batch_size` windows (the last may be smaller) in random order, a pure
    function of (lengths, batch size, seed, epoch). Without a seed, for prediction: longest first. Each batch has room
    for `batch_size` windows of 64 sub-words, so that all batches need about the same memory; see `_filled_up`.
    Raises UsageError for a batch size below 1.
    """
    if batch_size < 1:
        raise UsageError(f"The batch size is {batch_size}; expected 1 or more.")
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
            raise UsageError("There is no labelled example to train on; give data that has some.")
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


def predict_windows(
    model: Any,
    task: Task,
    windows: Sequence[Any],
    *,
    examples: Sequence[Any],
    labels: Sequence[str],
    pad_id: int,
    batch_size: int,
    each: ForEach = _in_turn,
) -> tuple[Any, ...]:
    """One prediction an example, of windows that `task.encode` made of `examples`; see `decode_windows`."""
    parts = decode_windows(model, task, windows, labels=labels, pad_id=pad_id, batch_size=batch_size, each=each)
    return task.merge(examples, parts)


def decode_windows(
    model: Any,
    task: Task,
    windows: Sequence[Any],
    *,
    labels: Sequence[str],
    pad_id: int,
    batch_size: int,
    temperature: float = 1.0,
    each: ForEach = _in_turn,
) -> list[Any]:
    """The parts of all windows, for `task.merge`; the model stays in the mode and on the device it is in.

    Args:
        batch_size: windows of 64 sub-words in a forward pass; more if they are shorter, fewer if they are longer (see
            `bucketed`). Predictions do not depend on it.
        temperature: of the probabilities in the parts.
        each: calls a function for each batch and gives its results in their order; by default in turn.
    """
    import torch

    def decoded(indices: Sequence[int]) -> tuple[Any, ...]:
        chosen = [windows[index] for index in indices]
        inputs = task.collate(chosen, None, pad_id)
        output = model(**{key: value.to(model.device) for key, value in inputs.items()})
        return task.decode(output, chosen, labels, temperature)

    with torch.inference_mode():
        return [part for parts in each(bucketed(windows, batch_size), decoded) for part in parts]


def _filled_up(order: Iterable[int], lengths: Sequence[int], room: int) -> Iterator[tuple[int, ...]]:
    """`order`, longest first, in batches of at most `room` sub-words, padding included, or of a single window.

    A batch with an eighth of the room filled ends before a window that is a tenth shorter than its longest one. Padding
    costs as much as words, and a batch of that size costs hardly more per word than a full one.
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
