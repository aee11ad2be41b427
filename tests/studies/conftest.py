"""Studies small enough to train in a test: a random base, a few hundred lines of text, a few dozen sentences."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tiny import demo_data, demo_lines

WriteStudy = Callable[..., Path]


@pytest.fixture
def write_study(tmp_path: Path, tiny_base: Path) -> WriteStudy:
    """write_study(seeds=[2], ...) -> the file of a valid study in which these keys are different."""
    folder = tmp_path / "study"
    write_corpora(folder)
    return lambda **changed: written(folder, tiny_base, **changed)


def written(folder: Path, base: Path, /, **changed: Any) -> Path:
    """The file of `minimal` in `folder`, with these keys different."""
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump({**minimal(base), **changed}), encoding="utf-8")
    return file


def write_corpora(folder: Path) -> None:
    """What `minimal` trains and is judged on."""
    for language in ("en", "wo"):
        write_text(folder / f"{language}.txt", demo_lines(language, 400))
    write_treebank(folder / "en", "UD_English-EWT/en_ewt-ud-dev.conllu.gz", {"train": (0, 24), "dev": (24, 36)})
    write_treebank(folder / "wo", "UD_Wolof-WTB/wo_wtb-ud-test.conllu.gz", {"test": (0, 12)})


def minimal(base: Path) -> dict[str, Any]:
    """One target, one task, BAD-X and MAD-X, all of a few steps."""
    return {
        "name": "tiny",
        "base": str(base),
        "source": "en",
        "baseline": "mad-x",
        "recipe": recipe(),
        "text": {"en": "en.txt", "wo": "wo.txt"},
        "train": {"pos": "en"},
        "test": {"pos": {"wo": "wo"}},
        "blocks": [{"targets": ["wo"], "tasks": ["pos"], "setups": ["bad-x", "mad-x"]}],
    }


def recipe(*, language_steps: int = 4, task_steps: int = 4) -> dict[str, Any]:
    """A recipe of so many steps."""
    common = {"batch_size": 4, "learning_rate": 0.01, "eval_every": 4, "max_length": 32}
    return {
        "language": {"steps": language_steps, "eval_blocks": 4, **common},
        "tasks": {"pos": {"steps": task_steps, **common}},
    }


def write_text(path: Path, lines: list[str]) -> None:
    """One line a sentence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_treebank(folder: Path, embedded: str, splits: dict[str, tuple[int, int]]) -> None:
    """Sentences of an embedded treebank, from the first to before the last of each split."""
    folder.mkdir(parents=True)
    with gzip.open(demo_data() / "ud" / embedded, "rt", encoding="utf-8") as file:
        sentences = file.read().split("\n\n")
    for split, (first, last) in splits.items():
        path = folder / f"x_y-ud-{split}.conllu"
        path.write_text("\n\n".join([*sentences[first:last], ""]), encoding="utf-8")
