"""The commands of the suite: what is typed, in which world, and how many of the thousand points are theirs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_TRAIN = (
    *("--recipe", "quick", "--steps", "2", "--eval-every", "2", "--save-every", "1"),
    *("--batch-size", "2", "--max-length", "16"),
)
_TEXT = ("--text", "en=en.txt", "--text", "wo=wo.txt")
STACK = ("en-wo", "--task", "pos")
ORG = "acme"


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        typed: behind `badx-hub`; paths start at the world.
        world, hub: the templates it starts from; without `hub` it needs none.
        kills, cuts: how many points of each sort there are in all of the suite.
        few: how many kills there are in the sample that each test run tries.
        twice: what the second one may say, with exit code 1, because the killed one had done all of it.
    """

    name: str
    typed: tuple[str, ...]
    world: str = "trained"
    hub: str | None = None
    kills: int = 0
    cuts: int = 0
    few: int = 0
    twice: str | None = None


COMMANDS = (
    Command("train", ("train", "en-wo", "--base", "base/tiny", *_TEXT, *_TRAIN), "plain", kills=220, few=4),
    Command("train --task", ("train", *STACK, "--base", "base/tiny", "--data", "en", *_TRAIN), "carrier", kills=135),
    Command("study", ("study", "run", "study.yaml"), "plain", kills=90),
    Command("publish", ("push", *STACK, "--to", "./shared"), kills=58, few=8),
    Command("push", ("push", *STACK, "--to", ORG), hub="empty", kills=90, cuts=100),
    Command("pull", ("pull", *STACK, "--from", ORG), "plain", "full", kills=100, cuts=80),
    Command("remove", ("remove", *STACK, "--yes"), kills=6, few=3, twice="is not here"),
    Command("import", ("import", "./foreign", "--language", "wo", "--base", "base/tiny"), kills=38, few=4),
    Command("lock", ("lock", *STACK, "-o", "badx.lock"), kills=12, few=6),
    Command("lock of the Hub", ("lock", *STACK, "--registry", f"hf:{ORG}"), "plain", "full", kills=40, cuts=50),
)
"""A thousand points, and some more: a command may have fewer events than when these were counted."""


def write_inputs(root: Path, base: Path) -> None:
    """All that the commands are given, in a folder that becomes a world."""
    import shutil

    import yaml

    from tests.studies.conftest import minimal, recipe, write_corpora
    from tests.tiny import small_treebank

    shutil.copytree(base, root / "base" / "tiny")
    write_corpora(root / "corpora")
    for language in ("en", "wo"):
        shutil.copy(root / "corpora" / f"{language}.txt", root / f"{language}.txt")
    small_treebank(root / "en")
    block = {"targets": ["wo"], "tasks": ["pos"], "setups": ["bad-x"]}
    study = minimal(Path("base/tiny")) | {
        "recipe": recipe(language_steps=2, task_steps=2),
        "blocks": [block],
        "baseline": "bad-x",
        "text": {language: f"corpora/{language}.txt" for language in ("en", "wo")},
        "train": {"pos": "corpora/en"},
        "test": {"pos": {"wo": "corpora/wo"}},
    }
    (root / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    for folder in ("home", "temporary", "shared"):
        (root / folder).mkdir()
