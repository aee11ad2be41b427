"""Dependency parsing on windows: encoding trees, batches, and decoding scores of arcs and relations into trees."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from badx_hub.data.conllu import Sentence
from badx_hub.errors import IntegrityError
from badx_hub.modeling import IGNORED
from badx_hub.tasks.batching import filled, padded
from badx_hub.tasks.labels import ROOT, best_ids, gold_id, universal
from badx_hub.tasks.trees import Decoding, best_heads
from badx_hub.tasks.windows import SentenceWindow, WordRange, sentence_windows

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

UNSCORED = "dep"
"""UD's unspecified relation, for an arc between words that are in no window together."""


class Tree(NamedTuple):
    """A head (0: the root, k: the k-th word) and a relation for each word of a sentence."""

    heads: tuple[int, ...]
    deprels: tuple[str, ...]


@dataclass(frozen=True)
class TreeWindow(SentenceWindow):
    """A window of a sentence of `length` words, with gold heads and relations.

    `heads` and `relations` are one a word of the window: the head is 0 for the root and k for the k-th word of the
    window. Both are None for a word without a gold head, owned by another window, or with a head outside this one.
    """

    length: int
    heads: tuple[int | None, ...]
    relations: tuple[str | None, ...]

    @property
    def labelled(self) -> bool:
        return any(head is not None for head in self.heads)

    @property
    def whole(self) -> bool:
        """Whether it holds all words of its sentence."""
        return len(self.heads) == self.length


class WholeTree(NamedTuple):
    """The tree of a sentence that fits into one window, and the probability of each of its arcs."""

    example: int
    tree: Tree
    probabilities: tuple[float, ...]


class PartialScores(NamedTuple):
    """The scores from one of several windows, for the words it owns.

    `arcs` are owned words x (root and words of the window); `relations` are the best relations on these arcs.
    `temperature` is that of the probabilities.
    """

    example: int
    words: WordRange
    arcs: NDArray[np.float32]
    relations: Sequence[Sequence[str]]
    temperature: float = 1.0


Part: TypeAlias = WholeTree | PartialScores


