"""The command line in this process, and the user's own registry with a small stack in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from badx_hub.cli import main
from badx_hub.manifest import LanguageAdapterRef
from badx_hub.registry import Entry, LocalRegistry
from tests.registry.conftest import build


@dataclass(frozen=True)
class Result:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout, which has to be one JSON document."""
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """run("list", ...) -> what `badx-hub list ...` does, through `main`."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdin", sys.__stdin__)

    def call(*arguments: str | Path) -> Result:
        monkeypatch.setattr("sys.argv", ["badx-hub", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return Result(int(stop.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def own(home: Path) -> LocalRegistry:
    """The registry that commands use by default."""
    return LocalRegistry(home / "registry")


@pytest.fixture
def stack(own: LocalRegistry, tmp_path: Path) -> tuple[Entry, Entry]:
    """A BA and a TA on it in the user's own registry."""
    carrier = own.publish(build(tmp_path / "ba", "mbert/en-wo", metrics={"dev": {"wo/perplexity": 12.345}}))
    parent = LanguageAdapterRef(name=carrier.manifest.name, digest=carrier.manifest.digest)
    metrics = {"dev": {"en/accuracy": 0.8765}}
    return carrier, own.publish(build(tmp_path / "ta", "mbert/en-wo/pos", parent=parent, metrics=metrics))
