"""extras/hf-badx: what `hf extensions install` needs of a repository, as far as that shows without `hf` 1.x."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from badx_hub import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).resolve().parents[1] / "extras" / "hf-badx"


@pytest.fixture
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def test_a_python_extension_has_a_program_of_its_repository_s_name(project: dict[str, Any]) -> None:
    assert project["name"] == FOLDER.name == "hf-badx"
    assert list(project["scripts"]) == ["hf-badx"] and project["dependencies"] == ["badx-hub"]
    assert not (FOLDER / "hf-badx").exists()  # `hf` would take it for an extension that is one executable file


@pytest.mark.slow
def test_the_program_is_badx_hub(tmp_path: Path) -> None:
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    source = tmp_path / "hf-badx"  # a build writes beside its sources
    source.mkdir()
    for name in ("pyproject.toml", "README.md"):
        (source / name).write_bytes((FOLDER / name).read_bytes())
    install = [sys.executable, "-m", "pip", "install", *options, "--target", str(tmp_path / "there"), str(source)]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    program = [sys.executable, str(tmp_path / "there" / "bin" / "hf-badx"), "--version"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "there")}
    done = subprocess.run(program, check=True, capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout == f"badx-hub {__version__}\n"
