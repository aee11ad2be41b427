"""A base fine-tuned as a whole: what is saved is what is loaded, and nothing else fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from badx_hub.adapter_files import ENCODER_FILE
from badx_hub.errors import IntegrityError
from badx_hub.modeling.adapter_configs import ExpectedHead
from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.full_finetuning import load_model, save_model
from badx_hub.modeling.loading import load_encoder
from badx_hub.modeling.model_adapters import add_adapter
from badx_hub.names import AdapterName
from badx_hub.recipes import AdapterRecipe
from badx_hub.tasks import task_named
from tests.refusals import refused
from tests.tiny import write_tiny_base

NAME = AdapterName.parse("tiny/en/pos@full")
LABELS = ("NOUN", "VERB", "X")
TOKENS = torch.arange(5, 25).view(2, 10)


def fine_tuned(base: Path) -> Any:
    """The base with a head, every weight moved."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        model = load_encoder(resolve_base(str(base)))
        task_named("pos").add_head(model, NAME.module_name, LABELS)
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter) / 5
    return model.eval()


def logits(model: Any) -> torch.Tensor:
    model.active_head = NAME.module_name
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=TOKENS).logits
    return found


@pytest.fixture
def saved(tiny_base: Path, tmp_path: Path) -> Path:
    save_model(fine_tuned(tiny_base), NAME, tmp_path / "model")
    return tmp_path / "model"


def loaded(base: Path, folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    model = load_encoder(resolve_base(str(base))).to(dtype)
    load_model(model, NAME, folder, ExpectedHead("tagging", LABELS))
    return model.eval()


def test_what_was_saved_is_loaded(tiny_base: Path, saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {
        "encoder.safetensors",
        "head_config.json",
        "model_head.safetensors",
    }
    model = loaded(tiny_base, saved)
    assert torch.equal(logits(model), logits(fine_tuned(tiny_base)))
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.heads[NAME.module_name].config["num_labels"] == len(LABELS)


def test_an_encoder_of_another_precision_takes_them_too(tiny_base: Path, saved: Path) -> None:
    half = loaded(tiny_base, saved, torch.bfloat16)
    assert {value.dtype for value in half.base_model.parameters()} == {torch.bfloat16}
    assert {value.dtype for value in load_file(saved / ENCODER_FILE).values()} == {torch.float32}


def test_adapters_stay_out_of_the_file(tiny_base: Path, saved: Path, tmp_path: Path) -> None:
    model = fine_tuned(tiny_base)
    add_adapter(model, AdapterName.parse("tiny/en"), AdapterRecipe(invertible=True), seed=1)
    save_model(model, NAME, tmp_path / "beside")
    assert (tmp_path / "beside" / ENCODER_FILE).read_bytes() == (saved / ENCODER_FILE).read_bytes()


def test_a_base_of_another_shape_is_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"lacks 16 of its weights \(encoder\.layer\.2"):
        loaded(write_tiny_base(tmp_path / "deeper", layers=3), saved)
    with pytest.raises(IntegrityError, match=r"16 weights that it has no place for \(encoder\.layer\.1"):
        loaded(write_tiny_base(tmp_path / "flatter", layers=1), saved)


@pytest.mark.parametrize("file", [ENCODER_FILE, "model_head.safetensors"])
def test_files_that_lack_or_have_weights_are_refused(tiny_base: Path, saved: Path, file: str) -> None:
    weights = load_file(saved / file)
    first = sorted(weights)[0]
    changed: list[tuple[dict[str, torch.Tensor], str]] = [
        ({key: value for key, value in weights.items() if key != first}, "lacks 1 of its weights"),
        ({**weights, f"{first}.more": torch.zeros(1)}, "1 weights that it has no place for"),
        ({**weights, first: weights[first].flatten()[:1]}, r"\[1\]|size mismatch|Error"),
    ]
    for content, said in changed:
        save_file(content, saved / file)
        with pytest.raises(IntegrityError, match=said) as caught:
            loaded(tiny_base, saved)
        assert "\n" not in str(caught.value)


def test_a_damaged_or_missing_file_is_refused(tiny_base: Path, saved: Path) -> None:
    (saved / ENCODER_FILE).write_bytes(b"no safetensors")
    with refused(IntegrityError, "badx-hub verify"):
        loaded(tiny_base, saved)
    (saved / ENCODER_FILE).unlink()
    with refused(IntegrityError, "badx-hub verify"):
        loaded(tiny_base, saved)
