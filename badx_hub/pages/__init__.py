"""Sentences as pages for a browser: the scripts and styles that draw them, and the pages made with these."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from markupsafe import Markup

from badx_hub.storage import canonical_json

_MEANS_SOMETHING = "<>&\u2028\u2029"


def asset(name: str) -> str:
    """The text of a script, style sheet or template beside this module, such as "tree.js"."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def json_in_html(value: Any) -> Markup:
    """A JSON value for a `<script type="application/json">`: nothing in it can end the element or begin another."""
    text = canonical_json(value)
    for character in _MEANS_SOMETHING:
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
