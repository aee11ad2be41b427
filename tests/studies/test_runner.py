"""Whole studies on a random base: what runs, what does not run again, and what a change makes run."""

from __future__ import annotations

import pickle
import shutil
import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from badx_hub.errors import DataError, NotFoundError, TrainingInterrupted, UsageError
from badx_hub.evaluation.result_table import result_tables, titles
from badx_hub.registry import Registry, open_registry
from badx_hub.studies.executor import Sequential, StepEnd
from badx_hub.studies.plan import Step, StepKind
from badx_hub.studies.runner import StepState, StudyRunner, results_folder
from badx_hub.studies.study import load_study
from badx_hub.studies.time_estimates import estimate_of, rates_of
from badx_hub.training.loop import Silent
from tests.studies.conftest import WriteStudy, recipe, write_text
from tests.studies.test_executor import Notes
from tests.tiny import demo_lines

EVERY = {
    "blocks": [{"targets": ["wo"], "tasks": ["pos"], "setups": ["bad-x@1:2", "mad-x", "tlr", "ma", "ta-only", "full"]}],
    "multilingual": ["en", "wo", "fo"],
}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return open_registry(tmp_path / "registry")


def ran(file: Path, registry: Registry) -> list[str]:
    """Run what is not done; the names of the steps that ran."""
    place = StudyRunner(load_study(file), registry)
    outcomes = Sequential().run(place.pending(), place.do, Notes())
    assert [outcome.reason for outcome in outcomes if outcome.end is not StepEnd.RAN] == []
    assert {seen.state for seen in StudyRunner(load_study(file), registry).statuses()} == {StepState.DONE}
    return [outcome.step.name for outcome in outcomes]


def keys(file: Path, registry: Registry) -> Mapping[str, str | None]:
    return {seen.step.name: seen.key for seen in StudyRunner(load_study(file), registry).statuses()}


def states(place: StudyRunner) -> Counter[StepState]:
    return Counter(seen.state for seen in place.statuses())


def test_nothing_runs_twice_and_a_change_reruns_what_depends_on_it(write_study: WriteStudy, registry: Registry) -> None:
    file = write_study()
    whole = ran(file, registry)
    assert whole == [
        *("tiny/en-wo", "tiny/en-wo/pos", "pos/wo/bad-x"),
        *("tiny/en", "tiny/wo", "tiny/en/pos", "pos/wo/mad-x"),
    ]
    first = keys(file, registry)
    assert ran(file, registry) == []

    above = [name for name in whole if "pos" in name]
    assert ran(write_study(recipe=recipe(task_steps=3)), registry) == above
    assert ran(write_study(), registry) == [], "the versions of before are still known, though newer ones stand there"
    assert keys(file, registry) == first

    write_text(file.with_name("wo.txt"), demo_lines("wo", 300))
    # MAD-X's task adapter is trained on English alone.
    assert ran(write_study(), registry) == [name for name in whole if name not in ("tiny/en", "tiny/en/pos")]

    sentences = (file.parent / "wo" / "x_y-ud-test.conllu").read_text(encoding="utf-8").split("\n\n")
    (file.parent / "wo" / "x_y-ud-test.conllu").write_text("\n\n".join([*sentences[:6], ""]), encoding="utf-8")
    assert ran(write_study(), registry) == ["pos/wo/bad-x", "pos/wo/mad-x"]


