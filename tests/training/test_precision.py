"""Precision as a recipe's choice: what is computed in which, and which run it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from badx_hub import load_bilingual_stack, train_language_adapter
from badx_hub.errors import UsageError
from badx_hub.languages import pair
from badx_hub.modeling.bfloat16 import computed_in
from badx_hub.modeling.precision import VARIABLE
from badx_hub.recipes import LanguageRecipe, Precision, load_recipe, override, preset_names
from badx_hub.registry import LocalRegistry
from badx_hub.storage import digest_of
from badx_hub.tasks.pos import UPOS
from badx_hub.training import language_adapter, loop
from badx_hub.training.loop import Silent
from badx_hub.training.runs import Trained, TrainingRun
from tests.test_story import World, write_data

LATER = {"save_every", "precision", "head", "publish_head", "select", "average_over", "extend_vocabulary"}
"""Fields that do not show in a key, or came later than it."""


def recipe(precision: Precision = "fp32", **changes: str) -> LanguageRecipe:
    numbers = {"steps": 4, "batch_size": 4, "max_length": 32, "eval_every": 4, "eval_blocks": 4}
    return override(load_recipe("demo").language, {**numbers, "precision": precision, **changes})


def run(base: Path, data: Path, precision: Precision, **changes: str) -> TrainingRun:
    text = {language: str(data / f"{language}.txt") for language in ("en", "wo")}
    return language_adapter.planned(pair("en", "wo"), recipe(precision, **changes), base=str(base), text=text)[0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("precision") / "data")


def test_what_every_run_had_before_does_not_show_in_the_key(tiny_base: Path, data: Path) -> None:
    """Runs had their keys before there was another precision, and before a head was trained."""
    one = run(tiny_base, data, "fp32", head="frozen")
    before = one.recipe.model_dump(mode="json", exclude=LATER)
    found = {
        "name": str(one.name),
        "base": one.base.ref.files,
        "recipe": before,
        "data": [(source.language, source.digest) for source in one.sources],
        "parent": None,
        "labels": None,
    }
    assert one.key == digest_of(found)
    for changed in ({"precision": "bf16"}, {"head": "transform"}):
        made = run(tiny_base, data, **{"precision": "fp32", "head": "frozen", **changed})
        assert made.key == digest_of({**found, "recipe": {**before, **changed}})


@pytest.mark.parametrize("best", ["fp32", "bf16"])
def test_auto_is_the_run_of_what_it_becomes(
    tiny_base: Path, data: Path, monkeypatch: pytest.MonkeyPatch, best: Precision
) -> None:
    monkeypatch.setenv(VARIABLE, best)
    chosen = run(tiny_base, data, "auto")
    assert chosen.recipe.precision == best
    assert chosen.key == run(tiny_base, data, best).key


def test_the_papers_recipe_is_in_fp32_and_the_others_as_the_machine_likes() -> None:
    found = {
        name: {section.precision for section in (preset.language, *preset.tasks.values())}
        for name in preset_names()
        for preset in [load_recipe(name)]
    }
    assert found == {name: {"fp32" if name == "paper" else "auto"} for name in preset_names()}


def test_another_precision_is_refused() -> None:
    with pytest.raises(UsageError, match=r"precision.*auto.*fp32.*bf16.*fp16"):
        override(load_recipe("demo").tasks["pos"], {"precision": "fp16"})


class Losses(Silent):
    def __init__(self) -> None:
        self.values: list[float] = []

    def stepped(self, step: int, loss: float, units: int) -> None:
        self.values.append(loss)


def weights_of(registry: LocalRegistry, trained: Trained) -> dict[str, Tensor]:
    return dict(load_file(registry.fetch(trained.entry) / "adapter.safetensors"))


@pytest.mark.parametrize("task", [None, "pos", "dp"])
def test_frozen_weights_and_products_are_bfloat16_and_the_rest_float32(
    tiny_base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str | None
) -> None:
    world = World(tiny_base, data, LocalRegistry(tmp_path / "registry"))
    if task:
        world.train(precision="bf16")
    seen: dict[str, set[torch.dtype]] = {
        name: set() for name in ("encoder", "heads", "held", "losses", "norms", "trained")
    }
    plain, norm, backward = nn.functional.linear, nn.LayerNorm.forward, Tensor.backward

    def linear(states: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        output = plain(states, weight, bias)
        seen["heads" if len(weight) == len(UPOS) else "encoder"].add(output.dtype)
        if not weight.requires_grad:
            seen["held"].add(weight.dtype)
        return output

    def normed(layer: nn.LayerNorm, states: Tensor) -> Tensor:
        seen["norms"].add(layer.weight.dtype)
        return norm(layer, states)

    def noted(loss: Tensor, *args: object, **more: object) -> None:
        seen["losses"].add(loss.dtype)
        backward(loss, *args, **more)

    def stepped(optimizer: torch.optim.AdamW, *_: object) -> None:
        weights = [one for group in optimizer.param_groups for one in group["params"]]
        seen["trained"].update(one.dtype for one in weights)
        seen["trained"].update(one.grad.dtype for one in weights if one.grad is not None)

    with monkeypatch.context() as patch:
        patch.setattr(nn.functional, "linear", linear)
        patch.setattr(nn.LayerNorm, "forward", normed)
        patch.setattr(Tensor, "backward", noted)
        hook = register_optimizer_step_pre_hook(stepped)
        flags = {"precision": "bf16"}
        try:
            trained = world.train_task(**flags) if task == "pos" else None
            trained = trained or (world.train(**flags) if task is None else train_parser(world))
        finally:
            hook.remove()
    assert seen["encoder"] == seen["held"] == {torch.bfloat16}
    assert seen["losses"] == seen["norms"] == seen["trained"] == {torch.float32}
    assert seen["heads"] == ({torch.float32} if task == "pos" else set())
    assert trained.entry.manifest.recipe["precision"] == "bf16"
    assert {one.dtype for one in weights_of(world.registry, trained).values()} == {torch.float32}


def train_parser(world: World) -> Trained:
    from badx_hub import train_task_adapter

    changes = {"steps": 4, "batch_size": 4, "eval_every": 4, "precision": "bf16"}
    section = override(load_recipe("demo").tasks["dp"], changes)
    return train_task_adapter(pair("en", "wo"), "dp", section, data=str(world.data), registry=world.registry)


def test_fp32_computes_as_before_on_a_machine_that_likes_bfloat16(
    tiny_base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bits as where nobody knows of bfloat16, in training and in prediction."""
    found = {}
    for name, best, asked in (("known", "bf16", "fp32"), ("unknown", "fp32", "auto")):
        world = World(tiny_base, data, LocalRegistry(tmp_path / name))
        monkeypatch.setenv(VARIABLE, best)
        language_side, task_side = world.train(precision=asked), world.train_task(precision=asked)
        stack = load_bilingual_stack(
            "en", "wo", "pos", base=str(tiny_base), registry=world.registry, dtype=torch.float32
        )
        logits = stack.model(torch.arange(5, 25).view(2, 10)).logits
        found[name] = logits, weights_of(world.registry, language_side), weights_of(world.registry, task_side)
    (logits, *weights), (others, *theirs) = found["known"], found["unknown"]
    assert torch.equal(logits, others)
    for mine, other in zip(weights, theirs, strict=True):
        assert mine.keys() == other.keys() and all(torch.equal(mine[key], other[key]) for key in mine)


