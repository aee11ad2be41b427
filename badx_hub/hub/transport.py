"""How a Hub is asked: sessions with time limits, retries, and downloads that never exceed what was agreed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import requests
from huggingface_hub import HfApi, configure_http_backend, get_session, hf_hub_url
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from badx_hub.errors import BadxError, IntegrityError
from badx_hub.hub.errors import FAILURES, asked_to_wait, cause_of, hub_error, is_passing
from badx_hub.hub.paging import Page, Query
from badx_hub.hub.ref import RepoAt, is_commit
from badx_hub.hub.session import TIME_LIMITS, LimitedSession
from badx_hub.hub.waiting import Patience, current, waiting
from badx_hub.storage import storage_errors

LIBRARY = "badx_hub"

_CHUNK = 1 << 16
_MAX_QUERY = 8192
_T = TypeVar("_T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often something is tried, and how long is waited in between: `first_wait` seconds, then twice that, ...

    A Hub that asks to wait (Retry-After) is obeyed up to `longest` seconds; beyond that the user is told. All tries of
    one call together take at most `patience` seconds. A download may take longer than that, but not be silent for more
    than `silence` seconds.
    """

    tries: int = 4
    first_wait: float = 0.5
    longest: float = 30.0
    silence: float = TIME_LIMITS[1]
    patience: float = TIME_LIMITS[1]

    def pause(self, error: Exception, tried: int) -> float | None:
        """The seconds to wait after the failed try number `tried` (from 1); None to give up."""
        if tried >= self.tries or not is_passing(error):
            return None
        asked = asked_to_wait(error)
        wait = self.first_wait * 2 ** (tried - 1) if asked is None else asked
        return wait if wait <= self.longest else None


@dataclass(frozen=True)
class Answer:
    """A small file, and the commit it was read at if the server said so."""

    content: bytes
    commit: str | None


def client(endpoint: str | None = None, token: str | None = None) -> HfApi:
    """A client for `endpoint` (default: HF_ENDPOINT) with `token` (default: huggingface_hub's own store).

    huggingface_hub waits for ever for most answers, and takes what comes; unless the program has set up its own HTTP
    backend, its sessions get limits here.
    """
    if type(get_session().get_adapter("https://")).__name__ == "UniqueRequestIdAdapter":
        configure_http_backend(LimitedSession)
    return HfApi(endpoint=endpoint, token=token, library_name=LIBRARY, library_version=version("badx-hub"))


def attempt(act: Callable[[], _T], doing: str, retries: RetryPolicy) -> _T:
    """What `act`, which asks the Hub, returns; again after a pause where that can help, else an error for the user.

    An answer that huggingface_hub cannot make sense of (a listing without ids, say) is an IntegrityError.
    """
    with waiting(doing, retries.patience) as patience:
        for tried in count(1):
            try:
                return act()
            except BadxError:
                raise
            except FAILURES as error:
                _pause_or_raise(error, tried, doing, retries, patience)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise _unusable(error, doing) from error
    raise AssertionError("unreachable")


def _pause_or_raise(error: Exception, tried: int, doing: str, retries: RetryPolicy, patience: Patience) -> None:
    if isinstance(error, RecursionError):  # JSON in JSON in JSON
        raise _unusable(error, doing) from error
    if isinstance(error, RuntimeError) and cause_of(error) is error:
        raise error
    wait = retries.pause(error, tried)
    if wait is None or (patience.left is not None and wait >= patience.left):
        raise hub_error(error, doing) from error
    time.sleep(wait)


def _unusable(error: Exception, doing: str) -> IntegrityError:
    return IntegrityError(f"{doing}: the answer is not what a Hub says ({type(error).__name__}). Check HF_ENDPOINT.")


def get_page(api: HfApi, path: str, query: Query, doing: str, retries: RetryPolicy) -> Page:
    """A page of a listing below `path`.

    Of the address of the next page only the query is taken: host and path stay, so that no token goes elsewhere and a
    Hub behind a proxy may name itself as it likes.
    """

    def get() -> Page:
        headers = build_hf_headers(token=api.token, library_name=LIBRARY, library_version=api.library_version)
        response = get_session().get(f"{api.endpoint}{path}", params=list(query), headers=headers)
        hf_raise_for_status(response)
        items = response.json()
        if not isinstance(items, list):
            raise TypeError("no list")
        return Page(items, len(response.content), _next_query(response))

    return attempt(get, doing, retries)


