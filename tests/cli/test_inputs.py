"""Text that was typed as an argument, in any locale."""

from __future__ import annotations

import pytest

from badx_hub.cli import _inputs
from badx_hub.errors import UsageError


def test_an_argument_is_utf_8_in_every_locale() -> None:
    assert list(_inputs.lines("Waaw \udcc3\udcab", None)) == ["Waaw ë"]
    (raw,) = _inputs.sentences("Waaw \udcc3\udcab", None)
    assert raw.cells("FORM") == ("Waaw", "ë")


def test_a_byte_that_is_not_utf_8_is_told() -> None:
    with pytest.raises(UsageError, match=r"^TEXT is not UTF-8 \(byte 0xe9\)\. Write it to a file"):
        list(_inputs.lines("caf\udce9", None))
