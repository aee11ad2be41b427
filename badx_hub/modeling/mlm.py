"""The masked-language-model loss on masked positions only."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from badx_hub.errors import UsageError


class MaskedLanguageModel(nn.Module):
    """A base with an active adapter; hidden states are gathered before the head, never after.

    The decoder of mBERT has 119,547 rows: logits of all positions would cost more than its twelve layers.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        self._head = _head(model)
        # `adapters` 1.3 leaves out the inverse of an invertible adapter before a static decoder (MAD-X).
        model.get_output_embeddings().register_forward_pre_hook(self._invert)

    def forward(self, input_ids: Tensor, positions: Tensor, labels: Tensor) -> Tensor:
        """The summed cross-entropy, in nats, over the masked positions.

        Args:
            input_ids: [batch, length], masked; blocks are full, so there is no padding to hide.
            positions: [masked] indices into the flattened [batch * length].
            labels: [masked] the original tokens.
        """
        hidden = self.model.base_model(input_ids=input_ids, return_dict=True).last_hidden_state
        masked = hidden.flatten(0, 1).index_select(0, positions)
        return cross_entropy(self._head(masked).float(), labels, reduction="sum")

    def _invert(self, _decoder: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        batch = args[0].unsqueeze(0)  # Coupling blocks take [batch, length, hidden].
        inverted: Tensor = self.model.base_model.invertible_adapters_forward(batch, rev=True)
        return (inverted.squeeze(0), *args[1:])


def _head(model: PreTrainedModel) -> nn.Module:
    for name in ("cls", "lm_head"):
        head = getattr(model, name, None)
        if isinstance(head, nn.Module):
            return head
    raise UsageError(
        f"Bases of type {model.config.model_type!r} are not supported for training on text. "
        "Take a BERT, RoBERTa or XLM-RoBERTa model."
    )


def perplexity(loss_sum: float, count: int) -> float:
    """exp(mean loss), the perplexity on masked tokens; `loss_sum` in nats."""
    return math.exp(loss_sum / count)
