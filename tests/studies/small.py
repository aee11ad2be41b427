"""The study `studies/small.yaml` with its budgets cut: four steps a training, a few sentences of each source."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import yaml

STUDY = Path(__file__).parents[2] / "studies" / "small.yaml"
STEPS = 4
LINES, SENTENCES = 400, 32
_CUT = {"steps": STEPS, "eval_every": STEPS // 2, "save_every": STEPS // 2}


def cut(shared: Path, folder: Path) -> Path:
    """The file of the cut study, with its sources beside it in `folder`."""
    study = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    study["base"] = str(shared / "models" / "mini-mmt")
    recipe = study["recipe"]
    recipe["la_steps"] = STEPS // 2
    recipe["language"] |= _CUT | {"batch_size": 4, "eval_blocks": 4}
    for task in recipe["tasks"].values():
        task.update(_CUT | {"batch_size": 4, "max_length": 64})
    sources = [study["text"], study["train"], *study["test"].values()]
    for place, mapping in enumerate(sources):
        for key, source in mapping.items():
            target = folder / f"{place}-{key}{Path(source).suffix}"
            _copy(shared / Path(source).relative_to("../../shared"), target)
            mapping[key] = str(target)
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(study), encoding="utf-8")
    return file


def without_times(results: Path) -> None:
    """Set the seconds that trainings took to 0 in all results: a report of them then tells of no time."""
    for path in results.glob("*.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        result["cost"]["seconds"] = 0.0
        path.write_text(json.dumps(result), encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    """The beginning of a text, or of every file of a data set."""
    if source.is_file():
        target.write_text("".join(_first(source, LINES)), encoding="utf-8")
        return
    prefix = "" if source.is_dir() else f"{source.name}."
    target.mkdir()
    for path in (source if source.is_dir() else source.parent).glob(f"{prefix}*"):
        if path.suffix == ".conllu":
            sentences = path.read_text(encoding="utf-8").split("\n\n")[:SENTENCES]
            (target / path.name).write_text("\n\n".join([*sentences, ""]), encoding="utf-8")
        elif path.suffix == ".tsv":
            (target / path.name).write_text("".join(_first(path, SENTENCES + 1)), encoding="utf-8")


def _first(path: Path, count: int) -> Iterable[str]:
    with path.open(encoding="utf-8") as file:
        return list(islice(file, count))
