"""Dependency parsing: a head and a relation of Universal Dependencies for each syntactic word."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from badx_hub.data.conllu import NOT_ANNOTATED, Sentence, read_conllu
from badx_hub.data.hub_treebanks import references
from badx_hub.data.splits import DataReference, Split
from badx_hub.data.treebanks import split_files, with_words
from badx_hub.errors import DataError
from badx_hub.modeling import IGNORED
from badx_hub.tasks.labels import ROOT, UNIVERSAL, counted, require_known, universal
from badx_hub.tasks.metrics import Scores, label_table
from badx_hub.tasks.parsing import (
    Part,
    Tree,
    TreeWindow,
    arc_probabilities,
    collate_trees,
    decode_trees,
    encode_trees,
    merge_trees,
)
from badx_hub.tasks.trees import Decoding, why_no_tree
from badx_hub.tasks.words import sentence_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from badx_hub.modeling.adapter_configs import HeadType


_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class DpTask:
    """Biaffine dependency parsing over words as the mean of their sub-words.

    Every word with a gold head counts in every score, punctuation and root words included, however long its sentence.
    A word without one ("_") is context: it gets a prediction but neither loss nor score. In a sentence longer than the
    model's input, a word's head is sought among the words of one window. A gold head outside the window is not learned
    and counts as missed.

    Options: `decoding` is "tree" (the single-root tree of highest score) or "greedy" (the best head of each word, which
    need not make a tree). `subtypes` keeps subtypes of relations (nsubj:pass) as labels; by default they are cut off.
    """

    decoding: Decoding = "tree"
    subtypes: bool = False

    name: ClassVar[str] = "dp"
    head_type: ClassVar[HeadType] = "dependency_parsing"
    metrics: ClassVar[tuple[str, ...]] = ("las", "uas")
    selection_metric: ClassVar[str] = "las"
    reads_conllu: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ("HEAD", "DEPREL")
    probability_column: ClassVar[str | None] = "MISC.HeadProb"
    probability_of: ClassVar[str] = "head"

    def read(self, data: str, split: Split) -> tuple[Sentence, ...]:
        """The sentences of a treebank's split, as `badx_hub.data.treebanks.split_files` finds it.

        Raises DataError for files that are not CoNLL-U or lack their words, for relations outside UD, for a head
        without a relation or a relation without a head, for sentences whose heads are no tree (the official evaluator
        refuses them), and for a file without any head.
        """
        sentences = chain.from_iterable(_read_parsed(path) for path in split_files(data, split))
        return tuple(sentences if self.subtypes else map(_without_subtypes, sentences))

    def references(self, data: str, split: Split) -> tuple[DataReference, ...]:
        return references(split_files(data, split))

    def prepare(self, item: str | Sequence[str] | Sentence) -> Sentence:
        return sentence_of(item)

    def labels(self, examples: Sequence[Sentence]) -> tuple[str, ...]:
        """The universal relations in alphabetical order; with `subtypes`, also the relations in the examples.

        Raises DataError for relations outside UD.
        """
        _check_relations(examples, "the examples")
        seen = {*chain.from_iterable(sentence.deprels for sentence in examples)} - {NOT_ANNOTATED}
        return tuple(sorted({*UNIVERSAL, *seen})) if self.subtypes else UNIVERSAL

    def aligned(self, examples: Sequence[Sentence], labels: Sequence[str]) -> tuple[Sentence, ...]:
        """The sentences; a relation with a subtype that the head does not know loses the subtype."""
        known = frozenset(labels)
        renamed = tuple(replace(one, deprels=tuple(_called(name, known) for name in one.deprels)) for one in examples)
        gold = chain.from_iterable(sentence.deprels for sentence in renamed)
        require_known((None if name == NOT_ANNOTATED else name for name in gold), labels)
        return renamed

    def encode(
        self, examples: Sequence[Sentence], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> tuple[TreeWindow, ...]:
        return encode_trees(examples, tokenizer, max_length)

    def collate(
        self, windows: Sequence[TreeWindow], labels: Sequence[str] | None, pad_id: int
    ) -> dict[str, torch.Tensor]:
        return collate_trees(windows, labels, pad_id)

    def gold_count(self, batch: Mapping[str, torch.Tensor]) -> int:
        return int((batch["labels_arcs"] != IGNORED).sum())

    def add_head(self, model: Any, name: str, labels: Sequence[str]) -> None:
        """Weights of 0 for arcs and relations. Raises ValueError (from `adapters`) if there is such a head."""
        model.add_dependency_parsing_head(
            name, num_labels=len(labels), id2label=dict(enumerate(labels)), overwrite_ok=False
        )
        self.patch_head(model, name)

    def patch_head(self, model: Any, name: str) -> None:
        """Replace the stock head by ours: see `badx_hub.modeling.heads`."""
        from badx_hub.modeling.heads import adopt_parsing_head

        adopt_parsing_head(model, name)

    def gold_scores(self, output: Any, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        scored = batch["labels_arcs"] != IGNORED
        return output.arc_preds[scored], batch["labels_arcs"][scored]

    def decode(
        self, output: Any, windows: Sequence[TreeWindow], labels: Sequence[str], temperature: float = 1.0
    ) -> tuple[Part, ...]:
        return decode_trees(output, windows, labels, self.decoding, temperature)

    def merge(self, examples: Sequence[Sentence], parts: Iterable[Part]) -> tuple[Tree, ...]:
        return merge_trees([len(sentence.words) for sentence in examples], parts, self.decoding)

    def probabilities(self, examples: Sequence[Sentence], parts: Iterable[Part]) -> tuple[tuple[float, ...], ...]:
        return arc_probabilities([len(sentence.words) for sentence in examples], parts, self.decoding)

    def score(self, examples: Sequence[Sentence], predictions: Sequence[Tree]) -> Scores:
        """LAS and UAS as in the CoNLL 2018 shared task, over all words with a gold head, and one row for each relation.

        UAS is the share of right heads, LAS the share of right heads with the right relation, both without subtypes. A
        row counts subtypes: a hit is a word with the right head and relation. Precision is over the words predicted
        with the relation, recall over the words that have it in the gold data.
        """
        words = [word for pair in zip(examples, predictions, strict=True) for word in _attachments(*pair)]
        if not words:
            raise DataError("No word carries a head, there is nothing to score; give an annotated treebank.")
        gold, predicted = [word.gold for word in words], [word.predicted for word in words]
        found = [word.right_head and word.gold == word.predicted for word in words]
        las, uas = sum(word.right for word in words), sum(word.right_head for word in words)
        return Scores(
            {"las": las / len(words), "uas": uas / len(words)},
            label_table(gold, predicted, sorted({*gold, *predicted}), found),
        )

    def counts(self, example: Sentence, prediction: Tree) -> tuple[int, int]:
        """(right heads with the right relation, words with a gold head)."""
        words = _attachments(example, prediction)
        return sum(word.right for word in words), len(words)

    def rows(self, example: Sentence, prediction: Tree) -> tuple[tuple[str, str, str, str], ...]:
        """(number, word, number of its head, relation) of each word, numbered from 1; the root is 0."""
        words = zip(example.words, prediction.heads, prediction.deprels, strict=True)
        return tuple((str(number), word, str(head), name) for number, (word, head, name) in enumerate(words, start=1))

    def record(self, example: Sentence, prediction: Tree) -> dict[str, Any]:
        """{"words": [...], "heads": [...], "deprels": [...]}, with "text" and "sent_id" where the sentence has them."""
        known = {"sent_id": example.sent_id, "text": example.text}
        return {
            **{key: value for key, value in known.items() if value is not None},
            "words": list(example.words),
            "heads": list(prediction.heads),
            "deprels": list(prediction.deprels),
        }

    def cells(self, example: Sentence, prediction: Tree) -> tuple[tuple[str, ...], ...]:
        return tuple(map(str, prediction.heads)), prediction.deprels


class _Attachment(NamedTuple):
    """Whether the head of a word is right; its gold and its predicted relation."""

    right_head: bool
    gold: str
    predicted: str

    @property
    def right(self) -> bool:
        return self.right_head and universal(self.gold) == universal(self.predicted)


def _attachments(example: Sentence, prediction: Tree) -> list[_Attachment]:
    words = zip(example.heads, example.deprels, prediction.heads, prediction.deprels, strict=True)
    return [_Attachment(gold == head, name, guess) for gold, name, head, guess in words if gold is not None]


def _called(relation: str, known: frozenset[str]) -> str:
    return universal(relation) if relation not in known and universal(relation) in known else relation


def _without_subtypes(sentence: Sentence) -> Sentence:
    return replace(sentence, deprels=tuple(map(universal, sentence.deprels)))


def _read_parsed(path: Path) -> tuple[Sentence, ...]:
    sentences = with_words(read_conllu(path), str(path))
    if all(head is None for sentence in sentences for head in sentence.heads):
        raise DataError(f"{path}: no word with a head; expected an annotated treebank.")
    for sentence in sentences:
        _check_complete(sentence, path)
    _check_trees(sentences, path)
    _warn_of_other_roots(sentences, path)
    _check_relations(sentences, str(path))
    return sentences


def _check_trees(sentences: Sequence[Sentence], path: Path) -> None:
    broken = [(one, fault) for one in sentences if (fault := why_no_tree(one.heads)) is not None]
    if broken:
        first, fault = broken[0]
        raise DataError(
            f"{path}:{first.line}: the heads of this sentence are no tree: {fault}. There are {len(broken):,} such "
            f"sentences of {len(sentences):,}. Correct them or take them out; the official evaluator refuses them too."
        )


def _warn_of_other_roots(sentences: Sequence[Sentence], path: Path) -> None:
    """Say how many words have head 0 or the relation "root", and not both: no prediction is right for them."""
    odd = [
        one.line
        for one in sentences
        for head, name in zip(one.heads, one.deprels, strict=True)
        if head is not None and (head == 0) != (universal(name) == ROOT)
    ]
    if odd:
        _LOG.warning(
            "%s:%d: %d words have head 0 without the relation root, or root with another head, in this sentence first;"
            " they count as wrong whatever is predicted",
            path,
            odd[0],
            len(odd),
        )


def _check_complete(sentence: Sentence, path: Path) -> None:
    for number, (head, relation) in enumerate(zip(sentence.heads, sentence.deprels, strict=True), start=1):
        if (head is None) != (relation == NOT_ANNOTATED):
            shown = NOT_ANNOTATED if head is None else head
            raise DataError(
                f"{path}:{sentence.line}: word {number} of this sentence has HEAD {shown} and DEPREL {relation};"
                " expected both, or _ in both."
            )


def _check_relations(sentences: Sequence[Sentence], where: str) -> None:
    strange = Counter(chain.from_iterable(map(_strange, sentences)))
    if strange:
        first = next(sentence for sentence in sentences if any(_strange(sentence)))
        place = f"{where}:{first.line}" if first.line else where
        raise DataError(
            f"{place}: relations outside UD, with counts: {counted(strange)};"
            f" expected {', '.join(UNIVERSAL)}, each with or without a subtype (nsubj:pass), or _."
        )


def _strange(sentence: Sentence) -> Iterator[str]:
    return (name for name in sentence.deprels if universal(name) not in {*UNIVERSAL, NOT_ANNOTATED})
