"""What tasks that label words share: windows over words, batches and decoding, on first sub-words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from badx_hub.data.hub_treebanks import references
from badx_hub.data.splits import DataReference, Split
from badx_hub.modeling import IGNORED
from badx_hub.tasks.batching import padded
from badx_hub.tasks.labels import best_ids, best_probabilities, gold_id, require_known
from badx_hub.tasks.windows import sentence_windows

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from badx_hub.modeling.adapter_configs import HeadType

ExampleT = TypeVar("ExampleT")


@dataclass(frozen=True)
class WordWindow:
    """A sentence, or a part of a long one.

    It labels `words`: indices into the sentence of index `example`, all counted from 0. Their first sub-words are at
    `positions` of `input_ids`. `gold` are their labels, None where there is none.
    """

    input_ids: tuple[int, ...]
    example: int
    words: tuple[int, ...]
    positions: tuple[int, ...]
    gold: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def labelled(self) -> bool:
        return any(label is not None for label in self.gold)


class WordLabel(NamedTuple):
    """The predicted label of one word of one example, both counted from 0, and its probability."""

    example: int
    word: int
    label: str
    probability: float


def encode_words(
    sentences: Sequence[Sequence[str]],
    gold: Sequence[Sequence[str | None]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
) -> tuple[WordWindow, ...]:
    """The `sentence_windows` as word windows; raises what it does."""
    return tuple(
        WordWindow(
            input_ids=part.input_ids,
            example=part.example,
            words=part.words.owned,
            positions=tuple(part.starts[word - part.words.start] for word in part.words.owned),
            gold=tuple(gold[part.example][word] for word in part.words.owned),
        )
        for part in sentence_windows(sentences, tokenizer, max_length)
    )


def collate_words(windows: Sequence[WordWindow], labels: Sequence[str] | None, pad_id: int) -> dict[str, torch.Tensor]:
    """`input_ids`, `attention_mask` and, with `labels`, `labels`: int64, windows x longest window.

    Label ids stand at the first sub-words of the words that a window owns, -100 everywhere else.
    Raises DataError for a gold label that is not among `labels`.
    """
    import torch

    batch = padded(windows, pad_id)
    if labels is not None:
        batch["labels"] = torch.full_like(batch["input_ids"], IGNORED)
        ids = {label: index for index, label in enumerate(labels)}
        for row, window in enumerate(windows):
            gold = [IGNORED if label is None else gold_id(label, ids) for label in window.gold]
            batch["labels"][row, list(window.positions)] = torch.tensor(gold)
    return batch


def decode_words(
    logits: torch.Tensor, windows: Sequence[WordWindow], labels: Sequence[str], temperature: float = 1.0
) -> tuple[WordLabel, ...]:
    """The best label of each word that a window owns; `logits` are windows x positions x labels.

    `temperature` is that of the probabilities.

    Raises IntegrityError for a head with another number of labels.
    """
    best, chances = best_ids(logits, labels).tolist(), best_probabilities(logits, temperature).tolist()
    return tuple(
        WordLabel(window.example, word, labels[best[row][position]], chances[row][position])
        for row, window in enumerate(windows)
        for word, position in zip(window.words, window.positions, strict=True)
    )


def merge_words(lengths: Sequence[int], parts: Iterable[WordLabel]) -> tuple[tuple[str, ...], ...]:
    """The labels of sentences of `lengths` words. Raises KeyError if the parts leave a word out."""
    found = {(part.example, part.word): part.label for part in parts}
    return tuple(tuple(found[example, word] for word in range(length)) for example, length in enumerate(lengths))


def merge_probabilities(lengths: Sequence[int], parts: Iterable[WordLabel]) -> tuple[tuple[float, ...], ...]:
    """The probabilities of what `merge_words` returns for the same parts."""
    found = {(part.example, part.word): part.probability for part in parts}
    return tuple(tuple(found[example, word] for word in range(length)) for example, length in enumerate(lengths))


class WordTask(ABC, Generic[ExampleT]):
    """A task with one label for each word: all of `Task` except what examples are, where they are and how they score.

    A prediction is one label for each word, from its first sub-word, by a linear layer: a stock head of `adapters`.
    """

    head_type: ClassVar[HeadType] = "tagging"
    reads_conllu: ClassVar[bool] = True
    probability_of: ClassVar[str] = "tag"

    @abstractmethod
    def words(self, example: ExampleT) -> Sequence[str]: ...

    @abstractmethod
    def gold(self, example: ExampleT) -> Sequence[str | None]:
        """The label of each word; None gets a prediction, but neither loss nor score."""

    @abstractmethod
    def files(self, data: str, split: Split) -> tuple[Path, ...]:
        """The files of a split."""

    @abstractmethod
    def read_file(self, path: Path) -> tuple[ExampleT, ...]:
        """The examples of one file, checked."""

    def read(self, data: str, split: Split) -> tuple[ExampleT, ...]:
        return tuple(chain.from_iterable(self.read_file(path) for path in self.files(data, split)))

    def references(self, data: str, split: Split) -> tuple[DataReference, ...]:
        return references(self.files(data, split))

    def aligned(self, examples: Sequence[ExampleT], labels: Sequence[str]) -> tuple[ExampleT, ...]:
        """The examples unchanged: a label has the same name everywhere."""
        require_known(chain.from_iterable(self.gold(example) for example in examples), labels)
        return tuple(examples)

    def encode(
        self, examples: Sequence[ExampleT], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> tuple[WordWindow, ...]:
        gold = [self.gold(example) for example in examples]
        return encode_words([self.words(example) for example in examples], gold, tokenizer, max_length)

    def collate(
        self, windows: Sequence[WordWindow], labels: Sequence[str] | None, pad_id: int
    ) -> dict[str, torch.Tensor]:
        return collate_words(windows, labels, pad_id)

    def gold_count(self, batch: Mapping[str, torch.Tensor]) -> int:
        return int((batch["labels"] != IGNORED).sum())

    def add_head(self, model: Any, name: str, labels: Sequence[str]) -> None:
        """One linear layer from hidden state to labels. Raises ValueError (from `adapters`) if there is such a head."""
        model.add_tagging_head(
            name, num_labels=len(labels), layers=1, id2label=dict(enumerate(labels)), overwrite_ok=False
        )

    def patch_head(self, model: Any, name: str) -> None:
        """Nothing to do: the stock head is right."""

    def gold_scores(self, output: Any, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        scored = batch["labels"] != IGNORED
        return output.logits[scored], batch["labels"][scored]

    def decode(
        self, output: Any, windows: Sequence[WordWindow], labels: Sequence[str], temperature: float = 1.0
    ) -> tuple[WordLabel, ...]:
        return decode_words(output.logits, windows, labels, temperature)

    def merge(self, examples: Sequence[ExampleT], parts: Iterable[WordLabel]) -> tuple[tuple[str, ...], ...]:
        return merge_words([len(self.words(example)) for example in examples], parts)

    def probabilities(self, examples: Sequence[ExampleT], parts: Iterable[WordLabel]) -> tuple[tuple[float, ...], ...]:
        return merge_probabilities([len(self.words(example)) for example in examples], parts)

    def rows(self, example: ExampleT, prediction: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """(word, label) of each word."""
        return tuple(zip(self.words(example), prediction, strict=True))
