"""Heads with the weights of a stock head of `adapters` and a behaviour of their own.

`ParsingHead` is the biaffine dependency head: one bilinear score for each arc and one for each relation on an arc, over
words as the mean of their sub-words, with CLS as root (Glavaš and Vulić, arXiv:2008.06788). The stock head of
`adapters` 1.3 takes the pad id for "no head": root words have no loss where it is 0, words headed by the first one have
none where it is 1. It can also choose padding as a head, and loops over words in python. Weights load in either head:
parameters have the same names, shapes and meaning.

`MeanPoolingHead` classifies by the mean of all positions; the stock head reads the first one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from adapters.heads import ClassificationHead
from adapters.heads.dependency_parsing import BiaffineParsingHead, DependencyParsingOutput
from torch import Tensor
from torch.nn.functional import cross_entropy, linear, pad

from badx_hub.errors import IntegrityError
from badx_hub.modeling import IGNORED


@dataclass
class ParsingOutput(DependencyParsingOutput):  # type: ignore[misc]
    """The scores of a batch.

    `arc_preds` are batch x words x (root and words): the score of each head of each word, -inf for padding and the word
    itself; rows of padding have no meaning. Scores of relations are computed on demand for chosen arcs (`rel_preds`
    stays None), from `nodes`, batch x (root and words) x hidden.
    """

    nodes: Any = None
    relation_weight: Any = None

    def relations(self, heads: Tensor) -> Tensor:
        """Scores of the relations on chosen arcs: scored words x labels, sentence by sentence, in order.

        `heads` are batch x words: 0 for the root, k for the k-th word, -100 for a word not to score.
        """
        return relation_scores(self.nodes, self.relation_weight, heads)

    def all_relations(self, row: int, words: int) -> Tensor:
        """Scores of the relations on every arc of a sentence of `words` words: words x (root and words) x labels."""
        nodes = _with_one(self.nodes[row, : words + 1])
        return torch.einsum("wi,oij,hj->who", nodes[1:], self.relation_weight.to(nodes.dtype), nodes)


class ParsingHead(BiaffineParsingHead):  # type: ignore[misc]
    """The stock head, except that -100 marks what to ignore, whatever the base's pad id.

    `products` is what the words' products with the matrices of the relations are computed in: nearly all of the work.
    """

    products = torch.float32

    def forward(
        self,
        outputs: Any,
        cls_output: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_dict: bool = True,
        *,
        word_starts: Tensor,
        labels_arcs: Tensor | None = None,
        labels_rels: Tensor | None = None,
        **_: Any,
    ) -> ParsingOutput:
        """Score the arcs of a batch and, with labels, their loss.

        Args:
            outputs: the encoder's; the first are hidden states, batch x sub-words x hidden.
            word_starts: batch x (words + 1), the first sub-word of each word, then the position after the last word,
                then -100. Words follow one another; CLS is before them.
            labels_arcs: batch x words, the head of each word, 0 for the root, k for the k-th word, -100 for none.
            labels_rels: batch x words, the relation to that head; read where `labels_arcs` is not -100.
        """
        nodes = pooled(self.dropout(outputs[0]), word_starts)
        words = (word_starts != IGNORED).sum(1) - 1
        arcs = self.biaffine_arcs(nodes[:, 1:], nodes).squeeze(1).masked_fill(~_possible(nodes, words), -torch.inf)
        weight = self.biaffine_rels.weight.to(self.products)
        loss = None
        if labels_arcs is not None and labels_rels is not None:
            loss = _loss(arcs, relation_scores(nodes, weight, labels_arcs), labels_arcs, labels_rels)
        return ParsingOutput(loss=loss, arc_preds=arcs, nodes=nodes, relation_weight=weight)


def adopt_parsing_head(model: Any, name: str) -> None:
    """Replace the stock head of that name by ours, with the same parameters.

    Raises IntegrityError for a head of another type.
    """
    stock = model.heads[name]
    if not isinstance(stock, BiaffineParsingHead):
        raise IntegrityError(f"{name} has a head of type {stock.config['head_type']!r}, which does not parse.")
    head = ParsingHead(model, name, stock.config["num_labels"], model.get_labels_dict(name))
    head.biaffine_arcs, head.biaffine_rels = stock.biaffine_arcs, stock.biaffine_rels
    model.heads[name] = head


def pooled(hidden: Tensor, word_starts: Tensor) -> Tensor:
    """CLS and the mean of each word's sub-words, 0 for padding: batch x (1 + words) x hidden."""
    batch, length, _ = hidden.shape
    positions = torch.arange(length, device=hidden.device).expand(batch, -1).contiguous()
    starts = word_starts.masked_fill(word_starts == IGNORED, length)
    node_at = torch.searchsorted(starts, positions, right=True)  # The number of starts at or before the position.
    slots = torch.arange(starts.shape[1], device=hidden.device)
    words = (word_starts != IGNORED).sum(1, keepdim=True) - 1
    of_node = (node_at.unsqueeze(1) == slots.unsqueeze(1)) & (slots <= words).unsqueeze(-1)
    share = of_node.to(hidden.dtype)
    return (share / share.sum(-1, keepdim=True).clamp(min=1)) @ hidden


