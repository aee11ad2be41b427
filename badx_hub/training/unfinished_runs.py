"""Runs that were stopped and not gone on with: what they were asked to do is kept beside their checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from badx_hub.errors import BadxError, SettingsChanged
from badx_hub.json_toml_yaml import MIB, read_json
from badx_hub.process_locks import is_claimed
from badx_hub.remedies import Advice
from badx_hub.storage import atomic_write_text, canonical_json, home
from badx_hub.training.checkpoints import CheckpointFolder
from badx_hub.untrusted_files import read_plain

RUN_FILE = "run.json"
"""What a stopped run was asked to do, beside its checkpoints."""
_ABSENT = "nothing"
_SHOWN = 60
_GIVE_OR_DROP = Advice("Give the earlier ones to go on, or {} to drop it and start again.", (("restart", True),))


@dataclass(frozen=True)
class UnfinishedRun:
    """A run with a checkpoint that nobody works on; `settings` are all that decided its key, by name."""

    name: str
    step: int
    settings: Mapping[str, Any]
    checkpoints: CheckpointFolder


def folder_of(key: str) -> Path:
    """Where the run with this key keeps its checkpoints until it is published."""
    return home() / "runs" / key[:32]


def step_of(folder: Path) -> int:
    """The step of the newest checkpoint in a run's folder; 0 where there is none."""
    return CheckpointFolder(folder).step


def claim_of(key: str) -> Path:
    """The file that says which process works on the run with this key."""
    return home() / "runs" / f"{key[:32]}.json"


def remember(key: str, name: str, settings: Mapping[str, Any]) -> None:
    """Keep beside the run's checkpoints what it was asked to do."""
    path = folder_of(key) / RUN_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, canonical_json({"name": name, "settings": settings}))


def unfinished_runs() -> Iterator[UnfinishedRun]:
    """All runs of this user that have a checkpoint, and that no process works on."""
    for path in sorted((home() / "runs").glob(f"*/{RUN_FILE}")):
        with suppress(BadxError, KeyError, TypeError, AttributeError):
            found = read_json(read_plain(path, limit=MIB), str(path), limit=MIB)
            checkpoints = CheckpointFolder(path.parent)
            if checkpoints.step and not is_claimed(path.parent.with_suffix(".json")):
                yield UnfinishedRun(found["name"], checkpoints.step, dict(found["settings"]), checkpoints)


def require_same_settings(key: str, name: str, settings: Mapping[str, Any]) -> None:
    """Raises SettingsChanged if a run of this name was stopped that had other settings or data, and says which."""
    if CheckpointFolder(folder_of(key)).step:
        return
    for run in _others(key, name):
        changes = "; ".join(_differences(run.settings, settings))
        raise SettingsChanged(
            f"A run of {name} that stopped after step {run.step:,} had other settings: {changes}.",
            remedies=(_GIVE_OR_DROP,),
        )


def discard_unfinished(key: str, name: str) -> None:
    """Remove the checkpoints of this run, and of the stopped runs of its name that had other settings."""
    for run in _others(key, name):
        run.checkpoints.clear()
    CheckpointFolder(folder_of(key)).clear()


def _others(key: str, name: str) -> list[UnfinishedRun]:
    return [run for run in unfinished_runs() if run.name == name and run.checkpoints.path != folder_of(key)]


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    keys = (key for key in {**now, **then} if then.get(key) != now.get(key))
    return [f"{key} was {_short(then.get(key))} and is now {_short(now.get(key))}" for key in keys]


def _short(value: Any) -> str:
    text = _ABSENT if value is None else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