def _next_query(response: requests.Response) -> Query | None:
    query = urlsplit(response.links.get("next", {}).get("url", "")).query
    return parse_qsl(query, keep_blank_values=True) if 0 < len(query) <= _MAX_QUERY else None


def read_file(api: HfApi, place: RepoAt, file: str, *, limit: int, retries: RetryPolicy) -> Answer:
    """A file of at most `limit` bytes. Raises NotFoundError, HubError, IntegrityError (it is larger)."""
    doing = f"Reading {file} of {place.repo}"

    def read() -> Answer:
        with closing(_open(api, place, file, 0, retries)) as response:
            content = b"".join(_bounded(response, limit, doing))
            commit = response.headers.get("X-Repo-Commit")
            return Answer(content, commit if commit and is_commit(commit) else None)

    return attempt(read, doing, retries)


@contextmanager
def download_bars_kept() -> Iterator[None]:
    """Whether downloads draw bars is afterwards as it was before, whoever switches them in a `with` block."""
    drawn = not are_progress_bars_disabled()
    try:
        yield
    finally:
        if drawn:
            enable_progress_bars()
        else:
            disable_progress_bars()


def download(api: HfApi, place: RepoAt, file: str, target: Path, *, limit: int, retries: RetryPolicy) -> None:
    """A file of at most `limit` bytes into `target`; after a cut it goes on where it was. Nothing is checked here.

    Written on the library's session in place of its `hf_hub_download`, which takes as many bytes as come.
    """
    doing = f"Downloading {file} of {place.repo}"

    def go_on() -> None:
        have = target.stat().st_size if target.exists() else 0
        with closing(_open(api, place, file, have, retries)) as response:
            resumed = have > 0 and response.status_code == HTTPStatus.PARTIAL_CONTENT
            with storage_errors(target), target.open("ab" if resumed else "wb") as stream:
                for chunk in _bounded(response, limit - (have if resumed else 0), doing):
                    stream.write(chunk)
                    if (patience := current()) is not None:
                        patience.heard()

    attempt(go_on, doing, retries)


def _open(api: HfApi, place: RepoAt, file: str, start: int, retries: RetryPolicy) -> Any:
    """The response to a GET of the file from byte `start` on, its body not yet read.

    `requests` follows redirects, to a CDN for example, and does not take the token along to another host.
    """
    headers = build_hf_headers(token=api.token, library_name=LIBRARY, library_version=api.library_version)
    headers["Accept-Encoding"] = "identity"
    if start:
        headers["Range"] = f"bytes={start}-"
    url = hf_hub_url(place.repo, file, revision=place.at, endpoint=api.endpoint)
    response = get_session().get(url, headers=headers, stream=True, timeout=(TIME_LIMITS[0], retries.silence))
    if start and response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        # All bytes were there when the connection was cut, or the file is another one: begin again.
        response.close()
        return _open(api, place, file, 0, retries)
    try:
        hf_raise_for_status(response)
        _refuse_cut(response)
    except requests.RequestException:
        response.close()
        raise
    return response


def _refuse_cut(response: Any) -> None:
    """Raises ConnectionError for an answer that was cut inside its headers, and so looks like a complete empty file.

    A file that is empty has a Content-Length that says so.
    """
    if response.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise requests.ConnectionError("the answer is no file")
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    if "Content-Length" not in response.headers and not chunked:
        raise requests.ConnectionError("the answer does not say how long the file is")


def _bounded(response: Any, limit: int, doing: str) -> Iterator[bytes]:
    left = limit
    for chunk in response.iter_content(_CHUNK):
        left -= len(chunk)
        if left < 0:
            raise IntegrityError(f"{doing}: it is larger than it may be ({limit:,} bytes). Nothing of it was kept.")
        yield chunk
