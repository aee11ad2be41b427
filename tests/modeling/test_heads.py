from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from adapters import AutoAdapterModel, BertAdapterModel, XLMRobertaAdapterModel
from adapters.heads import BiaffineParsingHead
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import BertConfig, XLMRobertaConfig

from badx_hub.errors import IntegrityError
from badx_hub.modeling import IGNORED
from badx_hub.modeling.adapter_configs import ExpectedHead
from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.heads import ParsingHead, ParsingOutput, adopt_parsing_head, pooled, relation_scores
from badx_hub.modeling.loading import load_encoder
from badx_hub.modeling.model_adapters import activate, add_adapter, load_adapter, own_parameters, save_adapter
from badx_hub.names import AdapterName
from badx_hub.recipes import AdapterRecipe

LABELS = ("nsubj", "root", "punct")
NAME = AdapterName.parse("tiny/en-wo/dp")
SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8, "vocab_size": 30}
FAMILIES = [(BertAdapterModel, BertConfig, 0), (XLMRobertaAdapterModel, XLMRobertaConfig, 1)]

# CLS, two words of two and one sub-words, SEP; and one word of three sub-words with padding behind.
STARTS = torch.tensor([[1, 3, 4], [1, 4, IGNORED]])
HEADS = torch.tensor([[2, 0], [0, IGNORED]])
RELATIONS = torch.tensor([[0, 1], [1, IGNORED]])


def a_head(hidden: int, labels: int, kind: type[Any] = ParsingHead, pad_id: int = 0) -> Any:
    """A head without a model around it, with weights drawn at random, in evaluation mode."""
    config = SimpleNamespace(hidden_size=hidden, hidden_dropout_prob=0.1, classifier_dropout=None, pad_token_id=pad_id)
    head = kind(SimpleNamespace(config=config, training=False), "dp", labels)
    return drawn(head, seed=1)


def drawn(module: nn.Module, seed: int) -> Any:
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    return module


def random_hidden(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("pad_id", [0, 1])
def test_the_loss_of_a_sentence_on_paper(pad_id: int) -> None:
    """Hidden states of one number: CLS 1, "dogs" 1 and 3, so 2, "bark" 3, SEP 9, which belongs to no word.

    An arc of word x on head y scores x * y: "dogs" on the root 2, on "bark" 6 (gold); "bark" on the root 3 (gold), on
    "dogs" 6. Cross-entropies: ln(e^2 + e^6) - 6 = ln(1 + e^-4), and ln(e^3 + e^6) - 3 = ln(1 + e^3).
    nsubj scores 0 on every arc, root x * y - 4: on "dogs" -> "bark" 2, on "bark" -> root -1. Cross-entropies of nsubj
    for "dogs": ln(1 + e^2), of root for "bark": ln(e^0 + e^-1) + 1 = ln(1 + e).
    """
    head = a_head(1, 2, pad_id=pad_id)
    with torch.no_grad():
        head.biaffine_arcs.weight.copy_(torch.tensor([[[1.0], [0.0]]]))
        head.biaffine_rels.weight.copy_(torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, -4.0]]]))
    hidden = torch.tensor([[[1.0], [1.0], [3.0], [3.0], [9.0]]])
    output = head(
        (hidden,), word_starts=STARTS[:1], labels_arcs=torch.tensor([[2, 0]]), labels_rels=torch.tensor([[0, 1]])
    )
    assert output.arc_preds.tolist() == [[[2.0, -math.inf, 6.0], [3.0, 6.0, -math.inf]]]
    arcs = (math.log1p(math.exp(-4)) + math.log1p(math.exp(3))) / 2
    relations = (math.log1p(math.exp(2)) + math.log1p(math.e)) / 2
    assert output.loss.item() == pytest.approx(arcs + relations)


def test_words_without_a_head_are_not_in_the_loss() -> None:
    head, hidden = a_head(4, 3), random_hidden(1, 5, 4)
    both, first, second = (
        head(
            (hidden,), word_starts=STARTS[:1], labels_arcs=torch.tensor([heads]), labels_rels=RELATIONS[:1]
        ).loss.item()
        for heads in ([2, 0], [2, IGNORED], [IGNORED, 0])
    )
    assert both == pytest.approx((first + second) / 2)
    assert first != pytest.approx(second)


