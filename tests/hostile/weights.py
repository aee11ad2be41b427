"""Sound safetensors files with the wrong weights in them: of the base, of the BA, of another shape or type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.hostile.artefact import Artefact, Artefacts, Sandbox, tries

if TYPE_CHECKING:
    from torch import Tensor

Tensors = dict[str, Any]
_TYPES = ("float64", "float16", "bfloat16", "int8", "int32", "int64", "uint8", "bool", "complex64", "float8_e4m3fn")
# Fewer or more bits of the same numbers are converted on loading; whoever publishes such a file is told of nothing.
_FLOATS = ("float64", "float16", "bfloat16")
_OF_LAYERS = "names-of-other-layers"
"""A head has none."""
_FILES = {
    "ba": ("ba", "adapter.safetensors"),
    "ta": ("ta", "adapter.safetensors"),
    "head": ("ta", "model_head.safetensors"),
}


def artefacts() -> Artefacts:
    """Changes of each of the stack's three files of weights."""
    for where in _FILES:
        for what, change in {**_shapes(), **_values(), **_types()}.items():
            commands = tries(_FILES[where][0], ("verify", "load"), either=("verify", *_either(where, what)))
            yield Artefact(f"weights/{where}-{what}", _forge(where, change), commands)
        for what, extra in _EXTRA.items():
            # Of the BA itself, these are its own weights with other numbers.
            own = ("load", "predict") if where == "ba" and what in _OF_THE_BA else ()
            commands = tries(_FILES[where][0], ("verify", "pull", "load", "predict"), either=("verify", "pull", *own))
            yield Artefact(f"weights/{where}-with-{what}", _forge(where, _adding(extra)), commands)


def _either(where: str, what: str) -> tuple[str, ...]:
    harmless = what in (*(f"as-{name}" for name in _FLOATS), "huge-values")
    return ("load",) if harmless or (where == "head" and what == _OF_LAYERS) else ()


def rewrite(path: Path, what: str) -> None:
    """Change the weights in a file as the artefact called `what` does."""
    _rewrite(path, {**_shapes(), **_values(), **_types()}[what])