def test_every_setup_runs_and_leaves_a_result(write_study: WriteStudy, registry: Registry) -> None:
    file = write_study(**EVERY)
    write_text(file.with_name("fo.txt"), demo_lines("en", 200))
    file = write_study(**EVERY, text={"en": "en.txt", "wo": "wo.txt", "fo": "fo.txt"})
    place = StudyRunner(load_study(file), registry)
    assert states(place) == {StepState.READY: 6, StepState.WAITS: 10}  # on the bare base: two task adapters at once
    ran(file, registry)
    results = {seen.step.name: seen.result for seen in StudyRunner(load_study(file), registry).statuses()}
    found = {name: result for name, result in results.items() if result is not None}
    assert {name: (r.setup, r.mixture, r.target) for name, r in found.items()} == {
        "pos/wo/bad-x@1:2": ("bad-x", "en-wo@1:2", "wo"),
        **{f"pos/wo/{setup}": (setup, "en-wo", "wo") for setup in ("mad-x", "tlr", "ma", "ta-only", "full")},
    }
    assert [name for name, _ in found["pos/wo/tlr"].adapters] == ["tiny/wo", "tiny/en-wo/pos@tlr"]
    assert len(list(results_folder().glob("*.json"))) == 6
    assert set(place.curves()) == set(results) - set(found)


def test_means_of_adapters_and_other_recipes_are_rows_of_a_study(write_study: WriteStudy, registry: Registry) -> None:
    setups = ["mad-x", "mad-x+mean", "mad-x-merged@1:2", "bad-x-merged", "source-kept", "source-dropped"]
    changed = {
        "recipes": {"mean": {"language": {"select": "average"}, "tasks": {"pos": {"select": "average"}}}},
        "blocks": [{"targets": ["wo"], "tasks": ["pos"], "setups": setups}],
    }
    names = ran(write_study(**changed), registry)
    assert names.index("tiny/en-wo@1:2#merged") < names.index("pos/wo/mad-x-merged@1:2")
    assert ran(write_study(**changed), registry) == []
    place = StudyRunner(load_study(write_study(**changed)), registry)
    found = {seen.step.name: seen for seen in place.statuses()}
    averaged, mean = found["tiny/en/pos#mean"].entry, found["tiny/en-wo@1:2#merged"].entry
    assert averaged is not None and averaged.manifest.recipe["select"] == "average"
    assert mean is not None and [round(ref.weight, 3) for ref in mean.manifest.merged] == [0.333, 0.667]
    assert mean.manifest.merged[0].digest == found["tiny/en"].entry.manifest.digest  # type: ignore[union-attr]
    results = [seen.result for seen in found.values() if seen.result is not None]
    assert {(one.setup, one.label, one.adapters[0][0]) for one in results} == {
        ("mad-x", None, "tiny/wo"),
        ("mad-x", "mean", "tiny/wo#mean"),
        ("mad-x-merged", None, "tiny/en-wo@1:2#merged"),
        ("bad-x-merged", None, "tiny/en-wo#merged"),
        ("source-kept", None, "tiny/en"),
        ("source-dropped", None, "tiny/en/pos"),
    }
    (table,) = result_tables(results, "mad-x")
    assert list(titles(table.names).values()) == [
        *(
            "MAD-X",
            "MAD-X (mean)",
            "MAD-X on merged LAs 1:2",
            "BAD-X on merged LAs",
            "Source LA kept",
            "Source LA dropped",
        ),
    ]
    assert set(place.curves()) == {name for name in found if "pos/wo" not in name and not name.endswith("#merged")}


@pytest.mark.parametrize(
    ("recipes", "setup", "reason"),
    [
        ({}, "mad-x+mean", "recipes has no mean; it has none"),
        ({"mean": {"language": {"select": "worst"}}}, "mad-x+mean", "'best', 'last' or 'average'"),
        ({}, "mad-x+seed2", "label of a recipe"),
        ({"Mean": {}}, "mad-x", "pattern"),
    ],
)
def test_labels_of_recipes_are_checked(
    write_study: WriteStudy, recipes: Mapping[str, object], setup: str, reason: str
) -> None:
    blocks = [{"targets": ["wo"], "tasks": ["pos"], "setups": ["mad-x", *({setup} - {"mad-x"})]}]
    with pytest.raises(UsageError, match=reason):
        load_study(write_study(recipes=recipes, blocks=blocks))