@pytest.mark.parametrize("kind, config, pad_id", FAMILIES)
def test_a_root_word_s_relation_and_its_head_count_whatever_the_pad_id(kind: Any, config: Any, pad_id: int) -> None:
    model = kind(config(**SIZES, pad_token_id=pad_id)).eval()
    model.add_dependency_parsing_head("dp", num_labels=3)
    adopt_parsing_head(model, "dp")
    drawn(model.heads["dp"], seed=2)
    inputs = {"input_ids": torch.tensor([[2, 7, 8, 9, 3]]), "word_starts": STARTS[:1]}
    losses = {
        (heads, relations): model(
            **inputs, labels_arcs=torch.tensor([heads]), labels_rels=torch.tensor([relations])
        ).loss.item()
        for heads, relations in [((2, 0), (0, 1)), ((2, 0), (0, 2)), ((0, 1), (1, 0)), ((0, 1), (1, 2))]
    }
    # The relation of the root word; that of the word headed by the first one; and the heads themselves.
    assert len({round(loss, 5) for loss in losses.values()}) == 4
    assert model.config.pad_token_id == pad_id


def test_neither_padding_nor_the_word_itself_has_a_score() -> None:
    arcs = a_head(4, 3)((random_hidden(2, 6, 4),), word_starts=STARTS).arc_preds
    assert arcs.shape == (2, 2, 3)
    assert torch.isfinite(arcs[0]).tolist() == [[True, False, True], [True, True, False]]
    assert torch.isfinite(arcs[1, 0]).tolist() == [True, False, False]


def test_one_sentence_of_one_word() -> None:
    head = a_head(4, 3)
    output = head(
        (random_hidden(1, 3, 4),),
        word_starts=torch.tensor([[1, 2]]),
        labels_arcs=torch.tensor([[0]]),
        labels_rels=torch.tensor([[1]]),
    )
    assert output.arc_preds.shape == (1, 1, 2)
    assert output.relations(torch.tensor([[0]])).shape == (1, 3)
    assert output.all_relations(0, 1).shape == (1, 2, 3)
    expected = nn.functional.cross_entropy(output.relations(torch.tensor([[0]])), torch.tensor([1]))
    assert output.loss.item() == pytest.approx(expected.item())  # Its head is certain.


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]], int]:
    """Sub-words a word, a head for each word or -100, and a seed."""
    pieces = draw(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=5), min_size=1, max_size=4))
    heads = [[draw(st.sampled_from([IGNORED, *range(len(one) + 1)])) for _ in one] for one in pieces]
    return pieces, heads, draw(st.integers(0, 2**16))


