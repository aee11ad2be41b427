"""The relations of Universal Dependencies."""

from __future__ import annotations

ROOT = "root"
"""The relation of a word on the root, and of no other word."""

UNIVERSAL = (
    "acl",
    "advcl",
    "advmod",
    "amod",
    "appos",
    "aux",
    "case",
    "cc",
    "ccomp",
    "clf",
    "compound",
    "conj",
    "cop",
    "csubj",
    "dep",
    "det",
    "discourse",
    "dislocated",
    "expl",
    "fixed",
    "flat",
    "goeswith",
    "iobj",
    "list",
    "mark",
    "nmod",
    "nsubj",
    "nummod",
    "obj",
    "obl",
    "orphan",
    "parataxis",
    "punct",
    "reparandum",
    "root",
    "vocative",
    "xcomp",
)
"""The 37 universal relations, in alphabetical order (https://universaldependencies.org/u/dep/)."""


def universal(relation: str) -> str:
    """The relation without its subtype: "nsubj" of "nsubj:pass"."""
    return relation.partition(":")[0]
