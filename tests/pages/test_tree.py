"""The drawing of a tree, as a browser shows it and as keys move through it."""

from __future__ import annotations

import json
import re

import pytest

from badx_hub import characters
from badx_hub.pages import asset, json_in_html

HOSTILE = "</script><script>alert(1)</script><!-- & \u2028"


def test_a_value_in_a_page_cannot_leave_its_element() -> None:
    written = json_in_html({HOSTILE: [HOSTILE]})
    assert json.loads(written) == {HOSTILE: [HOSTILE]}
    assert not re.search("[<>&\u2028\u2029]", written)


def test_the_page_hides_the_characters_that_a_terminal_does_not_get() -> None:
    found = re.search(r"const STEERING = /(\[.*\])/g;", asset("tree.js"))
    assert found is not None
    assert found[1] == f"[{characters._STEERING}]".replace("x00-\\x1f\\x7f-\\x9f", "u0000-\\u001f\\u007f-\\u009f")


@pytest.mark.parametrize("name", ["tree.js", "tree.css"])
def test_it_needs_no_network_and_no_inline_style(name: str) -> None:
    text = asset(name).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//\w|innerHTML|insertAdjacentHTML|import |@import|url\(", text)
