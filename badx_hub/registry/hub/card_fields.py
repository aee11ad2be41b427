"""Metadata of cards that people add to what badx.json says: a licence, a thumbnail, tags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from badx_hub.adapter_files import CARD_FILE
from badx_hub.errors import UsageError
from badx_hub.hub.client import HubClient, Upload
from badx_hub.hub.errors import FAILURES, hub_error
from badx_hub.hub.ref import HubRef, is_commit
from badx_hub.json_toml_yaml import read_yaml
from badx_hub.registry.hub.readme import FACTS, with_fields
from badx_hub.registry.size_limits import MAX_README

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")
_SPELT = {"licence": "license", "licence_name": "license_name", "licence_link": "license_link"}
_LISTS = frozenset({"datasets", "language", "metrics", "tags"})


def card_fields(given: Mapping[str, str]) -> dict[str, Any]:
    """The metadata that texts mean: each value is read as YAML ("mit", "[a, b]"), and "licence" is the Hub's "license".

    One value of a key that is a list on the Hub (datasets, language, metrics, tags) is a list of one.

    Raises UsageError (no key, no value, or a key that only badx.json decides), DataError (no YAML).
    """
    return dict(_field(key.strip(), text) for key, text in given.items())


def set_card_fields(
    client: HubClient, place: HubRef, fields: Mapping[str, Any], *, message: str | None = None, create_pr: bool = False
) -> HubRef:
    """Sets metadata of a card that is published already, in one commit of README.md alone.

    `place` is the repository, at a branch or main. Returns it at the new commit, or at the newest one if the card
    says all that already.

    Raises DataError (the Hub refuses the metadata), NotFoundError, HubError, IntegrityError.
    """
    head = replace(place, revision=client.head(place))
    text = client.read(head, CARD_FILE, limit=MAX_README).content.decode("utf-8", "replace")
    wanted = with_fields(text, fields)
    if wanted == text:
        return head
    client.check_card(wanted, place.repo)
    content = wanted.encode()
    try:
        commit = client.commit(
            place,
            (Upload(CARD_FILE, len(content), content),),
            (),
            parent=head.revision,
            message=message or f"Set {', '.join(fields)} in the card",
            create_pr=create_pr,
        )
    except FAILURES as error:
        raise hub_error(error, f"Changing the card of {place.repo}") from error
    return replace(place, revision=commit) if is_commit(commit) else place


def _field(key: str, text: str) -> tuple[str, Any]:
    key = _SPELT.get(key, key)
    if not _KEY.fullmatch(key):
        raise UsageError(f"{key!r} is no key of a card's metadata: expected letters, digits, _ and -, such as license.")
    if key in FACTS:
        raise UsageError(f"{key} of a card comes from badx.json alone, so it cannot be set. Leave it out.")
    value = read_yaml(text, f"the value of {key}")
    if value is None:
        raise UsageError(f"{key} of the card has no value. Expected text, such as mit, or a list, such as [a, b].")
    return key, [value] if key in _LISTS and not isinstance(value, list) else value
