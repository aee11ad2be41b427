"""The processes that train one adapter together, as torchrun and `accelerate launch` start them; usually there is one.

All of them see the same text, the same step and the same weights. The first one alone writes. What one of them has to
decide for all, such as whether a run is finished, or to stop, is told to the others.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import broadcast_object_list
from torch import Tensor, distributed, nn

from badx_hub.errors import BadxError, UsageError
from badx_hub.remedies import Advice, RunAgain

_IN_PARTS = {
    "DeepSpeed": "ACCELERATE_USE_DEEPSPEED",
    "FSDP": "ACCELERATE_USE_FSDP",
    "Megatron-LM": "ACCELERATE_USE_MEGATRON_LM",
}

T = TypeVar("T")
R = TypeVar("R")
ErrorT = TypeVar("ErrorT", bound=BadxError)


class Processes:
    """How many processes there are, which of them this is, and what they tell each other."""

    def __init__(self) -> None:
        """Raises UsageError as `accelerator` does."""
        # Buffers, such as the numbers of positions, are the same everywhere from the start.
        self.accelerator = accelerator(kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)])
        self.count: int = self.accelerator.num_processes
        self.rank: int = self.accelerator.process_index
        self.device: torch.device = self.accelerator.device

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def first(self, action: Callable[[], T]) -> T:
        """What `action` returns in the first process; it is not called in the others, to whom that is pickled.

        What it raises of badx_hub's own errors, every process raises.
        """
        if self.count == 1:
            return action()
        outcome: list[Any] = [(None, None)]
        if self.is_first:
            try:
                outcome = [(action(), None)]
            except BadxError as error:
                outcome = [(None, error)]
        broadcast_object_list(outcome)
        value, refusal = outcome[0]
        if refusal is not None:
            raise self.shared(refusal)
        found: T = value
        return found

    def shared(self, error: ErrorT) -> ErrorT:
        """The error, which every process raises at this place: the first one tells of it."""
        error.shared = not self.is_first
        return error

    def rows(self, numbers: Tensor) -> Tensor:
        """The numbers [n] of each process: [processes, n], the same in all of them."""
        found: Tensor = self.accelerator.gather(numbers.unsqueeze(0))
        return found

    def prepared(self, module: nn.Module) -> Any:
        """The module on its device; with several processes, a backward pass through it leaves their mean gradients."""
        with warnings.catch_warnings():
            # The name that torch 2.13 has for broadcast_buffers is not known to those before it.
            warnings.filterwarnings("ignore", message=".*broadcast_buffers", category=FutureWarning)
            return self.accelerator.prepare(module)

    def wait(self) -> None:
        """Wait until every process is here."""
        self.accelerator.wait_for_everyone()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Turn what torch raises when another process has gone into an error of ours."""
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or not _is_of_another(error):
                raise
            raise BadxError(
                f"Another one of the {self.count} processes has ended, so this one ends too.",
                remedies=(RunAgain(", which goes on from the last checkpoint"),),
            ) from error


def spread(pieces: Sequence[T], work: Callable[[T], R]) -> list[R]:
    """`work` of each piece, in their order: every process does a share of them, and all get all results, pickled."""
    processes = Processes()
    mine = [work(piece) for piece in pieces[processes.rank :: processes.count]]
    if processes.count == 1:
        return mine
    shares: list[Any] = [None] * processes.count
    distributed.all_gather_object(shares, mine)
    return [shares[place % processes.count][place // processes.count] for place in range(len(pieces))]


def accelerator(**options: Any) -> Accelerator:
    """Accelerate for this process, which computes as the recipe says, whatever `accelerate config` has.

    Raises UsageError if this machine has fewer GPUs than processes, or if accelerate is to cut the model into parts.
    """
    for name, variable in _IN_PARTS.items():
        if os.environ.get(variable, "").lower() == "true":
            raise UsageError(
                f"{name}, which accelerate is set to, cuts a model into parts. Each process has all of it here.",
                remedies=(Advice("Use torchrun, or turn it off with `accelerate config`."),),
            )
    return Accelerator(cpu=_on_processors(), mixed_precision="no", dynamo_backend="no", **options)


def _on_processors() -> bool:
    """Whether several processes are to run on this machine's processors: accelerate has to be told."""
    wanted = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    if "LOCAL_RANK" not in os.environ:
        return False
    if not torch.cuda.is_available():
        return not (hasattr(torch, "xpu") and torch.xpu.is_available())
    if (found := torch.cuda.device_count()) < wanted and os.environ.get("ACCELERATE_USE_CPU", "").lower() != "true":
        raise UsageError(
            f"{wanted} processes were started on this machine, which has {found} GPU{'' if found == 1 else 's'}.",
            remedies=(Advice(f"Start {found}, or set ACCELERATE_USE_CPU=true to train on its processors."),),
        )
    return False


def _is_of_another(error: RuntimeError) -> bool:
    """Whether talking to another process failed: gloo has no class of its own for that."""
    return isinstance(error, distributed.DistError) or "gloo" in str(error).lower()
