"""The `hub` fixture: a Hub of one's own for a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import constants, file_download
from huggingface_hub.utils._http import reset_sessions

from tests.hub.server import HubServer, running


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    """A running, empty Hub that the client of this process is configured for, with a cache of the test's own."""
    with serving(tmp_path) as server:
        yield server


@contextmanager
def serving(folder: Path) -> Iterator[HubServer]:
    """The same for as long as the block lasts; server and cache keep their files in the folder."""
    with running(folder / "hub") as server, pytest.MonkeyPatch.context() as patch:
        _configure(patch, server.endpoint, folder / "hf-cache")
        yield server
    reset_sessions()


def _configure(monkeypatch: pytest.MonkeyPatch, endpoint: str, cache: Path) -> None:
    """What HF_ENDPOINT, HF_HUB_CACHE and HF_HUB_OFFLINE=0 do in a new process.

    The client reads them once, at import. `HfApi(endpoint=...)` alone is not enough for a server other than that of
    HF_ENDPOINT: the client commits, and then fails to parse the commit's address.
    """
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        file_download, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    reset_sessions()
