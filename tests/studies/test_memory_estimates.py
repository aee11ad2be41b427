"""How much memory steps need, held against the trainings that were measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from badx_hub.modeling.base_configs import BertLikeConfig
from badx_hub.studies.memory_estimates import memory_of
from badx_hub.studies.plan import plan_of
from badx_hub.studies.study import Study
from tests.studies.conftest import minimal, recipe

MEASURED = json.loads((Path(__file__).parents[2] / "benchmarks" / "scaling.json").read_text(encoding="utf-8"))["points"]


def config(vocabulary: int = 120_000, layers: int = 4) -> BertLikeConfig:
    """BERT with layers of the usual size."""
    return BertLikeConfig(
        model_type="bert",
        vocab_size=vocabulary,
        hidden_size=768,
        num_hidden_layers=layers,
        num_attention_heads=12,
        intermediate_size=3072,
    )


def study(*setups: str, **language: int) -> Study:
    made = recipe()
    made["language"] |= language
    block = {"targets": ["wo"], "tasks": ["pos"], "setups": [*setups]}
    return Study.model_validate(minimal(Path("base")) | {"recipe": made, "blocks": [block], "baseline": setups[0]})


@pytest.mark.parametrize("point", MEASURED, ids=lambda one: "-".join(str(one[key]) for key in list(one)[:4]))
def test_the_estimate_is_what_was_measured_or_a_little_more(point: dict[str, Any]) -> None:
    asked = study("bad-x", batch_size=point["batch"], max_length=point["length"])
    found = memory_of(plan_of(asked)[0], asked, config(point["vocabulary"], point["layers"]))
    assert 1 < found / point["bytes"] < 1.2


def test_slices_need_less_and_what_trains_the_base_more() -> None:
    whole, sliced = (study("bad-x", batch_size=32, max_length=128, micro_batches=slices) for slices in (1, 8))
    first, second = (memory_of(plan_of(one)[0], one, config()) for one in (whole, sliced))
    assert second < 0.7 * first
    both = study("full", "bad-x")
    needed = {step.name: memory_of(step, both, config()) for step in plan_of(both)}
    assert needed["pos/wo/full"] == needed["pos/wo/bad-x"] < needed["base/en-wo/pos"] < 0.5 * needed["base/en/pos@full"]
