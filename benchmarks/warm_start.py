"""How many tokens of training does a bilingual adapter save that begins with the weights of another adapter?

    python benchmarks/warm_start.py --work FOLDER --out benchmarks/warm_start.json

A BA en-fo is trained with the same text, steps and seed, from new weights and from those of adapters that were there
before: the LA of the source, the LA of the target, their mean, the BA of a related pair. What counts is the first
evaluation at which the target's perplexity is not above that of the cold start at its end, and the tokens until then.

The adapters to begin with are those of `studies/transfer.yaml`, with its recipe: LAs of 750 steps, a BA of 1,500. Those
that the registry in FOLDER does not hold are trained first; copy that of the study there to spare it. Their heads were
not published, which is the default, so the head begins as the base's. `--with-heads` trains an LA of the target whose
head was published, and begins with that too. Everything goes on where it was stopped. It expects the data of the
study beside the checkout.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from measuring import machine, say

from badx_hub.languages import Mixture, pair
from badx_hub.recipes import override
from badx_hub.registry import Entry, Registry, open_registry
from badx_hub.registry.merging import merge
from badx_hub.studies.study import Study, load_study
from badx_hub.training.curves import CSV, read_curves
from badx_hub.training.language_adapter import train_language_adapter
from badx_hub.training.runs import run_label

STUDY = Path(__file__).resolve().parents[1] / "studies" / "transfer.yaml"
SOURCE, TARGET, RELATED = "en", "fo", "wo"
NUMBERS: Mapping[str, Any] = {"steps": 600, "eval_every": 50, "save_every": 200}

COLD = "new weights"
HEAD = "with-head"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="a folder for the adapters")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--with-heads", action="store_true", help="also begin with an LA whose head was published")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    study, registry = load_study(STUDY), open_registry(options.work / "registry")
    found: list[dict[str, Any]] = []
    for seed in options.seeds:
        for start, init in starts(study, registry, seed, heads=options.with_heads):
            found.append({"seed": seed, "start": start, **trained(study, registry, seed, start, init)})
            say(json.dumps({key: value for key, value in found[-1].items() if key != "perplexities"}))
            document = {"machine": machine(), "pair": f"{SOURCE}-{TARGET}", "runs": found, "table": table(found)}
            options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def starts(study: Study, registry: Registry, seed: int, *, heads: bool) -> Iterator[tuple[str, Entry | None]]:
    """What the BA begins with, by name; None: new weights."""
    yield COLD, None
    target = language_adapter(study, registry, Mixture.of(TARGET), seed)
    yield "LA of the target", target
    yield "BA of another target", language_adapter(study, registry, pair(SOURCE, RELATED), seed)
    source = language_adapter(study, registry, Mixture.of(SOURCE), seed)
    yield "mean of both LAs", merge([source, target], registry, base=study.base).entry
    yield "LA of the source", source
    if heads:
        yield "LA of the target, with its head", language_adapter(study, registry, Mixture.of(TARGET), seed, head=True)


def language_adapter(study: Study, registry: Registry, mixture: Mixture, seed: int, *, head: bool = False) -> Entry:
    """The study's LA or BA; an LA of the target, of which the study has none, is trained as the others were."""
    recipe = study.language_recipe(mixture, seed)
    return train_language_adapter(
        mixture,
        override(recipe, {"publish_head": True}) if head else recipe,
        registry=registry,
        base=study.base,
        text=texts(study, mixture),
        label=run_label(seed, HEAD if head else None),
    ).entry


def texts(study: Study, mixture: Mixture) -> dict[str, str]:
    """The study's texts; that of another language lies beside them."""
    beside = Path(study.text[SOURCE]).parent
    return {language: str(beside / f"{language}.txt") for language in mixture.languages}


def trained(study: Study, registry: Registry, seed: int, start: str, init: Entry | None) -> dict[str, Any]:
    """The perplexities of one run of the BA, by step, and the tokens of a step."""
    mixture = pair(SOURCE, TARGET)
    entry = train_language_adapter(
        mixture,
        override(study.language_recipe(mixture, seed), NUMBERS),
        registry=registry,
        base=study.base,
        text=texts(study, mixture),
        label=run_label(seed, start.lower().replace(",", "").replace(" ", "-")),
        init=init,
    ).entry
    rows = read_curves(registry.fetch(entry), entry.manifest.files[CSV])
    training = entry.manifest.training
    return {
        "adapter": str(entry.name),
        "begun_with": entry.manifest.initial and entry.manifest.initial.name,
        "tokens_a_step": (training.tokens or 0) / training.steps,
        "tokens_before": 0 if init is None else tokens_of(init, registry),
        "perplexities": {int(row["step"]): row[f"{TARGET}/perplexity"] for row in rows},
    }


def tokens_of(entry: Entry, registry: Registry) -> int:
    """Those of its training, or of its parents' where it is a mean."""
    parents = [registry.by_digest(one.digest, one.name)[-1] for one in entry.manifest.merged]
    return (entry.manifest.training.tokens or 0) + sum(tokens_of(one, registry) for one in parents)


def table(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a start: the mean over the seeds that have a cold start."""
    goals = {run["seed"]: last(run) for run in found if run["start"] == COLD}
    return [
        row(start, [run for run in found if run["start"] == start], goals)
        for start in dict.fromkeys(run["start"] for run in found)
    ]


def row(start: str, runs: Sequence[Mapping[str, Any]], goals: Mapping[int, float]) -> dict[str, Any]:
    """Steps and tokens until the cold start's last perplexity; None if a seed never gets there."""
    steps = [reached(run, goals[run["seed"]]) for run in runs]
    there = [step for step in steps if step is not None]
    return {
        "start": start,
        "seeds": [run["seed"] for run in runs],
        "first": fmean(min(run["perplexities"].items())[1] for run in runs),
        "last": fmean(map(last, runs)),
        "steps": steps,
        "tokens": fmean(step * run["tokens_a_step"] for step, run in zip(there, runs, strict=True))
        if len(there) == len(runs)
        else None,
        "tokens_before": fmean(run["tokens_before"] for run in runs),
    }


def last(run: Mapping[str, Any]) -> float:
    """The perplexity after the last step."""
    return float(max(run["perplexities"].items())[1])


def reached(run: Mapping[str, Any], goal: float) -> int | None:
    """The first evaluated step whose perplexity is not above `goal`."""
    return next((step for step, value in sorted(run["perplexities"].items()) if value <= goal), None)


if __name__ == "__main__":
    main()
