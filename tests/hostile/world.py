"""What every sandbox begins with: a base, a registry with a sound stack, and, for some, a run that was stopped."""

from __future__ import annotations

import os
import re
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hostile.artefact import SECRET, Sandbox

TRAIN = ("train", "en-wo", "--recipe", "recipe.yaml", "--base", "base", "--text", "en=en.txt", "--text", "wo=wo.txt")
_RECIPE = """\
name: small
language:
  {steps: 4, batch_size: 4, learning_rate: 0.01, eval_every: 4, save_every: 2, max_length: 32, eval_blocks: 2}
tasks: {}
"""


@dataclass(frozen=True)
class World:
    """`trained` is a home with a stopped run; `digest` that of the adapter which the run, not stopped, ends with."""

    root: Path
    digest: str

    def sandbox(self, name: str, *, trained: bool) -> Sandbox:
        """A fresh sandbox; the base is shared by all and never written to."""
        root = self._place(name)
        root.mkdir(parents=True)
        shutil.copytree(self.root / "shared", root / "shared")
        shutil.copytree(self.root / ("stopped" if trained else "home"), root / "home")
        (root / "tmp").mkdir()
        box = Sandbox(root, self.root / "base" / "tiny", self.root / "work")
        box.outside.mkdir()
        box.secret.write_text(SECRET)
        return box

    def clear(self, name: str) -> None:
        """Remove what is left of a sandbox."""
        shutil.rmtree(self._place(name), ignore_errors=True)

    def _place(self, name: str) -> Path:
        return self.root / "cases" / re.sub(r"[^A-Za-z0-9.-]", "-", name)[:100]


def build(root: Path) -> World:
    """Make it in `root`. Imports what commands import, so that forked processes have it all."""
    from tests.tiny import demo_lines

    os.environ["BADX_HUB_HOME"] = str(root / "home")
    base = sound(root)
    work = root / "work"
    work.mkdir()
    (work / "recipe.yaml").write_text(_RECIPE)
    (work / "base").symlink_to(base)
    for language in ("en", "wo"):
        (work / f"{language}.txt").write_text("\n".join(demo_lines(language, 150)) + "\n", encoding="utf-8")
    return World(root, _trained(root))


def sound(root: Path) -> Path:
    """Make what every artefact is forged from, an empty home, a base and a stack in `shared`. Returns the base."""
    from badx_hub.registry import open_registry
    from tests.made import made
    from tests.tiny import write_tiny_base

    (root / "home").mkdir(exist_ok=True)
    base = write_tiny_base(root / "base" / "tiny")
    shared = open_registry(root / "shared")
    carrier = made(shared, base, "tiny/en-wo", seed=1)
    made(shared, base, "tiny/en-wo/pos", seed=2, on=carrier)
    return base


def _trained(root: Path) -> str:
    """The digest of a whole run; the same run, stopped at its first checkpoint, is left in `stopped`."""
    from badx_hub.registry import open_registry

    os.chdir(root / "work")
    shutil.copytree(root / "home", root / "stopped")
    shutil.copytree(root / "home", root / "whole")
    _train(root / "whole")
    [entry] = open_registry(root / "whole" / "registry").list()
    if entry.manifest.training.best_step != 4:
        raise RuntimeError("the run for hostile checkpoints has to keep what it learns after its first checkpoint")
    pid = os.fork()
    if not pid:
        sys.addaudithook(_stop_at_checkpoint)
        _train(root / "stopped")
        os._exit(0)
    os.waitpid(pid, 0)
    if not list((root / "stopped" / "runs").glob("*/step-*2")) or list((root / "stopped" / "registry").iterdir()):
        raise RuntimeError("the run for hostile checkpoints was not stopped where it should be")
    return entry.manifest.digest


def _train(home: Path) -> None:
    from badx_hub.cli import main

    os.environ["BADX_HUB_HOME"] = str(home)
    sys.argv = ["badx-hub", *TRAIN, "--format", "quiet"]
    with suppress(SystemExit):
        main()


_seen: list[str] = []


def _stop_at_checkpoint(event: str, args: tuple[Any, ...]) -> None:
    """Ctrl-C right after the rename that makes the first checkpoint."""
    if _seen == ["renamed"]:
        _seen.append("stopped")
        raise KeyboardInterrupt
    if event == "os.rename" and not _seen and "step-" in str(args[1]):
        _seen.append("renamed")
