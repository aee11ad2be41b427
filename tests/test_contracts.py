"""The contracts of pyproject.toml about imports are checked, and fail when they are broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """badx_hub with cli/ and cards/ below it, through links as in build/types, so that a module can be added."""
    folder = tmp_path / "badx_hub"
    folder.mkdir()
    for part in [*(ROOT / "badx_hub").iterdir(), ROOT / "cli", ROOT / "cards"]:
        (folder / part.name).symlink_to(part)
    (tmp_path / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    return folder


def check(package: Path) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAM), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=package.parent, capture_output=True, text=True, check=False)


def test_they_hold(package: Path) -> None:
    done = check(package)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "imported"),
    [("intruder", "badx_hub.cli"), ("intruder", "badx_hub.cli.train")],
)
def test_a_broken_one_is_named(package: Path, module: str, imported: str) -> None:
    (package / f"{module}.py").write_text(f"import {imported}\n", encoding="utf-8")
    done = check(package)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"badx_hub.{module} -> {imported}" in " ".join(done.stdout.split())
