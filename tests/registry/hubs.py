"""Registries on the test Hub, as the tests of this folder use them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from badx_hub.hub.transport import RetryPolicy
from badx_hub.manifest import LanguageAdapterRef
from badx_hub.registry import Entry, LocalRegistry
from badx_hub.registry.hub import HubRegistry
from tests.hub.server import HubServer
from tests.registry.conftest import build

QUICK = RetryPolicy(tries=3, first_wait=0.01, longest=0.5)
Open = Callable[..., HubRegistry]


def open_org(hub: HubServer, cache: Path, owner: str | None = "acme", **options: Any) -> HubRegistry:
    """The namespace as its owner sees it."""
    token = options.pop("token", hub.token)
    return HubRegistry(owner, token=token, cache=cache, **{"offline": False, "retries": QUICK, **options})


@pytest.fixture
def org(hub: HubServer, tmp_path: Path) -> HubRegistry:
    """`acme` on the Hub, by its owner."""
    return open_org(hub, tmp_path / "cache")


@pytest.fixture
def visitor(hub: HubServer, tmp_path: Path) -> HubRegistry:
    """The same from another machine, by a stranger."""
    return open_org(hub, tmp_path / "another-cache", token=hub.other_token)


@pytest.fixture
def pair(registry: LocalRegistry, put: Any) -> tuple[Entry, Entry]:
    """A BA and a TA on it in the local registry."""
    ba = put("mbert/en-wo", files={"curves.png": b"\x89PNG"})
    return ba, put("mbert/en-wo/pos", on=ba)


def stack_in(registry: LocalRegistry, folder: Path, **options: Any) -> tuple[Entry, Entry]:
    """A BA and a TA on it, built below `folder`."""
    ba = registry.publish(build(folder / "ba", "mbert/en-wo", **options))
    parent = LanguageAdapterRef(name=ba.manifest.name, digest=ba.manifest.digest)
    return ba, registry.publish(build(folder / "ta", "mbert/en-wo/pos", parent=parent, **options))
