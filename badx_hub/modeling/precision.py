"""Which precision this machine is best at: `auto` in a recipe, and what stacks are loaded in.

`badx_hub.modeling.bfloat16` computes in bfloat16 what is decided here.

A GPU is known by its generation. A processor needs units for bfloat16, and has to show once that they pay off: some
virtual machines name units that they emulate, and without units products are about a hundred times slower. What was
measured is kept in the cache, for this processor and this torch.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from badx_hub.errors import BadxError, UsageError
from badx_hub.process_locks import exclusive
from badx_hub.recipes import Precision, TrainingRecipe
from badx_hub.storage import atomic_write_text, canonical_json, digest_of, home

Settled = Literal["fp32", "bf16"]

VARIABLE = "BADX_HUB_PRECISION"
"""The environment variable that decides in place of this module: fp32 or bf16, for every `auto`."""

_NAMED: Mapping[str, Settled] = {"fp32": "fp32", "bf16": "bf16"}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

_WORTH_IT = 1.5
"""How much faster products in bfloat16 have to be: below that, what is not a product eats up the gain."""

_BUDGET_SECONDS, _ROUNDS = 0.5, 4
_GPU_SINCE = (8, 0)
"""The compute capability of the first NVIDIA GPUs with bfloat16 units. Those before it have no TF32 either."""

RecipeT = TypeVar("RecipeT", bound=TrainingRecipe)


def settled(precision: Precision, device: torch.device | None = None) -> Settled:
    """`precision`, where `auto` becomes what `device` is best at; default the GPU where there is one, else the CPU.

    Raises UsageError if the environment variable `BADX_HUB_PRECISION` has another value than fp32 or bf16.
    """
    return _best(device) if precision == "auto" else precision


def with_settled_precision(recipe: RecipeT) -> RecipeT:
    """The recipe as it is run on this machine. Raises as `settled`."""
    return recipe.model_copy(update={"precision": settled(recipe.precision)})


def _best(device: torch.device | None) -> Settled:
    if (chosen := os.environ.get(VARIABLE)) is not None:
        if chosen in _NAMED:
            return _NAMED[chosen]
        raise UsageError(f"{VARIABLE} is {chosen!r}; expected fp32 or bf16. Set it to one of these, or unset it.")
    kind = device.type if device else _kind()
    if kind == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= _GPU_SINCE else "fp32"
    if kind != "cpu" or not _has_units():
        return "fp32"
    return "bf16" if _gain() >= _WORTH_IT else "fp32"


def _kind() -> str:
    """The kind of device that training takes."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _has_units() -> bool:
    """Whether the processor says that it computes in bfloat16 (AVX512-BF16, AMX, or ARM's)."""
    told = getattr(torch.cpu, "get_capabilities", None)  # Since torch 2.11.
    if told is not None:
        return any(bool(there) and "bf16" in name for name, there in told().items())
    return "bf16" in _processor()


def _gain() -> float:
    """How many times as fast products in bfloat16 are as in float32, measured once a machine."""
    machine = {"processor": _processor(), "torch": torch.__version__}
    memory = home() / "cache" / "precision" / f"{digest_of(machine)[:32]}.json"
    if (known := _remembered(memory, machine)) is not None:
        return known
    gain = measured_gain()
    # What cannot be kept (a full or read-only disk) is right all the same.
    with suppress(BadxError), exclusive(memory.with_suffix(".lock")):
        if (first := _remembered(memory, machine)) is not None:
            return first  # Another process was first, and all of them have to decide alike.
        atomic_write_text(memory, canonical_json({"gain": gain, "machine": machine}))
    return gain


def measured_gain() -> float:
    """The time of a product in float32 over that in bfloat16, each the shortest of a few that take turns."""
    products = {kind: _product(kind) for kind in (torch.float32, torch.bfloat16)}
    shortest = dict.fromkeys(products, math.inf)
    began, rounds = time.perf_counter(), 0
    while rounds < _ROUNDS or time.perf_counter() - began < _BUDGET_SECONDS:
        for kind, product in products.items():
            started = time.perf_counter()
            product()
            shortest[kind] = min(shortest[kind], time.perf_counter() - started)
        rounds += 1
        if time.perf_counter() - began > 4 * _BUDGET_SECONDS:  # Units that are emulated.
            break
    return shortest[torch.float32] / shortest[torch.bfloat16]


def _product(kind: torch.dtype) -> Callable[[], torch.Tensor]:
    """A product of the shapes of an attention's projection, of 512 positions at the size of mBERT."""
    states, weight = torch.ones(512, 768, dtype=kind), torch.ones(768, 768, dtype=kind)
    return lambda: torch.nn.functional.linear(states, weight)


def _remembered(memory: Path, machine: Mapping[str, str]) -> float | None:
    """What was measured on this machine; None if nothing was, or if the file is damaged."""
    try:
        record: Any = json.loads(memory.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("machine") != machine:
        return None
    gain = record.get("gain")
    return gain if isinstance(gain, float) and 0 < gain < math.inf else None


def _processor() -> str:
    """The processor by name and flags, as the system tells them."""
    told = {"model name", "cpu family", "model", "stepping", "flags", "Features", "CPU implementer", "CPU part"}
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0].splitlines()
        if found := [line for line in lines if line.partition(":")[0].strip() in told]:
            return "\n".join(found)
    return f"{platform.machine()} {platform.processor()}"
