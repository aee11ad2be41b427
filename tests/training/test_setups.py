"""MAD-X's swap and TLR's cycle, with language adapters that are visibly different, invertible parts included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from adapters.composition import Stack

from badx_hub.errors import IntegrityError, NotFoundError, UsageError
from badx_hub.languages import Mixture, pair
from badx_hub.modeling.model_adapters import own_parameters
from badx_hub.recipes import TaskRecipe
from badx_hub.registry import Entry, Registry, open_registry
from badx_hub.stack import BilingualStack, load_bilingual_stack, load_entries
from badx_hub.training.task_adapter import TaskJob, _objective, _prepared, train_task_adapter
from tests.made import made
from tests.refusals import refused
from tests.tiny import demo_data

RECIPE = TaskRecipe(steps=4, batch_size=4, learning_rate=1e-2, eval_every=4, max_length=48)
PAIR = pair("en", "wo")
SENTENCES = [["Xanaa", "leeral", "ne"], ["lëlu", "waxtaanu", "Sutsas", "bi", "."]]


@pytest.fixture
def registry(tmp_path: Path, tiny_base: Path) -> Registry:
    """LAs of three languages with weights far from one another, each with an invertible part."""
    registry = open_registry(tmp_path / "registry")
    for seed, language in enumerate(("en", "wo", "fo"), start=1):
        made(registry, tiny_base, f"tiny/{language}", seed=seed, invertible=True)
    return registry


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A treebank of a few dozen English sentences."""
    import gzip

    folder = tmp_path / "treebank"
    folder.mkdir()
    with gzip.open(demo_data() / "ud" / "UD_English-EWT" / "en_ewt-ud-dev.conllu.gz", "rt", encoding="utf-8") as file:
        blocks = file.read().split("\n\n")[:40]
    for split, part in (("train", blocks[:30]), ("dev", blocks[30:])):
        (folder / f"en_x-ud-{split}.conllu").write_text("\n\n".join([*part, ""]), encoding="utf-8")
    return str(folder)


def trained(registry: Registry, data: str, setup: str, mixture: Mixture = PAIR, base: Path | None = None) -> Entry:
    return train_task_adapter(
        mixture, "pos", RECIPE, data=data, registry=registry, setup=setup, base=str(base) if base else None
    ).entry


def logits(stack: BilingualStack, under: str | None = None) -> torch.Tensor:
    """The head's scores for the first sentence; `under`: on that adapter of the model in place of the stack's."""
    if under is not None:
        stack.model.set_active_adapters(Stack(under, stack.name.module_name))
        stack.model.active_head = stack.name.module_name
    windows = stack.task.encode(stack.examples(SENTENCES[:1]), stack.tokenizer, stack.max_length)
    inputs = stack.task.collate(windows, None, stack.tokenizer.pad_token_id)
    with torch.inference_mode():
        found: torch.Tensor = stack.model(**inputs).logits
    return found


def invertible_parts(stack: BilingualStack) -> list[str]:
    return [name for name in own_parameters(stack.model, stack.entries[0].name) if "invertible" in name]


def test_mad_x_stands_on_the_target_s_adapter_with_its_invertible_part(registry: Registry, data: str) -> None:
    task = trained(registry, data, "mad-x")
    assert str(task.name) == "tiny/en/pos"
    assert [ref.name for ref in task.manifest.language_adapters] == ["tiny/en"]
    swapped = load_bilingual_stack("en", "wo", "pos", setup="mad-x", registry=registry)
    as_trained = load_entries([registry.get("tiny/en"), task], registry)
    assert [str(entry.name) for entry in swapped.entries] == ["tiny/wo", "tiny/en/pos"]
    assert invertible_parts(swapped) and invertible_parts(as_trained)
    assert not torch.allclose(logits(swapped), logits(as_trained), atol=1e-3)

    # The swap changes both parts: with the bottlenecks of wo but the invertible part of en it is neither.
    mixed = load_bilingual_stack("en", "wo", "pos", setup="mad-x", registry=registry)
    theirs = own_parameters(as_trained.model, registry.get("tiny/en").name)
    with torch.no_grad():
        for name, parameter in own_parameters(mixed.model, registry.get("tiny/wo").name).items():
            if "invertible" in name:
                parameter.copy_(theirs[name.replace("tiny:wo:", "tiny:en:")])
    for one in (swapped, as_trained):
        assert not torch.allclose(logits(mixed), logits(one), atol=1e-3)


