"""Listings of a Hub, page by page, within bounds: nobody is followed to another host, or for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from badx_hub.hub import waiting

MAX_PAGES = 1000
MAX_BYTES = 256 * 2**20
MAX_SECONDS = 300.0

Query: TypeAlias = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """One page: its items as they came, its size in bytes, and the query that leads to the next one."""

    items: Sequence[object]
    size: int
    next: Query | None


class Pages:
    """The items of a listing that are mappings, read page by page as they are drawn.

    `ask` gets a page for a query. The listing ends with a page without a next one, an empty page, or a next one that
    was read before. `passed_over` counts what is no mapping, and what the caller adds; `is_cut` is set where a bound
    was met (`MAX_PAGES`, `MAX_BYTES`, `MAX_SECONDS`) and there may be more.
    """

    def __init__(self, ask: Callable[[Query], Page], query: Query) -> None:
        self.passed_over = 0
        self.is_cut = False
        self._ask = ask
        self._query = query

    def __iter__(self) -> Iterator[Mapping[str, object]]:
        query: Query | None = self._query
        seen: set[tuple[tuple[str, str], ...]] = set()
        size, start = 0, waiting.now()
        while query is not None and tuple(query) not in seen:
            if len(seen) == MAX_PAGES or size > MAX_BYTES or waiting.now() - start > MAX_SECONDS:
                self.is_cut = True
                return
            seen.add(tuple(query))
            page = self._ask(query)
            if not page.items:
                return
            for item in page.items:
                if isinstance(item, dict):
                    yield item
                else:
                    self.passed_over += 1
            size += page.size
            query = page.next
