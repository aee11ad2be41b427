"""What a Hub may send and how long it may take: pages, bytes and seconds, each with an end."""

from __future__ import annotations

import logging
import tracemalloc

import pytest
import requests

from badx_hub.errors import BadxError, HubError, IntegrityError
from badx_hub.hub import paging, waiting
from badx_hub.hub.client import HubClient
from badx_hub.hub.paging import Page, Pages, Query
from badx_hub.hub.ref import HubRef
from badx_hub.hub.session import MAX_ANSWER
from badx_hub.hub.transport import RetryPolicy
from tests.hub.faults import Bomb, CutHeaders, Slow, Status
from tests.hub.fixture import hub as hub
from tests.hub.machine import Clock
from tests.hub.server import HubServer

PLACE = HubRef("acme", "x")
ONCE = RetryPolicy(tries=2, first_wait=0.01)
MIB = 2**20


@pytest.fixture
def client(hub: HubServer) -> HubClient:
    hub.put("acme/x", {"a.txt": "one\n", "README.md": "# x\n"})
    return HubClient(hub.endpoint, hub.token, ONCE)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    counted = Clock()
    monkeypatch.setattr(waiting, "now", counted.now)
    monkeypatch.setattr(waiting, "Timer", counted.timer)
    return counted


def numbered(query: Query) -> Page:
    """A listing without an end, a page an item."""
    number = int(query[0][1])
    return Page([{"id": str(number)}], 10, [("page", str(number + 1))])


def test_an_endless_listing_ends(clock: Clock) -> None:
    listing = Pages(numbered, [("page", "0")])
    assert len(list(listing)) == paging.MAX_PAGES
    assert listing.is_cut


@pytest.mark.parametrize(("seconds", "size"), [(paging.MAX_SECONDS / 3, 1), (0.0, paging.MAX_BYTES // 3)])
def test_a_listing_has_so_many_seconds_and_bytes(clock: Clock, seconds: float, size: int) -> None:
    def slow_and_large(query: Query) -> Page:
        clock.passes(seconds)
        page = numbered(query)
        return Page(page.items, size, page.next)

    listing = Pages(slow_and_large, [("page", "0")])
    assert len(list(listing)) == 4
    assert listing.is_cut


@pytest.mark.parametrize(
    ("page", "items", "passed_over"),
    [
        (Page([], 2, [("page", "1")]), 0, 0),
        (Page([{"id": "a"}], 2, [("page", "0")]), 1, 0),
        (Page([{"id": "a"}, 7, None, ["b"]], 2, None), 1, 3),
    ],
)
def test_where_a_listing_ends_by_itself(page: Page, items: int, passed_over: int) -> None:
    listing = Pages(lambda _: page, [("page", "0")])
    assert (len(list(listing)), listing.passed_over, listing.is_cut) == (items, passed_over, False)


@pytest.mark.parametrize("ask", ["models", "head", "files", "commits", "tags"])
def test_a_packed_answer_takes_no_more_memory_than_it_may(hub: HubServer, client: HubClient, ask: str) -> None:
    hub.fault("/api/*", Bomb(128 * MIB), times=None)
    calls = {
        "models": lambda: client.models("acme", (), most=10),
        "head": lambda: client.head(PLACE),
        "files": lambda: client.files(PLACE),
        "commits": lambda: client.commits(PLACE, most=10),
        "tags": lambda: client.tags(PLACE.repo),
    }
    tracemalloc.start()
    with pytest.raises(IntegrityError, match="more than the"):
        calls[ask]()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * MAX_ANSWER


@pytest.mark.parametrize("code", [400, 403, 500])
def test_a_packed_refusal_takes_little(hub: HubServer, client: HubClient, code: int) -> None:
    hub.fault("/api/*", Bomb(128 * MIB, code), times=None)
    tracemalloc.start()
    with pytest.raises(HubError, match=str(code)):
        client.head(PLACE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * MIB


def test_an_answer_byte_by_byte_is_not_waited_for(hub: HubServer, client: HubClient, clock: Clock) -> None:
    fault = hub.fault("/api/models/*", Slow(0.0, chunk=1), times=None)

    def some_seconds_later() -> float:
        clock.passes(20.0)
        return clock.seconds

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting, "now", some_seconds_later)
        with pytest.raises(HubError, match="in time"):
            client.head(PLACE)
    assert fault.hits == 1


def test_json_in_json_without_end_is_no_answer(hub: HubServer, client: HubClient) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Response, "json", lambda self: (_ for _ in ()).throw(RecursionError()))
        with pytest.raises(IntegrityError, match="not what a Hub says"):
            client.models("acme", (), most=10)


@pytest.mark.parametrize("file", ["a.txt", "README.md"])
def test_a_file_cut_in_its_headers_is_asked_for_again(hub: HubServer, client: HubClient, file: str) -> None:
    fault = hub.fault(f"*/{file}", CutHeaders(), method="GET")
    assert client.read(PLACE, file, limit=100).content == hub.files("acme/x")[file]
    assert fault.hits == 1
    hub.fault(f"*/{file}", CutHeaders(), method="GET", times=None)
    with pytest.raises(HubError, match="broke"):
        client.read(PLACE, file, limit=100)


def test_waiting_is_told_of_once_and_ends(
    hub: HubServer, client: HubClient, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), waiting.waiting("Reading x", 60.0) as first:
        with waiting.waiting("Reading y", 60.0):
            clock.passes(waiting.TELL_AFTER)
        assert first.left == 60.0 - waiting.TELL_AFTER
        clock.passes(100.0)
        assert first.left == 0.0
        first.heard()
        assert first.left == 60.0
    assert [record.getMessage() for record in caplog.records] == [
        "Reading x: no answer for 10 s. Still waiting; Ctrl-C stops it."
    ]
    assert clock.alarms == []


def test_a_hub_that_always_asks_to_wait_is_not_obeyed_for_ever(
    hub: HubServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", clock.passes)
    hub.fault("/api/*", Status(429, retry_after=25), times=None)
    with pytest.raises(BadxError, match="too many requests"):
        HubClient(hub.endpoint, hub.token, RetryPolicy(tries=99)).head(PLACE)
    assert clock.seconds <= 60
