"""A real browser for the tests of pages: import the fixture `browser`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium. It ends with the module: while it runs, no event loop of another kind can in this thread."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here to drive a browser with")
    if CHROMIUM is None:
        pytest.skip("no Chromium here: what pages do in a browser is not tested")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield chromium
        chromium.close()
