"""Bases of strangers for `convert`: pickles of more than tensors, names that lie, sentencepiece models that grow."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.hostile.artefact import Artefact, Artefacts, Command, Sandbox
from tests.hostile.pickles import BYTES

_CONVERT = Command("convert", ("convert", "./strange"))
_USE = Command(
    "predict", ("predict", "en-wo", "Xale yi", "--task", "pos", "--registry", "./shared", "--base", "./strange")
)


def artefacts() -> Artefacts:
    """A base whose weights are a pickle; converting is refused, and so is using it without."""
    for number, (what, content) in enumerate(BYTES.items()):
        commands = (_CONVERT, _USE) if number % 6 == 0 else (_CONVERT,)
        yield Artefact(f"forged/bin-{what}", _base(_pickle(content)), commands)
    for what, change in _LIES.items():
        yield Artefact(f"forged/lie-{what}", _base(_saved(change)), (_CONVERT, _USE))
    for what, index in _INDICES.items():
        yield Artefact(f"forged/index-{what}", _base(_in_parts(index)), (_CONVERT,))
    for what, model in _MODELS.items():
        yield Artefact(f"forged/words-{what}", _base(_words(model)), (_CONVERT, _USE))


def _base(change: Callable[[Path], None]) -> Callable[[Sandbox], None]:
    def forge(box: Sandbox) -> None:
        shutil.copytree(box.base, box.root / "strange")
        change(box.root / "strange")

    return forge


def _pickle(content: Callable[[], bytes]) -> Callable[[Path], None]:
    def forge(base: Path) -> None:
        (base / "model.safetensors").unlink()
        (base / "pytorch_model.bin").write_bytes(content())

    return forge


def _saved(change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> Callable[[Path], None]:
    def forge(base: Path) -> None:
        import torch
        from safetensors.torch import load_file

        weights = load_file(base / "model.safetensors")
        (base / "model.safetensors").unlink()
        torch.save(dict(change(weights)), base / "pytorch_model.bin")

    return forge


def _word_vectors(all: dict[str, Any]) -> Any:
    return all["bert.embeddings.word_embeddings.weight"]


_LIES: dict[str, Callable[[dict[str, Any]], Mapping[str, Any]]] = {
    "both-prefixes": lambda all: {**all, "embeddings.word_embeddings.weight": _word_vectors(all) + 1},
    "old-and-new": lambda all: {**all, "bert.embeddings.LayerNorm.gamma": all["bert.embeddings.LayerNorm.weight"] + 1},
    "prefix-elsewhere": lambda all: {
        **{name.removeprefix("bert."): one for name, one in all.items()},
        "bert.x": _word_vectors(all)[:1],
    },
    "another-prefix": lambda all: {name.replace("bert.", "roberta."): one for name, one in all.items()},
    "transposed": lambda all: {**all, "bert.embeddings.word_embeddings.weight": _word_vectors(all).T},
    "one-missing": lambda all: dict(list(all.items())[1:]),
    "not-finite": lambda all: {**all, "bert.embeddings.LayerNorm.bias": all["bert.embeddings.LayerNorm.bias"] / 0},
    "integers": lambda all: {name: one.long() for name, one in all.items()},
    "many-views": lambda all: {**all, **{f"x{number}": _word_vectors(all)[1:] for number in range(5000)}},
}
_INDICES: dict[str, Any] = {
    "elsewhere": {"weight_map": {"bert.x": "../outside/id_ed25519"}},
    "absolute": {"weight_map": {"bert.x": "/etc/passwd"}},
    "none": {"weight_map": {}},
    "list": [],
    "numbers": {"weight_map": {"bert.x": 7}},
}


def _in_parts(index: Any) -> Callable[[Path], None]:
    def forge(base: Path) -> None:
        _saved(lambda all: all)(base)
        (base / "pytorch_model.bin").rename(base / "pytorch_model-00001-of-00001.bin")
        (base / "pytorch_model.bin.index.json").write_text(json.dumps(index))

    return forge


# Fields of a ModelProto, written by hand: pieces are field 1, the settings of the characters field 3.
_MODELS: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello\n" * 1000,
    "many-pieces": b"\x0a\x00" * 2**23,
    "one-huge-piece": b"\x0a\x80\x80\x80\x10" + bytes(2**25),
    "length-beyond": b"\x0a\xff\xff\xff\xff\x0f" + b"x" * 100,
    "endless-number": b"\xff" * 1000,
    "groups": b"\x0b" * 100_000,
    "nested": b"\x12\x80\x80\x04" + b"\x0b" * 2**16,
    "two-pieces": b"\x0a\x03\x0a\x01a\x0a\x03\x0a\x01b",
    "map-of-junk": b"\x0a\x07\x0a\x05<unk>\x0a\x05\x0a\x03<s>\x0a\x06\x0a\x04</s>\x1a\x0a\x12\x08" + b"\xff" * 8,
}


def _words(model: bytes) -> Callable[[Path], None]:
    def forge(base: Path) -> None:
        (base / "tokenizer.json").unlink()
        (base / "sentencepiece.bpe.model").write_bytes(model)

    return forge
