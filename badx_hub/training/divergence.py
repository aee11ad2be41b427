"""When a training has diverged: a loss or gradient that is no number, or a gradient that explodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from badx_hub.errors import TrainingDiverged
from badx_hub.recipes import TrainingRecipe
from badx_hub.remedies import Advice

WINDOW = 100
"""Steps whose gradient norms say what is usual."""

LEAST = 20
"""Fewer norms than these say nothing."""

FACTOR = 1000.0
"""A norm that is this many times the usual one is an explosion.

Clipping makes single large gradients harmless, and the median of a training moves by a factor of ten or so: what is
meant here are numbers about to overflow, or a batch of rubbish.
"""


def usual(norms: Sequence[float], clip_norm: float) -> float:
    """The norm that is usual: the median, or the norm that gradients are clipped to where that is more."""
    return max(median(norms), clip_norm)


def fault_of(loss: float, norm: float, before: Sequence[float], clip_norm: float, step: int) -> str | None:
    """What is wrong with a step, as a clause, or None.

    Args:
        loss: of its batch, the mean over the labels.
        norm: of the gradient, before clipping.
        before: the norms of the steps before it, up to `WINDOW` of them.
        clip_norm: the recipe's.
        step: counts the finished steps, this one included.
    """
    if not math.isfinite(loss):
        return f"The loss is {loss} after step {step}"
    if not math.isfinite(norm):
        return f"The gradient's norm is {norm} after step {step}"
    if len(before) >= LEAST and norm > FACTOR * clip_norm and norm > FACTOR * usual(before, clip_norm):
        return f"The gradient's norm is {norm:,.0f} after step {step}, and was about {median(before):.3g} before"
    return None


def diverged(fault: str, recipe: TrainingRecipe, batch: str = "") -> TrainingDiverged:
    """The error; `batch` is a sentence about the step's batch."""
    half = float(f"{recipe.learning_rate / 2:.2g}")
    return TrainingDiverged(
        " ".join(filter(None, (f"{fault}: training has diverged.", batch))),
        remedies=(
            Advice(
                "Start again with smaller steps, {} {}, or with some warm-up (warmup_steps in a recipe file).",
                (("learning_rate", half), ("restart", True)),
            ),
        ),
    )
