"""Errors as the command line says them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from badx_hub.cli._errors import message
from badx_hub.errors import BadxError


@contextmanager
def refused(kind: type[BadxError], said: str) -> Iterator[pytest.ExceptionInfo[BadxError]]:
    """The block raises this error, and what the command line makes of it fits the pattern `said`."""
    with pytest.raises(kind) as caught:
        yield caught
    assert re.search(said, message(caught.value)), message(caught.value)
