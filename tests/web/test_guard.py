"""Who may ask, and what is refused before anything is read or computed."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from badx_hub.errors import UsageError
from badx_hub.registry import LocalRegistry
from badx_hub.web.limits import Limits
from badx_hub.web.server import ServerAddress, is_loopback
from tests.refusals import refused
from tests.web.client import JSON, Client, serving
from tests.web.conftest import served_of

READ = json.dumps({"text": "a", "tasks": []}).encode()
TOKEN = "0123456789abcdef-XYZ_"
SMALL = Limits(body_bytes=2**20, sentences=3, words=6, words_a_sentence=4, characters_a_word=5)


@pytest.fixture(scope="module")
def small(stacks: LocalRegistry, tiny_base: Path) -> Iterator[Client]:
    """A server with low bounds and nothing to load."""
    with serving(served_of(stacks, tiny_base, SMALL, only="tiny.en-bm")) as client:
        yield client


@pytest.fixture(scope="module")
def locked(stacks: LocalRegistry, tiny_base: Path) -> Iterator[Client]:
    """A server with a token, and a client that does not show it."""
    with serving(served_of(stacks, tiny_base, only="tiny.en-bm"), ServerAddress(port=0, token=TOKEN)) as client:
        yield Client(client.address.partition("?")[0])


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil.example:80", "10.0.0.7", "", "[", "a b"]
)
def test_another_name_is_refused_as_in_dns_rebinding(small: Client, host: str) -> None:
    for method, path in (("GET", "/"), ("GET", "/api/stacks"), ("POST", "/api/annotate")):
        told = small.send(method, path, READ if method == "POST" else None, {**JSON, "Host": host})
        assert told.status in (400, 421) and b"stacks" not in told.body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1", "127.0.0.1:1234", "[::1]:80"])
def test_every_name_of_this_machine_is_known(small: Client, host: str) -> None:
    """Another port is right as well: that of a tunnel."""
    assert small.send("GET", "/health", None, {"Host": host}).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Origin": "http://{host}.evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Encoding": "deflate, gzip"}, 415),
        ({"Origin": "http://{host}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
)
def test_another_site_is_refused_and_our_own_page_is_not(
    small: Client, headers: Mapping[str, str], status: int
) -> None:
    given = {name: value.format(host=small.host) for name, value in headers.items()}
    for path in ("/api/annotate", "/inception/predict"):
        told = small.send("POST", path, READ, {**JSON, **given})
        assert told.status == (422 if (status, path) == (200, "/inception/predict") else status), told


def test_nobody_is_told_that_other_sites_may_ask(small: Client) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    for method in ("OPTIONS", "GET", "POST"):
        told = small.send(method, "/api/annotate", READ if method == "POST" else None, {**JSON, **asked})
        assert told.status >= 400 and not [name for name in told.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/api", "/api/stacks", "/static/page.js", "/nix", "/health"])
def test_every_answer_is_fenced_in(small: Client, path: str) -> None:
    headers = small.get(path).headers
    assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"] and "'unsafe" not in str(headers)
    assert "frame-ancestors 'none'" in headers["content-security-policy"] and "server" not in headers
    assert headers["referrer-policy"] == "no-referrer" and "set-cookie" not in headers


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "is not JSON"),
        (b"{", 400, "is not JSON"),
        (b"\xff\xfe{}", 400, "not UTF-8"),
        (b'{"text": "\\ud800", "tasks": []}', 400, "is not JSON"),
        (b'{"text": "\\u0000", "tasks": []}', 400, "NUL"),
        (b'{"text": "a", "text": "b"}', 400, "a key is there twice"),
        (b"[" * 100_000, 400, "nested too deeply"),
        (b'{"text": ' * 5_000 + b"1" + b"}" * 5_000, 400, "nested too deeply"),
        (b'{"text": ' + b"9" * 10_000 + b"}", 400, "10,000 digits"),
        (json.dumps({"text": "a\n" * 4, "tasks": []}).encode(), 413, "more than 3 sentences or 6 words"),
        (json.dumps({"text": "a b c d\na b c", "tasks": []}).encode(), 413, "more than 3 sentences or 6 words"),
        (json.dumps({"text": "a b c d e", "tasks": []}).encode(), 413, "Sentence 1 has more than 4 words"),
        (json.dumps({"text": "\n" * 9, "tasks": [], "conllu": True}).encode(), 413, "more than 3 sentences"),
        (json.dumps({"text": "a " * 50_001, "tasks": []}).encode(), 413, "100,000 characters in one"),
        (json.dumps({"text": "\n" * 400_001, "tasks": []}).encode(), 413, "more than 400,000 lines"),
        (json.dumps({"text": "a\nabcdef", "tasks": []}).encode(), 413, "A word of sentence 2 has more than 5 char"),
    ],
)
def test_a_body_is_bounded_and_plain(small: Client, body: bytes, status: int, said: str) -> None:
    told = small.send("POST", "/api/annotate", body, JSON)
    assert (told.status, said in told.error) == (status, True), told


def test_a_body_without_a_length_is_bounded_too(small: Client) -> None:
    """In pieces, and more than was announced."""
    head = f"POST /api/annotate HTTP/1.1\r\nHost: {small.host}\r\nContent-Type: application/json\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    told = raw(small, head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 17 + b"0\r\n\r\n")
    assert b" 413 " in told
    assert b" 413 " in raw(small, head.encode() + b"Content-Length: " + b"9" * 15 + b"\r\n\r\n")
    assert b" 413 " in raw(small, head.encode() + b"Content-Length: 1048577\r\n\r\n")
    assert b" 400 " in raw(small, head.encode() + b"Content-Length: -5\r\n\r\n")


def raw(client: Client, sent: bytes) -> bytes:
    """What comes back for these bytes, up to the end of the head."""
    host, _, port = client.host.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(sent)
        told = b""
        while b"\r\n\r\n" not in told and (part := connection.recv(65536)):
            told += part
    return told


def test_a_request_that_never_ends_is_ended(stacks: LocalRegistry, tiny_base: Path) -> None:
    """Neither a head nor a body that comes slowly keeps a connection."""
    limits = Limits(head_seconds=0.2, body_seconds=0.2)
    with serving(served_of(stacks, tiny_base, limits, only="tiny.en-bm")) as client:
        assert raw(client, b"") == b""
        assert raw(client, b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ") == b""
        head = f"POST /api/annotate HTTP/1.1\r\nHost: {client.host}\r\n"
        body = "Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        assert b" 408 " in raw(client, (head + body).encode())
        health = f"GET /health HTTP/1.1\r\nHost: {client.host}\r\n\r\n"
        assert raw(client, (health + health[:9]).encode()).count(b" 200 ") == 1


def test_without_its_token_nothing_is_answered(locked: Client) -> None:
    assert locked.get("/health").json["status"] == "ok"
    for path in ("/", "/api", "/api/stacks", "/openapi.json", "/static/page.js", "/nix", "/token/x/api/stacks"):
        for headers in ({}, {"Authorization": "Bearer x"}, {"Cookie": f"badx_token_1={TOKEN}"}):
            told = locked.send("GET", path, None, headers)
            assert told.status == 401 and "token" in told.error
    for given in ("", "x", TOKEN[:-1], TOKEN + "x", "%ff"):
        assert locked.get(f"/?token={given}").status == 401
    assert locked.post("/api/annotate", {"text": "a", "tasks": []}).status == 401


def test_with_its_token_everything_is(locked: Client) -> None:
    entered = locked.get(f"/?token={TOKEN}")
    kept = entered.headers["set-cookie"]
    assert (entered.status, entered.headers["location"]) == (303, "/") and TOKEN not in entered.headers["location"]
    assert "HttpOnly" in kept and "SameSite=Strict" in kept
    cookie = kept.partition(";")[0]
    for headers in ({"Cookie": cookie}, {"Authorization": f"Bearer {TOKEN}"}):
        assert locked.send("GET", "/api/stacks", None, headers).status == 200
        assert locked.send("POST", "/api/annotate", READ, {**JSON, **headers}).status == 200
    assert locked.get(f"/token/{TOKEN}/api/stacks").status == 200
    other = locked.send("POST", "/api/annotate", READ, {**JSON, "Cookie": cookie, "Origin": "http://localhost:1"})
    assert other.status == 403


def test_an_address_beyond_this_machine_gets_a_token() -> None:
    place = ServerAddress("0.0.0.0", 1).guarded()
    assert place.token is not None and len(place.token) > 40 and place.token in place.address(1)
    assert place.token != ServerAddress("0.0.0.0", 1).guarded().token
    assert (
        ServerAddress("127.0.0.1", 1).guarded().token is None
        and ServerAddress("localhost", 1).address(1) == "http://localhost:1/"
    )
    for token in ("", "short", "a" * 15, "a" * 16 + "?", "ä" * 16):
        with refused(UsageError, "A token has 16 characters|letters of ASCII"):
            ServerAddress(token=token).guarded()
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "no such host")] == [False] * 4


def test_a_place_that_cannot_be_had_is_told(stacks: LocalRegistry, tiny_base: Path) -> None:
    from badx_hub.web.server import WebServer

    served = served_of(stacks, tiny_base)
    with serving(served) as client, refused(UsageError, r"is in use. Take another, or any that is free: `--port 0`"):
        WebServer(served, ServerAddress(port=int(client.host.rpartition(":")[2])))
    with refused(UsageError, "is no address of this machine"):
        WebServer(served, ServerAddress("192.0.2.1", 0))
