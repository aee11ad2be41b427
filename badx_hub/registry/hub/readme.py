"""README.md on a Hub: our card, or what people made of it. Their text is kept and the metadata merged.

A card is published with a seal, the sha256 of its text in a comment at the end. While the seal holds, the text is
ours and gives way to that of a newer version; from the first word that somebody changes, it is theirs and stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import yaml

from badx_hub.errors import DataError
from badx_hub.json_toml_yaml import read_yaml

_BLOCK = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)(?:\r?\n)?---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_SEAL = "<!-- badx-card "
_SEAL_VALUE = re.compile(r"([0-9a-f]{64}) -->")
_TAG = "badx"
FACTS = frozenset({"base_model", "base_model_relation", "library_name", "model-index"})
"""Keys that say what the weights are: badx.json is their only source."""

_SCORES = "model-index"


def sealed(card: str) -> str:
    """The card as it is published first."""
    metadata, text = _parted(card)
    text = text.rstrip("\n") + "\n"
    return f"{metadata}{text}\n{_SEAL}{_digest(text)} -->\n"


def is_ours(readme: str) -> bool:
    """Whether nobody has changed the text below the metadata since it was published."""
    _, text = _parted(readme.replace("\r\n", "\n"))
    # Cut, not searched for: a pattern that begins with line ends takes time with the square of their number.
    body, _, end = text.rstrip().rpartition(_SEAL)
    value = _SEAL_VALUE.fullmatch(end)
    return value is not None and _digest(body.rstrip("\n") + "\n") == value[1]


def merged(theirs: str, ours: str, before: Mapping[str, Any] | None = None) -> str:
    """What to publish over `theirs`: their text unless it is ours or empty, under the metadata of both.

    Lists are joined, and keys that our card lacks stay; but no scores: theirs are those of other weights. Of other
    keys, what people set by hand stays, `FACTS` apart: what differs from `before`, the metadata that the card there
    was published with ({}: it was not published by us). Without `before` our card's values win. Metadata that cannot
    be read as YAML are text.
    """
    our_block, our_text = _parted(sealed(ours))
    their_block, their_text = _parted(theirs)
    known = _values(their_block)
    if known is None:
        known, their_text = {}, f"{their_block}{their_text}"
    text = our_text if is_ours(theirs) or not their_text.strip() else their_text
    values = _joined(known, _values(our_block) or {})
    if before is not None:
        values |= {key: known[key] for key in known.keys() & values.keys() - FACTS if _is_by_hand(key, known, before)}
    return f"---\n{_dumped(values)}---\n{text}"


def with_fields(readme: str, fields: Mapping[str, Any]) -> str:
    """The card with these metadata set. A list's items are added to a list that is there. The text stays as it is."""
    block, text = _parted(readme)
    values = _values(block)
    if values is None:
        values, text = {}, f"{block}{text}"
    for key, value in fields.items():
        values[key] = _grown(values.get(key), value)
    return f"---\n{_dumped(values)}---\n{text}" if fields else readme


def metadata_of(readme: str) -> dict[str, Any]:
    """The metadata of a card; {} if there are none that can be read."""
    return _values(_parted(readme)[0]) or {}


def _dumped(values: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=120)


def _grown(there: object, value: object) -> object:
    if not (isinstance(there, list) and isinstance(value, list)):
        return value
    return [*there, *(one for one in value if one not in there)]


def _is_by_hand(key: str, theirs: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    return not isinstance(theirs[key], list) and theirs[key] != before.get(key)


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
