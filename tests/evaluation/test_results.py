from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from badx_hub.data.splits import DataReference
from badx_hub.evaluation import Evaluation
from badx_hub.evaluation.results import Cost, Result, cost_of, result_of
from badx_hub.manifest import IMPORTED, LanguageAdapterRef, Training
from badx_hub.registry import Entry, LocalRegistry
from badx_hub.registry.chain import RegistryChain
from badx_hub.tasks.metrics import Scores
from tests.registry.conftest import build
from tests.registry.double import UNREACHABLE, Double

LANGUAGE = Training(steps=100, best_step=50, tokens=6000, seconds=10.0)
TASK = Training(steps=30, best_step=30, sentences=240, seconds=2.5)


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


class Maker:
    """Publishes adapters: four weights a language adapter, eight a task adapter (four of them its head's)."""

    def __init__(self, registry: LocalRegistry, folder: Path) -> None:
        self.registry, self.folder, self.made = registry, folder, 0

    def language(self, name: str, **changes: Any) -> Entry:
        return self._publish(name, **{"training": LANGUAGE, **changes})

    def task(self, name: str, *carriers: Entry, **changes: Any) -> Entry:
        refs = tuple(LanguageAdapterRef(name=str(entry.name), digest=entry.manifest.digest) for entry in carriers)
        under = {"cycle": refs} if len(refs) > 1 else {"parent": refs[0]} if refs else {}
        return self._publish(name, **{"training": TASK, **under, **changes})

    def _publish(self, name: str, **changes: Any) -> Entry:
        self.made += 1
        return self.registry.publish(build(self.folder / str(self.made), name, weights=float(self.made), **changes))


@pytest.fixture
def make(registry: LocalRegistry, tmp_path: Path) -> Maker:
    return Maker(registry, tmp_path / "made")


def test_cost_of_a_stack_is_that_of_its_adapters(make: Maker, registry: LocalRegistry) -> None:
    carrier = make.language("mbert/en-wo")
    task = make.task("mbert/en-wo/pos", carrier)
    assert cost_of([carrier, task], registry) == Cost(
        steps=130, tokens=6000, sentences=240, seconds=12.5, trained=12, stored=12
    )


def test_what_carried_it_in_training_was_trained_but_is_not_stored(make: Maker, registry: LocalRegistry) -> None:
    source, target = make.language("mbert/en", size=5), make.language("mbert/wo", size=7)
    task = make.task("mbert/en/pos", source)
    assert cost_of([target, task], registry) == Cost(
        steps=230, tokens=12_000, sentences=240, seconds=22.5, trained=20, stored=15
    )


def test_an_adapter_of_several_turns_counts_once(make: Maker, registry: LocalRegistry) -> None:
    source, target = make.language("mbert/en"), make.language("mbert/wo")
    task = make.task("mbert/en-wo@2:1/pos@tlr", source, source, target)
    cost = cost_of([target, task], registry)
    assert (cost.steps, cost.trained, cost.stored, cost.unknown) == (230, 16, 12, 0)


def test_the_bare_base_costs_nothing_on_the_side_of_language(make: Maker, registry: LocalRegistry) -> None:
    cost = cost_of([make.task("mbert/en/pos@ta-only")], registry)
    assert cost == Cost(steps=30, tokens=0, sentences=240, seconds=2.5, trained=8, stored=8)


def test_what_nobody_knows_is_counted_as_unknown(make: Maker, registry: LocalRegistry) -> None:
    imported = make.language(
        "mbert/wo", origin=IMPORTED, imported_from="there", training=Training(steps=0, best_step=0, seconds=0.0)
    )
    source = make.language("mbert/en")
    task = make.task("mbert/en/pos", source)
    assert cost_of([imported, task], registry).unknown == 1
    registry.remove(source, force=True)
    gone = cost_of([imported, task], registry)
    assert (gone.unknown, gone.steps, gone.trained) == (2, 30, 12)


def test_no_hub_is_asked_for_what_is_nearer_and_none_stops_the_count(make: Maker, registry: LocalRegistry) -> None:
    source, target = make.language("mbert/en"), make.language("mbert/wo")
    task = make.task("mbert/en/pos", source)
    far = Double("hf:", failure=UNREACHABLE)
    places = RegistryChain((registry, far))
    assert cost_of([target, task], places).unknown == 0
    registry.remove(source, force=True)
    assert cost_of([target, task], places).unknown == 1


def result(**changes: Any) -> Result:
    values: dict[str, Any] = {
        "base": "mbert",
        "mixture": "en-wo",
        "source": "en",
        "target": "wo",
        "task": "pos",
        "setup": "bad-x",
        "seed": 1,
        "adapters": (("mbert/en-wo/pos", "a" * 64),),
        "data": (("wo.conllu", "d" * 64),),
        "split": "test",
        "metric": "accuracy",
        "metrics": {"accuracy": 0.5, "macro_f1": 0.4},
        "tallies": ((1, 3), (2, 3), (0, 0)),
        "cost": Cost(steps=1, tokens=0, sentences=2, seconds=0.5, trained=8, stored=8),
    }
    return Result(**{**values, **changes})


def test_a_result_survives_json() -> None:
    assert Result.model_validate_json(result().model_dump_json()) == result()
    optional = result(options={"decoding": "tree", "subtypes": False, "limit": 2})
    assert Result.model_validate_json(optional.model_dump_json()) == optional


def test_results_without_options_are_read_and_written_as_before() -> None:
    assert result().options is None
    assert "options" not in result().model_dump(mode="json")


@pytest.mark.parametrize(
    "changes",
    [
        {"metric": "las"},
        {"tallies": ((1, 3), (1, 3))},
        {"tallies": ()},
        {"tallies": ((-1, 3), (4, 3))},
        {"metrics": {"accuracy": float("nan")}},
        {"colour": "red"},
    ],
    ids=str,
)
def test_a_result_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        result(**changes)


def test_nothing_at_stake_is_a_score_of_zero() -> None:
    assert result(tallies=((0, 0),), metrics={"accuracy": 0.0}).tallies == ((0, 0),)


def test_result_of_an_evaluation(make: Maker, registry: LocalRegistry) -> None:
    source, target = make.language("mbert/en"), make.language("mbert/wo")
    task = make.task("mbert/en/pos", source, seed=3)
    evaluation = Evaluation(
        entry=task,
        data="wo.conllu",
        split="test",
        examples=2,
        scores=Scores({"accuracy": 0.75, "macro_f1": 0.5}, ()),
        seconds=1.0,
        references=(DataReference("wo.conllu", "d" * 64),),
        setup="mad-x",
        tallies=((1, 2), (2, 2)),
    )
    found = result_of(evaluation, (target, task), registry, mixture="en-wo", target="wo", metric="accuracy")
    assert (found.base, found.mixture, found.source, found.target) == (
        "bert-base-multilingual-cased",
        "en-wo",
        "en",
        "wo",
    )
    assert (found.task, found.setup, found.seed, found.split) == ("pos", "mad-x", 3, "test")
    assert found.adapters == tuple((str(one.name), one.manifest.digest) for one in (target, task))
    assert found.data == (("wo.conllu", "d" * 64),)
    assert (found.metric, found.metrics, found.tallies) == (
        "accuracy",
        {"accuracy": 0.75, "macro_f1": 0.5},
        ((1, 2), (2, 2)),
    )
    assert found.cost == cost_of((target, task), registry)
