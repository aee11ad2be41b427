"""bfloat16 as a recipe's choice: what is computed in it, and which run it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from badx_hub import train_language_adapter
from badx_hub.errors import UsageError
from badx_hub.languages import pair
from badx_hub.recipes import LanguageRecipe, Precision, load_recipe, override
from badx_hub.registry import LocalRegistry
from badx_hub.storage import digest_of
from badx_hub.training.language import planned
from badx_hub.training.loop import Silent
from badx_hub.training.runs import TrainingRun
from tests.test_story import World, write_data


def recipe(precision: Precision = "fp32", **changes: str) -> LanguageRecipe:
    numbers = {"steps": 4, "batch_size": 4, "max_length": 32, "eval_every": 4, "eval_blocks": 4}
    return override(load_recipe("demo").language, {**numbers, "precision": precision, **changes})


def run(base: Path, data: Path, precision: Precision, **changes: str) -> TrainingRun:
    text = {language: str(data / f"{language}.txt") for language in ("en", "wo")}
    return planned(pair("en", "wo"), recipe(precision, **changes), base=str(base), text=text)[0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("precision") / "data")


def test_what_every_run_had_before_does_not_show_in_the_key(tiny_base: Path, data: Path) -> None:
    """Runs had their keys before there was another precision, and before a head was trained."""
    one = run(tiny_base, data, "fp32", head="frozen")
    before = one.recipe.model_dump(mode="json", exclude={"save_every", "precision", "head"})
    found = {
        "name": str(one.name),
        "base": one.base.ref.digest,
        "recipe": before,
        "data": [(source.language, source.digest) for source in one.sources],
        "parent": None,
        "labels": None,
    }
    assert one.key == digest_of(found)
    for changed in ({"precision": "bf16"}, {"head": "transform"}):
        made = run(tiny_base, data, **{"precision": "fp32", "head": "frozen", **changed})
        assert made.key == digest_of({**found, "recipe": {**before, **changed}})


def test_another_precision_is_refused() -> None:
    with pytest.raises(UsageError, match=r"precision.*fp32.*bf16.*fp16"):
        override(load_recipe("demo").tasks["pos"], {"precision": "fp16"})


class Losses(Silent):
    def __init__(self) -> None:
        self.values: list[float] = []

    def stepped(self, step: int, loss: float, units: int) -> None:
        self.values.append(loss)


@pytest.mark.parametrize("task", [False, True], ids=["text", "task"])
def test_products_are_bfloat16_in_steps_alone_and_losses_float32(
    tiny_base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: bool
) -> None:
    world = World(tiny_base, data, LocalRegistry(tmp_path / "registry"))
    if task:
        world.train()
    products: set[tuple[bool, torch.dtype]] = set()
    losses: set[torch.dtype] = set()
    plain, backward = nn.functional.linear, Tensor.backward

    def linear(*args: Tensor) -> Tensor:
        output = plain(*args)
        products.add((torch.is_grad_enabled(), output.dtype))
        return output

    def noted(loss: Tensor, *args: object, **more: object) -> None:
        losses.add(loss.dtype)
        backward(loss, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(nn.functional, "linear", linear)
        patch.setattr(Tensor, "backward", noted)
        trained = world.train_task(precision="bf16") if task else world.train(precision="bf16")
    assert losses == {torch.float32}
    assert (True, torch.bfloat16) in products
    assert {kind for training, kind in products if not training} == {torch.float32}
    assert trained.entry.manifest.recipe["precision"] == "bf16"


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
