"""Disks that are full, get full at any moment, or may only be read: real ones, mounted for the test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from badx_hub.errors import BadxError, StorageError
from badx_hub.registry import LocalRegistry
from badx_hub.registry.lock import Lock, LockedAdapter, LockedBase, LockedStack, write_lock
from badx_hub.training.checkpoints import Checkpoint, CheckpointFolder
from tests.cli.conftest import Run
from tests.cli.conftest import run as run
from tests.registry.conftest import make as make

KIB = 2**10


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.name != "posix" or os.getuid() != 0 or not mounted("-t", "tmpfs", "-o", "size=2m", "badx", folder):
        pytest.skip("no right to mount a file system here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def mounted(*options: str | Path) -> bool:
    return subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0


def leave(disk: Path, room: int) -> None:
    """Fill the disk up to so many bytes."""
    (disk / "filler").unlink(missing_ok=True)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
    with (disk / "filler").open("wb") as filler:
        filler.write(bytes(max(0, free - room)))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "filler")


def test_a_disk_that_gets_full_at_any_moment_of_a_publish(disk: Path, make: Any) -> None:
    registry = LocalRegistry(disk / "registry")
    first = registry.publish(make("mbert/en-wo"))
    folder = make("mbert/fo", size=50_000)
    before, refused = names(disk), 0
    for room in range(0, 240 * KIB, 8 * KIB):
        leave(disk, room)
        try:
            registry.remove(registry.publish(folder))
        except StorageError as error:
            refused += 1
            assert "No space left on device" in str(error) and "Free some space" in str(error)
        (disk / "filler").unlink()
        assert [name for name in names(disk) if name != "registry/mbert.fo"] == before
        assert registry.verify(first).ok and registry.problems() == ()
    assert 20 <= refused < 30, "both came to pass"
    assert registry.verify(registry.publish(folder)).ok


def test_a_full_disk_costs_no_checkpoint_and_no_lock(disk: Path) -> None:
    checkpoints = CheckpointFolder(disk / "run")
    weights = {"weight": torch.arange(20_000.0)}
    checkpoints.save(Checkpoint(step=1, weights=weights))
    write_lock(disk / "badx.lock", stack(0))
    for room in range(0, 80 * KIB, 8 * KIB):
        leave(disk, room)
        with pytest.raises(StorageError, match="No space left"):
            checkpoints.save(Checkpoint(step=2, weights=weights))
        kept = checkpoints.load()
        assert kept is not None and kept.step == 1
    leave(disk, 0)
    with pytest.raises(StorageError, match="No space left"):
        write_lock(disk / "badx.lock", stack(1))
    assert len(Lock.read(disk / "badx.lock").stacks) == 1
    (disk / "filler").unlink()
    assert names(disk) == ["badx.lock", "run", "run/step-000000001", *(f"run/step-000000001/{one}" for one in FILES)]


FILES = sorted(("best_weights.safetensors", "index.json", "optimizer.safetensors", "state.json", "weights.safetensors"))


def stack(number: int) -> LockedStack:
    adapters = [
        LockedAdapter(name=name, version="20260101T000000Z-000000000000", digest="a" * 64, manifest="b" * 64)
        for name in ("tiny/en-wo", "tiny/en-wo/pos")
    ]
    base = LockedBase(name="tiny", digest=f"{number:064x}")
    return LockedStack(pair="en-wo", task="pos", setup="bad-x", base=base, adapters=tuple(adapters))


def test_a_registry_that_may_only_be_read(disk: Path, make: Any, run: Run) -> None:
    registry = LocalRegistry(disk / "registry")
    entry = registry.publish(make("mbert/en-wo"))
    assert mounted("-o", "remount,ro", disk)
    assert registry.list() == (entry,) and registry.verify(entry).ok and registry.fetch(entry).is_dir()
    for change in (
        lambda: registry.publish(make("mbert/fo")),
        lambda: registry.remove(entry),
        registry.require_writable,
        lambda: write_lock(disk / "badx.lock", stack(0)),
    ):
        with pytest.raises(BadxError, match="Read-only file system"):
            change()
    where = ("--registry", registry.root)
    assert run("list", *where).code == run("verify", *where).code == run("info", "en-wo", *where).code == 0
    assert run("doctor", *where).code == 0
    refused = run("remove", "en-wo", *where, "--yes")
    assert (refused.code, "Read-only file system" in refused.err) == (1, True)


def test_a_home_that_may_only_be_read(disk: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be remembered is worked out again, and results do not depend on it."""
    monkeypatch.setenv("BADX_HUB_HOME", str(disk / "home"))
    assert mounted("-o", "remount,ro", disk)
    assert run("list", "--registry", "demo").code == run("verify", "--registry", "demo").code == 0
    assert run("list").code == 0
    refused = run("pull", "en-wo", "--task", "pos", "--from", "demo")
    assert (refused.code, "Read-only file system" in refused.err) == (1, True)
