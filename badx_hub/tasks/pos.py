"""Part-of-speech tagging: one of the 17 universal tags (UPOS) of Universal Dependencies for each syntactic word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from badx_hub.data.conllu import NOT_ANNOTATED, Sentence, read_conllu
from badx_hub.data.splits import Split
from badx_hub.data.treebanks import split_files, with_words
from badx_hub.errors import DataError
from badx_hub.tasks.labels import counted
from badx_hub.tasks.metrics import Scores, accuracy, label_table, macro_f1
from badx_hub.tasks.tagging import WordTask
from badx_hub.tasks.words import sentence_of

_TAGS = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X"
UPOS = tuple(_TAGS.split())


@dataclass(frozen=True)
class PosTask(WordTask[Sentence]):
    """UPOS tagging, on the first sub-word of each word.

    Every word with a gold tag counts in every score, however long its sentence. A word tagged "_" (not annotated) is
    context: it gets a prediction but neither loss nor score. Any other tag outside UPOS raises DataError.
    """

    name: ClassVar[str] = "pos"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    selection_metric: ClassVar[str] = "accuracy"
    columns: ClassVar[tuple[str, ...]] = ("UPOS",)
    probability_column: ClassVar[str | None] = "MISC.UposProb"

    def words(self, example: Sentence) -> tuple[str, ...]:
        return example.words

    def gold(self, example: Sentence) -> list[str | None]:
        return [None if tag == NOT_ANNOTATED else tag for tag in example.upos]

    def files(self, data: str, split: Split) -> tuple[Path, ...]:
        """The CoNLL-U files of a treebank's split, as `badx_hub.data.treebanks.split_files` finds them."""
        return split_files(data, split)

    def read_file(self, path: Path) -> tuple[Sentence, ...]:
        """Raises DataError for a file that is not CoNLL-U, lacks its words or has no tag, and for tags outside UPOS."""
        sentences = with_words(read_conllu(path), str(path))
        if not any(tag != NOT_ANNOTATED for sentence in sentences for tag in sentence.upos):
            raise DataError(f"{path}: no word with a UPOS tag; expected an annotated treebank.")
        _check_tags(sentences, str(path))
        return sentences

    def prepare(self, item: str | Sequence[str] | Sentence) -> Sentence:
        return sentence_of(item)

    def labels(self, examples: Sequence[Sentence]) -> tuple[str, ...]:
        """All UPOS tags in alphabetical order. Raises DataError for tags outside UPOS."""
        _check_tags(examples, "the examples")
        return UPOS

    def score(self, examples: Sequence[Sentence], predictions: Sequence[Sequence[str]]) -> Scores:
        """Accuracy over all words with a gold tag, macro F1 over the gold tags, and one row for each tag."""
        pairs = [
            (gold, predicted)
            for sentence, tags in zip(examples, predictions, strict=True)
            for gold, predicted in zip(sentence.upos, tags, strict=True)
            if gold != NOT_ANNOTATED
        ]
        if not pairs:
            raise DataError("No word carries a UPOS tag, there is nothing to score; give an annotated treebank.")
        gold, predicted = zip(*pairs, strict=True)
        table = label_table(gold, predicted, UPOS)
        return Scores({"accuracy": accuracy(gold, predicted), "macro_f1": macro_f1(table)}, table)

    def counts(self, example: Sentence, prediction: Sequence[str]) -> tuple[int, int]:
        """(right tags, words with a gold tag)."""
        pairs = [pair for pair in zip(example.upos, prediction, strict=True) if pair[0] != NOT_ANNOTATED]
        return sum(gold == predicted for gold, predicted in pairs), len(pairs)

    def record(self, example: Sentence, prediction: Sequence[str]) -> dict[str, Any]:
        """{"words": [...], "upos": [...]}, with "text" and "sent_id" where the sentence has them."""
        known = {"sent_id": example.sent_id, "text": example.text}
        return {
            **{key: value for key, value in known.items() if value is not None},
            "words": list(example.words),
            "upos": list(prediction),
        }

    def cells(self, example: Sentence, prediction: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        return (tuple(prediction),)


def _check_tags(sentences: Sequence[Sentence], where: str) -> None:
    known = {*UPOS, NOT_ANNOTATED}
    strange = Counter(tag for sentence in sentences for tag in sentence.upos if tag not in known)
    if strange:
        first = next(sentence for sentence in sentences if not known.issuperset(sentence.upos))
        place = f"{where}:{first.line}" if first.line else where
        raise DataError(
            f"{place}: tags outside UPOS, with counts: {counted(strange)}; expected {', '.join(UPOS)} or _."
        )
