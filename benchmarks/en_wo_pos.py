"""TA only against BAD-X for en-wo POS: does the bilingual adapter pay off, and with which budget?

Trains, for each seed, a BA en-wo, a POS task adapter on it and one on the bare base, with the same task recipe, and
evaluates each zero-shot on the Wolof test sentences and on the English ones. It goes on where it was stopped, and
writes its table after every result:

    python benchmarks/en_wo_pos.py --seeds 1 2 3 --steps 300 1500 --out benchmarks/en_wo_pos

Everything it needs is embedded (`--recipe demo`), so it runs from a bare clone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from badx_hub.evaluation import evaluate
from badx_hub.languages import pair
from badx_hub.recipes import load_recipe, override
from badx_hub.registry import Registry, open_registry
from badx_hub.stack import load_entries
from badx_hub.training.language_adapter import train_language_adapter
from badx_hub.training.loop import EvaluationRow, Silent
from badx_hub.training.runs import seed_label
from badx_hub.training.task_adapter import train_task_adapter

TASK = "pos"
PAIR = pair("en", "wo")
TEST = {"wo": "demo:ud/UD_Wolof-WTB"}


class Log(Silent):
    """A line an evaluation on stderr."""

    def evaluated(self, step: int, metrics: EvaluationRow, best: bool) -> None:
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        print(f"  step {step}: {numbers}{'  *' if best else ''}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, nargs="+", default=[300, 3000], help="budgets of the BA")
    parser.add_argument("--learning-rate", type=float, default=None, help="of the BA")
    parser.add_argument("--task-steps", type=int, default=None)
    parser.add_argument("--registry", default=None, help="default: the user's own")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/en_wo_pos"))
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    for result in _results(options, open_registry(options.registry)):
        results.append(result)
        print(json.dumps(result), file=sys.stderr, flush=True)
        _write(options.out, results)


def _results(options: argparse.Namespace, registry: Registry) -> Iterator[dict[str, Any]]:
    for seed in options.seeds:
        yield _task_result(options, registry, seed, steps=None)
        for steps in options.steps:
            yield _task_result(options, registry, seed, steps=steps)


def _task_result(options: argparse.Namespace, registry: Registry, seed: int, steps: int | None) -> dict[str, Any]:
    """One trained stack, judged; `steps` None is TA only."""
    recipe = load_recipe("demo")
    label = _label(options, seed, steps)
    language_adapter = None
    if steps is not None:
        flags = {
            "steps": steps,
            "seed": seed,
            "learning_rate": options.learning_rate,
            "eval_every": max(100, steps // 8),
            "precision": "fp32",
        }
        language_adapter = train_language_adapter(
            PAIR,
            override(recipe.language, flags),
            registry=registry,
            base=recipe.base,
            text=recipe.text,
            label=label,
            reporter=Log(),
        ).entry
    task_side = train_task_adapter(
        PAIR,
        TASK,
        override(recipe.tasks[TASK], {"steps": options.task_steps, "seed": seed, "precision": "fp32"}),
        data=recipe.data[TASK],
        registry=registry,
        base=recipe.base,
        setup="bad-x" if language_adapter else "ta-only",
        label=label,
        reporter=Log(),
    ).entry
    stack = load_entries([*([language_adapter] if language_adapter else []), task_side], registry, dtype=torch.float32)
    scores = {language: evaluate(stack, data).scores.metrics for language, data in TEST.items()}
    return {
        "setup": "BAD-X" if language_adapter else "TA only",
        "seed": seed,
        "ba_steps": steps or 0,
        "ba_perplexity_wo": language_adapter.manifest.metrics["dev"]["wo/perplexity"] if language_adapter else None,
        "ba_seconds": language_adapter.manifest.training.seconds if language_adapter else 0.0,
        "ta_steps": task_side.manifest.training.steps,
        "ta_seconds": task_side.manifest.training.seconds,
        "en_dev_accuracy": task_side.manifest.metrics["dev"]["en/accuracy"],
        **{f"{language}_test_{metric}": value for language, found in scores.items() for metric, value in found.items()},
    }


def _label(options: argparse.Namespace, seed: int, steps: int | None) -> str | None:
    """The longest budget with seed 1 has the plain name: it is the stack that badx_hub ships."""
    budget = None if steps in (None, max(options.steps)) else f"steps{steps}"
    return "-".join(part for part in (seed_label(seed), budget) if part) or None


def _write(out: Path, results: Sequence[dict[str, Any]]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (out / "README.md").write_text(_table(results), encoding="utf-8")


def _table(results: Sequence[dict[str, Any]]) -> str:
    keys = sorted({(row["ba_steps"], row["setup"]) for row in results})
    lines = [
        "# en-wo POS: TA only against BAD-X",
        "",
        "Embedded base and data, 16 x 64 tokens a BA step, mean ± standard deviation over the seeds;",
        "accuracy and macro F1 over all 470 sentences of the Wolof WTB test set, in percent.",
        "`python benchmarks/en_wo_pos.py` makes this page.",
        "",
        "| setup | BA steps | seeds | Wolof perplexity | en dev accuracy | wo test accuracy | wo test macro F1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for steps, setup in keys:
        rows = [row for row in results if (row["ba_steps"], row["setup"]) == (steps, setup)]
        perplexity = f"{statistics.fmean(row['ba_perplexity_wo'] for row in rows):.1f}" if steps else "-"
        cells = [_spread(rows, name) for name in ("en_dev_accuracy", "wo_test_accuracy", "wo_test_macro_f1")]
        lines.append(f"| {setup} | {steps or '-'} | {len(rows)} | {perplexity} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(rows: Sequence[dict[str, Any]], name: str) -> str:
    values = [100 * row[name] for row in rows]
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.1f}{spread}"


if __name__ == "__main__":
    main()
