"""What the training and evaluation loops know of a task. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from badx_hub.data.conllu import Sentence
from badx_hub.data.splits import DataReference, Split
from badx_hub.tasks.metrics import Scores

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from badx_hub.modeling.adapter_configs import HeadType


class Window(Protocol):
    """One model input: a whole example, or a part of a long one."""

    @property
    def input_ids(self) -> tuple[int, ...]:
        """Sub-words, CLS and SEP included."""

    def __len__(self) -> int:
        """The number of `input_ids`."""

    @property
    def labelled(self) -> bool:
        """Whether it carries a gold label (see `labelled_only`)."""


class Task(Protocol):
    """A task from file to score. Pure, except `read` and `references` (files), `add_head` and `patch_head` (the model).

    An example is the unit of prediction (a sentence, a pair). A window is one model input: an example, or a part of a
    long one. A part is the model's output for one window. A prediction is the result for one example. A task is a
    frozen dataclass; its fields are its options. A recipe sets them by name (`TaskRecipe.options`); `task_named` checks
    them.
    """

    @property
    def name(self) -> str: ...

    @property
    def head_type(self) -> HeadType:
        """What `adapters` calls the kind of head that `add_head` adds."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names in `Scores.metrics`, the main one first."""

    @property
    def selection_metric(self) -> str:
        """The metric on the source's dev split that selects the training step; higher is better."""

    @property
    def reads_conllu(self) -> bool:
        """Whether examples are sentences of words: `prepare` takes a `Sentence`."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of CoNLL-U that a prediction fills, as `RawSentence` names them; none if it has no place."""

    @property
    def probability_column(self) -> str | None:
        """The column of CoNLL-U for the probability of each word's prediction."""

    @property
    def probability_of(self) -> str:
        """What the probabilities are of: "tag", "head" or "class"."""

    def read(self, data: str, split: Split) -> tuple[Any, ...]:
        """The examples of a split, checked. Raises NotFoundError, UsageError, DataError, StorageError."""

    def references(self, data: str, split: Split) -> tuple[DataReference, ...]:
        """Name and digest of each file that `read` reads, for a manifest."""

    def prepare(self, item: str | Sequence[str] | Sentence) -> Any:
        """An example to predict on, from raw text or its parts (words; premise and hypothesis); raises UsageError."""

    def labels(self, examples: Sequence[Any]) -> tuple[str, ...]:
        """The label names, in the order of their ids, for a head trained on these examples."""

    def aligned(self, examples: Sequence[Any], labels: Sequence[str]) -> tuple[Any, ...]:
        """The examples with their gold labels renamed to those of a head; matched by name, never by position.

        Raises DataError that lists the gold labels the head does not have.
        """

    def encode(self, examples: Sequence[Any], tokenizer: PreTrainedTokenizerBase, max_length: int) -> tuple[Any, ...]:
        """Model inputs of at most `max_length` sub-words, in the order of the examples."""

    def collate(self, windows: Sequence[Any], labels: Sequence[str] | None, pad_id: int) -> dict[str, torch.Tensor]:
        """The padded batch, int64, as arguments of the model; with gold ids unless `labels` is None."""

    def gold_count(self, batch: Mapping[str, torch.Tensor]) -> int:
        """The number of gold labels in a collated batch, over which the head's loss is a mean."""

    def add_head(self, model: Any, name: str, labels: Sequence[str]) -> None:
        """Add an untrained head of that name to an `adapters` model."""

    def patch_head(self, model: Any, name: str) -> None:
        """Give a head that `adapters` has just loaded the behaviour of one made by `add_head`."""

    def gold_scores(self, output: Any, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the probabilities are made of, and what is right, for each gold label of a collated batch.

        The scores before the softmax, labels x choices, and the ids of the gold choices; `output` is the model's.
        """

    def decode(
        self, output: Any, windows: Sequence[Any], labels: Sequence[str], temperature: float = 1.0
    ) -> tuple[Any, ...]:
        """One part for each window, from the model's output for a batch; `temperature` is that of probabilities."""

    def merge(self, examples: Sequence[Any], parts: Iterable[Any]) -> tuple[Any, ...]:
        """One prediction an example, from the parts of all their windows, in any order."""

    def probabilities(self, examples: Sequence[Any], parts: Sequence[Any]) -> tuple[tuple[float, ...], ...]:
        """How probable the model holds what `merge` makes of the same parts: a number a word, or one an example.

        They are those of the softmax over scores divided by the temperature: of a tag, of a head (not of its
        relation), of a class.
        """

    def score(self, examples: Sequence[Any], predictions: Sequence[Any]) -> Scores:
        """Raises DataError where there is no gold label to score against."""

    def counts(self, example: Any, prediction: Any) -> tuple[int, int]:
        """(numerator, denominator) of one example; the ratio of their sums is the selection metric."""

    def rows(self, example: Any, prediction: Any) -> tuple[tuple[str, ...], ...]:
        """The prediction as table rows, for tab-separated text."""

    def record(self, example: Any, prediction: Any) -> dict[str, Any]:
        """The prediction as a JSON object."""

    def cells(self, example: Any, prediction: Any) -> tuple[tuple[str, ...], ...]:
        """The prediction for CoNLL-U: for each of `columns`, one cell a word."""