def test_sentences_of_the_target_are_learned_from_and_counted(write_study: WriteStudy, registry: Registry) -> None:
    file = write_study()
    test = file.parent / "wo" / "x_y-ud-test.conllu"
    shutil.copy(test, test.with_name("x_y-ud-train.conllu"))
    changed = {
        "baseline": "bad-x+few-wo-4",
        "train": {"pos": {"en": "en", "wo": "wo"}},
        "select_on": "en",
        "seeds": [2],
        "blocks": [{"targets": ["wo"], "tasks": ["pos"], "setups": ["bad-x+few-wo-4"]}],
    }
    names = ran(write_study(**changed), registry)
    assert names == ["tiny/en-wo#seed2", "tiny/en-wo/pos#seed2-few-wo-4", "pos/wo/bad-x+few-wo-4#seed2"]
    assert ran(write_study(**changed), registry) == []
    found = {seen.step.name: seen for seen in StudyRunner(load_study(write_study(**changed)), registry).statuses()}
    entry, result = found[names[1]].entry, found[names[2]].result
    assert entry is not None and entry.manifest.annotations is not None and result is not None
    assert dict(entry.manifest.annotations.sentences) == {"en": 24, "wo": 4}
    assert (entry.manifest.annotations.selected_on, result.label) == ("en", "few-wo-4")

    changed["blocks"] = [{"targets": ["wo"], "tasks": ["pos"], "setups": ["bad-x+few-wo-4", "bad-x+few-wo-40"]}]
    (blocked,) = (seen for seen in StudyRunner(load_study(write_study(**changed)), registry).statuses() if seen.error)
    assert "has 12 sentences to learn from, and the limit of wo is 40" in blocked.reason
    assert "the label few-wo-40 in the study" in blocked.reason and "limit}" not in blocked.reason


def test_a_stopped_training_goes_on(write_study: WriteStudy, registry: Registry) -> None:
    place = StudyRunner(load_study(write_study()), registry)
    step = place.steps[0]
    with pytest.raises(TrainingInterrupted, match="Stopped after step 2 of 4"):
        place.do(step, reporter=Stopping(2))
    seen = place.status(step)
    assert (seen.state, seen.resumed) == (StepState.READY, 2)
    counting = Counting()
    assert not place.do(step, reporter=counting)
    assert counting.steps == [3, 4]
    assert place.status(step).state is StepState.DONE
    assert place.do(step)


def test_a_step_waits_for_what_it_needs(write_study: WriteStudy, registry: Registry) -> None:
    place = StudyRunner(load_study(write_study()), registry)
    seen = {one.step.name: one for one in place.statuses()}
    assert seen["tiny/en-wo/pos"].state is StepState.WAITS
    assert seen["tiny/en-wo/pos"].reason == "waits for tiny/en-wo"
    with pytest.raises(NotFoundError, match="tiny/en-wo/pos waits for tiny/en-wo"):
        place.do(seen["tiny/en-wo/pos"].step)


def test_missing_data_blocks_its_steps_alone(write_study: WriteStudy, registry: Registry) -> None:
    file = write_study(text={"en": "en.txt", "wo": "gone.txt"})
    place = StudyRunner(load_study(file), registry)
    seen = {one.step.name: one for one in place.statuses()}
    assert seen["tiny/en"].state is StepState.READY
    assert seen["tiny/wo"].state is StepState.BLOCKED and "gone.txt" in seen["tiny/wo"].reason
    outcomes = Sequential().run(place.pending(), place.do, Notes())
    ends = {outcome.step.name: outcome.end for outcome in outcomes}
    assert [name for name, end in ends.items() if end is StepEnd.FAILED] == ["tiny/en-wo", "tiny/wo"]
    assert [name for name, end in ends.items() if end is StepEnd.RAN] == ["tiny/en", "tiny/en/pos"]


def test_missing_test_data_is_seen_before_anything_is_trained(write_study: WriteStudy, registry: Registry) -> None:
    place = StudyRunner(load_study(write_study(test={"pos": {"wo": "gone"}})), registry)
    blocked = [seen for seen in place.statuses() if seen.state is StepState.BLOCKED]
    assert [seen.step.name for seen in blocked] == ["pos/wo/bad-x", "pos/wo/mad-x"]
    assert all("gone" in seen.reason for seen in blocked)


