"""Labels: UD's relations, and how gold labels match the labels of a head (by name, never by position)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from badx_hub.errors import DataError, IntegrityError
from badx_hub.remedies import Remedy

if TYPE_CHECKING:
    import torch


ROOT = "root"
"""The relation of the root word; no other word has it."""

_RELATIONS = """
acl advcl advmod amod appos aux case cc ccomp clf compound conj cop csubj dep det discourse dislocated expl
fixed flat goeswith iobj list mark nmod nsubj nummod obj obl orphan parataxis punct reparandum root vocative
xcomp
"""
UNIVERSAL = tuple(_RELATIONS.split())
"""The 37 universal relations, in alphabetical order (https://universaldependencies.org/u/dep/)."""


def universal(relation: str) -> str:
    """The relation without its subtype: "nsubj" of "nsubj:pass"."""
    return relation.partition(":")[0]


def require_known(gold: Iterable[str | None], labels: Sequence[str], remedies: Sequence[Remedy] = ()) -> None:
    """Raises DataError that lists the gold labels missing from `labels`; None is not a label."""
    known = {*labels, None}
    lacking = Counter(label for label in gold if label is not None and label not in known)
    if lacking:
        raise DataError(
            f"The head has no label for the gold labels {counted(lacking)}; it knows {', '.join(labels)}.",
            remedies=remedies,
        )


def counted(names: Counter[str]) -> str:
    """ "DATE (12), MISC (3)", the most frequent first; quoted where a space could not be seen otherwise."""
    plain = re.compile(r"[^\s'\"]+")
    return ", ".join(
        f"{name if plain.fullmatch(name) and name.isprintable() else repr(name)} ({count})"
        for name, count in names.most_common()
    )


def gold_id(label: str, ids: Mapping[str, int]) -> int:
    """The id of a gold label. Raises DataError for one that the head does not have."""
    if label not in ids:
        raise DataError(f"The head has no label for the gold label {label!r}; it knows {', '.join(ids)}.")
    return ids[label]


def best_ids(logits: torch.Tensor, labels: Sequence[str], barred: torch.Tensor | None = None) -> torch.Tensor:
    """The ids of the best labels that are not `barred`; `logits` and `barred` are ... x labels.

    Raises IntegrityError for a head with another number of labels.
    """
    if logits.shape[-1] != len(labels):
        raise IntegrityError(
            f"The head tells {logits.shape[-1]} labels apart, its adapter names {len(labels)};"
            " train or pull the adapter again."
        )
    return (logits if barred is None else logits.masked_fill(barred, float("-inf"))).argmax(dim=-1)


def best_probabilities(logits: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """The probability that the softmax gives the best label: float32, the shape of `logits` without the labels.

    `temperature` divides the logits (Guo et al., ICML 2017); which label is the best does not depend on it.
    """
    return (logits.float() / temperature).softmax(dim=-1).amax(dim=-1)
