"""The fast way to the loss on masked positions against the plain one, step by step."""

from __future__ import annotations

from typing import Any

import adapters
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from badx_hub.errors import UsageError
from badx_hub.languages import pair
from badx_hub.modeling.mlm import MaskedLanguageModel, head_parameters
from badx_hub.modeling.models import freeze
from badx_hub.modeling.stacks import activate, add_adapter, own_parameters
from badx_hub.names import AdapterName
from badx_hub.recipes import AdapterRecipe, HeadTraining

NAME = AdapterName("tiny", pair("en", "wo"))
SHAPE = {
    "vocab_size": 150,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
FAMILIES = [
    (BertForMaskedLM, BertConfig),
    (RobertaForMaskedLM, RobertaConfig),
    (XLMRobertaForMaskedLM, XLMRobertaConfig),
]


class Plain(nn.Module):
    """Every position through every layer, whole logits, and torch's own loss."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, positions: Tensor, labels: Tensor) -> Tensor:
        logits = self.model(input_ids=input_ids).logits.flatten(0, 1).index_select(0, positions)
        return cross_entropy(logits, labels, reduction="sum")


def ready(family: Any, config: Any, head: HeadTraining = "frozen") -> Any:
    torch.manual_seed(0)
    model = family(config(**SHAPE))
    adapters.init(model)
    freeze(model)
    add_adapter(model, NAME, AdapterRecipe(), seed=1)
    activate(model, [NAME])
    for parameter in trained(model, head):
        parameter.requires_grad_(True)
    return model.train()


def trained(model: Any, head: HeadTraining) -> list[nn.Parameter]:
    return [*own_parameters(model, NAME).values(), *head_parameters(model, head).values()]


def losses(kind: Any, model: Any, steps: int, head: HeadTraining = "frozen") -> list[float]:
    """The mean losses of so many optimizer steps, from the same weights, on the same masked batches."""
    module, parameters = kind(model), trained(model, head)
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    generator = torch.Generator().manual_seed(3)
    found = []
    for _ in range(steps):
        ids = torch.randint(5, 150, (4, 24), generator=generator)
        positions = (torch.rand(ids.numel(), generator=generator) < 0.2).nonzero().squeeze(1)
        loss = module(ids, positions, ids.flatten()[positions]) / len(positions)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        found.append(loss.item())
    return found


@pytest.mark.parametrize("head", ["frozen", "transform", "all"])
@pytest.mark.parametrize(("family", "config"), FAMILIES)
def test_twenty_steps_of_the_fast_and_the_plain_way_agree(family: Any, config: Any, head: HeadTraining) -> None:
    fast = losses(MaskedLanguageModel, ready(family, config, head), 20, head)
    plain = losses(Plain, ready(family, config, head), 20, head)
    assert fast[-1] < fast[0]
    assert fast == pytest.approx(plain, abs=1e-4)


@pytest.mark.parametrize(("family", "config"), FAMILIES)
def test_a_trained_head_is_what_plain_adapters_trains_of_it(family: Any, config: Any) -> None:
    theirs = family(config(**SHAPE))
    adapters.init(theirs)
    theirs.add_adapter("mine", config="seq_bn")
    theirs.train_adapter("mine")
    known = {name for name, value in theirs.named_parameters() if value.requires_grad and "adapters.mine" not in name}
    ours = ready(family, config)
    assert set(head_parameters(ours, "transform")) == known
    bias = "cls.predictions.bias" if family is BertForMaskedLM else "lm_head.bias"
    assert set(head_parameters(ours, "all")) == known | {bias}
    assert head_parameters(ours, "frozen") == {}


def test_the_last_layer_works_on_masked_positions_alone() -> None:
    model = ready(*FAMILIES[0])
    seen = []
    last = model.base_model.encoder.layer[-1]
    last.intermediate.register_forward_hook(lambda _module, args, _output: seen.append(args[0].shape))
    ids, positions = torch.randint(5, 150, (4, 24)), torch.tensor([3, 30, 31])
    MaskedLanguageModel(model)(ids, positions, ids.flatten()[positions])
    assert seen == [(1, 3, 32)]


def test_a_head_of_another_build_is_named() -> None:
    sizes = {
        f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in ("layers", "attention_heads", "ffn_dim")
    }
    model = BartForConditionalGeneration(BartConfig(vocab_size=20, d_model=8, **sizes))
    with pytest.raises(UsageError, match="'bart' are not supported"):
        MaskedLanguageModel(model)
