"""Temperatures: fitted where the answer is known, stored with the adapter, used for probabilities and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from badx_hub.languages import pair
from badx_hub.manifest_fields import Calibration
from badx_hub.recipes import TaskRecipe
from badx_hub.registry import open_registry
from badx_hub.registry.cards import render_card
from badx_hub.stack import load_bilingual_stack
from badx_hub.training.calibration import Scored, calibration_error, fitted_temperature
from badx_hub.training.task_adapter import train_task_adapter
from tests.made import made
from tests.tiny import small_treebank


def drawn(temperature: float, items: int = 4000) -> Scored:
    """Scores of five choices, and right choices drawn from their softmax at a temperature."""
    generator = np.random.default_rng(1)
    scores = generator.normal(scale=4.0, size=(items, 5))
    shares = np.exp(scores / temperature)
    shares /= shares.sum(axis=1, keepdims=True)
    gold = (shares.cumsum(axis=1) < generator.random((items, 1))).sum(axis=1)
    return Scored(scores, gold)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_the_answers_were_drawn_with_is_found(temperature: float) -> None:
    found = drawn(temperature)
    fitted = fitted_temperature([found])
    assert fitted == pytest.approx(temperature, rel=0.06)
    assert calibration_error([found], fitted) < 0.03
    parts = [Scored(found.scores[:1500], found.gold[:1500]), Scored(found.scores[1500:], found.gold[1500:])]
    assert fitted_temperature(parts) == pytest.approx(fitted, abs=2e-4)
    assert calibration_error(parts, fitted) == pytest.approx(calibration_error([found], fitted))


def test_the_error_is_the_gap_of_each_bin() -> None:
    """Two bins: three items at 0.9 of which one is right, one item at 0.6 that is right."""
    rows = [[math.log(0.9), math.log(0.1)]] * 3 + [[math.log(0.6), math.log(0.4)]]
    found = Scored(np.array(rows), np.array([0, 1, 1, 0]))
    assert calibration_error([found]) == pytest.approx((abs(1 - 2.7) + abs(1 - 0.6)) / 4)


def test_what_cannot_be_chosen_takes_no_part() -> None:
    found = drawn(2.0, 500)
    barred = np.full((500, 2), -np.inf)
    wider = Scored(np.concatenate([found.scores, barred], axis=1), found.gold)
    assert fitted_temperature([wider]) == fitted_temperature([found])
    assert calibration_error([wider]) == pytest.approx(calibration_error([found]))


@pytest.mark.parametrize(("task", "column"), [("pos", "tag"), ("dp", "head")])
def test_training_stores_it_and_annotating_uses_it(tmp_path: Path, tiny_base: Path, task: str, column: str) -> None:
    registry = open_registry(tmp_path / "registry")
    made(registry, tiny_base, "tiny/en-wo", seed=1)
    recipe = TaskRecipe(steps=4, batch_size=4, learning_rate=1e-2, eval_every=4, max_length=48)
    data = small_treebank(tmp_path / "UD_English-Few")
    entry = train_task_adapter(pair("en", "wo"), task, recipe, data=data, registry=registry).entry
    fitted = entry.manifest.calibration
    assert isinstance(fitted, Calibration) and (fitted.output, fitted.language) == (column, "en")
    assert fitted.count > 20 and 0 <= fitted.error <= fitted.error_before + 0.05
    assert f"| {column} | {fitted.temperature:.4f} |" in render_card(entry.manifest)
    stack = load_bilingual_stack("en", "wo", task, registry=registry)
    assert stack.temperature == fitted.temperature
    bare = entry.manifest.model_copy(update={"calibration": None})
    without = replace(stack, entries=(stack.entries[0], replace(stack.entries[1], manifest=bare)))
    assert without.temperature == 1.0
    examples = stack.examples([["Xanaa", "leeral", "ne", "lëlu"], ["Nanga", "def", "?"]])
    (with_it, chances), (same, others) = (one.predict_with_probabilities(examples) for one in (stack, without))
    assert with_it == same and chances != others
    if task == "pos":
        assert (np.mean(chances[0]) < np.mean(others[0])) == (fitted.temperature > 1)
