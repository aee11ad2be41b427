"""What a card says of the base: where it is on the Hub, and how plain `adapters` opens it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from badx_hub.manifest import BaseRef
from badx_hub.modeling.families import find_family

# Old Hub ids without an organisation, and what they are called now, under which the Hub lists a base's adapters. Any
# other name without "/" is a folder or the embedded base.
_CANONICAL_BASES = {
    "bert-base-multilingual-cased": "google-bert/bert-base-multilingual-cased",
    "bert-base-multilingual-uncased": "google-bert/bert-base-multilingual-uncased",
    "distilbert-base-multilingual-cased": "distilbert/distilbert-base-multilingual-cased",
    "xlm-roberta-base": "FacebookAI/xlm-roberta-base",
    "xlm-roberta-large": "FacebookAI/xlm-roberta-large",
}
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")


def hub_name(base: str) -> str | None:
    """The base's id on the Hub as the Hub calls it now; None for a folder and for the embedded base."""
    return _CANONICAL_BASES.get(base, base) if base in _CANONICAL_BASES or _HUB_ID.fullmatch(base) else None


@dataclass(frozen=True)
class Opened:
    """How plain `adapters` opens the base.

    Attributes:
        title: what people call its family.
        plain_model: the class of `adapters`; None where it has none (see `Family`).
        options: what the model with the pretrained head is opened with in its place, as Python writes arguments.
        headless: what `load_adapter` is then told besides, so that it does not look for a place for a task's head.
    """

    title: str
    plain_model: str | None
    options: str
    headless: str


def opened(base: BaseRef) -> Opened:
    """Of a base of any manifest: those of strangers may name a family that is not known here."""
    family = find_family(base)
    if family is None:
        return Opened("", "AutoAdapterModel", "", "")
    settings = {"attn_implementation": family.attention, **family.settings}
    options = ", ".join(f"{key}={json.dumps(one) if isinstance(one, str) else one}" for key, one in settings.items())
    return Opened(family.title, family.plain_model, options, "" if family.plain_model else ", with_head=False")
