"""Natural-language inference: whether a premise entails a hypothesis, contradicts it, or neither."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from badx_hub.data.conllu import Sentence
from badx_hub.data.pairs import LABELS, Pair, pair_references, read_pairs
from badx_hub.data.splits import DataReference, Split
from badx_hub.errors import DataError, UsageError
from badx_hub.modeling import IGNORED
from badx_hub.tasks.batching import filled, padded
from badx_hub.tasks.labels import best_ids, best_probabilities, gold_id, require_known
from badx_hub.tasks.metrics import Scores, accuracy, confusion, label_table, macro_f1
from badx_hub.tasks.words import PairFrame, require_text, sub_words_of_texts

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from badx_hub.modeling.adapter_configs import HeadType


@dataclass(frozen=True)
class PairWindow:
    """A pair as one input; `gold` is its label, None where there is none."""

    input_ids: tuple[int, ...]
    token_type_ids: tuple[int, ...]
    example: int
    gold: str | None

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def labelled(self) -> bool:
        return self.gold is not None


class PairLabel(NamedTuple):
    """The predicted label of one example, counted from 0, and its probability."""

    example: int
    label: str
    probability: float


@dataclass(frozen=True)
class NliTask:
    """Three-way classification of sentence pairs.

    A pair is one window: if it is too long, the longer sentence loses its end first. A pair without a gold label gets a
    prediction, but neither loss nor score. `pooling` says what the head reads: the first position ("cls") or the mean
    of all positions ("mean"). `language` is that of the pairs that are read, where files hold several, as XNLI's do.
    """

    pooling: Literal["cls", "mean"] = "cls"
    language: str = ""

    name: ClassVar[str] = "nli"
    head_type: ClassVar[HeadType] = "classification"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    selection_metric: ClassVar[str] = "accuracy"
    reads_conllu: ClassVar[bool] = False
    columns: ClassVar[tuple[str, ...]] = ()
    probability_column: ClassVar[str | None] = None
    probability_of: ClassVar[str] = "class"

    def read(self, data: str, split: Split) -> tuple[Pair, ...]:
        """See `badx_hub.data.pairs.read_pairs`; raises DataError too for data without any gold label."""
        pairs = read_pairs(data, split, self.language)
        if not any(pair.label for pair in pairs):
            raise DataError(f"{data}: no pair has a gold label; expected {', '.join(LABELS)}.")
        return pairs

    def references(self, data: str, split: Split) -> tuple[DataReference, ...]:
        return pair_references(data, split)

    def prepare(self, item: str | Sequence[str] | Sentence) -> Pair:
        """A pair without a label, from premise and hypothesis, or from a text with one tab between them."""
        if not isinstance(item, Sentence):
            require_text(item)
        parts = () if isinstance(item, Sentence) else item.split("\t") if isinstance(item, str) else item
        if len(parts) != 2 or not all(part.strip() for part in parts):
            shown = item.text if isinstance(item, Sentence) else item
            raise UsageError(f"{shown!r} is no pair; expected a premise and a hypothesis with one tab between them.")
        return Pair(*(part.strip() for part in parts))

    def labels(self, examples: Sequence[Pair]) -> tuple[str, ...]:
        """The three classes. Raises DataError if the examples have others."""
        self.aligned(examples, LABELS)
        return LABELS

    def aligned(self, examples: Sequence[Pair], labels: Sequence[str]) -> tuple[Pair, ...]:
        """The pairs unchanged: their labels got their names when they were read."""
        require_known((pair.label for pair in examples), labels)
        return tuple(examples)

    def encode(
        self, examples: Sequence[Pair], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> tuple[PairWindow, ...]:
        """One window for each pair, with special tokens. Raises UsageError if `max_length` leaves no room."""
        frame = PairFrame.of(tokenizer)
        room = max_length - len(frame)
        if room < 2:
            raise UsageError(
                f"A maximal length of {max_length} leaves no room for a pair; expected {len(frame) + 2} or more."
            )
        pieces = sub_words_of_texts((text for pair in examples for text in (pair.premise, pair.hypothesis)), tokenizer)
        return tuple(
            _window(index, *cut(pieces[pair.premise], pieces[pair.hypothesis], room), frame, pair.label)
            for index, pair in enumerate(examples)
        )

    def collate(
        self, windows: Sequence[PairWindow], labels: Sequence[str] | None, pad_id: int
    ) -> dict[str, torch.Tensor]:
        """`input_ids`, `attention_mask`, `token_type_ids` unless all are 0 and, with `labels`, one id a window."""
        import torch

        batch = padded(windows, pad_id)
        if any(any(window.token_type_ids) for window in windows):
            batch["token_type_ids"] = filled([window.token_type_ids for window in windows], 0)
        if labels is not None:
            ids = {label: index for index, label in enumerate(labels)}
            gold = [IGNORED if window.gold is None else gold_id(window.gold, ids) for window in windows]
            batch["labels"] = torch.tensor(gold, dtype=torch.int64)
        return batch

    def gold_count(self, batch: Mapping[str, torch.Tensor]) -> int:
        return int((batch["labels"] != IGNORED).sum())

    def add_head(self, model: Any, name: str, labels: Sequence[str]) -> None:
        """A dense layer with tanh (BERT's pooler) and a linear one. Raises ValueError (`adapters`) if there is one."""
        model.add_classification_head(
            name, num_labels=len(labels), layers=2, id2label=dict(enumerate(labels)), overwrite_ok=False
        )
        self.patch_head(model, name)

    def patch_head(self, model: Any, name: str) -> None:
        """With `pooling` "mean", let the head read the mean; for "cls" the stock head is right."""
        if self.pooling == "mean":
            from badx_hub.modeling.heads import pool_by_mean

            pool_by_mean(model, name)

    def gold_scores(self, output: Any, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        scored = batch["labels"] != IGNORED
        return output.logits[scored], batch["labels"][scored]

    def decode(
        self, output: Any, windows: Sequence[PairWindow], labels: Sequence[str], temperature: float = 1.0
    ) -> tuple[PairLabel, ...]:
        best = best_ids(output.logits, labels).tolist()
        chances = best_probabilities(output.logits, temperature).tolist()
        return tuple(
            PairLabel(window.example, labels[index], chance)
            for window, index, chance in zip(windows, best, chances, strict=True)
        )

    def merge(self, examples: Sequence[Pair], parts: Iterable[PairLabel]) -> tuple[str, ...]:
        found = {part.example: part.label for part in parts}
        return tuple(found[index] for index in range(len(examples)))

    def probabilities(self, examples: Sequence[Pair], parts: Iterable[PairLabel]) -> tuple[tuple[float, ...], ...]:
        found = {part.example: part.probability for part in parts}
        return tuple((found[index],) for index in range(len(examples)))

    def score(self, examples: Sequence[Pair], predictions: Sequence[str]) -> Scores:
        """Accuracy, macro F1 over the gold classes, one row for each class, and the confusion matrix."""
        pairs = [(pair.label, guess) for pair, guess in zip(examples, predictions, strict=True) if pair.label]
        if not pairs:
            raise DataError("No pair has a gold label, there is nothing to score; give annotated pairs.")
        gold, predicted = zip(*pairs, strict=True)
        table = label_table(gold, predicted, LABELS)
        metrics = {"accuracy": accuracy(gold, predicted), "macro_f1": macro_f1(table)}
        return Scores(metrics, table, confusion(gold, predicted, LABELS))

    def counts(self, example: Pair, prediction: str) -> tuple[int, int]:
        """(1 if right, 1); (0, 0) without a gold label."""
        return int(example.label == prediction), int(example.label is not None)

    def rows(self, example: Pair, prediction: str) -> tuple[tuple[str, str, str], ...]:
        """One row: premise, hypothesis, label."""
        return ((example.premise, example.hypothesis, prediction),)

    def record(self, example: Pair, prediction: str) -> dict[str, Any]:
        """{"premise": ..., "hypothesis": ..., "label": ...}."""
        return {"premise": example.premise, "hypothesis": example.hypothesis, "label": prediction}

    def cells(self, example: Pair, prediction: str) -> tuple[tuple[str, ...], ...]:
        """None: a pair is not a sentence."""
        return ()


def cut(first: Sequence[int], second: Sequence[int], room: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Both sequences within `room`: the longer one is cut first; if both are too long, each gets half."""
    if len(first) > len(second):
        longer, shorter = cut(second, first, room)[::-1]
        return longer, shorter
    kept = tuple(first[: room // 2])
    return kept, tuple(second[: room - len(kept)])


def _window(
    index: int, first: tuple[int, ...], second: tuple[int, ...], frame: PairFrame, gold: str | None
) -> PairWindow:
    parts = (frame.before, first, frame.between, second, frame.after)
    kinds = zip(parts, frame.types, strict=True)
    return PairWindow(
        input_ids=tuple(piece for part in parts for piece in part),
        token_type_ids=tuple(kind for part, kind in kinds for _ in part),
        example=index,
        gold=gold,
    )