def _rewrite(path: Path, change: Callable[[Tensors], Tensors]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = change(load_file(path))
    save_file({key: value.contiguous() for key, value in tensors.items()}, path, metadata={"format": "pt"})


def _forge(where: str, change: Callable[[Tensors], Tensors]) -> Callable[[Sandbox], None]:
    which, file = _FILES[where]

    def forge(box: Sandbox) -> None:
        _rewrite(box.folder(which) / file, change)
        box.seal(which)

    return forge


def _one(change: Callable[[Tensor], Tensor]) -> Callable[[Tensors], Tensors]:
    """The same done to the first matrix alone."""

    def changed(tensors: Tensors) -> Tensors:
        key = next(key for key, value in tensors.items() if value.dim() > 1)  # A bias is flat already.
        return {**tensors, key: change(tensors[key]).clone()}

    return changed


def _renamed(to: Callable[[str], str]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {to(key): value for key, value in tensors.items()}


def _shapes() -> Mapping[str, Callable[[Tensors], Tensors]]:
    return {
        "none": lambda tensors: {},
        "without-the-first": lambda tensors: dict(list(tensors.items())[1:]),
        "without-the-last": lambda tensors: dict(list(tensors.items())[:-1]),
        "one-alone": lambda tensors: dict(list(tensors.items())[:1]),
        "one-in-place-of-another": lambda tensors: {
            **dict(list(tensors.items())[1:]),
            "x": next(iter(tensors.values())),
        },
        "turned": lambda tensors: {key: value.t() if value.dim() == 2 else value for key, value in tensors.items()},
        "first-flat": _one(lambda value: value.flatten()),
        "first-deeper": _one(lambda value: value[None]),
        "first-a-number": _one(lambda value: value.flatten()[0]),
        "first-empty": _one(lambda value: value[:0]),
        "first-one-row": _one(lambda value: value[:1]),
        "first-twice-as-long": _one(lambda value: value.repeat(2, *[1] * (value.dim() - 1))),
        "all-flat": lambda tensors: {key: value.flatten() for key, value in tensors.items()},
        "names-shouted": _renamed(str.upper),
        "names-prefixed": _renamed(lambda key: f"x.{key}"),
        _OF_LAYERS: _renamed(lambda key: key.replace("layer.1.", "layer.7.")),
        "names-of-another-adapter": _renamed(lambda key: key.replace("wo", "sw").replace("heads.", "heads.x")),
        "first-twice": lambda tensors: {
            **tensors,
            f"{next(iter(tensors))}.weight": next(iter(tensors.values())).clone(),
        },
    }


def _filled(value: float, *, one: bool) -> Callable[[Tensors], Tensors]:
    def fill(tensor: Tensor) -> Tensor:
        tensor = tensor.clone()
        if one:
            tensor.view(-1)[-1] = value
        else:
            tensor.fill_(value)
        return tensor

    return lambda tensors: {key: fill(tensor) for key, tensor in tensors.items()}


def _values() -> Mapping[str, Callable[[Tensors], Tensors]]:
    return {
        "nan": _filled(float("nan"), one=False),
        "one-nan": _filled(float("nan"), one=True),
        "inf": _filled(float("inf"), one=False),
        "one-inf": _filled(float("inf"), one=True),
        "minus-inf": _filled(float("-inf"), one=False),
        "huge-values": _filled(3e38, one=False),
    }


def _types() -> Mapping[str, Callable[[Tensors], Tensors]]:
    def cast(name: str) -> Callable[[Tensors], Tensors]:
        def change(tensors: Tensors) -> Tensors:
            import torch

            return {key: value.to(getattr(torch, name)) for key, value in tensors.items()}

        return change

    mixed = {f"first-{name}": name for name in ("int64", "bool", "uint8")}
    found = {f"as-{name}": cast(name) for name in _TYPES}

    def first(name: str) -> Callable[[Tensors], Tensors]:
        def change(tensors: Tensors) -> Tensors:
            import torch

            key = next(iter(tensors))
            return {**tensors, key: tensors[key].to(getattr(torch, name))}

        return change

    return {**found, **{what: first(name) for what, name in mixed.items()}}


_LAYER = "bert.encoder.layer.0"
_OF_THE_BA = ("the-ba-under-it", "the-bias-of-the-ba")
_UNDER = f"{_LAYER}.output.adapters.tiny:en-wo:::::.adapter_down.0"
_EXTRA: dict[str, tuple[str, tuple[int, ...]]] = {
    "the-base-words": ("bert.embeddings.word_embeddings.weight", (800, 32)),
    "the-base-words-unprefixed": ("embeddings.word_embeddings.weight", (800, 32)),
    "a-base-attention": (f"{_LAYER}.attention.self.query.weight", (32, 32)),
    "a-base-attention-unprefixed": ("encoder.layer.0.attention.self.query.weight", (32, 32)),
    "a-base-norm": (f"{_LAYER}.output.LayerNorm.weight", (32,)),
    "a-base-bias": (f"{_LAYER}.intermediate.dense.bias", (64,)),
    "the-base-pooler": ("bert.pooler.dense.weight", (32, 32)),
    "the-ba-under-it": (f"{_UNDER}.weight", (16, 32)),
    "the-bias-of-the-ba": (f"{_UNDER}.bias", (16,)),
    "a-head-of-another": ("heads.other.1.weight", (17, 32)),
    "an-unknown-name": ("surprise", (4,)),
    "a-dunder": ("__dict__", (4,)),
    "an-invertible-part": ("bert.invertible_adapters.tiny:en-wo:::::.F.0.weight", (8, 16)),
    "a-module": ("bert.encoder", (1,)),
    "an-escape": ("\x1b]0;owned\x07\x9b2J", (1,)),
}


def _adding(extra: tuple[str, tuple[int, ...]]) -> Callable[[Tensors], Tensors]:
    def change(tensors: Tensors) -> Tensors:
        import torch

        key, shape = extra
        return {**tensors, key: torch.full(shape, 3.0)}

    return change
