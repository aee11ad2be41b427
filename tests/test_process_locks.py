"""One process at a time: locks for moments, claims with an owner for hours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from badx_hub import process_locks
from badx_hub.errors import BadxError, RunInProgress, StorageError
from badx_hub.process_locks import Owner, claimed, exclusive

ROOT = Path(__file__).parents[1]


def busy(owner: Owner) -> RunInProgress:
    return RunInProgress(f"Process {owner.pid} on {owner.host} does it since {owner.since}.")


def gone() -> int:
    """The id of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_a_claim_is_given_to_one_and_then_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "key.json"
    with claimed(path, busy):
        said = rf"^Process {os.getpid()} on \S+ does it since \d{{4}}-"
        with pytest.raises(RunInProgress, match=said), claimed(path, busy):
            pass
        assert path.is_file()
    assert not path.exists()
    with claimed(path, busy):
        pass


def test_a_claim_ends_with_its_block_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claimed(tmp_path / "key.json", busy):
        raise KeyboardInterrupt
    assert not (tmp_path / "key.json").exists()


def claim_of(path: Path, **changes: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(replace(Owner.this_process(), **changes))))  # type: ignore[arg-type]
    return path


def test_the_claim_of_a_dead_process_is_taken_over_at_once(tmp_path: Path) -> None:
    path = claim_of(tmp_path / "key.json", pid=gone())
    with claimed(path, busy):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_pid_that_was_given_to_another_process_is_not_its_first_owner(tmp_path: Path) -> None:
    path = claim_of(tmp_path / "key.json", started="1")
    with claimed(path, busy):
        pass


def test_the_claim_of_another_machine_lives_as_long_as_its_heart_beats(tmp_path: Path) -> None:
    path = claim_of(tmp_path / "key.json", place="elsewhere", host="elsewhere", pid=gone())
    with pytest.raises(RunInProgress, match="on elsewhere"), claimed(path, busy):
        pass
    now = path.stat().st_mtime
    os.utime(path, (now - 301, now - 301))
    with claimed(path, busy):
        pass


def test_a_heart_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.json"
    monkeypatch.setattr(process_locks, "_HEARTBEAT_SECONDS", 0.01)
    with claimed(path, busy):
        os.utime(path, (0, 0))
        for _ in range(10_000):
            if path.stat().st_mtime > 0:
                break
            process_locks.threading.Event().wait(0.005)
        else:
            pytest.fail("nobody touched the claim")


def test_a_claim_that_was_taken_over_is_left_to_its_new_owner(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    with claimed(path, busy):
        claim_of(path, token="other")
    assert json.loads(path.read_text())["token"] == "other"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"pid": "x"}', '{"pid": 1}', "[" * 4000, "x" * 5000])
def test_what_is_no_claim_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(content)
    if len(content) > 4096:
        with pytest.raises(BadxError), claimed(path, busy):
            pass
    else:
        with claimed(path, busy):
            pass


_COUNT = """
import sys
from pathlib import Path
from badx_hub.process_locks import exclusive
path = Path(sys.argv[1])
for _ in range(50):
    with exclusive(path.with_name("lock")):
        path.write_text(str(int(path.read_text()) + 1))
"""


def test_no_addition_of_two_processes_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.write_text("0")
    started = [subprocess.Popen([sys.executable, "-c", _COUNT, str(path)], cwd=ROOT) for _ in range(2)]
    assert [one.wait() for one in started] == [0, 0]
    assert path.read_text() == "100"


def test_a_lock_that_is_held_for_too_long_is_an_error(tmp_path: Path) -> None:
    said = "locked by another process for 0 seconds"
    with exclusive(tmp_path / "lock"), pytest.raises(BadxError, match=said), exclusive(tmp_path / "lock", wait=0.0):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError), exclusive(tmp_path / "file" / "lock"):
        pass


@pytest.mark.parametrize("time", [0, 2**32])
def test_a_clock_that_jumps_takes_no_claim_away_on_one_machine(tmp_path: Path, time: int) -> None:
    path = tmp_path / "key.json"
    with claimed(path, busy):
        os.utime(path, (time, time))
        with pytest.raises(RunInProgress), claimed(path, busy):
            pass
