"""Judging a stack on annotated data of its target language."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from badx_hub.arguments import checked
from badx_hub.data.splits import DataReference, Split
from badx_hub.deprecated import keeps_old_attributes
from badx_hub.registry import Entry
from badx_hub.stack import BilingualStack
from badx_hub.tasks import options_of
from badx_hub.tasks.metrics import Scores
from badx_hub.user_paths import source_text


@keeps_old_attributes
@dataclass(frozen=True)
class Evaluation:
    """Scores of a stack on one split.

    `data` names the files and `references` has their digests. `setup` is the stack's, `options` are its task's (None:
    not known), `seconds` is the time of the predictions. `tallies` has (numerator, denominator) of each example
    (`Task.counts`), for tests of significance. `language_adapter` is the one below the task adapter.
    """

    entry: Entry
    data: str
    split: str
    examples: int
    scores: Scores
    seconds: float
    references: tuple[DataReference, ...]
    setup: str
    tallies: tuple[tuple[int, int], ...]
    language_adapter: Entry | None = None
    options: Mapping[str, Any] | None = None


@checked()
def evaluate(stack: BilingualStack, data: str | Path, *, split: Split = "test", batch_size: int = 32) -> Evaluation:
    """Zero-shot scores of a stack. Every word of the split counts.

    Args:
        data: what the stack's task reads, such as a folder with `*-ud-test.conllu`.
        split: "train", "dev" or "test".

    Raises:
        UsageError, NotFoundError, DataError: the data is no path or name, not there, or cannot be read.
    """
    data = source_text(data, "data")
    examples = stack.task.aligned(stack.task.read(data, split), stack.labels)
    references = tuple(stack.task.references(data, split))
    began = time.perf_counter()
    predictions = stack.predict_examples(examples, batch_size=batch_size)
    return Evaluation(
        entry=stack.entries[-1],
        data=", ".join(file.name for file in references),
        split=split,
        examples=len(examples),
        scores=stack.task.score(examples, predictions),
        seconds=time.perf_counter() - began,
        references=references,
        setup=stack.setup,
        language_adapter=stack.language_adapter,
        options=options_of(stack.task),
        tallies=tuple(stack.task.counts(*pair) for pair in zip(examples, predictions, strict=True)),
    )
