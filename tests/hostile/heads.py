"""Configurations of heads: unknown types, sizes beyond all bounds, labels that are not those of badx.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.hostile.artefact import Artefact, Artefacts, Sandbox, dumped, gone, tries
from tests.hostile.configs import COMMANDS, HUGE, WRONG

_FIELDS: dict[str, tuple[str, ...]] = {
    "num_labels": tuple(WRONG),
    "layers": tuple(WRONG),
    "head_type": ("null", "text", "empty-text", "list", "object", "4400-digits"),
    "activation_function": ("text", "list", "object", "4400-digits"),
    "label2id": ("true", "text", "list", "negative"),
    "dropout_prob": ("text", "list", "negative", "fraction", "nan"),
}
# With one layer there is no activation in between, and no dropout in what predicts.
_EITHER = (
    *("activation_function-text", "activation_function-list", "activation_function-object"),
    *("activation_function-4400-digits", "label2id-list", "layers-true"),
)
_CHANGES: dict[str, Mapping[str, Any]] = {
    "num_labels-huge": {"num_labels": 10**9},
    "num_labels-large": {"num_labels": 10**7},
    "num_labels-huger": {"num_labels": 2**62},
    "num_labels-less": {"num_labels": 16},
    "num_labels-more": {"num_labels": 18},
    "layers-huge": {"layers": 10**6},
    "layers-many": {"layers": 50_000},
    "layers-two": {"layers": 2},
    "bias": {"bias": False},
    "labels-many": {"label2id": {f"l{number}": number for number in range(200_000)}},
    "labels-turned": {"label2id": {"X": 0, "ADJ": 16}},
    "labels-negative": {"label2id": {"X": -1}},
    "labels-far": {"label2id": {"X": 10**18}},
    "labels-digits": {"label2id": {"X": HUGE}},
    "labels-null": {"label2id": {"X": None}},
    "labels-same": {"label2id": {"X": 0, "ADJ": 0}},
    "labels-escapes": {"label2id": {"\x1b]0;owned\x07": 0}},
    "type-masked-lm": {"head_type": "masked_lm"},
    "type-causal-lm": {"head_type": "causal_lm"},
    "type-seq2seq-lm": {"head_type": "seq2seq_lm"},
    "type-dependency": {"head_type": "dependency_parsing"},
    "type-qa": {"head_type": "question_answering"},
    "type-image": {"head_type": "image_classification"},
    "type-classification": {"head_type": "classification"},
    "type-multilabel": {"head_type": "multilabel_classification"},
    "type-choice": {"head_type": "multiple_choice", "num_choices": 10**9},
    "type-python": {"head_type": "__import__('os').system('true')"},
    "type-escape": {"head_type": "\x1b]0;owned\x07\x9b2J"},
    "vocab-huge": {"head_type": "masked_lm", "vocab_size": 10**10, "embedding_size": 10**6},
    "surprise": {"surprise": {"a": 1}},
    "dunder": {"__class__": "os"},
}
_EITHER_CHANGES = ("surprise", "labels-turned", "labels-same", "labels-negative", "labels-null", "labels-far", "dunder")
_TOP: dict[str, Mapping[str, Any]] = {
    "config-null": {"config": None},
    "config-list": {"config": []},
    "config-text": {"config": "tagging"},
    "config-empty": {"config": {}},
    "config-gone": {"config": gone()},
    "name-null": {"name": None},
    "name-number": {"name": 7},
    "name-gone": {"name": gone()},
    "name-default": {"name": "default"},
    "name-dots": {"name": "a.b"},
    "model-class": {"model_class": "BertForTokenClassification"},
    "model-class-unknown": {"model_class": "os.system"},
    "model-class-gone": {"model_class": gone()},
    "hidden-size": {"hidden_size": 10**9},
    "custom": {"custom_heads": {"x": "os.system"}},
}
_TOP_EITHER = (
    "name-null",
    "name-number",
    "model-class-unknown",
    "model-class-gone",
    "model-class",
    "hidden-size",
    "custom",
    "name-default",
    "name-dots",
)
_TEXTS = {
    "empty": "",
    "null": "null",
    "list": "[]",
    "4400-digits": "9" * 4400,
    "deep": "[" * 100_000,
    "nul": "\0",
    "cut": '{"config": {"head_type": "tagging"',
    "not-utf-8": "\udcff",
}


def artefacts() -> Artefacts:
    """Changed fields of `config`, changed fields around it, and texts that are none of it."""
    for field, values in _FIELDS.items():
        for value in values:
            yield _changed(f"{field}-{value}", {field: WRONG[value]}, _EITHER)
    for what, changes in _CHANGES.items():
        yield _changed(what, changes, _EITHER_CHANGES)
    for what, changes in _TOP.items():
        yield _artefact(what, lambda config, changes=changes: _dumped({**config, **changes}), _TOP_EITHER)  # type: ignore[misc]
    for what, text in _TEXTS.items():
        yield _artefact(f"file-{what}", lambda config, text=text: text, ())  # type: ignore[misc]


def _changed(what: str, changes: Mapping[str, Any], either: tuple[str, ...]) -> Artefact:
    return _artefact(what, lambda config: _dumped({**config, "config": {**config["config"], **changes}}), either)


def _artefact(what: str, change: Callable[[dict[str, Any]], str], either: tuple[str, ...]) -> Artefact:
    def forge(box: Sandbox) -> None:
        text = change(box.json("ta", "head_config.json"))
        (box.folder("ta") / "head_config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        box.seal("ta")

    allowed = ("verify", "pull", *(["load"] if what in either else []))
    return Artefact(f"heads/{what}", forge, tries("ta", COMMANDS, either=allowed))


def _dumped(value: Mapping[str, Any]) -> str:
    return dumped({key: one for key, one in value.items() if one is not gone()})
