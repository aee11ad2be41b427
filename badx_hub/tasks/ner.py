"""Named-entity recognition: BIO tags, scored as whole entities."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from badx_hub.data.conllu import Sentence
from badx_hub.data.entity_columns import OUTSIDE, Entity, Tagged, entities_of, read_columns, type_of
from badx_hub.data.hub_treebanks import entities_file
from badx_hub.data.splits import FileKind, Split
from badx_hub.errors import DataError
from badx_hub.hub.ref import HUB
from badx_hub.remedies import Advice
from badx_hub.tasks.labels import require_known
from badx_hub.tasks.metrics import Scores, label_score
from badx_hub.tasks.tagging import WordTask
from badx_hub.tasks.words import sentence_of

COLUMN_FILES = FileKind("text in columns", (".txt", ".conll", ".bio", ".iob", ".iob2", ".tsv"), "*.{split}.txt")


@dataclass(frozen=True)
class NerTask(WordTask[Tagged]):
    """BIO tagging, on the first sub-word of each word. An entity is found if its type and both ends are right.

    `ignore` names types, separated by commas, that are not counted, neither as gold nor as predicted: for instance
    DATE, for a head that does not know it.
    """

    ignore: str = ""

    name: ClassVar[str] = "ner"
    metrics: ClassVar[tuple[str, ...]] = ("f1", "precision", "recall")
    selection_metric: ClassVar[str] = "f1"
    columns: ClassVar[tuple[str, ...]] = ("MISC.name",)
    probability_column: ClassVar[str | None] = "MISC.NameProb"

    def words(self, example: Tagged) -> tuple[str, ...]:
        return example.words

    def gold(self, example: Tagged) -> tuple[str | None, ...]:
        return self._counting(example.tags)

    def files(self, data: str, split: Split) -> tuple[Path, ...]:
        """See `FileKind.split_files`: wo.train.txt and the like; or `hf:DATASET[:CONFIG[:SPLIT]]`."""
        data = os.fspath(data)
        if data.startswith(HUB):
            return (entities_file(data, split),)
        return COLUMN_FILES.split_files(data, split)

    def read_file(self, path: Path) -> tuple[Tagged, ...]:
        """See `badx_hub.data.entity_columns.read_columns`; raises DataError too for a file without any entity."""
        sentences = read_columns(path)
        if not any(tag != OUTSIDE for sentence in sentences for tag in sentence.tags):
            raise DataError(f"{path}: no word is part of an entity; expected B- and I- tags in the last column.")
        return sentences

    def prepare(self, item: str | Sequence[str] | Sentence) -> Tagged:
        sentence = sentence_of(item)
        return Tagged(sentence.words, (None,) * len(sentence.words), sentence.text)

    def labels(self, examples: Sequence[Tagged]) -> tuple[str, ...]:
        """O, then B- and I- of every type that occurs and is not ignored, in alphabetical order."""
        types = {type_of(tag) for example in examples for tag in self.gold(example) if tag} - {""}
        return (OUTSIDE, *sorted(f"{mark}-{kind}" for kind in types for mark in "BI"))

    def aligned(self, examples: Sequence[Tagged], labels: Sequence[str]) -> tuple[Tagged, ...]:
        """The sentences without the ignored types. Raises DataError that lists the types the head does not know."""
        gold = [tag for example in examples for tag in self.gold(example)]
        known = sorted({type_of(label) for label in labels} - {""})
        types = Counter(type_of(tag) for tag in gold if tag and tag.startswith("B-") and type_of(tag) not in known)
        if types:
            count_for_nothing = ",".join([*filter(None, [self.ignore]), *sorted(types)])
            advice = Advice("To count them for nothing, give `{}`.", (("options", ("ignore", count_for_nothing)),))
            require_known(types.elements(), known, (advice,))
        require_known(gold, labels)
        return tuple(Tagged(one.words, self.gold(one), one.text, one.line) for one in examples)

    def score(self, examples: Sequence[Tagged], predictions: Sequence[Sequence[str]]) -> Scores:
        """F1, precision and recall over all entities, as `seqeval` counts them, and one row for each type."""
        pairs = [self._entities(*pair) for pair in zip(examples, predictions, strict=True)]
        gold, guesses = (Counter(kind for kind, _, _ in chain(*side)) for side in zip(*pairs, strict=True))
        if not gold:
            raise DataError("No entity is annotated, there is nothing to score; give data with B- and I- tags.")
        hits = Counter(kind for true, guessed in pairs for kind, _, _ in true & guessed)
        whole = label_score("", hits.total(), guesses.total(), gold.total())
        table = tuple(label_score(kind, hits[kind], guesses[kind], gold[kind]) for kind in sorted({*gold, *guesses}))
        return Scores({"f1": whole.f1, "precision": whole.precision, "recall": whole.recall}, table)

    def counts(self, example: Tagged, prediction: Sequence[str]) -> tuple[int, int]:
        """(twice the entities found, gold entities plus predicted ones); F1 is the ratio of their sums."""
        gold, guesses = self._entities(example, prediction)
        return 2 * len(gold & guesses), len(gold) + len(guesses)

    def record(self, example: Tagged, prediction: Sequence[str]) -> dict[str, Any]:
        """{"words": [...], "tags": [...], "entities": [...]}, with "text" if the sentence has one.

        An entity is {"type", "start", "end", "words"}; start and end count words from 0, the end exclusive.
        """
        found = [
            {"type": kind, "start": first, "end": last + 1, "words": list(example.words[first : last + 1])}
            for kind, first, last in entities_of(prediction)
        ]
        text = {} if example.text is None else {"text": example.text}
        return {**text, "words": list(example.words), "tags": list(prediction), "entities": found}

    def cells(self, example: Tagged, prediction: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """The tags as NorNE has them in MISC, and as spaCy's converter reads them: name=B-PER, and name=O outside.

        The key Entity of MISC is taken: UD's validator expects it to hold the brackets of CorefUD.
        """
        return (tuple(prediction),)

    def _counting(self, tags: Sequence[str | None]) -> tuple[str | None, ...]:
        """The tags, O in place of an ignored type."""
        ignored = {kind.strip() for kind in self.ignore.split(",")} - {""}
        return tuple(OUTSIDE if tag and type_of(tag) in ignored else tag for tag in tags)

    def _entities(self, example: Tagged, prediction: Sequence[str]) -> tuple[frozenset[Entity], frozenset[Entity]]:
        """The gold and the predicted entities that count; words without a gold tag are in none."""
        gold = self.gold(example)
        guessed = zip(gold, self._counting(prediction), strict=True)
        known = entities_of(None if tag is None else guess for tag, guess in guessed)
        return frozenset(entities_of(gold)), frozenset(known)
