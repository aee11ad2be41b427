"""Which source suits a target: by typology, and by what a base makes of a few unlabelled sentences. Nothing is trained.

By text: the nearest sentences of the candidates vote for every sentence of the target, as in NN-Rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from badx_hub.corpora.cleaning import fingerprints
from badx_hub.corpora.sources import open_source
from badx_hub.errors import DataError, UsageError
from badx_hub.languages import normalise
from badx_hub.modeling.base import DEFAULT_BASE, Base, resolve_base
from badx_hub.modeling.heads import mean_of
from badx_hub.modeling.loading import load_encoder, load_tokenizer
from badx_hub.remedies import Advice
from badx_hub.typology import relatedness

SENTENCES = 200
"""Sentences of each language, by default."""

_READ, _FEWEST, _WORDS = 20_000, 10, 3
_BATCH, _LENGTH = 32, 64
_NEIGHBOURS = 5

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class RankedSource:
    """A candidate; ranks count from 1, the best, and those that are equal share the mean of their ranks.

    `relatedness` is from 0 to 1 (`badx_hub.typology`). `votes` is the share of the nearest neighbours of the target's
    sentences that are of this language, from 0 to 1; None where no text was given, and so is `by_text`.
    """

    language: str
    relatedness: float
    by_typology: float
    votes: float | None = None
    by_text: float | None = None

    @property
    def rank(self) -> float:
        """The mean of both ranks, or the one there is."""
        return self.by_typology if self.by_text is None else (self.by_typology + self.by_text) / 2


def rank_sources(
    target: str,
    text: Mapping[str, str | Path] | None = None,
    *,
    candidates: Sequence[str] = (),
    base: str | None = None,
    sentences: int = SENTENCES,
) -> tuple[RankedSource, ...]:
    """The candidates, the most promising source first.

    Args:
        text: language -> source, of the target and of every candidate; without it, typology alone.
        candidates: languages; by default those that `text` has beside the target.
        base: whose hidden states are compared: `demo`, a folder or a Hub id; default mBERT.
        sentences: the most that are read of each language.

    Raises:
        UsageError: no candidate, the target among them, or text of some languages only.
        DataError, NotFoundError: text that cannot be read, or with hardly a sentence.
    """
    wanted = normalise(target)
    given = {normalise(language): source for language, source in (text or {}).items()}
    chosen = tuple(dict.fromkeys(map(normalise, candidates))) or tuple(one for one in given if one != wanted)
    _check(wanted, chosen, given)
    near = {one: relatedness(wanted, one) for one in chosen}
    votes: Mapping[str, float] = {}
    if given:
        lines = {language: _sentences(language, given[language], sentences) for language in (wanted, *chosen)}
        votes = _votes(wanted, lines, resolve_base(base or DEFAULT_BASE))
    ranks, text_ranks = _ranks(near), _ranks(votes)
    rows = [RankedSource(one, near[one], ranks[one], votes.get(one), text_ranks.get(one)) for one in chosen]
    return tuple(sorted(rows, key=lambda row: (row.rank, -(row.votes or 0.0), row.language)))


def _check(target: str, candidates: Sequence[str], text: Mapping[str, Any]) -> None:
    if not candidates or target in candidates:
        raise UsageError(
            f"There is nothing to rank for {target}: expected languages other than {target}.",
            remedies=(Advice("Give {}, or a {} of each.", (("candidates", "en,fr"), ("text", ("fr", "FILE")))),),
        )
    if text and (missing := [one for one in (target, *candidates) if one not in text]):
        raise UsageError(
            f"There is no text of {', '.join(missing)}, and text is compared of the target and of every candidate.",
            remedies=(
                Advice(f"Give {', '.join(['{}'] * len(missing))}.", tuple(("text", (one, "FILE")) for one in missing)),
            ),
        )
    if unused := [one for one in text if one not in (target, *candidates)]:
        raise UsageError(f"The text of {unused[0]} is for a language that is not ranked. Make it a candidate.")


def _ranks(values: Mapping[str, float]) -> Mapping[str, float]:
    """The rank of each value, 1 for the highest; equal values share the mean of their ranks."""
    found = rankdata([-value for value in values.values()]) if values else ()
    return dict(zip(values, map(float, found), strict=True))


def _sentences(language: str, source: str | Path, count: int) -> list[str]:
    """So many different sentences from all over the beginning of a text, the same ones every time."""
    stripped = (line.strip() for line in islice(open_source(language, source).lines(), _READ))
    lines = list(dict.fromkeys(line for line in stripped if len(line.split()) >= _WORDS))
    if len(lines) < _FEWEST:
        raise DataError(
            f"The text of {language} has {len(lines)} lines of {_WORDS} words or more, and {_FEWEST} are needed. "
            "Give more of it, a sentence a line."
        )
    order = np.argsort(fingerprints(lines), kind="stable")
    return [lines[at] for at in order[:count]]


def _votes(target: str, lines: Mapping[str, Sequence[str]], base: Base) -> Mapping[str, float]:
    """The share of the nearest neighbours of the target's sentences that each of the other languages has.

    All candidates have the same number of sentences to be near with. Vectors are compared by their cosine, without
    what they all have in common.
    """
    tokenizer, model = load_tokenizer(base), load_encoder(base)
    others = [one for one in lines if one != target]
    same = min(len(lines[one]) for one in others)
    length, taken = min(_LENGTH, base.max_length), {one: lines[one][: None if one == target else same] for one in lines}
    vectors = {one: _vectors(tokenizer, model, some, length) for one, some in taken.items()}
    pool = np.concatenate([vectors[one] for one in others])
    common = pool.mean(axis=0)
    likeness = _directions(vectors[target] - common) @ _directions(pool - common).T
    nearest = np.argsort(-likeness, axis=1, kind="stable")[:, : min(_NEIGHBOURS, len(pool))]
    shares = np.bincount(nearest.ravel() // same, minlength=len(others)) / nearest.size
    return dict(zip(others, map(float, shares), strict=True))


@torch.inference_mode()
def _vectors(tokenizer: Any, model: Any, lines: Sequence[str], length: int) -> Vectors:
    """The mean of the base's last hidden states of the first `length` sub-words of each line: [lines, hidden size]."""
    found = []
    for start in range(0, len(lines), _BATCH):
        batch = tokenizer(
            list(lines[start : start + _BATCH]),
            padding=True,
            truncation=True,
            max_length=length,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        found.append(mean_of(model.base_model(**batch).last_hidden_state, batch["attention_mask"]).numpy())
    return np.concatenate(found)


def _directions(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)
