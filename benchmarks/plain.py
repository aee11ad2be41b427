"""The peer of the task benchmarks: plain `adapters`, set up and fed as the scripts that come with it do.

Encodings follow run_ner.py (labels on first sub-words) and run_udp.py (starts of words, the pad id of the
configuration set to -1, which its head needs) of the examples of `adapters`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

from adapters import AutoAdapterModel, SeqBnConfig
from adapters.composition import Stack
from transformers import AutoConfig

PARSER_LENGTH = 128
"""run_udp.py pads every input to this, and leaves out what does not fit."""

PARSER_PAD = -1
"""run_udp.py's mark for "no word here" and "no head here"."""

IGNORED = -100


def model_on(base: Path, language_adapter: Path, task: str) -> Any:
    """The base with the language adapter in the folder `language_adapter`, called "language"."""
    config = AutoConfig.from_pretrained(base, **({"pad_token_id": PARSER_PAD} if task == "dp" else {}))
    model = AutoAdapterModel.from_pretrained(base, config=config)
    model.load_adapter(str(language_adapter), load_as="language", use_safetensors=True)
    return model


def to_train(model: Any, task: str, labels: int) -> Any:
    """With a new task adapter as the paper has it, and its head: these train, the rest is frozen."""
    model.add_adapter("task", config=SeqBnConfig(reduction_factor=16))
    if task == "dp":
        model.add_dependency_parsing_head("task", num_labels=labels)
    else:
        model.add_tagging_head("task", num_labels=labels)
    model.train_adapter("task")
    model.set_active_adapters(Stack("language", "task"))
    return model


def to_predict(model: Any, adapter: Path) -> Any:
    """With the trained task adapter in the folder `adapter`, and its head."""
    model.load_adapter(str(adapter), load_as="task", use_safetensors=True)
    model.set_active_adapters(Stack("language", "task"))
    return model.eval()


def encoded_for_tagging(
    sentences: Sequence[Sequence[str]], tokenizer: Any, labels: Sequence[Sequence[int]]
) -> dict[str, list[list[int]]]:
    """Inputs, with the label of each word on its first sub-word."""
    encoded = tokenizer([list(words) for words in sentences], truncation=True, is_split_into_words=True)
    encoded["labels"] = [_on_first(encoded.word_ids(batch_index=row), own) for row, own in enumerate(labels)]
    return dict(encoded)


def encoded_for_parsing(
    sentences: Sequence[Sequence[str]], tokenizer: Any, padding: str | bool = "max_length"
) -> dict[str, list[list[int]]]:
    """Inputs and where each word starts, behind the last one its end; as wide as the padded sub-words."""
    encoded = tokenizer(
        [list(words) for words in sentences],
        padding=padding,
        truncation=True,
        max_length=PARSER_LENGTH if padding == "max_length" else None,
        is_split_into_words=True,
    )
    width = len(encoded["input_ids"][0])
    encoded["word_starts"] = [filled(_starts(words, tokenizer), width) for words in sentences]
    return dict(encoded)


def filled(values: Sequence[int], width: int) -> list[int]:
    """With the parser's padding behind."""
    return [*values, *[PARSER_PAD] * (width - len(values))]


def _starts(words: Sequence[str], tokenizer: Any) -> list[int]:
    return list(accumulate((len(tokenizer.tokenize(word)) for word in words), initial=1))


def _on_first(owners: Sequence[int | None], labels: Sequence[int]) -> list[int]:
    before = chain([None], owners)
    return [
        IGNORED if owner is None or owner == last else labels[owner]
        for last, owner in zip(before, owners, strict=False)
    ]
