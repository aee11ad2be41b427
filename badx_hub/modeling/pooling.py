"""A classification head of `adapters` that looks at the mean of all positions, not at the first one."""

from __future__ import annotations

from typing import Any

import torch
from adapters.heads import ClassificationHead


class MeanPoolingHead(ClassificationHead):  # type: ignore[misc]
    """The stock head, parameters and configuration alike, on the mean over the positions that are no padding.

    In plain `adapters` its weights load as the stock head, which reads the first position.
    """

    def forward(
        self,
        outputs: Any,
        cls_output: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
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


def mean_of(states: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """The mean over unmasked positions, batch x size; all positions without a mask."""
    if mask is None:
        return states.mean(dim=1)
    weights = mask.to(states.dtype).unsqueeze(-1)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def pool_by_mean(model: Any, name: str) -> None:
    """Let the model's classification head of that name take the mean, with the weights that it has."""
    stock = model.heads[name]
    options = {key: value for key, value in stock.config.items() if key not in ("head_type", "label2id")}
    id2label = {number: label for label, number in stock.config["label2id"].items()}
    head = MeanPoolingHead(model, name, id2label=id2label, **options)
    head.load_state_dict(stock.state_dict())
    weight = next(stock.parameters())
    model.heads[name] = head.to(weight).requires_grad_(weight.requires_grad).train(stock.training)
