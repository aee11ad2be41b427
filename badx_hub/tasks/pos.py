"""Part-of-speech tagging: the 17 universal tags (UPOS) of Universal Dependencies, one a syntactic word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from badx_hub.errors import DataError
from badx_hub.tasks.base import IGNORED
from badx_hub.tasks.conllu import NOT_ANNOTATED, Sentence, read_conllu
from badx_hub.tasks.metrics import Scores, accuracy, label_table, macro_f1
from badx_hub.tasks.tagging import WordLabel, WordWindow, collate_words, decode_words, encode_words, merge_words
from badx_hub.tasks.treebanks import DataReference, Split, split_files
from badx_hub.tasks.words import words_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

UPOS = (
    "ADJ",
    "ADP",
    "ADV",
    "AUX",
    "CCONJ",
    "DET",
    "INTJ",
    "NOUN",
    "NUM",
    "PART",
    "PRON",
    "PROPN",
    "PUNCT",
    "SCONJ",
    "SYM",
    "VERB",
    "X",
)


@dataclass(frozen=True)
class PosTask:
    """UPOS tagging, on the first sub-word of each word.

    Every word with a gold tag counts in every score, however long its sentence. A word tagged "_" (not
    annotated) is context: it gets a prediction but neither loss nor score. Any other tag outside UPOS is a
    DataError.
    """

    name: ClassVar[str] = "pos"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    selection_metric: ClassVar[str] = "accuracy"

    def read(self, data: str, split: Split) -> tuple[Sentence, ...]:
        """The sentences of a treebank's split, as `badx_hub.tasks.treebanks.split_files` finds it.

        Raises DataError for what is not CoNLL-U, for tags outside UPOS and for a file without any tag.
        """
        return tuple(chain.from_iterable(_read_tagged(path) for path in split_files(data, split)))

    def references(self, data: str, split: Split) -> tuple[DataReference, ...]:
        return tuple(DataReference.of(path) for path in split_files(data, split))

    def prepare(self, item: str | Sequence[str]) -> Sentence:
        """A sentence without tags, from its words or from text, which `words_of` splits roughly."""
        return Sentence.of(words_of(item), text=item) if isinstance(item, str) else Sentence.of(item)

    def labels(self, examples: Sequence[Sentence]) -> tuple[str, ...]:
        """The UPOS tags in alphabetical order, whatever occurs. Raises DataError for tags outside UPOS."""
        _check_tags(examples, "the examples")
        return UPOS

    def aligned(self, examples: Sequence[Sentence], labels: Sequence[str]) -> tuple[Sentence, ...]:
        """The sentences as they are: a UPOS tag is called the same everywhere."""
        known = {*labels, NOT_ANNOTATED}
        if unknown := sorted({tag for sentence in examples for tag in sentence.upos} - known):
            raise DataError(
                f"the head has no label for the gold tags {', '.join(unknown)}; it knows {', '.join(labels)}"
            )
        return tuple(examples)

    def encode(
        self, examples: Sequence[Sentence], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> tuple[WordWindow, ...]:
        gold = [[None if tag == NOT_ANNOTATED else tag for tag in sentence.upos] for sentence in examples]
        return encode_words([sentence.words for sentence in examples], gold, tokenizer, max_length)

    def collate(
        self, windows: Sequence[WordWindow], labels: Sequence[str] | None, pad_id: int
    ) -> dict[str, torch.Tensor]:
        return collate_words(windows, labels, pad_id)

    def gold_count(self, batch: Mapping[str, torch.Tensor]) -> int:
        return int((batch["labels"] != IGNORED).sum())

    def add_head(self, model: Any, name: str, labels: Sequence[str]) -> None:
        """One linear layer from hidden state to tags. A ValueError of `adapters` if the head is there."""
        model.add_tagging_head(
            name, num_labels=len(labels), layers=1, id2label=dict(enumerate(labels)), overwrite_ok=False
        )

    def adopt_head(self, model: Any, name: str) -> None:
        """Nothing: the stock head serves."""

    def decode(self, output: Any, windows: Sequence[WordWindow], labels: Sequence[str]) -> tuple[WordLabel, ...]:
        return decode_words(output.logits, windows, labels)

    def merge(self, examples: Sequence[Sentence], parts: Iterable[WordLabel]) -> tuple[tuple[str, ...], ...]:
        return merge_words([len(sentence.words) for sentence in examples], parts)

    def score(self, examples: Sequence[Sentence], predictions: Sequence[Sequence[str]]) -> Scores:
        """Accuracy over all words with a gold tag, macro F1 over the tags that are gold, and a row a tag."""
        pairs = [
            (gold, predicted)
            for sentence, tags in zip(examples, predictions, strict=True)
            for gold, predicted in zip(sentence.upos, tags, strict=True)
            if gold != NOT_ANNOTATED
        ]
        if not pairs:
            raise DataError("no word carries a UPOS tag, there is nothing to score; give an annotated treebank")
        gold, predicted = zip(*pairs, strict=True)
        table = label_table(gold, predicted, UPOS)
        return Scores({"accuracy": accuracy(gold, predicted), "macro_f1": macro_f1(table)}, table)

    def tally(self, example: Sentence, prediction: Sequence[str]) -> tuple[int, int]:
        """(right tags, words with a gold tag)."""
        pairs = [pair for pair in zip(example.upos, prediction, strict=True) if pair[0] != NOT_ANNOTATED]
        return sum(gold == predicted for gold, predicted in pairs), len(pairs)

    def rows(self, example: Sentence, prediction: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """(word, tag) of each word."""
        return tuple(zip(example.words, prediction, strict=True))

    def record(self, example: Sentence, prediction: Sequence[str]) -> dict[str, Any]:
        """{"words": [...], "upos": [...]}, with "text" and "sent_id" where the sentence has them."""
        known = {"sent_id": example.sent_id, "text": example.text}
        return {
            **{key: value for key, value in known.items() if value is not None},
            "words": list(example.words),
            "upos": list(prediction),
        }

    def sentence(self, example: Sentence, prediction: Sequence[str]) -> Sentence:
        return Sentence.of(example.words, prediction, text=example.text, sent_id=example.sent_id)


def _read_tagged(path: Path) -> tuple[Sentence, ...]:
    sentences = tuple(read_conllu(path))
    if not any(tag != NOT_ANNOTATED for sentence in sentences for tag in sentence.upos):
        raise DataError(f"{path}: no word with a UPOS tag; expected an annotated treebank")
    _check_tags(sentences, str(path))
    return sentences


def _check_tags(sentences: Sequence[Sentence], where: str) -> None:
    known = {*UPOS, NOT_ANNOTATED}
    strange = Counter(tag for sentence in sentences for tag in sentence.upos if tag not in known)
    if strange:
        first = next(sentence for sentence in sentences if not known.issuperset(sentence.upos))
        place = f"{where}:{first.line}" if first.line else where
        names = ", ".join(f"{tag} ({count})" for tag, count in strange.most_common())
        raise DataError(f"{place}: tags outside UPOS, with counts: {names}; expected {', '.join(UPOS)} or _")
