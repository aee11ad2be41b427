"""Does our bilingual adapter learn what plain `adapters` would make it learn? Perplexity, and tags built on it.

Both sides train a BA en-wo on the same blocks of the same text, alternating, for as many steps with the same optimizer,
learning rates and rate of masking. The peer is what the examples of `adapters` do: `train_adapter`, whole logits,
`DataCollatorForLanguageModeling`. Each side's adapter at its last step is judged by one function on the same held-out
masks, published, and a POS adapter trained on it with our code for each seed, tested on Wolof.

    python benchmarks/learning.py --base ../shared/models/mini-mmt --text ../shared/data/text \
        --ud ../shared/data/ud --out benchmarks/learning.json

It goes on where it was stopped: what is in the registry (`--registry`) is not trained again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from measuring import machine, say

from badx_hub.corpora.schedule import draws_before, language_at
from badx_hub.errors import NotFoundError
from badx_hub.evaluation import evaluate
from badx_hub.languages import pair
from badx_hub.manifest import ManifestDraft, SourceRef, Training
from badx_hub.modeling.loading import load_tokenizer
from badx_hub.modeling.model_adapters import save_adapter
from badx_hub.recipes import HeadTraining, LanguageRecipe, load_recipe, override
from badx_hub.registry import Entry, Registry, open_registry
from badx_hub.registry.adapter_folder import prepare
from badx_hub.stack import load_entries
from badx_hub.training.language_adapter import LanguageObjective, _objective, planned, train_language_adapter
from badx_hub.training.loop import Silent
from badx_hub.training.runs import TrainingRun
from badx_hub.training.task_adapter import train_task_adapter

PAIR = pair("en", "wo")
NUMBERS = {"batch_size": 16, "max_length": 64, "save_every": 100, "eval_blocks": 128, "warmup_steps": 0}
TASK = {"steps": 300, "batch_size": 16, "learning_rate": 1e-3, "eval_every": 150, "max_length": 128, "warmup_steps": 0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="demo")
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--ud", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--registry", default=None, help="default: the user's own")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = [_row(side, options, open_registry(options.registry)) for side in ("transform", "frozen", "plain")]
    ours, plain = rows[0], rows[2]
    ratio = ours["perplexity"]["wo/perplexity"] / plain["perplexity"]["wo/perplexity"]
    document = {"machine": machine(), "steps": options.steps, "learning_rate": options.learning_rate}
    document |= {"rows": rows, "wolof perplexity, ours / plain": ratio}
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    say(f"Wolof perplexity, ours / plain: {ratio:.3f}")


def _row(side: str, options: argparse.Namespace, registry: Registry) -> dict[str, Any]:
    """One side: its bilingual adapter, and the tags of a task adapter on it for each seed."""
    entry = _trained(side, options, registry)
    accuracies = [_accuracy(entry, side, seed, options, registry) for seed in options.seeds]
    row = {"side": side, "perplexity": dict(entry.manifest.metrics["dev"]), "wo_accuracy": accuracies}
    say(json.dumps(row | {"mean": fmean(accuracies)}))
    return row


def _recipe(options: argparse.Namespace, head: HeadTraining) -> LanguageRecipe:
    changes = {"steps": options.steps, "learning_rate": options.learning_rate, "eval_every": options.steps}
    return override(load_recipe("quick").language, {**NUMBERS, "precision": "fp32", **changes, "head": head})


def _texts(options: argparse.Namespace) -> dict[str, str]:
    return {language: str(options.text / f"{language}.txt") for language in PAIR.languages}


def _trained(side: str, options: argparse.Namespace, registry: Registry) -> Entry:
    if side != "plain":
        recipe = _recipe(options, "frozen" if side == "frozen" else "transform")
        where: dict[str, Any] = {"base": options.base, "text": _texts(options), "label": f"learning-{side}"}
        return train_language_adapter(PAIR, recipe, registry=registry, reporter=_Log(), **where).entry
    run, _ = planned(
        PAIR, _recipe(options, "transform"), base=options.base, text=_texts(options), label="learning-plain"
    )
    try:
        return registry.get(run.name)
    except NotFoundError:
        return _plain(run, options, registry)


def _plain(run: TrainingRun, options: argparse.Namespace, registry: Registry) -> Entry:
    """The peer's training, judged and published as ours is."""
    _, sources = planned(PAIR, run.recipe, base=options.base, text=_texts(options))
    objective, model = _objective(run, run.recipe, sources)
    model.train_adapter(run.name.module_name)
    parameters = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=run.recipe.learning_rate, weight_decay=0.0)
    model.train()
    for step, batch in enumerate(_batches(objective, run)):
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, run.recipe.clip_norm)
        for group in optimizer.param_groups:
            group["lr"] = run.recipe.learning_rate_at(step)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 50 == 0:
            say(f"plain, step {step}: {float(loss):.3f}")
    model.eval()
    with torch.inference_mode():
        scores = objective.evaluate()
    return _published(model, run, scores, registry)


def _batches(objective: LanguageObjective, run: TrainingRun) -> Iterator[Mapping[str, torch.Tensor]]:
    """The same blocks as ours at every step, masked by the collator that the examples use."""
    from transformers import DataCollatorForLanguageModeling

    recipe = run.recipe
    collator = DataCollatorForLanguageModeling(load_tokenizer(run.base), mlm_probability=recipe.mask_probability)
    torch.manual_seed(recipe.seed)
    for step in range(recipe.steps):
        language = language_at(PAIR, step)
        first = draws_before(PAIR, language, step) * recipe.batch_size
        rows = objective.stores[language].train_batch(range(first, first + recipe.batch_size), recipe.seed)
        yield collator([{"input_ids": row.tolist()} for row in rows])


def _published(model: Any, run: TrainingRun, scores: Mapping[str, float], registry: Registry) -> Entry:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_adapter(model, run.name, folder)
        draft = ManifestDraft(
            name=str(run.name),
            base=run.base.ref,
            recipe=run.recipe.model_dump(mode="json"),
            seed=run.recipe.seed,
            data=tuple(SourceRef(**{**source.model_dump(), "counts": {}}) for source in run.sources),
            training=Training(steps=run.recipe.steps, best_step=run.recipe.steps, seconds=0.0),
            metrics={"dev": dict(scores)},
            versions={"torch": torch.__version__},
        )
        prepare(folder, draft)
        return registry.publish(folder)


def _accuracy(entry: Entry, side: str, seed: int, options: argparse.Namespace, registry: Registry) -> float:
    """Accuracy on the Wolof test set of a POS adapter trained on the side's bilingual adapter."""
    recipe = override(load_recipe("quick").tasks["pos"], {**TASK, "seed": seed})
    where: dict[str, Any] = {"base": options.base, "label": entry.name.label, "registry": registry}
    trained = train_task_adapter(PAIR, "pos", recipe, data=str(options.ud / "UD_English-EWT"), **where).entry
    stack = load_entries((entry, trained), registry, base=options.base)
    done = evaluate(stack, str(options.ud / "UD_Wolof-WTB"), split="test")
    say(f"{side}, seed {seed}: {done.scores.metrics['accuracy']:.4f}")
    return float(done.scores.metrics["accuracy"])


class _Log(Silent):
    """A line every fifty steps, and one for each evaluation."""

    def stepped(self, step: int, loss: float, units: int) -> None:
        if step % 50 == 0:
            say(f"step {step}: {loss:.3f}")

    def evaluated(self, step: int, metrics: Mapping[str, float], best: bool) -> None:
        say(f"step {step}: {dict(metrics)}")


if __name__ == "__main__":
    main()
