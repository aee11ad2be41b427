"""What a Hub can do to a push and a pull: refuse, fail, cut, lie, die. Either all is there or nothing is."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils import tqdm as hub_tqdm
from tqdm import tqdm

from badx_hub.errors import BadxError, HubError, IntegrityError, UsageError
from badx_hub.hub.errors import asked_to_wait, one_line
from badx_hub.hub.transport import RetryPolicy
from badx_hub.registry import Entry, LocalRegistry, copy
from badx_hub.registry.hub import HubRegistry, PushOptions, RepoFilter
from badx_hub.remedies import Notice
from tests.hub.faults import Action, CutRequest, CutResponse, LoseResponse, Slow, Status, WrongContent, WrongEtag
from tests.hub.fixture import hub as hub
from tests.hub.server import HubServer
from tests.refusals import refused
from tests.registry.hubs import QUICK, open_org, stack_in
from tests.registry.hubs import org as org
from tests.registry.hubs import pair as pair
from tests.registry.hubs import visitor as visitor

Pair = tuple[Entry, Entry]
BA, TA = "acme/mbert.en-wo", "acme/mbert.en-wo.pos"
NEWER = "2026-02-02T00:00:00Z"
fork = get_context("fork")


def is_whole(hub: HubServer, cache: Path) -> int:
    """How many adapters another machine sees; all of them sound, a TA only on its BA."""
    other = open_org(hub, cache)
    entries = other.list()
    assert other.problems() == ()
    for entry in entries:
        assert other.verify(entry).ok
    return len(entries)


def one_line_of(error: BadxError, hub: HubServer) -> str:
    text = str(error)
    assert "\n" not in text and len(text) < 600
    assert not any(token in text for token in (hub.token, hub.read_token, hub.other_token))
    return text


REFUSALS = [
    (401, "log in"),
    (403, "may not do that"),
    (404, "no such thing"),
    (409, "in the way"),
    (412, "same time"),
    (413, "size"),
    (429, "too many requests"),
    (500, "try again later"),
    (501, "does not offer"),
    (503, "try again later"),
]


@pytest.mark.parametrize(("code", "said"), REFUSALS)
@pytest.mark.parametrize("where", ["*/commit/*", "/api/repos/create"])
def test_a_push_that_is_refused_leaves_nothing(
    hub: HubServer,
    org: HubRegistry,
    registry: LocalRegistry,
    pair: Pair,
    tmp_path: Path,
    code: int,
    said: str,
    where: str,
) -> None:
    if (where, code) == ("/api/repos/create", 409):
        pytest.skip("409 to `create` means that the repository is there, which is what we want")
    fault = hub.fault(where, Status(code), times=None)
    with pytest.raises(BadxError, match=said) as caught:
        copy(pair[0], registry, org)
    one_line_of(caught.value, hub)
    assert fault.hits == (3 if code in (409, 412, 429, 500, 503) else 1), "tried again only where that can help"
    hub.clear_faults()
    assert is_whole(hub, tmp_path / "look") == 0
    assert len(copy(pair[1], registry, org).copied) == 2
    assert is_whole(hub, tmp_path / "look") == 2


PASSING: list[tuple[str, str | None, Action]] = [
    ("*/commit/*", None, Status(500)),
    ("*/commit/*", None, Status(412)),
    ("*/commit/*", None, Status(429, retry_after=0.05)),
    ("*/commit/*", None, CutRequest(10)),
    ("*/commit/*", None, CutResponse(5)),
    ("*/commit/*", None, LoseResponse()),
    ("*/preupload/*", None, LoseResponse()),
    ("*/info/lfs/objects/batch", None, CutRequest()),
    ("/upload/*", None, CutRequest(20)),
    ("/upload/*", None, LoseResponse()),
    ("/api/repos/create", None, LoseResponse()),
    ("*/badx.json", "GET", CutResponse(30)),
    ("*/tree/*", "GET", Status(503)),
]


@pytest.mark.parametrize(("path", "method", "action"), PASSING, ids=str)
def test_a_push_outlives_what_passes(
    hub: HubServer,
    org: HubRegistry,
    registry: LocalRegistry,
    pair: Pair,
    tmp_path: Path,
    path: str,
    method: str | None,
    action: Action,
) -> None:
    fault = hub.fault(path, action, method=method)
    done = copy(pair[1], registry, org)
    assert fault.hits == 1
    assert len((*done.copied, *done.already)) == 2
    assert len(hub.history(BA)) == len(hub.history(TA)) == 2, "published once"
    assert is_whole(hub, tmp_path / "look") == 2


@pytest.mark.parametrize("code", [401, 403, 404, 429, 500, 501])
@pytest.mark.parametrize("where", ["*/badx.json", "*/adapter.safetensors", "*/tree/*"])
def test_a_pull_that_is_refused_leaves_nothing(
    hub: HubServer,
    org: HubRegistry,
    visitor: HubRegistry,
    registry: LocalRegistry,
    pair: Pair,
    tmp_path: Path,
    code: int,
    where: str,
) -> None:
    copy(pair[1], registry, org)
    other = LocalRegistry(tmp_path / "other")
    hub.fault(where, Status(code), method="GET", times=None)
    if (code, where) == (501, "*/tree/*"):  # a server that lists no files: the bounds by kind of file hold
        assert len(copy(visitor.get("mbert/en-wo/pos"), visitor, other).copied) == 2
        return
    with pytest.raises(BadxError) as caught:
        copy(visitor.get("mbert/en-wo/pos"), visitor, other)
    one_line_of(caught.value, hub)
    assert other.list() == other.problems() == ()
    assert [path for path in other.root.rglob("*") if path.is_file()] == []
    hub.clear_faults()
    assert len(copy(visitor.get("mbert/en-wo/pos"), visitor, other).copied) == 2


@pytest.mark.parametrize(
    "action", [CutResponse(40), LoseResponse(), Status(500), Status(429, retry_after=0.05), WrongEtag()], ids=str
)
@pytest.mark.parametrize("where", ["*/badx.json", "*/adapter.safetensors", "*/adapter_config.json", "/api/models"])
def test_a_pull_outlives_what_passes(
    hub: HubServer,
    org: HubRegistry,
    visitor: HubRegistry,
    registry: LocalRegistry,
    pair: Pair,
    tmp_path: Path,
    action: Action,
    where: str,
) -> None:
    copy(pair[1], registry, org)
    hub.fault(where, action, method="GET")
    other = LocalRegistry(tmp_path / "other")
    assert len(visitor.list()) == 2
    copy(visitor.get("mbert/en-wo/pos"), visitor, other)
    assert all(other.verify(entry).ok for entry in other.list())
    assert len(other.list()) == 2


def test_a_long_download_goes_on_where_it_was_cut(
    hub: HubServer, org: HubRegistry, visitor: HubRegistry, registry: LocalRegistry, put: Any
) -> None:
    copy(put("mbert/en-wo", size=300_000), registry, org)
    hub.fault("/cdn/*/adapter.safetensors", CutResponse(700_000), method="GET")
    visitor.fetch(visitor.get("mbert/en-wo"))
    ranges = [seen.headers.get("range") for seen in hub.requests if seen.path.startswith("/cdn/")]
    assert ranges[0] is None
    assert str(ranges[1]).startswith("bytes=") and ranges[1] != "bytes=0-"


@pytest.mark.parametrize("file", ["adapter.safetensors", "adapter_config.json", "curves.png"])
def test_wrong_content_is_found_out(
    hub: HubServer, org: HubRegistry, visitor: HubRegistry, registry: LocalRegistry, pair: Pair, file: str
) -> None:
    copy(pair[0], registry, org)
    hub.fault(f"*/{file}", WrongContent(), method="GET", times=None)
    with pytest.raises(IntegrityError, match=rf"{file} is not the file that badx\.json describes"):
        visitor.fetch(visitor.get("mbert/en-wo"))
    assert list(visitor.cache.entries("acme")) == []


def test_a_wrong_badx_json_is_found_out(
    hub: HubServer, org: HubRegistry, visitor: HubRegistry, registry: LocalRegistry, pair: Pair
) -> None:
    copy(pair[0], registry, org)
    hub.fault("*/badx.json", WrongContent(), method="GET", times=None)
    with pytest.raises(BadxError, match=r"badx\.json of acme/mbert\.en-wo"):
        visitor.get("mbert/en-wo")
    assert visitor.list() == ()
    assert len(visitor.problems()) == 1


def test_upload_of_other_bytes_is_found_out(
    hub: HubServer, org: HubRegistry, registry: LocalRegistry, pair: Pair
) -> None:
    hub.fault("*/adapter_config.json", WrongContent(), method="GET", times=None)
    with pytest.raises(IntegrityError, match=r"adapter_config\.json is changed"):
        copy(pair[0], registry, org)


def test_slow_is_not_wrong_and_silence_is(
    hub: HubServer, org: HubRegistry, registry: LocalRegistry, pair: Pair, tmp_path: Path
) -> None:
    copy(pair[0], registry, org)
    visitor = open_org(hub, tmp_path / "c", retries=RetryPolicy(tries=2, first_wait=0.01, silence=0.3))
    hub.fault("*/adapter.safetensors", Slow(0.05, chunk=20), method="GET")
    visitor.fetch(visitor.get("mbert/en-wo"))
    hub.fault("*/badx.json", Slow(1.0), method="GET", times=None)
    with pytest.raises(HubError, match=r"did not answer in time|broke"):
        visitor.get("mbert/en-wo")


def test_nobody_there() -> None:
    away = HubRegistry("acme", endpoint="http://127.0.0.1:9", offline=False, retries=QUICK)
    for ask in (lambda: away.get("mbert/en-wo"), lambda: away.find(RepoFilter())):
        with refused(HubError, r"no connection.*--offline|HF_HUB_OFFLINE"):
            ask()


def test_another_endpoint_is_for_reading(make: Any) -> None:
    away = HubRegistry("acme", endpoint="http://127.0.0.1:9", offline=False, retries=QUICK)
    with pytest.raises(UsageError, match="HF_ENDPOINT"):
        away.publish(make("mbert/en-wo"))


def test_retry_after_is_obeyed_and_bounded(
    hub: HubServer, org: HubRegistry, visitor: HubRegistry, registry: LocalRegistry, pair: Pair
) -> None:
    copy(pair[0], registry, org)
    hub.fault("*/badx.json", Status(429, retry_after=0.4), method="GET")
    started = time.perf_counter()
    visitor.get("mbert/en-wo")
    assert time.perf_counter() - started < 5
    fault = hub.fault("*/badx.json", Status(429, retry_after=3600), method="GET", times=None)
    with pytest.raises(HubError, match="try again in 3600 s"):
        visitor.get("mbert/en-wo")
    assert fault.hits == 1


def test_retry_after_as_a_date() -> None:
    class Response:
        status_code = 429
        headers = {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}  # noqa: RUF012

    error = RuntimeError()
    error.response = Response()  # type: ignore[attr-defined]
    assert (asked_to_wait(error) or 0) > 1e9
    for text in ("soon", "-1", ""):
        Response.headers = {"Retry-After": text}
        assert asked_to_wait(error) is None
    assert RetryPolicy().pause(error, 1) is not None


def test_a_server_that_takes_stale_parents_costs_nobody_their_work(
    hub: HubServer, registry: LocalRegistry, put: Any, tmp_path: Path
) -> None:
    hub.behaviour.accept_stale_parent = True
    notes: list[Notice] = []
    mine, theirs = open_org(hub, tmp_path / "a", say=notes.append), open_org(hub, tmp_path / "b")
    copy(put("mbert/en-wo"), registry, mine)
    first = put("mbert/en-wo", weights=2.0, created="2026-02-01T00:00:00Z", files={"curves.png": b"theirs"})
    second = put("mbert/en-wo", weights=3.0, created=NEWER)
    held = hub.fault("*/preupload/*", Slow(3.0, chunk=1 << 20))  # between my look and my commit
    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(copy, second, registry, mine)
        while not held.hits:
            time.sleep(0.01)
        copy(first, registry, theirs)
        pushing.result()
    assert mine.get("mbert/en-wo").version == second.version
    kept = mine.get("mbert/en-wo", first.version)
    assert mine.verify(kept).ok, "their version is whole, in the history"
    assert notes and kept.location.rpartition("@")[2] in str(notes[0])
    assert is_whole(hub, tmp_path / "look") == 1


def test_two_pushes_at_once_both_end_in_the_history(hub: HubServer, tmp_path: Path) -> None:
    registries = [LocalRegistry(tmp_path / f"local{i}") for i in range(3)]
    stacks = [
        stack_in(own, tmp_path / f"made{i}", weights=float(i), created=f"2026-02-0{i + 1}T00:00:00Z")
        for i, own in enumerate(registries)
    ]
    start = fork.Barrier(3)

    def push(index: int) -> None:
        org = open_org(hub, tmp_path / f"cache{index}", retries=RetryPolicy(tries=8, first_wait=0.05))
        start.wait()
        with suppress(BadxError):  # an older one that comes after a newer is refused
            copy(stacks[index][0], registries[index], org)

    writers = [fork.Process(target=push, args=(index,)) for index in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert is_whole(hub, tmp_path / "look") == 1
    assert open_org(hub, tmp_path / "look").get("mbert/en-wo").version == stacks[2][0].version


def test_a_push_cut_at_any_of_100_points(hub: HubServer, tmp_path: Path) -> None:
    """Half of the cuts kill the process that pushes, the others cut one of its requests."""
    own = LocalRegistry(tmp_path / "own")
    _, ta = stack_in(own, tmp_path / "made", size=3000)
    chance = random.Random(20260303)
    seen = set()
    whole = _timed(lambda: copy(ta, own, open_org(hub, tmp_path / "measured", "tester")))
    requests = len(hub.requests)
    for number in range(100):
        api = hub.api()
        for repo in hub.repos():
            api.delete_repo(repo)
        if number % 2:
            hub.fault("*", _cut(chance), skip=chance.randrange(requests))
            with suppress(BadxError):
                once = RetryPolicy(tries=1)
                copy(ta, own, open_org(hub, tmp_path / f"c{number}", retries=once))
            hub.clear_faults()
        else:
            _killed(lambda n=number: copy(ta, own, open_org(hub, tmp_path / f"c{n}")), chance.uniform(0, whole))
        found = is_whole(hub, tmp_path / f"look{number}")
        seen.add(found)
    assert seen >= {0, 2}
    copy(ta, own, open_org(hub, tmp_path / "end"))
    assert is_whole(hub, tmp_path / "look") == 2


def test_a_pull_cut_at_any_of_100_points(hub: HubServer, tmp_path: Path) -> None:
    own = LocalRegistry(tmp_path / "own")
    copy(stack_in(own, tmp_path / "made", size=3000)[1], own, open_org(hub, tmp_path / "c"))

    def pull(to: LocalRegistry, cache: Path, **options: Any) -> None:
        org = open_org(hub, cache, **options)
        copy(org.get("mbert/en-wo/pos"), org, to)

    chance = random.Random(20260304)
    hub.requests.clear()
    whole = _timed(lambda: pull(LocalRegistry(tmp_path / "measured"), tmp_path / "m"))
    requests = len(hub.requests)
    seen = set()
    for number in range(100):
        to, cache = LocalRegistry(tmp_path / f"to{number}"), tmp_path / f"cache{number}"
        if number % 2:
            hub.fault("*", _cut(chance), skip=chance.randrange(requests))
            with suppress(BadxError):
                pull(to, cache, retries=RetryPolicy(tries=1))
            hub.clear_faults()
        else:
            _killed(lambda t=to, c=cache: pull(t, c), chance.uniform(0, whole))
        entries = to.list()
        seen.add(len(entries))
        assert to.problems() == ()
        assert all(to.verify(entry).ok for entry in entries)
        kept = open_org(hub, cache, offline=True)
        assert all(kept.verify(entry).faults == () for entry in kept.list())
    assert seen >= {0, 2}
    pull(to, cache)
    assert len(to.list()) == 2


def _cut(chance: random.Random) -> Action:
    return chance.choice([CutRequest(chance.randrange(200)), CutResponse(chance.randrange(200)), LoseResponse()])


def _timed(act: Any) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _apart(act: Any) -> None:
    """`act`, with locks of its own: those of tqdm are shared with forks, and who is killed never gives one back."""
    for kind in (tqdm, hub_tqdm):
        kind.set_lock(threading.RLock())
    act()


def _killed(act: Any, after: float) -> None:
    process = fork.Process(target=_apart, args=(act,))
    process.start()
    time.sleep(after)
    with suppress(ProcessLookupError):
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join()


def test_tokens_are_in_no_error(
    hub: HubServer, org: HubRegistry, registry: LocalRegistry, pair: Pair, tmp_path: Path
) -> None:
    said = f"bad token {hub.token} Authorization: Bearer {hub.token}\nsecond line \x1b[31m" + "x" * 500
    for code in (400, 401, 403, 500):
        fault = hub.fault("/api/*", Status(code, said), times=None)
        with pytest.raises(BadxError) as caught:
            copy(pair[0], registry, org)
        assert "\x1b" not in one_line_of(caught.value, hub)
        assert fault.hits
        hub.clear_faults()
    copy(pair[1], registry, org)
    assert hub.token.encode() not in b"".join(hub.files(TA).values()) + b"".join(
        content for path in (registry.root, tmp_path / "cache") for content in _contents(path)
    )


def _contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def test_a_download_takes_no_token_to_the_storage_host(
    hub: HubServer, registry: LocalRegistry, pair: Pair, tmp_path: Path
) -> None:
    mine = open_org(hub, tmp_path / "c", options=PushOptions(private=True))
    copy(pair[0], registry, mine)
    hub.requests.clear()
    mine.fetch(mine.get("mbert/en-wo"))
    sent = {seen.path.startswith("/cdn/"): "authorization" in seen.headers for seen in hub.requests}
    assert sent == {True: False, False: True}


def test_tokens_of_any_look_are_blotted_out() -> None:
    assert one_line("a hf_abcdefghijk b") == "a [token] b"
    assert one_line("Bearer abc.def/x ok") == "[token] ok"
    assert one_line("GET /x?token=secret&y=1") == "GET /x?[token]&y=1"


def test_no_token(hub: HubServer, registry: LocalRegistry, pair: Pair, tmp_path: Path) -> None:
    anonymous = HubRegistry("acme", offline=False, cache=tmp_path / "c", retries=QUICK)
    with pytest.raises(BadxError, match="hf auth login"):
        copy(pair[0], registry, anonymous)
    reader = open_org(hub, tmp_path / "c", token=hub.read_token)
    with pytest.raises(HubError, match="may not do that") as caught:
        copy(pair[0], registry, reader)
    one_line_of(caught.value, hub)
    assert hub.repos() == ()
