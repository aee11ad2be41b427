"""A base with embeddings for more sub-words than it has: rows after its own, which stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from badx_hub.adapter_files import VOCABULARY_FILE, VOCABULARY_WEIGHTS_FILE
from badx_hub.corpora.subword_learning import pieces_of
from badx_hub.corpora.subword_list import BIAS, ROWS, SubWords, check_rows
from badx_hub.errors import StorageError, UsageError
from badx_hub.storage import cached_sha256
from badx_hub.tensor_files import check_finite


class ExtendedEmbedding(nn.Embedding):
    """The word embeddings of a base, and after them those of `subwords`.

    The base's matrix is the same parameter as before, so that a decoder that shares it still does. `added` are the new
    rows, [sub-words, size], and `added_bias` the biases of a decoder for them.
    """

    def __init__(self, base: nn.Embedding, subwords: SubWords, rows: Tensor, bias: Tensor) -> None:
        super().__init__(base.num_embeddings, base.embedding_dim, base.padding_idx, _weight=base.weight.detach())
        self.weight = base.weight
        self.subwords = subwords
        self.added, self.added_bias = (nn.Parameter(one.clone(), requires_grad=False) for one in (rows, bias))

    def forward(self, input: Tensor) -> Tensor:
        """Embeddings of ids, in the type of the base's."""
        first = self.subwords.first
        is_new = input >= first
        old = functional.embedding(input.masked_fill(is_new, 0), self.weight, self.padding_idx)
        new = functional.embedding((input - first).clamp(min=0), self.added)
        return torch.where(is_new.unsqueeze(-1), new.to(old.dtype), old)


def extension_of(model: Any) -> ExtendedEmbedding | None:
    """The embeddings of a model that was extended; None for one as it came."""
    found = model.get_input_embeddings()
    return found if isinstance(found, ExtendedEmbedding) else None


def extend_model(model: Any, subwords: SubWords, rows: Tensor, bias: Tensor | None = None) -> ExtendedEmbedding:
    """Put rows after the model's embeddings, frozen; `bias` is that of a decoder, default zeros."""
    bias = rows.new_zeros(len(rows)) if bias is None else bias
    made = ExtendedEmbedding(model.get_input_embeddings(), subwords, rows, bias)
    model.set_input_embeddings(made)
    return made


def first_rows(model: Any, tokenizer: Any, subwords: SubWords, *, seed: int) -> tuple[Tensor, Tensor]:
    """What new sub-words begin with: the mean of the pieces that `tokenizer`, the base's, makes of each.

    Of what it does not know at all, rows are drawn about the mean of all rows. Returns [sub-words, size] and the biases
    of a decoder, [sub-words]. Raises UsageError if the model's decoder does not share its embeddings.
    """
    weight, decoder = model.get_input_embeddings().weight.detach(), model.get_output_embeddings()
    if decoder.weight is not model.get_input_embeddings().weight:
        raise UsageError(
            "The decoder of this base has a matrix of its own, so that new sub-words have no place in it. Leave out "
            "extend_vocabulary, or take another base."
        )
    known, unknown = weight[: subwords.first].float(), tokenizer.unk_token_id
    generator = torch.Generator().manual_seed(seed)
    drawn = known.mean(0) + known.std(0) * torch.randn(len(subwords.words), known.shape[1], generator=generator)
    old_bias = known.new_zeros(len(known)) if decoder.bias is None else decoder.bias.detach()[: len(known)].float()
    rows, bias = drawn.clone(), old_bias.mean().expand(len(drawn)).clone()
    for index, word in enumerate(subwords.words):
        pieces = [number for number in pieces_of(tokenizer, word) if number != unknown]
        if pieces:
            rows[index], bias[index] = known[pieces].mean(0), old_bias[pieces].mean()
    return rows, bias


def extension_parameters(model: Any) -> Mapping[str, nn.Parameter]:
    """The rows that are trained with an adapter, and their biases in the decoder, by names that say which sub-words."""
    if (found := extension_of(model)) is None:
        return {}
    of = found.subwords.digest[:16]
    return {f"vocabulary.{of}.{ROWS}": found.added, f"vocabulary.{of}.{BIAS}": found.added_bias}


def save_vocabulary(extension: ExtendedEmbedding, folder: Path) -> None:
    """Write the list of sub-words, their rows and, for whoever trains on, their biases in a decoder."""
    extension.subwords.write(folder / VOCABULARY_FILE)
    try:
        kept = {ROWS: extension.added, BIAS: extension.added_bias}
        tensors = {name: one.detach().float().cpu().contiguous() for name, one in kept.items()}
        save_file(tensors, folder / VOCABULARY_WEIGHTS_FILE, metadata={"format": "pt"})
    except SafetensorError as error:  # on a full disk
        raise StorageError(f"The sub-words could not be written: {error}. Free some space and try again.") from error


def load_rows(folder: Path, subwords: SubWords, size: int) -> tuple[Tensor, Tensor]:
    """The rows that go with the sub-words, [sub-words, `size`], and their biases, [sub-words], in float32.

    Raises IntegrityError if they are not those, or no finite numbers.
    """
    path = folder / VOCABULARY_WEIGHTS_FILE
    check_rows(path, subwords, size)
    check_finite(path, digest=cached_sha256(path))
    with safe_open(path, framework="pt") as stored:
        rows, bias = (stored.get_tensor(name).to(torch.float32, copy=True) for name in (ROWS, BIAS))
    return rows, bias
