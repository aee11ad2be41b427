"""Training and prediction on a GPU, in either precision: for who has one. Skipped elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from badx_hub import load_bilingual_stack
from badx_hub.modeling.precision import settled
from badx_hub.registry import LocalRegistry
from tests.test_story import World, write_data

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")

HAS_UNITS = torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("gpu") / "data")


@pytest.mark.parametrize(
    "precision", ["fp32", pytest.param("bf16", marks=pytest.mark.skipif(not HAS_UNITS, reason="a GPU before sm80"))]
)
def test_a_pair_is_trained_and_predicts_on_the_gpu(tiny_base: Path, data: Path, tmp_path: Path, precision: str) -> None:
    world = World(tiny_base, data, LocalRegistry(tmp_path / "registry"))
    for trained in (world.train(precision=precision), world.train_task(precision=precision)):
        assert trained.entry.manifest.recipe["precision"] == precision
    tags = {}
    for dtype in (torch.float32, torch.bfloat16 if precision == "bf16" else torch.float32):
        stack = load_bilingual_stack("en", "wo", "pos", base=str(tiny_base), registry=world.registry, dtype=dtype)
        assert stack.model.device.type == "cuda"
        tags[dtype] = stack.predict([["Xanaa", "leeral", "ne"], ["bi", "."]])
    assert {tuple(map(len, found)) for found in tags.values()} == {(3, 2)}


def test_the_shipped_stack_tags_on_the_gpu_as_on_the_cpu() -> None:
    """At least 99.5 % of the tags, in what the GPU is best at."""
    found = []
    for device, dtype in (("cpu", torch.float32), ("cuda", None)):
        stack = load_bilingual_stack("en", "wo", "pos", registry="demo", device=device, dtype=dtype)
        sentences = stack.task.read("demo:ud/UD_Wolof-WTB", "test")
        found.append([tag for tags in stack.predict_examples(sentences) for tag in tags])
    alike = sum(one == other for one, other in zip(*found, strict=True))
    assert alike >= 0.995 * len(found[0])


@pytest.mark.skipif(not HAS_UNITS, reason="a GPU before sm80")
def test_auto_is_bfloat16_on_a_gpu_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BADX_HUB_PRECISION")
    assert settled("auto") == "bf16"
