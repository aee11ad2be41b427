"""Checkpoints of a run: safetensors and JSON in a folder that appears whole or not at all, each file with a digest.

`Saver` writes them on a spare thread, while the training goes on with the next step.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from badx_hub.errors import BadxError, IntegrityError
from badx_hub.json_toml_yaml import MIB, read_json
from badx_hub.remedies import Advice, RunAgain
from badx_hub.storage import atomic_folder, canonical_json, discard_folder
from badx_hub.untrusted_files import is_plain, read_plain, sha256_plain

_PARTS = ("weights", "best_weights", "optimizer")
_STATE = "state.json"
_INDEX = "index.json"
_MAX_STATE = 64 * MIB
_MAX_INDEX = MIB
_KEPT = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after `step` optimizer steps.

    `losses` are those since the last evaluation, `norms` those of the last gradients; `best_row` is the index in
    `history` of the step to keep, and `best_weights` are what is kept so far (`badx_hub.training.selection`).
    """

    step: int = 0
    units: int = 0
    seconds: float = 0.0
    losses: tuple[float, ...] = ()
    norms: tuple[float, ...] = ()
    history: tuple[Mapping[str, float], ...] = ()
    best_row: int = 0
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    best_weights: Mapping[str, Tensor] = field(default_factory=dict)
    optimizer: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckpointFolder:
    """Where one run keeps its newest two checkpoints; the folder's name is the run's key."""

    path: Path

    def save(self, state: Checkpoint) -> None:
        """Write `state`, then drop all but it and the one before: one whole checkpoint is there at any moment."""
        target = self.path / f"step-{state.step:09d}"
        if target.exists() and not _is_whole(target):
            discard_folder(target)
        with atomic_folder(target) as folder:
            files = {name: _written(folder / name, content) for name, content in _contents(state)}
            (folder / _INDEX).write_text(canonical_json({"files": files}), encoding="utf-8")
        # A later step than this one was damaged: a run goes on from the newest that is whole.
        kept = [folder for folder in self._all() if folder.name <= target.name][-_KEPT:]
        for other in set(self._all()) - set(kept):
            discard_folder(other)

    def load(self) -> Checkpoint | None:
        """The newest checkpoint that is whole, or None where there is none.

        If the newest is damaged, a warning is logged and the one before is taken. Raises IntegrityError if that is
        damaged too, or not there.
        """
        damaged: list[str] = []
        for folder in reversed(self._all()):
            try:
                state = _read(folder)
            except (BadxError, OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
                damaged.append(f"{folder.name} ({_reason(error)})")
                continue
            if damaged:
                log.warning(
                    "In %s the checkpoint %s is damaged: the run goes on from step %s.",
                    self.path,
                    ", ".join(damaged),
                    f"{state.step:,}",
                )
            return state
        if damaged:
            raise IntegrityError(
                f"No checkpoint in {self.path} is whole: {', '.join(damaged)}.",
                remedies=(Advice(f"Delete {self.path}."), RunAgain(", which starts from the beginning")),
            )
        return None

    @property
    def step(self) -> int:
        """The step of the newest checkpoint; 0 where there is none."""
        found = self._all()
        return int(found[-1].name.removeprefix("step-")) if found else 0

    def clear(self) -> None:
        """Remove every checkpoint of the run."""
        discard_folder(self.path)

    def _all(self) -> list[Path]:
        return sorted(self.path.glob("step-*"))


class Saver:
    """Writes checkpoints into `folder`, one at a time and in order.

    What is given to `save` must not change any more: it is read on the thread. On leaving the context nothing is
    left to write. What writing raised is raised by the next call, or on leaving; an error of the block goes first.
    """

    def __init__(self, folder: CheckpointFolder) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(wait=True)
        with nullcontext() if kind is None else suppress(Exception):
            self.settle()

    def save(self, state: Checkpoint) -> None:
        """Have `state` written; waits until the one before is on disk."""
        self.settle()
        self._writing = self._thread.submit(self._folder.save, state)

    def check(self) -> None:
        """Raise what writing raised, if it has ended; waits for nothing."""
        if self._writing is not None and self._writing.done():
            self.settle()

    def settle(self) -> None:
        """Wait until everything is on disk."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()


def _contents(state: Checkpoint) -> Iterator[tuple[str, bytes]]:
    """The files of a checkpoint, one in memory at a time."""
    for part in _PARTS:
        yield f"{part}.safetensors", save(dict(getattr(state, part)))
    # Not sorted: the columns of learning curves stand in the order in which the metrics were measured.
    yield _STATE, json.dumps(_numbers(state), separators=(",", ":"), allow_nan=False).encode()


def _written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _is_whole(folder: Path) -> bool:
    try:
        _check(folder)
    except (BadxError, KeyError, TypeError, AttributeError):
        return False
    return (folder / _INDEX).exists()


def _check(folder: Path) -> None:
    """Raises IntegrityError or DataError if a file is not as it was written.

    Checkpoints of earlier versions have no digests; they are read as they are.
    """
    index = folder / _INDEX
    digests: dict[str, str] | None = None
    if os.path.lexists(index):
        digests = read_json(read_plain(index, limit=_MAX_INDEX), str(index), limit=_MAX_INDEX)["files"]
    for name in (*(f"{part}.safetensors" for part in _PARTS), _STATE):
        if digests is None and is_plain(folder / name):
            continue
        if digests is None or sha256_plain(folder / name) != digests.get(name):
            raise IntegrityError(f"{name} is not as it was written.")


def _read(folder: Path) -> Checkpoint:
    _check(folder)
    numbers = read_json(read_plain(folder / _STATE, limit=_MAX_STATE), _STATE, limit=_MAX_STATE)
    weights, best_weights, optimizer = (load_file(folder / f"{part}.safetensors") for part in _PARTS)
    state = Checkpoint(
        step=int(numbers["step"]),
        units=int(numbers["units"]),
        seconds=float(numbers["seconds"]),
        losses=tuple(map(float, numbers["losses"])),
        norms=tuple(map(float, numbers.get("norms", ()))),  # Checkpoints of earlier versions have none.
        history=tuple(map(_row, numbers["history"])),
        best_row=int(numbers["best_row"]),
        weights=weights,
        best_weights=best_weights,
        optimizer=optimizer,
    )
    if folder.name != f"step-{state.step:09d}" or not 0 <= state.best_row < max(1, len(state.history)):
        raise IntegrityError(f"{_STATE} is that of another step.")
    return state


def _row(values: Mapping[str, Any]) -> Mapping[str, float]:
    if not all(isinstance(value, int | float) for value in values.values()):
        raise TypeError("a row of the history has something else than numbers")
    return dict(values)


def _reason(error: Exception) -> str:
    """What is wrong, in a few words."""
    return error.fact.rstrip(".") if isinstance(error, BadxError) else type(error).__name__


def _numbers(state: Checkpoint) -> Mapping[str, object]:
    return {
        "step": state.step,
        "units": state.units,
        "seconds": state.seconds,
        "losses": state.losses,
        "norms": state.norms,
        "history": state.history,
        "best_row": state.best_row,
    }
