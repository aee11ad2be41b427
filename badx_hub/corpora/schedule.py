"""The mixture schedule: which language a training step draws (BAD-X: N source batches, then M target batches).

A mixture such as ``en:5,wo:1`` repeats the cycle en en en en en wo. Both functions are closed forms of the
step number, so a resumed run needs only its step.
"""

from __future__ import annotations

from badx_hub.errors import UsageError
from badx_hub.languages import Mixture


def language_at(mixture: Mixture, step: int) -> str:
    """Language that ``step`` (counted from 0) draws its whole batch from."""
    _check_step(step)
    return mixture.cycle[step % len(mixture.cycle)]


def draws_before(mixture: Mixture, language: str, step: int) -> int:
    """How many of the steps 0 .. ``step`` - 1 draw ``language``.

    Raises:
        UsageError: the language is not part of the mixture, or the step is negative.
    """
    _check_step(step)
    offset = 0
    for part, weight in mixture.parts:
        if part == language:
            cycles, rest = divmod(step, sum(mixture.weights))
            return cycles * weight + min(max(rest - offset, 0), weight)
        offset += weight
    raise UsageError(
        f"{language} is not part of the mixture {mixture}; its languages are {', '.join(mixture.languages)}."
    )


def _check_step(step: int) -> None:
    if step < 0:
        raise UsageError(f"Steps count from 0; got {step}.")
