"""Commands that are killed or cut off, and run again: nothing is lost, half there or left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tried(out: Path, *options: str) -> list[dict[str, object]]:
    """The points that came to pass, all of which were survived."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.run", str(out), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    points = json.loads(out.with_suffix(".json").read_text())["points"]
    assert [one["losses"] for one in points if one["losses"]] == []
    return [one for one in points if one["struck"]]


def test_a_sample_of_the_kills_is_survived(tmp_path: Path) -> None:
    assert len(tried(tmp_path / "faults", "--few")) >= 24


@pytest.mark.soak
def test_all_faults_are_survived() -> None:
    """A thousand; `build/faults.md` has the table."""
    (ROOT / "build").mkdir(exist_ok=True)
    assert len(tried(ROOT / "build" / "faults")) >= 1000


@pytest.mark.parametrize("seconds", [1.0, pytest.param(600.0, marks=pytest.mark.soak)])
def test_sixteen_writers_lose_nothing(tmp_path: Path, seconds: float) -> None:
    command = [sys.executable, "-m", "tests.faults.writers", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert [told[name] for name in ("lost", "not whole", "left", "crashed")] == [0, 0, 0, 0]
    assert told["publishes"] >= 16
