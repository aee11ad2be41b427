"""Calls of the public API check their arguments against their own type hints, before any work is done.

The hints are already there and mypy holds callers inside the package to them; here they hold everybody else. What a
value means (no such task, a size below one) is for the function itself to judge.
"""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, wraps
from inspect import signature
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from typing_extensions import get_protocol_members, is_protocol

from badx_hub.errors import UsageError
from badx_hub.remedies import Advice

P = ParamSpec("P")
R = TypeVar("R")

_SHOWN = 60
_WIDER: Mapping[type, type] = {int: Integral, float: Real, Path: PathLike}
"""Classes whose like from other libraries is as good."""
_MADE_BY = {
    "BilingualStack": 'load_bilingual_stack("en", "wo", "pos")',
    "Entry": 'open_registry().get("NAME")',
    "LanguageRecipe": 'load_recipe("quick").language',
    "Mixture": 'Mixture.parse("en-wo")',
    "Registry": 'open_registry("DIR")',
    "TaskRecipe": 'load_recipe("quick").tasks["pos"]',
    "dtype": "torch.float32",
}
"""Classes of ours and of PyTorch that a caller may not know how to get."""


def checked(*but: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator: a call whose arguments do not fit the type hints raises UsageError. `but` are not looked at."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        names = tuple(signature(function).parameters)

        @cache
        def hints() -> Mapping[str, Any]:  # At the first call: modules of a circle may not be there before.
            return {name: hint for name, hint in get_type_hints(function).items() if name not in (*but, "return")}

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            known = hints()
            for name, value in (*zip(names, args, strict=False), *kwargs.items()):
                hint = known.get(name, Any)
                if type(value) is not hint and not fits(value, hint):
                    raise _refused(function.__qualname__, name, value, hint)
            return function(*args, **kwargs)

        return call

    return decorate


def fits(value: object, hint: Any) -> bool:
    """Whether a value, and what is in it, is of the type. A text is no sequence of texts, and a truth value no number.

    Other iterators than collections are not read: they are taken for what they are called.
    """
    origin, inside = get_origin(hint), get_args(hint)
    if isinstance(hint, TypeVar):
        return fits(value, hint.__bound__ or Any)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in inside)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inside)
    if isinstance(origin, type) and issubclass(origin, collections.abc.Iterable):
        return _holds(value, origin, inside)
    return _is(value, origin or hint)


def _holds(value: object, origin: type, inside: tuple[Any, ...]) -> bool:
    if not isinstance(value, origin) or isinstance(value, str | bytes | bytearray):
        return False
    if isinstance(value, Mapping):
        return all(fits(key, inside[0]) and fits(one, inside[1]) for key, one in value.items())
    return not isinstance(value, Collection) or all(fits(one, inside[0]) for one in value)


def _is(value: object, kind: Any) -> bool:
    if kind is collections.abc.Callable:
        return callable(value)
    if is_protocol(kind):
        return not isinstance(value, type) and all(hasattr(value, name) for name in get_protocol_members(kind))
    if kind in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, _WIDER.get(kind, kind))


def _refused(function: str, name: str, value: object, hint: Any) -> UsageError:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    said = _words(hint)
    made = [_MADE_BY[word] for word in said if word in _MADE_BY]
    advice = f"Make one with {made[0]}." if len(made) == 1 else f"See help({function})."
    return UsageError(
        f"The argument {name} of {function} is {shown} ({type(value).__name__}); expected {_listed(said)}.",
        remedies=(Advice(advice),),
    )


def _words(hint: Any) -> list[str]:
    """What the types of a hint are called in a sentence, None last."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        words = dict.fromkeys(word for one in inside for word in _words(one))
        return sorted(words, key=lambda word: word == "None")
    if origin is Literal:
        return [repr(one) for one in inside]
    if isinstance(hint, TypeVar):
        return _words(hint.__bound__ or Any)
    if origin is None:
        return ["None" if hint is NoneType else getattr(hint, "__name__", str(hint))]
    of = [word for word in _words(inside[-1]) if word != "None"] if inside else []
    return [f"a {origin.__name__.lower()}{f' of {_listed(of)}' if of and of != ['Any'] else ''}"]


def _listed(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