def relation_scores(nodes: Tensor, weight: Tensor, heads: Tensor) -> Tensor:
    """Scores of every label on the chosen arcs: see `ParsingOutput.relations`.

    x W y is computed as x (W y). W y is most of the work, and is done once for each word that has dependents; most have
    none. It is computed in the type of `weight`, the rest in that of `nodes`.
    """
    chosen = heads != IGNORED
    if not chosen.any():
        return nodes.new_zeros(0, len(weight))
    flat = _with_one(nodes.flatten(0, 1))
    rows = torch.arange(len(heads), device=heads.device).unsqueeze(1) * nodes.shape[1]
    dependents = (rows + torch.arange(1, nodes.shape[1], device=heads.device))[chosen]
    governors, group = torch.unique((rows + heads)[chosen], return_inverse=True)
    chosen_nodes = flat.index_select(0, governors).to(weight.dtype)
    projected = linear(chosen_nodes, weight.flatten(0, 1)).view(-1, *weight.shape[:2])
    return _grouped_product(flat.index_select(0, dependents), group, projected.to(flat.dtype))


def _grouped_product(vectors: Tensor, group: Tensor, matrices: Tensor) -> Tensor:
    """Each of the `vectors` times the matrix (labels x hidden) of its group.

    The vectors of a group are put side by side for one product; copying the matrix for each vector would cost more than
    the product.
    """
    sizes = group.bincount(minlength=len(matrices))
    order = group.argsort(stable=True)
    rank = torch.empty_like(group)
    rank[order] = torch.arange(len(group), device=group.device) - (sizes.cumsum(0) - sizes)[group[order]]
    width = int(sizes.max())
    places = group * width + rank
    table = vectors.new_zeros(len(matrices) * width, vectors.shape[1]).index_copy(0, places, vectors)
    products = table.view(-1, width, vectors.shape[1]) @ matrices.transpose(1, 2)
    return products.flatten(0, 1).index_select(0, places)


def _possible(nodes: Tensor, words: Tensor) -> Tensor:
    """Which node may be the head of which word: batch x words x (root and words)."""
    slots = torch.arange(nodes.shape[1], device=nodes.device)
    there = slots <= words.unsqueeze(1)
    return there.unsqueeze(1) & (slots[1:].unsqueeze(1) != slots)


def _loss(arcs: Tensor, relations: Tensor, heads: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of the gold heads and of the relations on them, over the words that have a head."""
    gold = heads != IGNORED
    return cross_entropy(arcs[gold].float(), heads[gold]) + cross_entropy(relations.float(), labels[gold])


def _with_one(vectors: Tensor) -> Tensor:
    """The vectors with a 1 appended, for the bias."""
    return pad(vectors, (0, 1), value=1.0)


class MeanPoolingHead(ClassificationHead):  # type: ignore[misc]
    """The stock head, with the same parameters and configuration, on the mean over all positions but padding.

    In plain `adapters` its weights load as the stock head, which reads the first position.
    """

    def forward(
        self,
        outputs: Any,
        cls_output: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """`outputs[0]` are hidden states, batch x positions x size; `attention_mask` is 0 at padding."""
        return super().forward(
            outputs,
            cls_output=mean_of(outputs[0], attention_mask),
            attention_mask=attention_mask,
            return_dict=return_dict,
            **kwargs,
        )


def mean_of(states: Tensor, mask: Tensor | None) -> Tensor:
    """The mean over unmasked positions, batch x size; without a mask, over all positions."""
    if mask is None:
        return states.mean(dim=1)
    weights = mask.to(states.dtype).unsqueeze(-1)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def pool_by_mean(model: Any, name: str) -> None:
    """Let the model's classification head of that name read the mean; its weights stay."""
    stock = model.heads[name]
    options = {key: value for key, value in stock.config.items() if key not in ("head_type", "label2id")}
    id2label = {number: label for label, number in stock.config["label2id"].items()}
    head = MeanPoolingHead(model, name, id2label=id2label, **options)
    head.load_state_dict(stock.state_dict())
    weight = next(stock.parameters())
    model.heads[name] = head.to(weight).requires_grad_(weight.requires_grad).train(stock.training)
