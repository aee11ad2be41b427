from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from badx_hub.registry import Entry, LocalRegistry


def complete(line: str) -> list[str]:
    """What bash is offered at the end of `line`."""
    words = line.split(" ")
    done = subprocess.run(
        [sys.executable, "-m", "badx_hub"],
        env={
            **os.environ,
            "_BADX_HUB_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_registered_pairs_and_names(stack: tuple[Entry, Entry]) -> None:
    assert complete("badx-hub evaluate e") == ["en-wo"]
    assert complete("badx-hub info ") == ["en-wo", "mbert/en-wo", "mbert/en-wo/pos"]
    assert complete("badx-hub info x") == []


def test_of_the_registry_named_before(stack: tuple[Entry, Entry], own: LocalRegistry, tmp_path: Path) -> None:
    assert complete(f"badx-hub list --registry {own.root} en") == ["en-wo"]
    assert complete(f"badx-hub list --registry {tmp_path / 'none'} en") == []


def test_never_fails(own: LocalRegistry) -> None:
    assert complete("badx-hub info ") == []
    own.root.mkdir(parents=True)
    (own.root / "no adapter").mkdir()
    assert complete("badx-hub info ") == []
    own.root.rename(own.root.with_name("moved"))
    own.root.write_text("a file")
    assert complete("badx-hub info ") == []
