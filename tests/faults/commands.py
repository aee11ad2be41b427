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
        kills, stops, cuts: how many points of each sort there are in all of the suite; stops are signals
            that end it, and disks that refuse from then on.
        few, few_stops: how many there are in the sample that each test run tries.
        twice: what the second one may say, with exit code 1, because the killed one had done all of it.
    """

    name: str
    typed: tuple[str, ...]
    world: str = "trained"
    hub: str | None = None
    kills: int = 0
    stops: int = 0
    cuts: int = 0
    few: int = 0
    few_stops: int = 0
    twice: str | None = None


_TUNE = ("--ratios", "2:1,1:1", "--budget", "6", "--recipe", "recipe.yaml", *_TEXT)
_BASE = ("--base", "base/tiny")
_BA = ("train", "en-wo", *_BASE, *_TEXT)
SECOND = (*_BA, *_TRAIN, "--seed", "2")
COMMANDS = (
    Command("train", (*_BA, *_TRAIN), "plain", kills=220, stops=30, few=4, few_stops=3),
    Command("train --task", ("train", *STACK, *_BASE, "--data", "en", *_TRAIN), "carrier", kills=135, stops=25),
    Command("study", ("study", "run", "study.yaml"), "plain", kills=90, stops=25),
    Command("publish", ("push", *STACK, "--to", "./shared"), kills=58, stops=30, few=8, few_stops=5),
    Command("push", ("push", *STACK, "--to", ORG), hub="empty", kills=90, stops=25, cuts=100),
    Command("pull", ("pull", *STACK, "--from", ORG), "plain", "full", kills=100, stops=25, cuts=80),
    Command("remove", ("remove", *STACK, "--yes"), kills=6, stops=6, few=3, twice="is not here"),
    Command("import", ("import", "./foreign", "--language", "wo", *_BASE), kills=38, stops=20, few=4),
    Command("convert", ("convert", "./pickled"), kills=6, stops=6),
    Command("merge", ("merge", "en-wo", "tiny/en-wo#seed2", "--name", "en-wo#mean"), "two", kills=20, stops=20),
    Command("annotate", ("annotate", "en-wo", "wo.txt", "--tasks", "pos", "-o", "out.conllu"), kills=6, stops=6),
    Command("tune-ratio", ("tune-ratio", *STACK, *_BASE, "--data", "en", *_TUNE), "plain", kills=20, stops=25),
    Command("lock", ("lock", *STACK, "-o", "badx.lock"), kills=12, stops=12, few=6),
    Command(
        "lock of the Hub", ("lock", *STACK, "--registry", f"hf:{ORG}"), "plain", "full", kills=40, stops=15, cuts=50
    ),
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
    (root / "recipe.yaml").write_text(
        yaml.safe_dump({"name": "tiny", **recipe(language_steps=2, task_steps=2)}), encoding="utf-8"
    )
    (root / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    for folder in ("home", "temporary", "shared"):
        (root / folder).mkdir()
