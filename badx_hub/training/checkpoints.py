"""Checkpoints of a run: safetensors and JSON in a folder that appears whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from badx_hub.errors import IntegrityError
from badx_hub.remedies import Advice, RunAgain
from badx_hub.storage import atomic_folder, canonical_json

_PARTS = ("weights", "best_weights", "optimizer")


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after `step` optimizer steps.

    `losses` are those since the last evaluation; `best_row` is the index in `history` of the step to keep.
    """

    step: int = 0
    units: int = 0
    seconds: float = 0.0
    losses: tuple[float, ...] = ()
    history: tuple[Mapping[str, float], ...] = ()
    best_row: int = 0
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    best_weights: Mapping[str, Tensor] = field(default_factory=dict)
    optimizer: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckpointFolder:
    """Where one run keeps its newest checkpoint; the folder's name is the run's key."""

    path: Path

    def save(self, state: Checkpoint) -> None:
        """Write `state`, then drop the older ones: one whole checkpoint is there at any moment."""
        with atomic_folder(self.path / f"step-{state.step:09d}") as folder:
            for part in _PARTS:
                (folder / f"{part}.safetensors").write_bytes(save(dict(getattr(state, part))))
            (folder / "state.json").write_text(canonical_json(_numbers(state)), encoding="utf-8")
        for older in self._all()[:-1]:
            shutil.rmtree(older)

    def load(self) -> Checkpoint | None:
        """The newest checkpoint, or None where there is none.

        Raises IntegrityError if it is damaged.
        """
        if not (found := self._all()):
            return None
        try:
            return _read(found[-1])
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise IntegrityError(
                f"The checkpoint {found[-1]} is damaged ({type(error).__name__}).",
                remedies=(Advice(f"Delete {self.path}."), RunAgain(", which starts anew")),
            ) from error

    @property
    def step(self) -> int:
        """The step of the newest checkpoint; 0 where there is none."""
        found = self._all()
        return int(found[-1].name.removeprefix("step-")) if found else 0

    def clear(self) -> None:
        """Remove every checkpoint of the run."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _all(self) -> list[Path]:
        return sorted(self.path.glob("step-*"))


def _read(folder: Path) -> Checkpoint:
    numbers = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    weights, best_weights, optimizer = (load_file(folder / f"{part}.safetensors") for part in _PARTS)
    return Checkpoint(
        step=numbers["step"],
        units=numbers["units"],
        seconds=numbers["seconds"],
        losses=tuple(numbers["losses"]),
        history=tuple(numbers["history"]),
        best_row=numbers["best_row"],
        weights=weights,
        best_weights=best_weights,
        optimizer=optimizer,
    )


def _numbers(state: Checkpoint) -> Mapping[str, object]:
    return {
        "step": state.step,
        "units": state.units,
        "seconds": state.seconds,
        "losses": state.losses,
        "history": state.history,
        "best_row": state.best_row,
    }
