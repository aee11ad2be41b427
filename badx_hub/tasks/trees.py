"""From scores of arcs to heads: the best single-root tree, or each word's best head. Pure, on numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    """The tree with one root word and the highest sum of scores (Chu-Liu/Edmonds).

    It has as few arcs without a score (-inf) as possible. A word is never its own head.
    """
    import numpy as np

    words = len(scores)
    ranked, whole = _ranked(scores)
    matrix = np.full((words + 1, words + 1), -np.inf)
    matrix[1:] = ranked
    np.fill_diagonal(matrix, -np.inf)
    heads = _arborescence(matrix)[1:]
    # Mostly the best tree has one root word and is found quickly. A search without the root would start with cycles.
    if np.count_nonzero(heads == 0) > 1:
        matrix[1:, 0] -= (words + 2) * whole
        heads = _arborescence(matrix)[1:]
    return heads


def is_tree(heads: Sequence[int]) -> bool:
    """Whether exactly one of the words is a root (head 0) and the heads of every other word lead to it."""
    return why_no_tree(heads) is None


def why_no_tree(heads: Sequence[int | None]) -> str | None:
    """What keeps heads (0: the root, None: not annotated) from being a tree, as the end of a sentence; None if nothing.

    A word without a head is no fault; where there is one, the root may be among these words.
    """
    roots = [word for word, head in enumerate(heads, start=1) if head == 0]
    if len(roots) > 1:
        return f"words {', '.join(map(str, roots[:5]))} are all roots"
    if heads and not roots and None not in heads:
        return "no word is the root"
    sound = {0, None}
    for start in range(1, len(heads) + 1):
        path: list[int] = []
        word: int | None = start
        while word is not None and word not in sound:
            if word in path:
                return f"the heads of words {', '.join(map(str, sorted(path[path.index(word) :])[:5]))} make a circle"
            path.append(word)
            word = heads[word - 1]
        sound.update(path)
    return None


def _arborescence(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The heads of the tree from node 0 over all nodes with the highest sum of `scores`, dependents x heads.

    Every node takes its best head. As long as that makes a cycle, the cycle becomes one node. Then the cycles are
    opened again, the last one first, each at the node for which a head from outside gains most.
    """
    closed: list[_Cycle] = []
    while (cycle := _cycle_in(heads := _best(scores))) is not None:
        closed.append(_Cycle.of(scores, heads, cycle))
        scores = closed[-1].contracted(scores)
    for one in reversed(closed):
        heads = one.opened(heads)
    return heads


@dataclass(frozen=True)
class _Cycle:
    """A cycle contracted into one node. The nodes after contraction are `outside`, then the cycle as the last node.

    `heads` are the heads of all nodes before contraction. For every outside node, `entered` is the place in the cycle
    that gains most if this node becomes its head, `gain` is that gain, and `left` is the node's own best head in the
    cycle, as a place in it.
    """

    heads: NDArray[np.int64]
    cycle: NDArray[np.int64]
    outside: NDArray[np.int64]
    entered: NDArray[np.int64]
    gain: NDArray[np.float64]
    left: NDArray[np.int64]

    @classmethod
    def of(cls, scores: NDArray[np.float64], heads: NDArray[np.int64], cycle: NDArray[np.int64]) -> _Cycle:
        import numpy as np

        inside = np.zeros(len(scores), dtype=bool)
        inside[cycle] = True
        outside = np.flatnonzero(~inside)
        numerator = scores[np.ix_(cycle, outside)] - scores[cycle, heads[cycle]][:, None]
        left = scores[np.ix_(outside, cycle)].argmax(axis=1)
        return cls(heads, cycle, outside, numerator.argmax(axis=0), numerator.max(axis=0), left)

    def contracted(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scores with the cycle as one node, the last one."""
        import numpy as np

        count = len(self.outside)
        smaller = np.full((count + 1, count + 1), -np.inf)
        smaller[:count, :count] = scores[np.ix_(self.outside, self.outside)]
        smaller[:count, count] = scores[self.outside, self.cycle[self.left]]
        smaller[count, :count] = self.gain
        return smaller

    def opened(self, heads: NDArray[np.int64]) -> NDArray[np.int64]:
        """The heads of all nodes, from the heads after contraction."""
        import numpy as np

        count = len(self.outside)
        found = self.heads.copy()
        inside = heads[:count] == count
        found[self.outside] = np.where(inside, self.cycle[self.left], self.outside[np.where(inside, 0, heads[:count])])
        above = heads[count]
        found[self.cycle[self.entered[above]]] = self.outside[above]
        return found


def _best(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    heads: NDArray[np.int64] = scores.argmax(axis=1)
    heads[0] = 0
    return heads


def _cycle_in(heads: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """The nodes of a cycle; None where every node leads to node 0."""
    import numpy as np

    seen = [0] + [-1] * (len(heads) - 1)  # from where a node was first reached
    for start in range(1, len(heads)):
        at, way = start, []
        while seen[at] < 0:
            seen[at] = start
            way.append(at)
            at = int(heads[at])
        if at and seen[at] == start:
            return np.array(way[way.index(at) :])
    return None


def _ranked(scores: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """The scores with a penalty on arcs without a score, and the penalty, which exceeds any difference of two sums.

    So a tree with fewer such arcs always wins. A penalty of (words + 2) times the second result on the arcs to the root
    makes the number of root words count even before that.
    """
    import numpy as np

    words, scored = len(scores), np.isfinite(scores)
    exact = scores.astype(np.float64)
    highest, lowest = (exact[scored].max(), exact[scored].min()) if scored.any() else (0.0, 0.0)
    whole = 1.0 + words * (highest - lowest)
    return np.where(scored, exact - highest, -whole), float(whole)
