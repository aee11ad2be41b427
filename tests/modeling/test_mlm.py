"""The fast way to the loss on masked positions against the plain one, step by step."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import adapters
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForMaskedLM, BartConfig, BartForConditionalGeneration

from badx_hub.errors import UsageError
from badx_hub.languages import pair
from badx_hub.modeling.families import FAMILIES, checked_config, for_transformers
from badx_hub.modeling.loading import freeze
from badx_hub.modeling.mlm import MaskedLanguageModel, head_parameters
from badx_hub.modeling.model_adapters import activate, add_adapter, own_parameters
from badx_hub.names import AdapterName
from badx_hub.recipes import AdapterRecipe, HeadTraining

NAME = AdapterName("tiny", pair("en", "wo"))
SIZES = {
    "vocab_size": 150,
    "pad_token_id": 1,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
DISTILBERT = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
NO_DROPOUT = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"), 0.0)


class Plain(nn.Module):
    """Every position through every layer, whole logits, and torch's own loss."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, positions: Tensor, labels: Tensor) -> Tensor:
        logits = self.model(input_ids=input_ids).logits.flatten(0, 1).index_select(0, positions)
        return cross_entropy(logits, labels, reduction="sum")


def sized(kind: str, **others: Any) -> dict[str, Any]:
    """A config.json of a family: the sizes under the names that it has for them, and no dropout."""
    names = {**DISTILBERT, "intermediate_size": "hidden_dim"} if kind == "distilbert" else {}
    sizes = {names.get(name, name): value for name, value in SIZES.items()}
    return {"model_type": kind, **sizes, **NO_DROPOUT, "local_attention": 8, "embedding_size": 16, **others}


def masked_lm(kind: str, **others: Any) -> Any:
    config = checked_config(sized(kind, **others), "made")
    torch.manual_seed(0)
    return AutoModelForMaskedLM.from_config(for_transformers(config), attn_implementation=FAMILIES[kind].attention)


def ready(kind: str, head: HeadTraining = "frozen", **others: Any) -> Any:
    model = masked_lm(kind, **others)
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
@pytest.mark.parametrize("kind", FAMILIES)
def test_twenty_steps_of_the_fast_and_the_plain_way_agree(kind: str, head: HeadTraining) -> None:
    fast = losses(MaskedLanguageModel, ready(kind, head), 20, head)
    plain = losses(Plain, ready(kind, head), 20, head)
    assert fast[-1] < fast[0]
    assert fast == pytest.approx(plain, abs=1e-4)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_trained_head_is_what_plain_adapters_trains_of_it(kind: str) -> None:
    theirs = masked_lm(kind)
    adapters.init(theirs)
    theirs.add_adapter("mine", config="seq_bn")
    theirs.train_adapter("mine")
    known = {name for name, value in theirs.named_parameters() if value.requires_grad and "adapters.mine" not in name}
    ours = ready(kind)
    assert known
    assert set(head_parameters(ours, "transform")) == known
    decoder = ours.get_output_embeddings()
    assert [id(one) for name, one in head_parameters(ours, "all").items() if name not in known] == [id(decoder.bias)]
    assert head_parameters(ours, "frozen") == {}


def test_a_decoder_without_a_bias_has_none_to_train() -> None:
    model = ready("modernbert", decoder_bias=False)
    assert head_parameters(model, "all").keys() == head_parameters(model, "transform").keys()
    assert losses(MaskedLanguageModel, model, 2) == pytest.approx(
        losses(Plain, ready("modernbert", decoder_bias=False), 2), abs=1e-4
    )


@pytest.mark.parametrize(
    ("kind", "widened"), [("bert", "intermediate"), ("xlm-roberta", "intermediate"), ("distilbert", "ffn")]
)
def test_the_last_layer_works_on_masked_positions_alone(kind: str, widened: str) -> None:
    model = ready(kind)
    seen = []
    last = attrgetter(FAMILIES[kind].layers)(model.base_model)[-1]
    getattr(last, widened).register_forward_hook(lambda _module, args, _output: seen.append(args[0].shape))
    ids, positions = torch.randint(5, 150, (4, 24)), torch.tensor([3, 30, 31])
    MaskedLanguageModel(model)(ids, positions, ids.flatten()[positions])
    assert seen == [(1, 3, 32)]


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the most numbers of a tensor that any operation gives."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        sizes = [one.numel() for one in tree_leaves(found) if isinstance(one, Tensor)]
        self.numbers = max(self.numbers, *sizes, 0)
        return found


@pytest.mark.parametrize("head", ["frozen", "all"])
def test_a_step_holds_no_logits_of_a_whole_vocabulary(head: HeadTraining) -> None:
    """XLM-V has 901,629 words: with those of a step of 8 x 128 the logits alone would be half a gigabyte."""
    words, masked = 60_000, 240
    model = ready("xlm-roberta", head, vocab_size=words)
    ids, positions = torch.randint(5, words, (16, 24)), torch.arange(masked)
    with Largest() as largest:  # type: ignore[no-untyped-call]
        MaskedLanguageModel(model)(ids, positions, ids.flatten()[positions]).backward()
    assert 0 < largest.numbers < masked * words / 8


def test_a_head_of_another_build_is_named() -> None:
    sizes = {
        f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in ("layers", "attention_heads", "ffn_dim")
    }
    model = BartForConditionalGeneration(BartConfig(vocab_size=20, d_model=8, **sizes))
    with pytest.raises(UsageError, match="'bart' are not supported"):
        MaskedLanguageModel(model)