def test_a_base_that_is_not_here_leaves_everything_to_do(write_study: WriteStudy, registry: Registry) -> None:
    place = StudyRunner(load_study(write_study(base="nobody/nothing")), registry)
    assert states(place) == {StepState.READY: 3, StepState.WAITS: 4}
    assert place.base() is None
    assert "not on this machine" in place.status(place.steps[0]).reason


def test_pending_takes_patterns_and_a_limit(write_study: WriteStudy, registry: Registry) -> None:
    place = StudyRunner(load_study(write_study()), registry)
    chosen = [step.name for step in place.pending(["pos/wo/mad*"])]
    assert chosen == ["tiny/en", "tiny/wo", "tiny/en/pos", "pos/wo/mad-x"]
    assert [step.name for step in place.pending(["pos/wo/mad*"], limit=2)] == chosen[:2]
    with pytest.raises(UsageError, match="'nothing'"):
        place.pending(["nothing"])


def test_a_workplace_travels_to_another_process(write_study: WriteStudy, registry: Registry) -> None:
    place = pickle.loads(pickle.dumps(StudyRunner(load_study(write_study()), registry)))
    assert not place.do(place.steps[0])
    assert place.status(place.steps[0]).state is StepState.DONE


def test_a_damaged_result_is_an_error(write_study: WriteStudy, registry: Registry) -> None:
    file = write_study(blocks=[{"targets": ["wo"], "tasks": ["pos"], "setups": ["ta-only"]}], baseline="ta-only")
    ran(file, registry)
    (result,) = results_folder().glob("*.json")
    result.write_text("{}", encoding="utf-8")
    place = StudyRunner(load_study(file), registry)
    assert place.status(place.steps[-1]).state is StepState.BLOCKED
    with pytest.raises(DataError, match="not a sound result"):
        place.do(place.steps[-1])


def test_costs_come_from_what_was_measured(write_study: WriteStudy, registry: Registry) -> None:
    study = load_study(write_study())
    place = StudyRunner(study, registry)
    base = place.base()
    assert base is not None
    nothing = {seen.step.name: estimate_of(seen, study, {}) for seen in place.statuses()}
    cost = nothing["tiny/en-wo"]
    assert cost is not None and (cost.steps, cost.units, cost.seconds) == (4, 4 * 4 * 32, None)
    assert nothing["pos/wo/bad-x"] is None
    place.do(place.steps[0])
    rates = rates_of(place.entries(), base.ref)
    (entry,) = place.entries()
    assert rates == {(None, False): entry.manifest.training.tokens / entry.manifest.training.seconds}  # type: ignore[operator]
    assert rates_of(place.entries(), base.ref.model_copy(update={"digest": "0" * 64, "files": None})) == {}
    costs = {seen.step.name: estimate_of(seen, study, rates) for seen in place.statuses()}
    done, left, task = costs["tiny/en-wo"], costs["tiny/en"], costs["tiny/en-wo/pos"]
    assert done is not None and (done.units, done.seconds) == (0, 0.0)
    assert left is not None and left.seconds == pytest.approx(4 * 4 * 32 / rates[None, False])
    assert task is not None and (task.units, task.seconds) == (4 * 4, None)


def test_kinds_are_those_of_the_plan(write_study: WriteStudy) -> None:
    steps: tuple[Step, ...] = StudyRunner(load_study(write_study()), open_registry()).steps
    assert Counter(step.kind for step in steps) == {StepKind.LANGUAGE: 3, StepKind.TASK: 2, StepKind.EVALUATE: 2}


class Counting(Silent):
    """Remembers the steps."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def stepped(self, step: int, loss: float, units: int) -> None:
        self.steps.append(step)


class Stopping(Silent):
    """Presses Ctrl-C after a step."""

    def __init__(self, after: int) -> None:
        self.after = after

    def stepped(self, step: int, loss: float, units: int) -> None:
        if step == self.after:
            signal.raise_signal(signal.SIGINT)
