"""How far a run that is at work has come: a small file beside its checkpoints, which others may read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from badx_hub.errors import BadxError
from badx_hub.json_toml_yaml import read_json
from badx_hub.storage import canonical_json
from badx_hub.training.reporters import PassedOn, Reporter
from badx_hub.training.unfinished_runs import folder_of
from badx_hub.untrusted_files import read_plain

_FILE = "progress.json"
_EVERY_SECONDS = 5.0
_MAX_BYTES = 2**12


@dataclass(frozen=True)
class RunProgress:
    """A run after `step` of `steps`; it has read `units` (tokens or sentences) in the last `seconds`."""

    step: int
    steps: int
    unit: str
    units: int
    seconds: float

    @property
    def rate(self) -> float | None:
        """Units a second; None at the beginning."""
        return self.units / self.seconds if self.units and self.seconds > 0 else None


class Noted(PassedOn):
    """A reporter that passes all on to another one, and notes every few seconds how far the run has come.

    Units and seconds are those since this process began; evaluations and checkpoints between steps count as time.
    """

    def __init__(self, reporter: Reporter, key: str) -> None:
        super().__init__(reporter)
        self._path = folder_of(key) / _FILE
        self._steps, self._unit, self._units = 0, "", 0
        self._began = self._noted = time.monotonic()

    def started(self, steps: int, done: int, unit: str) -> None:
        self._steps, self._unit, self._units = steps, unit, 0
        self._began = self._noted = time.monotonic()
        self._note(done, 0.0)
        super().started(steps, done, unit)

    def stepped(self, step: int, loss: float, units: int) -> None:
        self._units += units
        now = time.monotonic()
        if now - self._noted >= _EVERY_SECONDS:
            self._noted = now
            self._note(step, now - self._began)
        super().stepped(step, loss, units)

    def _note(self, step: int, seconds: float) -> None:
        progress = RunProgress(step, self._steps, self._unit, self._units, round(seconds, 1))
        # Not synced: after a power cut it is worth nothing. A disk that takes nothing stops no training.
        with suppress(OSError):
            coming = self._path.with_suffix(".tmp")
            coming.write_text(canonical_json(asdict(progress)), encoding="utf-8")
            coming.replace(self._path)


def progress_of(key: str) -> RunProgress | None:
    """What the run with this key noted last; None if nothing, or nothing that can be read."""
    path = folder_of(key) / _FILE
    with suppress(BadxError, KeyError, TypeError, ValueError):
        value: Any = read_json(read_plain(path, limit=_MAX_BYTES), str(path), limit=_MAX_BYTES)
        return _checked(value) if isinstance(value, Mapping) else None
    return None


def _checked(value: Mapping[str, Any]) -> RunProgress:
    found = RunProgress(
        int(value["step"]), int(value["steps"]), str(value["unit"]), int(value["units"]), float(value["seconds"])
    )
    if not 0 <= found.step <= found.steps or found.units < 0 or not 0 <= found.seconds < float("inf"):
        raise ValueError("no progress of a run")
    return found
