"""Several task adapters on one base in memory: which requests are computed together, and which are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from badx_hub.errors import NotFoundError, UsageError
from badx_hub.registry import open_registry
from badx_hub.serving.config import ServingConfig, read_config
from badx_hub.serving.loaded_stacks import LoadedStacks, Refusal, StackRequest, described, found
from badx_hub.stack import BilingualStack
from tests.made import made

TEXTS = ("Xale yi ñëw nañu.", "Dem na.", "Ñoom dañuy jàng téere bi ci kër gi.")


@pytest.fixture(scope="module")
def config(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> ServingConfig:
    """POS and DP on one BA, and POS on another one."""
    folder = tmp_path_factory.mktemp("registry")
    registry = open_registry(str(folder))
    for pair in ("en-wo", "en-wo@1:2"):
        adapter = made(registry, tiny_base, f"tiny/{pair}", seed=1)
        for seed, task in enumerate(("pos", "dp") if pair == "en-wo" else ("pos",), start=2):
            made(registry, tiny_base, f"tiny/{pair}/{task}", seed=seed, on=adapter)
    here = {"registry": str(folder), "base": str(tiny_base)}
    stacks = [{"pair": pair, "task": task, **here} for pair, task in (("en-wo", "pos"), ("en-wo", "dp"))]
    return read_config({"stacks": [*stacks, {"pair": "en-wo@1:2", "task": "pos", "name": "other", **here}]})


@pytest.fixture(scope="module")
def loaded(config: ServingConfig) -> LoadedStacks:
    return LoadedStacks.load(config)


def test_stacks_on_one_base_share_it(loaded: LoadedStacks) -> None:
    assert [*loaded.stacks] == ["en-wo/pos", "en-wo/dp", "other"]
    assert len({id(stack.model) for stack in loaded.stacks.values()}) == 1


def test_mixed_requests_have_the_answers_that_each_would_have_alone(loaded: LoadedStacks) -> None:
    requests = []
    for name in ("en-wo/pos", "other", "en-wo/dp", "en-wo/pos"):
        prepared = loaded.prepared(name, TEXTS if name != "other" else TEXTS[:1])
        assert isinstance(prepared, StackRequest)
        requests.append(prepared)
    answers = loaded.answers(requests)
    assert [len(answer.predictions) for answer in answers] == [3, 1, 3, 3]
    for request, answer in zip(requests, answers, strict=True):
        stack = loaded.stacks[request.stack]
        alone = stack.predict_examples(request.examples)
        records = [stack.task.record(*both) for both in zip(request.examples, alone, strict=True)]
        assert [without(record) for record in answer.predictions] == records
    assert answers[0].predictions != answers[2].predictions


def without(record: dict[str, Any]) -> dict[str, Any]:
    assert all(0 <= number <= 1 for number in record["probabilities"])
    return {key: value for key, value in record.items() if key != "probabilities"}


def test_each_stack_is_computed_once_a_batch(loaded: LoadedStacks, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    before = BilingualStack.predict_with_probabilities

    def counted(self: BilingualStack, examples: Any) -> Any:
        sizes.append((self.task.name, len(examples)))
        return before(self, examples)

    monkeypatch.setattr(BilingualStack, "predict_with_probabilities", counted)
    pos, dp = (StackRequest(name, loaded.stacks[name].examples(TEXTS[:1])) for name in ("en-wo/pos", "en-wo/dp"))
    loaded.answers([pos, dp, pos, pos, dp])
    assert sizes == [("pos", 3), ("dp", 2)]


def test_what_no_stack_can_read_is_refused(loaded: LoadedStacks) -> None:
    unknown, words = loaded.prepared("en-fo/pos", TEXTS), loaded.prepared("en-wo/pos", [["a", ""]])
    assert isinstance(unknown, Refusal) and isinstance(words, Refusal)
    assert (unknown.status, words.status) == (404, 422)
    assert "en-wo/dp" in unknown.fact


def test_a_stack_is_described_before_it_is_loaded(config: ServingConfig) -> None:
    told = described(config.stacks[1], found(config.stacks[1])[1])
    assert (told["stack"], told["task"], told["base"], told["setup"]) == ("en-wo/dp", "dp", "tiny", "bad-x")
    assert [name.split()[0] for name in told["adapters"]] == ["tiny/en-wo", "tiny/en-wo/dp"]


def test_a_stack_that_is_not_there(config: ServingConfig) -> None:
    missing = config.stacks[0].model_copy(update={"task": "ner"})
    with pytest.raises(NotFoundError):
        found(missing)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "stacks"),
        ({"stacks": []}, "stacks"),
        ({"stacks": [{"pair": "en-wo"}]}, "task"),
        ({"stacks": [{"pair": "en-wo", "task": "pos"}] * 2}, "en-wo/pos is there twice"),
        ({"stacks": [{"pair": "en-wo", "task": "pos", "taks": 1}]}, "taks is not a known key"),
        ({"stacks": [{"pair": "en-wo", "task": "pos"}], "batch": 0}, "batch"),
    ],
)
def test_a_configuration_that_is_not_valid(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read_config(given)
