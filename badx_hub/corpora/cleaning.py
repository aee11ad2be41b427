"""Cleaning of raw lines: NUL characters, empty lines and exact duplicates are removed and counted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]


class SeenLines:
    """The lines met so far, as 64-bit fingerprints in sorted runs: 8 bytes a line instead of a set's 80."""

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def add(self, keys: Keys) -> NDArray[np.bool_]:
        """Remember ``keys[n]``; returns ``bool[n]``, true where a key was met for the first time."""
        unique, first = np.unique(keys, return_index=True)
        new = np.ones(unique.shape, dtype=bool)
        for run in self._runs:
            new &= run[np.minimum(np.searchsorted(run, unique), run.size - 1)] != unique
        self._insert(unique[new])
        mask = np.zeros(keys.shape, dtype=bool)
        mask[first[new]] = True
        return mask

    def _insert(self, run: Keys) -> None:
        if not run.size:
            return
        self._runs.append(run)
        # Each run is at most half as long as the one before, so a look-up searches a logarithmic number of them.
        while len(self._runs) > 1 and self._runs[-2].size < 2 * self._runs[-1].size:
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]))


def fingerprints(texts: Sequence[str]) -> Keys:
    """``uint64[n]``: one fingerprint of the content of each text."""
    data = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(data, dtype=np.uint64)


def clean(lines: Sequence[str], counts: Counter[str], seen: SeenLines) -> list[str]:
    """Strip ``lines`` and drop the empty ones and those that ``seen`` knows already.

    Adds to ``counts``: ``lines`` (read), ``nul`` (NUL characters removed), ``empty`` and ``duplicates``
    (lines dropped) and ``kept`` (lines left).
    """
    stripped = [line.replace("\0", "").strip() for line in lines]
    full = [line for line in stripped if line]
    kept = [line for line, new in zip(full, seen.add(fingerprints(full)), strict=True) if new]
    counts["lines"] += len(lines)
    counts["nul"] += sum(line.count("\0") for line in lines)
    counts["empty"] += len(lines) - len(full)
    counts["duplicates"] += len(full) - len(kept)
    counts["kept"] += len(kept)
    return kept
