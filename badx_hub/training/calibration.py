"""Calibration: the temperature that makes a task adapter's probabilities mean what they say (Guo et al., ICML 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from badx_hub.manifest_fields import Calibration
from badx_hub.tasks import Task
from badx_hub.tasks.batching import bucketed, labelled_only

BINS = 15
"""Of the expected calibration error, all of the same width."""

_LOWEST, _HIGHEST = 0.05, 20.0
_DIGITS = 4

LogScores: TypeAlias = npt.NDArray[np.float64]
"""Scores before the softmax: items x choices; -inf for what cannot be chosen."""
Gold: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scored:
    """The scores of some items and the index of the right choice of each."""

    scores: LogScores
    gold: Gold


def calibration_of(
    model: Any,
    task: Task,
    windows: Sequence[Any],
    *,
    labels: Sequence[str],
    pad_id: int,
    batch_size: int,
    language: str,
) -> Calibration | None:
    """The temperature of lowest cross-entropy on the gold labels of these windows, as `task.encode` makes them.

    It is one number, so the order of the choices stays, and with it every prediction. None without a gold label.
    """
    batches = _scored(model, task, labelled_only(windows), labels, pad_id, batch_size)
    if not (count := sum(len(batch.gold) for batch in batches)):
        return None
    temperature = fitted_temperature(batches)
    return Calibration(
        output=task.probability_of,
        temperature=temperature,
        language=language,
        count=count,
        error_before=round(calibration_error(batches), _DIGITS),
        error=round(calibration_error(batches, temperature), _DIGITS),
    )


def fitted_temperature(batches: Sequence[Scored]) -> float:
    """The temperature from 0.05 to 20 with the lowest cross-entropy of the right choices, to four decimals."""
    from scipy.optimize import minimize_scalar

    def loss(logarithm: float) -> float:
        return sum(_cross_entropy(batch, float(np.exp(logarithm))) for batch in batches)

    bounds = (float(np.log(_LOWEST)), float(np.log(_HIGHEST)))
    return round(float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)), _DIGITS)


def calibration_error(batches: Sequence[Scored], temperature: float = 1.0) -> float:
    """The expected calibration error: how far shares of right choices are from their probabilities, a fraction.

    Items are sorted by the probability of their best choice into 15 bins of the same width. The error is the mean
    over the items of |share of right ones - mean probability| of their bin (Naeini et al., AAAI 2015).
    """
    chances = np.concatenate([np.exp(_log_shares(batch.scores, temperature)).max(axis=1) for batch in batches])
    right = np.concatenate([batch.scores.argmax(axis=1) == batch.gold for batch in batches])
    bins = np.minimum((chances * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=right - chances, minlength=BINS)
    return float(np.abs(gaps).sum() / len(chances))


def _cross_entropy(batch: Scored, temperature: float) -> float:
    shares = _log_shares(batch.scores, temperature)
    return -float(shares[np.arange(len(batch.gold)), batch.gold].sum())


def _log_shares(scores: LogScores, temperature: float) -> LogScores:
    """The logarithm of the softmax of each row."""
    from scipy.special import log_softmax

    shares: LogScores = log_softmax(scores / temperature, axis=1)
    return shares


def _scored(
    model: Any, task: Task, windows: Sequence[Any], labels: Sequence[str], pad_id: int, batch_size: int
) -> list[Scored]:
    import torch

    found = []
    with torch.inference_mode():
        for indices in bucketed(windows, batch_size) if windows else ():
            batch = task.collate([windows[index] for index in indices], labels, pad_id)
            output = model(**{key: value.to(model.device) for key, value in _without_gold(batch).items()})
            scores, gold = task.gold_scores(output, {key: value.to(model.device) for key, value in batch.items()})
            found.append(Scored(scores.double().cpu().numpy(), gold.cpu().numpy()))
    return found


def _without_gold(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in batch.items() if not key.startswith("labels")}
