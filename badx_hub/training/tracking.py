"""Runs as experiment trackers show them: TensorBoard, trackio and Weights & Biases, through accelerate.

Nothing leaves this machine unless its user says so: trackio and TensorBoard keep files here, and wandb is told to be
offline unless WANDB_MODE is set.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from badx_hub.errors import UsageError
from badx_hub.json_toml_yaml import flattened
from badx_hub.storage import home
from badx_hub.training.processes import accelerator
from badx_hub.training.reporters import EvaluationRow, PassedOn, Reporter

TRACKERS = ("tensorboard", "trackio", "wandb")
PROJECT = "badx_hub"

_LOSS_EVERY = 10


def track_folder(kind: str) -> Path:
    """Where the files of a tracker are kept: `tracks/` of the home, a folder for each tracker."""
    return home() / "tracks" / kind


class Tracked(PassedOn):
    """A reporter that also logs to a tracker: the loss of every tenth step and the metrics of each evaluation.

    `describe` opens the tracker's run, under the adapter's name and the first digits of the run's key. So a run that
    goes on after a stop stays one run there. Raises UsageError for another tracker than `TRACKERS`, and for one that
    is not installed.
    """

    def __init__(self, kind: str, reporter: Reporter) -> None:
        if kind not in TRACKERS:
            raise UsageError(f"{kind!r} is no tracker. Expected {', '.join(TRACKERS)}.")
        if importlib.util.find_spec(kind) is None:
            raise UsageError(f"{kind} is not installed. Install it (`pip install {kind}`).")
        super().__init__(reporter)
        self._kind = kind
        self._accelerator: Accelerator | None = None

    def describe(self, name: str, key: str, recipe: Mapping[str, Any]) -> None:
        """What run the next steps belong to: the adapter's name for a folder, the run's key, the recipe."""
        folder = track_folder(self._kind)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("WANDB_MODE", "offline")
        run = f"{name}-{key[:12]}"
        here = {"trackio": {"name": run}, "wandb": {"name": run, "id": run, "resume": "allow", "dir": str(folder)}}
        config: dict[str, str | int | float] = {"run": key, "adapter": name}
        for setting, value in flattened(recipe):
            if value is not None:
                config[setting] = value if isinstance(value, str | int | float | bool) else json.dumps(value)
        self._accelerator = accelerator(log_with=self._kind, project_dir=folder)
        self._accelerator.init_trackers(run if self._kind == "tensorboard" else PROJECT, config, here)

    def stepped(self, step: int, loss: float, units: int) -> None:
        """Passed on, and the loss logged at times."""
        super().stepped(step, loss, units)
        if step % _LOSS_EVERY == 0:
            self._log({"loss": loss}, step)

    def evaluated(self, step: int, metrics: EvaluationRow, best: bool) -> None:
        """Passed on and logged."""
        super().evaluated(step, metrics, best)
        self._log(dict(metrics), step)

    def finished(self) -> None:
        """Passed on; the tracker's run ends."""
        super().finished()
        if self._accelerator is not None:
            self._accelerator.get_tracker(self._kind).finish()

    def _log(self, values: Mapping[str, float], step: int) -> None:
        if self._accelerator is not None:
            self._accelerator.log(dict(values), step=step)