def encode_trees(
    sentences: Sequence[Sentence], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[TreeWindow, ...]:
    """The `sentence_windows`, with the gold heads and relations of the words that each owns."""
    found = sentence_windows([sentence.words for sentence in sentences], tokenizer, max_length)
    return tuple(_window(window, sentences[window.example]) for window in found)


def collate_trees(windows: Sequence[TreeWindow], labels: Sequence[str] | None, pad_id: int) -> dict[str, torch.Tensor]:
    """`input_ids`, `attention_mask`, `word_starts` and, with `labels`, `labels_arcs` and `labels_rels`, all int64.

    `word_starts` are windows x (most words + 1), with the position of SEP after the last word; the labels are
    windows x most words; -100 wherever there is nothing. Raises DataError for a relation not among `labels`.
    """
    batch = padded(windows, pad_id)
    batch["word_starts"] = filled([window.starts for window in windows], IGNORED)
    if labels is not None:
        ids = {label: index for index, label in enumerate(labels)}
        heads = [[IGNORED if head is None else head for head in window.heads] for window in windows]
        relations = [
            [IGNORED if relation is None else gold_id(relation, ids) for relation in window.relations]
            for window in windows
        ]
        batch["labels_arcs"], batch["labels_rels"] = filled(heads, IGNORED), filled(relations, IGNORED)
    return batch


def decode_trees(
    output: Any, windows: Sequence[TreeWindow], labels: Sequence[str], decoding: Decoding, temperature: float = 1.0
) -> tuple[Part, ...]:
    """The tree of each sentence that is whole in its window; the scores of each other window.

    `output` is a `badx_hub.modeling.heads.ParsingOutput`. The root word, and no other, gets the
    relation "root". `temperature` is that of the probabilities. Raises IntegrityError for a head with other labels.
    """
    scores = output.arc_preds.float().cpu().numpy()
    heads = {
        row: best_heads(_square(scores[row], window), decoding) for row, window in enumerate(windows) if window.whole
    }
    trees = _trees(output, heads, labels)
    return tuple(
        WholeTree(
            window.example, trees[row], _probabilities(_square(scores[row], window), trees[row].heads, temperature)
        )
        if window.whole
        else _partial(output, row, window, scores[row], labels, temperature)
        for row, window in enumerate(windows)
    )


def merge_trees(lengths: Sequence[int], parts: Iterable[Part], decoding: Decoding) -> tuple[Tree, ...]:
    """The trees of sentences of `lengths` words. Raises KeyError if the parts leave a word out.

    A sentence in several windows is decoded here, from the scores of all of them. The head of a word is the root or a
    word of the window that owns it; if no tree is possible that way, any word.
    """
    return tuple(tree for tree, _ in _merged_all(lengths, parts, decoding))


def arc_probabilities(
    lengths: Sequence[int], parts: Iterable[Part], decoding: Decoding
) -> tuple[tuple[float, ...], ...]:
    """The probability of each head in what `merge_trees` returns: its share in the softmax over the word's heads."""
    return tuple(probabilities for _, probabilities in _merged_all(lengths, parts, decoding))


def _merged_all(
    lengths: Sequence[int], parts: Iterable[Part], decoding: Decoding
) -> Iterator[tuple[Tree, tuple[float, ...]]]:
    found: dict[int, list[Part]] = defaultdict(list)
    for part in parts:
        found[part.example].append(part)
    return (_merged(length, found[example], decoding) for example, length in enumerate(lengths))


def _window(window: SentenceWindow, sentence: Sentence) -> TreeWindow:
    words = window.words
    owned = frozenset(words.owned)
    heads = tuple(
        _node(words, sentence.heads[word]) if word in owned else None for word in range(words.start, words.stop)
    )
    relations = tuple(
        None if head is None else sentence.deprels[word] for word, head in enumerate(heads, start=words.start)
    )
    return TreeWindow(
        window.example,
        words,
        window.input_ids,
        window.starts,
        length=len(sentence.words),
        heads=heads,
        relations=relations,
    )


def _node(words: WordRange, head: int | None) -> int | None:
    """A head in the sentence as one in the range; None if it lies outside."""
    if head is None or head == 0:
        return head
    return head - words.start if words.start < head <= words.stop else None


def _trees(output: Any, heads: Mapping[int, NDArray[np.int64]], labels: Sequence[str]) -> dict[int, Tree]:
    """Trees of the decoded heads (by row of the batch, ascending) and the best relations on them."""
    import torch

    chosen = torch.full(output.arc_preds.shape[:2], IGNORED)
    for row, found in heads.items():
        chosen[row, : len(found)] = torch.from_numpy(found)
    scores = output.relations(chosen.to(output.arc_preds.device))
    relations = iter(_best_relations(scores, chosen[chosen != IGNORED] == 0, labels))
    return {row: Tree(tuple(found.tolist()), tuple(islice(relations, len(found)))) for row, found in heads.items()}


def _square(scores: NDArray[np.float32], window: TreeWindow) -> NDArray[np.float32]:
    """The scores of a whole sentence without padding: words x (root and words)."""
    return scores[: window.length, : window.length + 1]


def _partial(
    output: Any, row: int, window: TreeWindow, scores: NDArray[np.float32], labels: Sequence[str], temperature: float
) -> PartialScores:
    import torch

    words = window.words.stop - window.words.start
    owned = [word - window.words.start for word in window.words.owned]
    on_arcs = output.all_relations(row, words)[owned]
    to_root = torch.zeros(on_arcs.shape[:2], dtype=torch.bool)
    to_root[:, 0] = True
    relations = _best_relations(on_arcs, to_root, labels)
    return PartialScores(window.example, window.words, scores[owned, : words + 1], relations, temperature)


def _best_relations(scores: torch.Tensor, to_root: torch.Tensor, labels: Sequence[str]) -> Any:
    """The names of the best relations, nested like `scores` (... x labels); `to_root` marks the arcs to the root."""
    import torch

    for_root = torch.tensor([universal(label) == ROOT for label in labels])
    if for_root.all() or not for_root.any():
        raise IntegrityError(f"The head needs {ROOT!r} and other relations; its adapter names {', '.join(labels)}.")
    best = best_ids(scores.float().cpu(), labels, barred=to_root.unsqueeze(-1) != for_root)
    return _named(best.tolist(), labels)


def _named(ids: Any, labels: Sequence[str]) -> Any:
    return [_named(one, labels) if isinstance(one, list) else labels[one] for one in ids]


def _merged(words: int, parts: Sequence[Part], decoding: Decoding) -> tuple[Tree, tuple[float, ...]]:
    import numpy as np

    if len(parts) == 1 and isinstance(parts[0], WholeTree):
        return parts[0].tree, parts[0].probabilities
    partial = [part for part in parts if isinstance(part, PartialScores)]
    scores = np.full((words, words + 1), -np.inf, dtype=np.float32)
    for part in partial:
        scores[np.ix_(part.words.owned, [0, *range(part.words.start + 1, part.words.stop + 1)])] = part.arcs
    heads = tuple(best_heads(scores, decoding).tolist())
    relations = {
        word: _relation(part, index, heads[word]) for part in partial for index, word in enumerate(part.words.owned)
    }
    tree = Tree(heads, tuple(relations[word] for word in range(words)))
    temperature = next((part.temperature for part in partial), 1.0)  # of a sentence without words there is no part
    return tree, _probabilities(scores, heads, temperature)


def _probabilities(scores: NDArray[np.float32], heads: Sequence[int], temperature: float = 1.0) -> tuple[float, ...]:
    """The share of each word's head in the softmax over its row; `scores` are words x (root and words)."""
    import numpy as np

    shares = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    chosen = shares[np.arange(len(heads)), list(heads)] / shares.sum(axis=1)
    return tuple(chosen.tolist())


def _relation(part: PartialScores, index: int, head: int) -> str:
    node = _node(part.words, head)
    return UNSCORED if node is None else part.relations[index][node]
