"""README.md on a Hub: our card, or what people made of it. Their text is kept and the metadata merged.

A card is published with a seal, the sha256 of its text in a comment at the end. While the seal holds, the text is
ours and gives way to that of a newer version; from the first word that somebody changes, it is theirs and stays.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import yaml

from badx_hub.documents import read_yaml
from badx_hub.errors import DataError

_BLOCK = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)(?:\r?\n)?---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_SEAL = re.compile(r"\n*<!-- badx-card ([0-9a-f]{64}) -->\s*\Z")
_TAG = "badx"
_SCORES = "model-index"


def sealed(card: str) -> str:
    """The card as it is published first."""
    metadata, text = _parted(card)
    text = text.rstrip("\n") + "\n"
    return f"{metadata}{text}\n<!-- badx-card {_digest(text)} -->\n"


def is_ours(readme: str) -> bool:
    """Whether nobody has changed the text below the metadata since it was published."""
    _, text = _parted(readme.replace("\r\n", "\n"))
    seal = _SEAL.search(text)
    return seal is not None and _digest(text[: seal.start()].rstrip("\n") + "\n") == seal[1]


def merged(theirs: str, ours: str) -> str:
    """What to publish over `theirs`: their text unless it is ours or empty, under the metadata of both.

    Keys of our card win, lists are joined, other keys stay; but no scores: theirs are those of other weights.
    Metadata that cannot be read as YAML are text.
    """
    our_block, our_text = _parted(sealed(ours))
    their_block, their_text = _parted(theirs)
    known = _values(their_block)
    if known is None:
        known, their_text = {}, f"{their_block}{their_text}"
    text = our_text if is_ours(theirs) or not their_text.strip() else their_text
    values = _joined(known, _values(our_block) or {})
    block = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{block}---\n{text}"


def _joined(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    joined = dict(ours)
    for key, value in theirs.items():
        if key == _SCORES:
            continue
        if key not in joined:
            joined[key] = value
        elif isinstance(joined[key], list):
            more = value if isinstance(value, list) else [value]
            joined[key] = [*joined[key], *(one for one in more if one not in joined[key] and not _is_stale(key, one))]
    return joined


def _is_stale(key: str, value: object) -> bool:
    """A tag of ours that the present card no longer has."""
    return key == "tags" and (not isinstance(value, str) or value == _TAG or value.startswith((f"{_TAG}:", f"{_TAG}-")))


def _parted(readme: str) -> tuple[str, str]:
    block = _BLOCK.match(readme)
    return (block[0], readme[block.end() :]) if block else ("", readme)


def _values(block: str) -> dict[str, Any] | None:
    """The metadata of a block; {} without one; None if they are no mapping of names to values."""
    if not block:
        return {}
    found = _BLOCK.match(block)
    assert found is not None
    try:
        values = read_yaml(found[1], "the metadata")
    except DataError:
        return None
    if values is None:
        return {}
    return values if isinstance(values, dict) and all(isinstance(key, str) for key in values) else None


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
