"""What a step does differently by device: copies that do not wait, the fused optimizer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

_FUSED_SINCE = (2, 4)
"""The first torch that has the fused AdamW for the CPU."""


def pinned(inputs: Mapping[str, Tensor], device: torch.device) -> Mapping[str, Tensor]:
    """The same tensors in memory that a GPU can copy from on its own; for other devices as they are."""
    if device.type != "cuda":
        return inputs
    with torch.cuda.device(device):  # A thread begins on the first GPU, whichever its process has.
        return {key: value.pin_memory() for key, value in inputs.items()}


def moved(inputs: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """The tensors on `device`; a GPU copies them while the program goes on."""
    return {key: value.to(device, non_blocking=device.type == "cuda") for key, value in inputs.items()}


def copied(tensor: Tensor) -> Tensor:
    """The tensor as it is now, in the memory of the CPU and of its own."""
    return tensor.detach().to("cpu", copy=True)


def adamw(parameters: Iterable[nn.Parameter], device: torch.device, *, rate: float, decay: float) -> torch.optim.AdamW:
    """AdamW in one pass over the weights, where this torch has that for the device."""
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    fused = device.type in ("cpu", "cuda") and version >= _FUSED_SINCE
    return torch.optim.AdamW(list(parameters), lr=rate, weight_decay=decay, fused=fused)


def defer_loss_sync(device: torch.device) -> bool:
    """Whether a step's loss is read when the next step is under way, so that the device never waits for us."""
    return device.type == "cuda"


class AsyncNumbers:
    """Numbers on their way from a device; reading them waits for these, not for work queued behind them."""

    def __init__(self, numbers: Tensor) -> None:
        self._numbers = numbers.detach().to("cpu", non_blocking=numbers.is_cuda)
        self._arrived = torch.cuda.current_stream(numbers.device).record_event() if numbers.is_cuda else None

    def read(self) -> list[float]:
        if self._arrived is not None:
            self._arrived.synchronize()
        return [float(number) for number in self._numbers]