def tensors(pieces: list[list[int]], heads: list[list[int]], seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states of 4 numbers, word starts and heads, padded."""
    words = max(map(len, pieces))
    starts = torch.full((len(pieces), words + 1), IGNORED)
    padded = torch.full((len(pieces), words), IGNORED)
    for row, (one, own) in enumerate(zip(pieces, heads, strict=True)):
        starts[row, : len(one) + 1] = torch.tensor([1, *one]).cumsum(0)
        padded[row, : len(one)] = torch.tensor(own)
    return random_hidden(len(pieces), max(map(sum, pieces)) + 2, 4, seed=seed), starts, padded


@settings(deadline=None, max_examples=60)
@given(batches())
def test_words_are_the_means_of_their_sub_words(drawn_batch: tuple[list[list[int]], list[list[int]], int]) -> None:
    hidden, starts, _ = tensors(*drawn_batch)
    nodes = pooled(hidden, starts)
    expected = torch.zeros(nodes.shape)
    for row, pieces in enumerate(drawn_batch[0]):
        expected[row, 0] = hidden[row, 0]
        for word in range(len(pieces)):
            expected[row, word + 1] = hidden[row, starts[row, word] : starts[row, word + 1]].mean(0)
    torch.testing.assert_close(nodes, expected)


@settings(deadline=None, max_examples=60)
@given(batches())
def test_relations_on_chosen_arcs_are_those_of_the_stock_head(
    drawn_batch: tuple[list[list[int]], list[list[int]], int],
) -> None:
    """Scores and gradients: stock scores every label on every arc, then picks."""
    hidden, starts, heads = tensors(*drawn_batch)
    stock = a_head(4, 3, BiaffineParsingHead).biaffine_rels.double()
    nodes = pooled(hidden.double(), starts).requires_grad_()
    every = stock(nodes[:, 1:], nodes).permute(0, 2, 3, 1)
    rows, words = (heads != IGNORED).nonzero(as_tuple=True)
    expected, ours = every[rows, words, heads[rows, words]], relation_scores(nodes, stock.weight, heads)
    torch.testing.assert_close(ours, expected)
    output = ParsingOutput(nodes=nodes, relation_weight=stock.weight)
    torch.testing.assert_close(
        output.all_relations(0, len(drawn_batch[0][0])),
        every[0, : len(drawn_batch[0][0]), : len(drawn_batch[0][0]) + 1],
    )
    if len(ours):
        wrt = [nodes, stock.weight]
        for own, one in zip(
            torch.autograd.grad(ours.sin().sum(), wrt), torch.autograd.grad(expected.sin().sum(), wrt), strict=True
        ):
            torch.testing.assert_close(own, one)


def test_the_head_of_another_task_cannot_be_adopted() -> None:
    model = BertAdapterModel(BertConfig(**SIZES))
    model.add_tagging_head("dp", num_labels=3)
    with pytest.raises(IntegrityError, match="type 'tagging', which does not parse"):
        adopt_parsing_head(model, "dp")


def in_a_stack(base: Path) -> Any:
    """The tiny base with an adapter and our head, its weights drawn at random."""
    model = load_encoder(resolve_base(str(base)))
    add_adapter(model, NAME, AdapterRecipe(), seed=3)
    model.add_dependency_parsing_head(NAME.module_name, num_labels=3, id2label=dict(enumerate(LABELS)))
    before = dict(own_parameters(model, NAME))
    adopt_parsing_head(model, NAME.module_name)
    assert own_parameters(model, NAME) == before  # The very same parameters, under the same names.
    activate(model, [NAME])
    model.active_head = NAME.module_name
    for parameter in own_parameters(model, NAME).values():
        nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(4))
    return model


INPUTS = {
    "input_ids": torch.tensor([[2, 7, 8, 9, 3], [2, 10, 11, 12, 3]]),
    "attention_mask": torch.ones(2, 5, dtype=torch.int64),
}


def test_what_we_save_loads_in_plain_adapters_and_scores_arcs_and_relations_alike(
    tiny_base: Path, tmp_path: Path
) -> None:
    ours = in_a_stack(tiny_base)
    save_adapter(ours, NAME, tmp_path / "saved")
    plain = AutoAdapterModel.from_pretrained(str(tiny_base)).eval()
    name = plain.load_adapter(str(tmp_path / "saved"), use_safetensors=True, set_active=True)
    assert type(plain.heads[name]) is BiaffineParsingHead
    assert plain.get_labels_dict(name) == dict(enumerate(LABELS))
    with torch.inference_mode():
        output = ours(**INPUTS, word_starts=STARTS)
        stock = plain(**INPUTS, word_starts=STARTS.masked_fill(STARTS == IGNORED, plain.config.pad_token_id))
    possible = torch.isfinite(output.arc_preds)
    possible[1, 1] = False  # Padding.
    torch.testing.assert_close(output.arc_preds[possible], stock.arc_preds[:, :2, :3][possible])
    expected = torch.stack([stock.rel_preds[0, 0, 2], stock.rel_preds[0, 1, 0], stock.rel_preds[1, 0, 0]])
    torch.testing.assert_close(output.relations(HEADS), expected)


def test_a_saved_head_comes_back_and_is_ours_once_adopted(tiny_base: Path, tmp_path: Path) -> None:
    ours = in_a_stack(tiny_base)
    save_adapter(ours, NAME, tmp_path / "saved")
    again = load_encoder(resolve_base(str(tiny_base)))
    load_adapter(again, NAME, tmp_path / "saved", ExpectedHead("dependency_parsing", LABELS))
    adopt_parsing_head(again, NAME.module_name)
    activate(again, [NAME])
    again.active_head = NAME.module_name
    assert set(own_parameters(again, NAME)) == set(own_parameters(ours, NAME))
    with torch.inference_mode():
        one, other = (
            model(**INPUTS, word_starts=STARTS, labels_arcs=HEADS, labels_rels=RELATIONS) for model in (ours, again)
        )
    assert torch.equal(one.arc_preds, other.arc_preds)
    assert one.loss.item() == other.loss.item()
