"""The device that models are used on."""

from __future__ import annotations

import torch

from badx_hub.errors import UsageError


def default_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def usable_device(asked: str | torch.device | None = None) -> torch.device:
    """The device, None being the default one. Raises UsageError where this machine has none of that name."""
    try:
        device = default_device() if asked is None else torch.device(asked)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UsageError(
            f"PyTorch has no device {str(asked)!r} here: {reason}. Leave it out to use {default_device()}."
        ) from error
    return device
