"""Which numbers of a recipe make the better tagger for a language without annotation? One number changed at a time.

Each row of `ROWS` changes the recipe `demo` at one place, trains a BA and a POS task adapter on it for each seed, and
scores the tagger on the target's development sentences: never on its test sentences, which are for the studies. It
goes on where it was stopped: what is in the registry is not trained again.

    python benchmarks/recipe_search.py --out benchmarks/recipe_search.json
    python benchmarks/recipe_search.py --target fo --text ../shared/data/text --ud ../shared/data/ud \
        --only default,steps-1800 --out benchmarks/recipe_search_fo.json

The first line runs from a bare clone, on the embedded base and data (en-wo).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from measuring import machine, say

from badx_hub.evaluation import evaluate
from badx_hub.languages import Mixture, pair
from badx_hub.recipes import load_recipe, override
from badx_hub.registry import Entry, Registry, copy, open_registry
from badx_hub.stack import load_entries
from badx_hub.storage import home
from badx_hub.training.language_adapter import train_language_adapter
from badx_hub.training.task_adapter import train_task_adapter

Numbers = Mapping[str, Any]
LANGUAGE: Numbers = {"steps": 600, "eval_every": 150}
TASK: Numbers = {"steps": 200, "eval_every": 50}


@dataclass(frozen=True)
class Row:
    """A change of the recipe: fields of its language side and of its POS side; `adapter` holds the BA's own fields."""

    name: str
    language: Numbers = field(default_factory=dict)
    adapter: Numbers = field(default_factory=dict)
    task: Numbers = field(default_factory=dict)


ROWS = (
    Row("default"),
    Row("rate-5e-4", {"learning_rate": 5e-4}),
    Row("rate-1e-3", {"learning_rate": 1e-3}),
    Row("rate-4e-3", {"learning_rate": 4e-3}),
    Row("warmup", {"warmup_steps": 60}),
    Row("steps-300", {"steps": 300, "eval_every": 75}),
    Row("steps-1800", {"steps": 1800, "eval_every": 450}),
    Row("reduction-8", adapter={"reduction_factor": 8.0}),
    Row("invertible", adapter={"invertible": True}),
    Row("dropout", adapter={"dropout": 0.1}),
    Row("no-last-layer", adapter={"leave_out": [5]}),
    Row("frozen-head", {"head": "frozen"}),
    Row("ta-steps-100", task={"steps": 100, "eval_every": 25}),
    Row("ta-steps-600", task={"steps": 600, "eval_every": 150}),
    Row("ta-rate-3e-4", task={"learning_rate": 3e-4}),
    Row("ta-average", task={"select": "average"}),
    Row("ta-last", task={"select": "last"}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="demo")
    parser.add_argument("--target", default="wo")
    parser.add_argument(
        "--text", type=Path, default=None, help="a folder with LANGUAGE.txt; default: the embedded text"
    )
    parser.add_argument("--ud", type=Path, default=None, help="a folder with treebanks; default: the embedded ones")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--only", default=None, help="names of rows, with commas; default: all")
    parser.add_argument("--registries", type=Path, default=home() / "recipe_search", help="a registry a row goes here")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found = []
    for row in (row for row in ROWS if options.only is None or row.name in options.only.split(",")):
        trained = [_scores(row, seed, options) for seed in options.seeds]
        changes = {"language": dict(row.language), "adapter": dict(row.adapter), "task": dict(row.task)}
        found.append(
            {"row": row.name, "changes": changes, "seeds": trained, "mean": fmean(one["dev"] for one in trained)}
        )
        say(json.dumps(found[-1]))
        document = {"machine": machine(), "pair": f"en-{options.target}", "rows": found}
        options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _scores(row: Row, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The target's development accuracy, and what was known without it: perplexities and the source's accuracy."""
    mixture, registry = pair("en", options.target), open_registry(str(options.registries / row.name))
    adapter = _language_adapter(row, seed, mixture, registry, options)
    tagger = train_task_adapter(
        mixture,
        "pos",
        override(load_recipe("demo").tasks["pos"], {**TASK, "save_every": 100, "seed": seed, **row.task}),
        data=_treebank("en", options),
        registry=registry,
        base=options.base,
    ).entry
    scores = evaluate(load_entries([adapter, tagger], registry), _treebank(options.target, options), split="dev").scores
    known = {**adapter.manifest.metrics["dev"], "en/accuracy": tagger.manifest.metrics["dev"]["en/accuracy"]}
    return {"seed": seed, "dev": scores.metrics["accuracy"], **known}


def _language_adapter(row: Row, seed: int, mixture: Mixture, registry: Registry, options: argparse.Namespace) -> Entry:
    """The row's BA; where only the task side changes, a copy of the default row's."""
    if row.task and not (row.language or row.adapter):
        default = open_registry(str(options.registries / ROWS[0].name))
        adapter = _language_adapter(ROWS[0], seed, mixture, default, options)
        copy(adapter, default, registry)
        return adapter
    recipe = load_recipe("demo")
    numbers = {**LANGUAGE, "save_every": 300, "seed": seed, **row.language}
    numbers["adapter"] = {**recipe.language.adapter.model_dump(), **row.adapter}
    return train_language_adapter(
        mixture,
        override(recipe.language, numbers),
        registry=registry,
        base=options.base,
        text=_text(options) or recipe.text,
    ).entry


def _text(options: argparse.Namespace) -> dict[str, str] | None:
    folder = options.text
    return folder and {language: str(folder / f"{language}.txt") for language in ("en", options.target)}


def _treebank(language: str, options: argparse.Namespace) -> str:
    prefix = {"en": "UD_English-", "wo": "UD_Wolof-", "fo": "UD_Faroese-", "ug": "UD_Uyghur-"}[language]
    if options.ud is None:
        return {"en": "demo:ud/UD_English-EWT", "wo": "demo:ud/UD_Wolof-WTB"}[language]
    return str(next(folder for folder in sorted(options.ud.iterdir()) if folder.name.startswith(prefix)))


if __name__ == "__main__":
    main()