def test_losses_of_both_precisions_are_near(tiny_base: Path, data: Path, tmp_path: Path) -> None:
    text = {language: str(data / f"{language}.txt") for language in ("en", "wo")}
    told = {"fp32": Losses(), "bf16": Losses()}
    for name, reporter in told.items():
        train_language_adapter(
            pair("en", "wo"),
            recipe(name),
            registry=LocalRegistry(tmp_path / name),
            base=str(tiny_base),
            text=text,
            reporter=reporter,
        )
    assert told["bf16"].values == pytest.approx(told["fp32"].values, rel=0.02)
    assert told["bf16"].values != told["fp32"].values


def test_the_shipped_stack_predicts_alike_in_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """At least 99.5 % of the tags, and probabilities in float32."""
    tags = {}
    for best in ("fp32", "bf16"):
        monkeypatch.setenv(VARIABLE, best)
        stack = load_bilingual_stack("en", "wo", "pos", registry="demo")
        assert computed_in(stack.model) == {"fp32": torch.float32, "bf16": torch.bfloat16}[best]
        assert stack.model(torch.arange(5, 25).view(2, 10)).logits.dtype == torch.float32
        sentences = stack.task.read("demo:ud/UD_Wolof-WTB", "test")[:60]
        tags[best] = [tag for sentence in stack.predict_examples(sentences) for tag in sentence]
    alike = sum(one == other for one, other in zip(tags["fp32"], tags["bf16"], strict=True))
    assert alike >= 0.995 * len(tags["fp32"])


def test_the_loop_knows_nothing_of_precision() -> None:
    """It lives in the model, so that whoever calls a model computes alike."""
    assert "autocast" not in Path(loop.__file__).read_text(encoding="utf-8")