def test_tlr_takes_turns_in_training_and_stands_on_the_target_s_adapter(registry: Registry, data: str) -> None:
    task = trained(registry, data, "tlr")
    assert str(task.name) == "tiny/en-wo/pos@tlr"
    assert [ref.name for ref in task.manifest.cycle] == ["tiny/en", "tiny/wo"]
    stack = load_bilingual_stack("en", "wo", "pos", setup="tlr", registry=registry)
    assert [str(entry.name) for entry in stack.entries] == ["tiny/wo", "tiny/en-wo/pos@tlr"]
    on_wo = logits(stack)
    torch.testing.assert_close(on_wo, logits(stack, under=registry.get("tiny/wo").name.module_name))
    other = load_entries([registry.get("tiny/en"), task], registry, setup="tlr")
    assert not torch.allclose(on_wo, logits(other), atol=1e-3)


def test_each_step_of_tlr_stands_on_the_adapter_whose_turn_it_is(registry: Registry, data: str) -> None:
    mixture = Mixture.parse("en-wo@2:1")
    ready = _prepared(TaskJob(mixture, "pos", RECIPE, data, setup="tlr"), registry)
    objective, model = _objective(ready, RECIPE, registry)
    objective.module.eval()
    (batch,) = objective.batches(0, 1)

    def loss(step: int) -> float:
        objective.prepare(step)
        return float(objective.module(**batch.inputs).detach())

    turns = []
    for step in range(6):
        objective.prepare(step)
        turns.append(str(model.active_adapters.children[0]))
    assert turns == ["tiny:en:::::", "tiny:en:::::", "tiny:wo:::::"] * 2
    assert loss(0) == loss(1) == loss(3)
    assert loss(2) == loss(5)
    assert abs(loss(0) - loss(2)) > 1e-3
    objective.evaluate()
    assert str(model.active_adapters.children[0]) == "tiny:en:::::"  # dev data is of the source


def test_only_the_task_adapter_learns_under_tlr(registry: Registry, data: str) -> None:
    ready = _prepared(TaskJob(PAIR, "pos", RECIPE, data, setup="tlr"), registry)
    objective, model = _objective(ready, RECIPE, registry)
    for step in range(2):
        (batch,) = objective.batches(step, 1)
        objective.prepare(step)
        objective.module(**batch.inputs).backward()
    moved = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert moved == set(objective.parameters)


def test_another_turn_or_another_adapter_is_another_run(registry: Registry, data: str, tiny_base: Path) -> None:
    def key(mixture: str) -> str:
        ready = _prepared(TaskJob(Mixture.parse(mixture), "pos", RECIPE, data, setup="tlr"), registry)
        return ready.run.key

    before = key("en-wo")
    assert before == key("en-wo")
    assert key("en-wo@2:1") != before
    made(registry, tiny_base, "tiny/wo", seed=9, invertible=True, day=2)
    assert key("en-wo") != before


def test_full_fine_tuning_trains_the_base_and_leaves_no_adapter(registry: Registry, data: str, tiny_base: Path) -> None:
    entry = trained(registry, data, "full", base=tiny_base)
    assert (str(entry.name), entry.name.kind, entry.manifest.language_adapters) == ("tiny/en/pos@full", "model", ())
    stack = load_bilingual_stack("en", "wo", "pos", setup="full", registry=registry)
    only = trained(registry, data, "ta-only", base=tiny_base)
    bare = load_entries([only], registry)
    moved: Any = dict(stack.model.base_model.named_parameters())
    still = dict(bare.model.base_model.named_parameters())
    name = "encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(moved[name], still[name])
    assert len(stack.predict(SENTENCES)) == len(SENTENCES)


def test_what_cannot_be(registry: Registry, data: str) -> None:
    with pytest.raises(UsageError, match=r"three languages or more.*en\+wo\+LANG"):
        trained(registry, data, "ma")
    with refused(NotFoundError, "badx-hub train ug"):
        trained(registry, data, "tlr", pair("en", "ug"))
    task = trained(registry, data, "mad-x")
    with pytest.raises(IntegrityError, match="was trained on"):
        load_entries([registry.get("tiny/wo"), task], registry)
    with pytest.raises(IntegrityError, match="would be used on none"):
        load_entries([task], registry, setup="mad-x")
