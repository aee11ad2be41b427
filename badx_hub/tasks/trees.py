"""From scores of arcs to heads: the best single-root tree, or each word's best head. Pure, on numpy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Decoding: TypeAlias = Literal["tree", "greedy"]


def best_heads(scores: NDArray[np.floating], decoding: Decoding) -> NDArray[np.int64]:
    """The head of each word: 0 for the root, k for the k-th word.

    `scores` are words x (root and words), higher is better; -inf marks an arc without a score. "tree" is `best_tree`,
    "greedy" the head of highest score, the first one if equal: any number of roots, and cycles.
    """
    if decoding == "tree":
        return best_tree(scores)
    greedy: NDArray[np.int64] = scores.argmax(axis=1)
    return greedy


def best_tree(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """The tree over all words with one root word whose arcs have the highest sum of scores (Chu-Liu/Edmonds).

    An arc without a score (-inf) is taken only where there is no tree with fewer of them; a word never heads itself.
    """
    import numpy as np
    from ufal.chu_liu_edmonds import chu_liu_edmonds

    words = len(scores)
    if words == 0:
        return np.empty(0, dtype=np.int64)
    matrix = np.full((words + 1, words + 1), np.nan)  # An arc that is nan cannot be taken.
    matrix[1:] = _ranked(scores)
    np.fill_diagonal(matrix, np.nan)
    heads, _ = chu_liu_edmonds(matrix)
    return np.array(heads[1:], dtype=np.int64)


def _ranked(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """The scores in three ranks: no sum of a lower one outweighs a single arc of a higher one.

    First of all few root words (a spanning tree has at least one), then few arcs without a score, then a high sum.
    """
    import numpy as np

    words, scored = len(scores), np.isfinite(scores)
    exact = scores.astype(np.float64)
    highest, lowest = (exact[scored].max(), exact[scored].min()) if scored.any() else (0.0, 0.0)
    whole = 1.0 + words * (highest - lowest)  # More than lies between the sums of any two trees.
    ranked: NDArray[np.float64] = np.where(scored, exact - highest, -whole)
    ranked[:, 0] -= (words + 2) * whole
    return ranked
