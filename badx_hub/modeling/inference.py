"""Predictions of a stack, window by window: longest first, results in the order of the examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from badx_hub.tasks import AnyTask
from badx_hub.tasks.base import bucketed


def predict_windows(
    model: Any,
    task: AnyTask,
    windows: Sequence[Any],
    *,
    examples: Sequence[Any],
    labels: Sequence[str],
    pad_id: int,
    batch_size: int,
) -> tuple[Any, ...]:
    """One prediction an example; the model stays in the mode and on the device it is in.

    Args:
        windows: what `task.encode` made of `examples`.
        batch_size: windows of 64 sub-words a forward pass: more of shorter ones, fewer of longer ones, as `bucketed`
            has it; predictions do not depend on it.
    """
    parts: list[Any] = []
    with torch.inference_mode():
        for indices in bucketed(windows, batch_size):
            chosen = [windows[index] for index in indices]
            inputs = task.collate(chosen, None, pad_id)
            output = model(**{key: value.to(model.device) for key, value in inputs.items()})
            parts.extend(task.decode(output, chosen, labels))
    return task.merge(examples, parts)
