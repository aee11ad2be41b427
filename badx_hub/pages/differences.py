"""A file and its gold, sentence by sentence: which words differ, how often, and the scores that follow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple
from unicodedata import normalize

from badx_hub.data.conllu import NOT_ANNOTATED, Sentence
from badx_hub.errors import DataError
from badx_hub.tasks.labels import universal


class LabelPair(NamedTuple):
    """The label of a word in gold, and in the file."""

    gold: str
    file: str


class GoldDifference(NamedTuple):
    """What a word should have: its tag, head and relation; "_" and None where the file has it right."""

    upos: str = NOT_ANNOTATED
    head: int | None = None
    deprel: str = NOT_ANNOTATED


@dataclass(frozen=True)
class GoldComparison:
    """All sentences of a file against gold.

    `differences` has for each sentence those of its words, by number. `wrong` counts the wrong tags, heads and
    relations of each. `scores` are shares of the words that gold annotates, "UPOS", "UAS" and "LAS", of what the file
    has at all. `labels` has for "UPOS" and "DEPREL" the pairs, and for each word with one the index of its sentence.
    """

    differences: tuple[Mapping[int, GoldDifference], ...]
    wrong: tuple[tuple[int, int, int], ...]
    scores: Mapping[str, float]
    labels: Mapping[str, Mapping[LabelPair, Sequence[int]]]


def matched(
    sentences: Iterable[Sentence], gold: Iterable[Sentence], names: tuple[str, str]
) -> list[tuple[Sentence, Sentence]]:
    """The sentences of a file with those of its gold; `names` are what the two files are called in errors.

    Raises DataError, naming the first sentence, if the two do not have the same sentences of the same words.
    """
    pairs = []
    for number, (ours, theirs) in enumerate(zip_longest(sentences, gold), start=1):
        if ours is None or theirs is None:
            short, long, there = (*names, theirs) if ours is None else (*names[::-1], ours)
            raise DataError(
                f"{short} ends after {number - 1} sentences, but {long}:{there.line} has one more{_called(there)}. "
                "Gold has to have the same sentences in the same order."
            )
        if ours.words != theirs.words:
            raise DataError(_other_words(number, ours, theirs, names))
        pairs.append((ours, theirs))
    return pairs


def compared(pairs: Sequence[tuple[Sentence, Sentence]]) -> GoldComparison:
    """Compare pairs from `matched` as evaluation does: relations without their subtypes.

    A column that the file leaves empty in all sentences is not compared; a word that alone is left empty is wrong.
    """
    tagged = any(tag != NOT_ANNOTATED for ours, _ in pairs for tag in ours.upos)
    parsed = any(head is not None for ours, _ in pairs for head in ours.heads)
    words = [list(_words(*pair, tagged, parsed)) for pair in pairs]
    labels: dict[str, defaultdict[LabelPair, list[int]]] = {"UPOS": defaultdict(list), "DEPREL": defaultdict(list)}
    for index, sentence in enumerate(words):
        for word in sentence:
            for column, pair in (("UPOS", word.tags), ("DEPREL", word.relations)):
                if pair is not None:
                    labels[column][pair].append(index)
    return GoldComparison(
        tuple({number: word.difference for number, word in enumerate(one, start=1) if word.wrong} for one in words),
        tuple(
            (sum(w.wrong_tag for w in one), sum(w.wrong_head for w in one), sum(w.wrong_relation for w in one))
            for one in words
        ),
        _scores([word for one in words for word in one]),
        {column: dict(found) for column, found in labels.items()},
    )


class _Word(NamedTuple):
    """A word in both files; a pair is None where gold says nothing or nothing is compared."""

    tags: LabelPair | None
    heads: tuple[int | None, int | None] | None
    relations: LabelPair | None
    relation: str
    """Gold's, with its subtype."""

    @property
    def wrong_tag(self) -> bool:
        return self.tags is not None and self.tags.gold != self.tags.file

    @property
    def wrong_head(self) -> bool:
        return self.heads is not None and self.heads[0] != self.heads[1]

    @property
    def wrong_relation(self) -> bool:
        return self.relations is not None and self.relations.gold != self.relations.file

    @property
    def wrong(self) -> bool:
        return self.wrong_tag or self.wrong_head or self.wrong_relation

    @property
    def difference(self) -> GoldDifference:
        return GoldDifference(
            self.tags.gold if self.tags and self.wrong_tag else NOT_ANNOTATED,
            self.heads[0] if self.heads and self.wrong_head else None,
            self.relation if self.wrong_head or self.wrong_relation else NOT_ANNOTATED,
        )


def _words(ours: Sentence, gold: Sentence, tagged: bool, parsed: bool) -> Iterator[_Word]:
    """The words of a sentence; `tagged` and `parsed` say what is compared."""
    both = (ours.upos, ours.heads, ours.deprels, gold.upos, gold.heads, gold.deprels)
    for tag, head, relation, gold_tag, gold_head, gold_relation in zip(*both, strict=True):
        attached = parsed and gold_head is not None
        yield _Word(
            LabelPair(gold_tag, tag) if tagged and gold_tag != NOT_ANNOTATED else None,
            (gold_head, head) if attached else None,
            LabelPair(universal(gold_relation), universal(relation)) if attached else None,
            gold_relation,
        )


def _scores(words: Sequence[_Word]) -> dict[str, float]:
    scores = {}
    if tagged := [word for word in words if word.tags]:
        scores["UPOS"] = sum(not word.wrong_tag for word in tagged) / len(tagged)
    if parsed := [word for word in words if word.heads]:
        scores["UAS"] = sum(not word.wrong_head for word in parsed) / len(parsed)
        scores["LAS"] = sum(not (word.wrong_head or word.wrong_relation) for word in parsed) / len(parsed)
    return scores


def _called(sentence: Sentence) -> str:
    return f" ({sentence.sent_id})" if sentence.sent_id else ""


def _other_words(number: int, ours: Sentence, gold: Sentence, names: tuple[str, str]) -> str:
    places = (
        f"Sentence {number}{_called(ours)} has other words in {names[0]}:{ours.line} than in {names[1]}:{gold.line}"
    )
    at = next((at for at, pair in enumerate(zip(ours.words, gold.words, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        what = f"{len(ours.words)} words against {len(gold.words)}"
    else:
        what = f"word {at + 1} is {ours.words[at]!r} in one and {gold.words[at]!r} in the other"
        if normalize("NFC", ours.words[at]) == normalize("NFC", gold.words[at]):
            what += ", the same letters in another form of Unicode"
    return f"{places}: {what}. Gold has to have the same sentences, split into the same words."
