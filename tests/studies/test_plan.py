from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.languages import Mixture
from badx_hub.studies.plan import Evaluate, Step, StepKind, TrainLanguage, TrainTask, plan_of, with_needs
from badx_hub.studies.study import Block, Study
from badx_hub.studies.variant import Variant
from tests.studies.conftest import minimal

VARIANTS = (
    *("bad-x", "bad-x@5:1", "mad-x", "tlr", "tlr@1:2", "ma", "ta-only", "full", "mad-x-merged@1:2", "bad-x-merged"),
    *("source-kept", "source-dropped"),
)


def study(setups: list[str], targets: list[str] | None = None, seeds: list[int] | None = None) -> Study:
    languages = targets or ["wo"]
    return Study.model_validate(
        {
            **minimal(Path("tiny")),
            "baseline": setups[0],
            "multilingual": "en+wo+fo",
            "seeds": seeds or [1],
            "train": {
                "pos": {"en": "en", **{one: one for one in languages if any(f"few-{one}-" in s for s in setups)}}
            },
            "test": {"pos": {language: language for language in languages}},
            "blocks": [{"targets": languages, "tasks": ["pos"], "setups": setups}],
        }
    )


def named(steps: tuple[Step, ...]) -> dict[str, tuple[str, ...]]:
    return {step.name: step.needs for step in steps}


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ("bad-x", {"tiny/en-wo": (), "tiny/en-wo/pos": ("tiny/en-wo",), "": ("tiny/en-wo/pos", "tiny/en-wo")}),
        (
            "bad-x@5:1",
            {
                "tiny/en-wo@5:1": (),
                "tiny/en-wo@5:1/pos": ("tiny/en-wo@5:1",),
                "": ("tiny/en-wo@5:1/pos", "tiny/en-wo@5:1"),
            },
        ),
        (
            "bad-x+few-wo-20",
            {
                "tiny/en-wo": (),
                "tiny/en-wo/pos#few-wo-20": ("tiny/en-wo",),
                "": ("tiny/en-wo/pos#few-wo-20", "tiny/en-wo"),
            },
        ),
        (
            "mad-x",
            {"tiny/en": (), "tiny/wo": (), "tiny/en/pos": ("tiny/en",), "": ("tiny/en/pos", "tiny/wo")},
        ),
        (
            "tlr",
            {
                "tiny/en": (),
                "tiny/wo": (),
                "tiny/en-wo/pos@tlr": ("tiny/en", "tiny/wo"),
                "": ("tiny/en-wo/pos@tlr", "tiny/wo"),
            },
        ),
        (
            "ma",
            {
                "tiny/en+wo+fo": (),
                "tiny/en+wo+fo/pos": ("tiny/en+wo+fo",),
                "": ("tiny/en+wo+fo/pos", "tiny/en+wo+fo"),
            },
        ),
        (
            "mad-x-merged@3:7",
            {
                "tiny/en": (),
                "tiny/wo": (),
                "tiny/en-wo@3:7#merged": ("tiny/en", "tiny/wo"),
                "tiny/en/pos": ("tiny/en",),
                "": ("tiny/en/pos", "tiny/en-wo@3:7#merged"),
            },
        ),
        ("source-kept", {"tiny/en": (), "tiny/en/pos": ("tiny/en",), "": ("tiny/en/pos", "tiny/en")}),
        ("source-dropped", {"tiny/en": (), "tiny/en/pos": ("tiny/en",), "": ("tiny/en/pos",)}),
        ("ta-only", {"tiny/en/pos@ta-only": (), "": ("tiny/en/pos@ta-only",)}),
        ("full", {"tiny/en/pos@full": (), "": ("tiny/en/pos@full",)}),
    ],
)
def test_what_a_setup_takes(setup: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert named(plan_of(study([setup]))) == {name or f"pos/wo/{setup}": needs for name, needs in expected.items()}


def test_what_targets_share_is_trained_once() -> None:
    steps = plan_of(study(["mad-x", "ma", "ta-only", "full"], ["wo", "fo"]))
    kinds = Counter(step.kind for step in steps)
    assert kinds == {StepKind.LANGUAGE: 4, StepKind.TASK: 4, StepKind.EVALUATE: 8}


def test_seeds_are_labelled_on_every_side() -> None:
    steps = named(plan_of(study(["mad-x"], seeds=[1, 3])))
    assert steps["tiny/en/pos#seed3"] == ("tiny/en#seed3",)
    assert steps["pos/wo/mad-x#seed3"] == ("tiny/en/pos#seed3", "tiny/wo#seed3")
    assert steps["pos/wo/mad-x"] == ("tiny/en/pos", "tiny/wo")


def test_a_block_may_have_seeds_of_its_own() -> None:
    one = study(["mad-x"])
    more = Block(targets=("wo",), tasks=("pos",), setups=(Variant.parse("mad-x"),), seeds=(1, 2))
    steps = plan_of(one.model_copy(update={"blocks": (*one.blocks, more)}))
    assert [step.name for step in steps if isinstance(step, Evaluate)] == ["pos/wo/mad-x", "pos/wo/mad-x#seed2"]


def test_the_pair_of_a_score_has_the_ratio_asked_for() -> None:
    scores = [step for step in plan_of(study(["bad-x@5:1", "ma"])) if isinstance(step, Evaluate)]
    assert [str(step.pair) for step in scores] == ["en-wo@5:1", "en-wo"]


@given(
    st.lists(st.sampled_from(VARIANTS), min_size=1, unique=True),
    st.lists(st.sampled_from(["wo", "fo"]), min_size=1, unique=True),
    st.lists(st.integers(1, 3), min_size=1, unique=True),
)
def test_every_step_stands_once_behind_what_it_needs(setups: list[str], targets: list[str], seeds: list[int]) -> None:
    steps = plan_of(study(setups, targets, seeds))
    before: set[str] = set()
    for step in steps:
        assert step.name not in before
        assert before.issuperset(step.needs)
        before.add(step.name)
    scores = [step for step in steps if isinstance(step, Evaluate)]
    assert len(scores) == len(setups) * len(targets) * len(seeds)
    needed = {need for step in steps for need in step.needs}
    assert {step.name for step in steps if not isinstance(step, Evaluate)} == needed


@given(st.sets(st.sampled_from([step.name for step in plan_of(study(list(VARIANTS), ["wo", "fo"]))])))
def test_with_needs_is_closed_and_keeps_the_order(names: set[str]) -> None:
    steps = plan_of(study(list(VARIANTS), ["wo", "fo"]))
    chosen = with_needs(steps, names)
    there = {step.name for step in chosen}
    assert names <= there
    assert all(there.issuperset(step.needs) for step in chosen)
    assert list(chosen) == [step for step in steps if step.name in there]
    assert with_needs(steps, there) == chosen


def test_steps_say_what_is_trained() -> None:
    steps = {step.name: step for step in plan_of(study(["tlr@1:2"]))}
    language, task = steps["tiny/wo"], steps["tiny/en-wo@1:2/pos@tlr"]
    assert isinstance(language, TrainLanguage) and language.mixture == Mixture.parse("wo")
    assert isinstance(task, TrainTask) and task.mixture == Mixture.parse("en-wo@1:2")
