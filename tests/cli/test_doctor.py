"""`badx-hub doctor`: it finds what there is to mend, changes nothing unasked, and never takes what is of value."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from badx_hub.process_locks import Owner
from badx_hub.registry import Entry, LocalRegistry, copy
from badx_hub.training import unfinished_runs
from badx_hub.training.checkpoints import Checkpoint, CheckpointFolder
from tests.cli.conftest import Run
from tests.registry.conftest import build

KEY = {name: f"{number:x}" * 64 for number, name in enumerate(("live", "stopped", "empty", "done"), 1)}
STAGED, HIDDEN, TEMPORARY, BESIDE = "0" * 32, "3" * 32, f".{'1' * 32}.tmp", f".{'2' * 32}.tmp"


def old(path: Path) -> Path:
    """Last written two days ago, with all that is in it."""
    for one in (*path.rglob("*"), path):
        before = one.lstat().st_mtime - 2 * 86_400
        os.utime(one, (before, before), follow_symlinks=False)
    return path


def file(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def claim(path: Path, **changes: Any) -> Path:
    return file(path, json.dumps(asdict(replace(Owner.this_process(), **changes))))


def gone() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def run_with(name: str, *, step: int) -> Path:
    """A run of `name` that was left alone."""
    unfinished_runs.remember(KEY[name], f"tiny/en-wo#{name}", {"steps": 9})
    folder = unfinished_runs.folder_of(KEY[name])
    if step:
        CheckpointFolder(folder).save(Checkpoint(step=step))
    return folder


def tree(*roots: Path) -> dict[str, bytes | None]:
    return {
        str(path): path.read_bytes() if path.is_file() else None for root in roots for path in sorted(root.rglob("*"))
    }


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def house(
    home: Path,
    temporary: Path,
    own: LocalRegistry,
    stack: tuple[Entry, Entry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A home with one of everything."""
    own.publish(build(tmp_path / "run", "mbert/fo", run=KEY["done"], weights=3.0))
    old(file(temporary / "badx-abcdefgh" / "weights", "12345").parent)
    file(temporary / "badx-younger1" / "weights")
    old(file(temporary / "badx-not-ours" / "weights").parent)
    old(file(own.root / "mbert.en-wo" / ".staging" / STAGED / "badx.json").parent)
    old(file(home / "results" / TEMPORARY))
    old(file(home / "runs" / ".staging" / HIDDEN / "step").parent)
    monkeypatch.chdir(tmp_path)
    old(file(tmp_path / BESIDE))
    claim(unfinished_runs.claim_of(KEY["live"]))
    claim(unfinished_runs.claim_of(KEY["stopped"]), pid=gone())
    claim(home / "results" / f".{'a' * 64}.claim", pid=gone())
    for name, step in (("live", 4), ("stopped", 7), ("empty", 0), ("done", 3)):
        run_with(name, step=step)
    file(home / "cache" / "blocks" / ("b" * 64) / "00000" / "span.json", "{}")
    file(home / "cache" / "precision" / f"{'c' * 32}.json", "{")
    return home


def found(run: Run, *options: str) -> tuple[int, Mapping[str, Mapping[str, Any]], Mapping[str, Any]]:
    """The exit code, the findings by the last part of their place, and the whole document."""
    done = run("doctor", *options, "--format", "json")
    return done.code, {Path(one["place"]).name: one for one in done.json["findings"]}, done.json


LEFT = {"badx-abcdefgh", STAGED, HIDDEN, TEMPORARY, BESIDE, f"{KEY['stopped'][:32]}.json", f".{'a' * 64}.claim"}
CACHES = {"00000", f"{'c' * 32}.json"}
RUNS = {KEY["empty"][:32], KEY["done"][:32]}
STAYS = {"badx-younger1", f"{KEY['live'][:32]}.json"}


def test_what_can_be_mended_is_shown_and_nothing_is_touched(run: Run, house: Path, temporary: Path) -> None:
    before = tree(house, temporary)
    code, findings, _ = found(run)
    assert tree(house, temporary) == before
    assert code == 1, "caches are damaged"
    assert {name for name, one in findings.items() if one["mends"]} == LEFT | CACHES | RUNS
    assert {name for name, one in findings.items() if not one["mends"]} == STAYS | {KEY["stopped"][:32]}
    assert findings[KEY["stopped"][:32]]["what"] == "run of tiny/en-wo#stopped, stopped after step 7"
    assert findings["badx-abcdefgh"]["bytes"] == 5
    assert 2 * 86_400 <= findings["badx-abcdefgh"]["age_seconds"] < 3 * 86_400


def test_what_is_mended_is_gone_and_nothing_else(run: Run, house: Path, temporary: Path) -> None:
    before = tree(house, temporary)
    code, findings, _ = found(run, "--mend")
    assert code == 0
    assert {name for name, one in findings.items() if one["mended"]} == LEFT | CACHES | RUNS
    taken = {Path(path) for path in before.keys() - tree(house, temporary).keys()}
    wanted = LEFT | CACHES | RUNS
    assert {path for path in taken if not wanted & set(path.parts) and path.name != ".staging"} == set()
    code, findings, _ = found(run)
    assert (code, findings.keys()) == (0, STAYS | {KEY["stopped"][:32]})
    assert "at work" in run("doctor").out


def test_versions_without_their_language_adapter_get_it_from_what_was_downloaded(
    run: Run, own: LocalRegistry, stack: tuple[Entry, Entry], home: Path, temporary: Path
) -> None:
    carrier, task_adapter = stack
    _, _, document = found(run)
    (needed,) = document["language_adapters"]
    assert (needed["name"], needed["only_version"]) == ("mbert/en-wo", True)
    assert [one["name"] for one in needed["task_adapters"]] == ["mbert/en-wo/pos"]
    cache = LocalRegistry(home / "cache" / "hub" / "hub-00000000" / "acme")
    copy(carrier, own, cache)
    own.remove(carrier, force=True)
    code, findings, _ = found(run)
    assert code == 1
    assert findings[f"pos {task_adapter.version}"]["mends"]
    assert found(run, "--mend")[0] == 0
    assert own.verify(task_adapter).ok


def test_what_cannot_be_mended_says_what_to_do(
    run: Run, own: LocalRegistry, stack: tuple[Entry, Entry], temporary: Path
) -> None:
    carrier, task_adapter = stack
    own.remove(carrier, force=True)
    (Path(task_adapter.location) / "head_config.json").write_text("{}")
    done = run("doctor", "--mend")
    assert done.code == 1
    assert "head_config.json is changed" in " ".join(done.out.split())
    assert "badx-hub remove 'mbert/en-wo/pos'" in done.err and "badx-hub pull 'mbert/en-wo'" in done.err
    assert own.list() == (task_adapter,)
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_others_is_left_alone(run: Run, temporary: Path) -> None:
    folder = old(file(temporary / "badx-abcdefgh" / "weights").parent)
    os.chown(folder, 12345, 12345)
    _, findings, _ = found(run, "--mend")
    assert folder.exists()
    assert "of another user" in findings[folder.name]["what"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--registry", "hf:acme"), "looks after registries in folders"),
        (("--registry", "./nothing"), "There is no registry in ./nothing"),
        (("--results", "./nothing"), "There is no folder of results in nothing"),
    ],
)
def test_wrong_places_are_told(run: Run, options: tuple[str, ...], said: str, temporary: Path) -> None:
    done = run("doctor", *options)
    assert done.code in (1, 2) and said in done.err
    assert "nothing is in the way" in run("doctor").err
