"""The demo: train a pair, compare it with TA only, share it, load it again, use it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from badx_hub.evaluation import evaluate
from badx_hub.languages import pair
from badx_hub.manifest import Training
from badx_hub.recipes import Recipe, load_recipe
from badx_hub.registry import Registry, copy, open_registry
from badx_hub.stack import BilingualStack, load_bilingual_stack
from badx_hub.storage import home
from badx_hub.training.language_adapter import train_language_adapter
from badx_hub.training.loop import Reporter
from badx_hub.training.runs import Trained
from badx_hub.training.task_adapter import train_task_adapter

PAIR = ("en", "wo")
TASK = "pos"
TARGET_TREEBANK = "demo:ud/UD_Wolof-WTB"
SHOWN_SENTENCES = 2
SHOWN_WORDS = 10


@dataclass(frozen=True)
class DemoRow:
    """One stack of the demo and its zero-shot scores; a budget is None where nothing was trained."""

    stack: str
    language_side: Training | None
    task_side: Training
    accuracy: float
    macro_f1: float


@dataclass(frozen=True)
class DemoReport:
    """What the demo measured and where it left its files; `predictions` are (word, tag) rows a sentence."""

    rows: tuple[DemoRow, ...]
    predictions: tuple[tuple[tuple[str, ...], ...], ...]
    folders: tuple[tuple[str, Path], ...]
    seconds: float


def run_demo(
    *, announce: Callable[[str], None], reporter: Callable[[], Reporter], recipe: Recipe | None = None
) -> DemoReport:
    """Train BA en-wo, TA pos on it and TA only; evaluate; push, pull, load, predict. Nothing is trained twice.

    Args:
        announce: told what comes next, in one line.
        reporter: makes the reporter of each training.
        recipe: default `demo`.
    """
    began = time.perf_counter()
    chosen, folder = recipe or load_recipe("demo"), home() / "demo"
    trained, shared, pulled = (open_registry(folder / name) for name in ("registry", "shared", "pulled"))
    trained_stack = _train(chosen, trained, announce, reporter)
    announce("Push the stack to a second registry and pull it into a third")
    stack = trained_stack.entry
    copy(stack, trained, shared)
    copy(stack, shared, pulled)
    stacks = {
        "TA only, trained just now": load_bilingual_stack(*PAIR, TASK, setup="ta-only", registry=trained),
        "BAD-X, trained just now": load_bilingual_stack(*PAIR, TASK, registry=pulled),
        "BAD-X, shipped": load_bilingual_stack(*PAIR, TASK, registry="demo"),
    }
    announce("Evaluate zero-shot on the Wolof test sentences")
    rows = tuple(_row(title, loaded) for title, loaded in stacks.items())
    return DemoReport(
        rows=rows,
        predictions=_predictions(stacks["BAD-X, shipped"]),
        folders=tuple((name, folder / name) for name in ("registry", "shared", "pulled")),
        seconds=time.perf_counter() - began,
    )


def _train(
    recipe: Recipe, registry: Registry, announce: Callable[[str], None], reporter: Callable[[], Reporter]
) -> Trained:
    """BA, TA only, and the TA on the BA, which is returned."""
    mixture = pair(*PAIR)
    announce("Train the bilingual adapter en-wo on English and Wolof text")
    train_language_adapter(
        mixture, recipe.language, registry=registry, base=recipe.base, text=recipe.text, reporter=reporter()
    )
    announce("Train a POS task adapter on English alone: on the bare base, then on the bilingual adapter")
    return [
        train_task_adapter(
            mixture,
            TASK,
            recipe.tasks[TASK],
            data=recipe.data[TASK],
            registry=registry,
            base=recipe.base,
            setup=setup,
            reporter=reporter(),
        )
        for setup in ("ta-only", "bad-x")
    ][-1]


def _row(title: str, stack: BilingualStack) -> DemoRow:
    metrics = evaluate(stack, TARGET_TREEBANK).scores.metrics
    language_side = stack.language_adapter.manifest.training if stack.language_adapter else None
    return DemoRow(title, language_side, stack.entries[-1].manifest.training, metrics["accuracy"], metrics["macro_f1"])


def _predictions(stack: BilingualStack) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """The first short test sentences with their predicted tags."""
    sentences = [given for given in stack.task.read(TARGET_TREEBANK, "test") if len(given.words) <= SHOWN_WORDS]
    shown = sentences[:SHOWN_SENTENCES]
    predictions = stack.predict([given.words for given in shown])
    return tuple(stack.task.rows(given, tags) for given, tags in zip(shown, predictions, strict=True))
