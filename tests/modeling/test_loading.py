from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForMaskedLM

from badx_hub.errors import IntegrityError, UsageError
from badx_hub.languages import pair
from badx_hub.modeling.base import Base, resolve_base
from badx_hub.modeling.loading import load_encoder, load_masked_lm
from badx_hub.modeling.mlm import MaskedLanguageModel
from badx_hub.modeling.model_adapters import activate, add_adapter, load_adapter, own_parameters, save_adapter
from badx_hub.names import AdapterName
from badx_hub.recipes import AdapterRecipe

NAME = AdapterName("tiny", pair("en", "wo"))


@pytest.fixture
def base(tiny_base: Path) -> Base:
    return resolve_base(str(tiny_base))


def with_adapter(base: Base, recipe: AdapterRecipe, *, disturb: bool = True) -> Any:
    """A masked-language model with an active adapter whose weights are far from the identity."""
    model = load_masked_lm(base)
    add_adapter(model, NAME, recipe, seed=3)
    activate(model, [NAME])
    if disturb:
        torch.manual_seed(5)
        for parameter in own_parameters(model, NAME).values():
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def masked_batch(model: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, model.config.vocab_size, (3, 16), generator=generator)
    positions = torch.tensor([2, 7, 20, 33, 47])
    return ids, positions, ids.flatten()[positions]


def test_the_loss_on_masked_positions_equals_that_of_full_logits(base: Base) -> None:
    model = with_adapter(base, AdapterRecipe())
    ids, positions, labels = masked_batch(model)
    full = model(input_ids=ids).logits.flatten(0, 1)[positions]
    expected = cross_entropy(full, labels, reduction="sum")
    torch.testing.assert_close(MaskedLanguageModel(model)(ids, positions, labels), expected, rtol=1e-5, atol=1e-5)


def test_the_inverse_of_an_invertible_adapter_stands_before_the_decoder(base: Base) -> None:
    model = with_adapter(base, AdapterRecipe(invertible=True))
    ids, positions, labels = masked_batch(model)
    hidden = model.base_model(input_ids=ids).last_hidden_state.flatten(0, 1)[positions]
    head = model.cls.predictions
    transformed = head.transform(hidden)
    inverted = model.base_model.invertible_adapters_forward(transformed[None], rev=True)[0]
    with_inverse = cross_entropy(head.decoder(inverted), labels, reduction="sum")
    without = cross_entropy(head.decoder(transformed), labels, reduction="sum")
    loss = MaskedLanguageModel(model)(ids, positions, labels)
    torch.testing.assert_close(loss, with_inverse)
    assert not torch.allclose(loss, without)


def test_only_the_adapter_gets_gradients(base: Base) -> None:
    model = with_adapter(base, AdapterRecipe(invertible=True))
    own = own_parameters(model, NAME)
    for parameter in own.values():
        parameter.requires_grad_(True)
    MaskedLanguageModel(model)(*masked_batch(model)).backward()
    with_gradient = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert with_gradient == set(own)


def test_a_new_adapter_is_drawn_from_its_seed_alone(base: Base) -> None:
    torch.manual_seed(11)
    first = own_parameters(with_adapter(base, AdapterRecipe(), disturb=False), NAME)
    torch.manual_seed(12)
    second = own_parameters(with_adapter(base, AdapterRecipe(), disturb=False), NAME)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_layers_left_out_have_no_adapter(base: Base) -> None:
    names = own_parameters(with_adapter(base, AdapterRecipe(leave_out=(1,))), NAME)
    assert names
    assert not any(".layer.1." in name for name in names)


def test_parameters_of_a_longer_name_are_not_taken(base: Base) -> None:
    model = load_encoder(base)
    longer = AdapterName("tiny", pair("en", "wo"), task="pos")
    for name in (NAME, longer):
        add_adapter(model, name, AdapterRecipe(), seed=1)
    mine, others = set(own_parameters(model, NAME)), set(own_parameters(model, longer))
    assert mine
    assert len(mine) == len(others)
    assert not mine & others


def test_what_is_saved_is_what_is_loaded(base: Base, tmp_path: Path) -> None:
    model = with_adapter(base, AdapterRecipe(invertible=True))
    folder = tmp_path / "saved"
    save_adapter(model, NAME, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["adapter.safetensors", "adapter_config.json"]
    encoder = load_encoder(base)
    load_adapter(encoder, NAME, folder)
    activate(encoder, [NAME])
    ids = masked_batch(model)[0]
    expected = model.base_model(input_ids=ids).last_hidden_state
    torch.testing.assert_close(encoder.base_model(input_ids=ids).last_hidden_state, expected)
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_missing_weights_are_refused(base: Base, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_adapter(with_adapter(base, AdapterRecipe()), NAME, tmp_path)
    weights = load_file(tmp_path / "adapter.safetensors")
    weights.pop(sorted(weights)[0])
    save_file(weights, tmp_path / "adapter.safetensors")
    with pytest.raises(IntegrityError, match="lacks"):
        load_adapter(load_encoder(base), NAME, tmp_path)


def test_weights_of_another_shape_are_refused(base: Base, tmp_path: Path) -> None:
    save_adapter(with_adapter(base, AdapterRecipe()), NAME, tmp_path / "a")
    save_adapter(with_adapter(base, AdapterRecipe(reduction_factor=4)), NAME, tmp_path / "b")
    (tmp_path / "a" / "adapter.safetensors").replace(tmp_path / "b" / "adapter.safetensors")
    with pytest.raises(IntegrityError, match="could not be loaded"):
        load_adapter(load_encoder(base), NAME, tmp_path / "b")


def test_a_base_without_a_language_model_head_is_refused(base: Base, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    AutoModel.from_pretrained(base.folder).save_pretrained(tmp_path / "headless")
    AutoTokenizer.from_pretrained(base.folder).save_pretrained(tmp_path / "headless")
    with pytest.raises(UsageError, match="no masked-language-model head"):
        load_masked_lm(resolve_base(str(tmp_path / "headless")))


def test_the_masked_language_model_keeps_its_decoder_bias(base: Base) -> None:
    ids = torch.arange(5, 21)[None]
    plain = AutoModelForMaskedLM.from_pretrained(base.folder).eval()
    torch.testing.assert_close(load_masked_lm(base).eval()(input_ids=ids).logits, plain(input_ids=ids).logits)


def test_the_encoder_has_no_head(base: Base) -> None:
    assert not load_encoder(base).heads
