"""The ratio of a pair by successive halving."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.errors import UsageError
from badx_hub.languages import Mixture
from badx_hub.recipes import load_recipe, override
from badx_hub.registry import open_registry
from badx_hub.studies.ratio_tuning import Trial, Tuning, TuningJob, _ranks, rungs, tune_ratio
from tests.refusals import refused
from tests.tiny import demo_lines, small_treebank

DEMO = load_recipe("demo")


def job(base: Path | str, text: dict[str, str], data: str, **changes: object) -> TuningJob:
    small = {"batch_size": 2, "eval_every": 2, "max_length": 16}
    asked: dict[str, object] = {
        "languages": Mixture.of("en", "wo"),
        "task": "pos",
        "budget": 18,
        "language_recipe": override(DEMO.language, {**small, "eval_blocks": 2}),
        "task_recipe": override(DEMO.tasks["pos"], {**small, "steps": 2}),
        "text": text,
        "data": data,
        "ratios": ("2:1", "1:1", "1:2"),
        "base": str(base),
    }
    return TuningJob(**{**asked, **changes})  # type: ignore[arg-type]


@given(st.integers(2, 40), st.integers(1000, 100_000))
def test_half_of_the_ratios_stay_and_the_budget_is_kept(count: int, budget: int) -> None:
    plan = rungs(count, budget)
    assert [there for there, _ in plan][-1] == 2
    for (there, steps), (after, more) in pairwise(plan):
        assert after == -(-there // 2) and more >= steps
    assert 0 <= budget - sum(there * steps for there, steps in plan) < sum(there for there, _ in plan) * len(plan)


def test_rungs_go_on_from_one_another_and_what_was_done_is_found(tiny_base: Path, tmp_path: Path) -> None:
    text = {language: str(tmp_path / f"{language}.txt") for language in ("en", "wo")}
    for language, place in text.items():
        Path(place).write_text("\n".join(demo_lines(language, 200)) + "\n", encoding="utf-8")
    asked, registry = job(tiny_base, text, small_treebank(tmp_path / "en")), open_registry(tmp_path / "trials")
    found = tune_ratio(asked, registry)
    assert [(trial.rung, trial.steps) for trial in found.trials] == [(1, 3)] * 3 + [(2, 7)] * 2
    assert [trial.stays for trial in found.trials] == [True, True, False, True, False]
    assert {trial.ratio for trial in found.trials[3:]} == {trial.ratio for trial in found.trials[:2]}
    assert found.best == found.trials[3] and found.agreement() == {}
    for entry in (one for one in registry.list() if one.name.task is None and one.name.label == "rung2"):
        before = entry.manifest.initial
        assert before is not None and before.name == str(entry.name).replace("rung2", "rung1")
        assert "mlm_head.safetensors" in entry.manifest.files
    there = registry.list()
    assert tune_ratio(asked, registry) == found
    assert registry.list() == there


def test_the_targets_dev_data_decide_where_they_are_known() -> None:
    made = [
        Trial(1, ratio, 9, *signs)
        for ratio, *signs in (("2:1", 9, 0.5, 0.1), ("1:1", 8, 0.6, 0.3), ("1:2", 7, 0.4, 0.2))
    ]
    ranks = _ranks(made)
    assert sorted(range(3), key=lambda place: ranks[place]) == [1, 2, 0]
    assert Tuning(tuple(made), "accuracy").agreement() == {"perplexity": 0.5, "source dev": 0.5}
    assert _ranks([Trial(1, one.ratio, 9, one.perplexity, one.source_score, None) for one in made]) == [2.5, 1.5, 2.0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"languages": Mixture.of("en", "wo", "fo")}, "is no pair"),
        ({"ratios": ("1:1",)}, "expected two or more, each once"),
        ({"ratios": ("1:1", "2:2", "1:1")}, "expected two or more, each once"),
        ({"budget": 5}, "leaves 0 to a ratio in a rung, and 2:1 takes 3 to go round once. Give at least --budget 18"),
    ],
)
def test_what_cannot_be_tuned_is_refused(changes: dict[str, object], said: str) -> None:
    with refused(UsageError, said):
        job("demo", {}, "data", **changes)
