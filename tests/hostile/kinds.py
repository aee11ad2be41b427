"""Every kind of artefact, by name."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from tests.hostile.artefact import Artefact

KINDS = (
    "folders",
    "headers",
    "weights",
    "configs",
    "heads",
    "manifests",
    "labels",
    "cards",
    "locks",
    "recipes",
    "runs",
    "bases",
    "vocabularies",
    "forged",
    "pickles",
    "imports",
    "texts",
)


def of_kind(kind: str) -> Iterator[Artefact]:
    """The artefacts of the file of that name."""
    yield from import_module(f"tests.hostile.{kind}").artefacts()


def everything() -> Iterator[Artefact]:
    """Every artefact of every kind."""
    for kind in KINDS:
        yield from of_kind(kind)
