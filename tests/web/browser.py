"""A page of the server in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@contextmanager
def opened(browser: Browser, address: str, width: int = 1200) -> Iterator[Page]:
    """The page at an address, `width` pixels wide; it may not log an error, nor ask any other server."""
    context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if is_fault(message.type, message.text) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if not is_own(request.url, address) else None)
    page.goto(address)
    yield page
    context.close()
    assert wrong == []


def is_fault(kind: str, text: str) -> bool:
    """Whether the browser complains; that a request was refused is something for the page to tell."""
    return kind in ("error", "warning") and "responded with a status of 4" not in text


def is_own(url: str, address: str) -> bool:
    return url.startswith((address, "data:", f"blob:{address}"))
