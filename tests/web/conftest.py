"""A registry with a stack for each task, of random weights, and a server of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from badx_hub.registry import LocalRegistry
from badx_hub.registry.chain import RegistryChain
from badx_hub.web.limits import Limits
from badx_hub.web.served_stacks import ANNOTATING, ServedStacks, choices_in
from tests.made import made
from tests.web.client import Client, serving


@pytest.fixture(scope="session")
def stacks(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> LocalRegistry:
    """tiny/en-wo with pos, dp and ner on it, and tiny/en-bm with pos alone."""
    registry = LocalRegistry(tmp_path_factory.mktemp("stacks"))
    ba = made(registry, tiny_base, "tiny/en-wo", seed=1)
    for seed, task in enumerate(("pos", "dp", "ner"), start=2):
        made(registry, tiny_base, f"tiny/en-wo/{task}", seed=seed, on=ba)
    other = made(registry, tiny_base, "tiny/en-bm", seed=5)
    made(registry, tiny_base, "tiny/en-bm/pos", seed=6, on=other)
    return registry


def served_of(
    registry: LocalRegistry, base: Path, limits: Limits | None = None, only: str | None = None
) -> ServedStacks:
    """Everything in the registry, or only one of its choices."""
    found = {choice.key: choice for choice in choices_in(RegistryChain([registry]), ANNOTATING)}
    chosen = {key: one for key, one in found.items() if only in (None, key)}
    return ServedStacks(chosen, limits or Limits(), base=str(base))


@pytest.fixture(scope="session")
def served(stacks: LocalRegistry, tiny_base: Path) -> ServedStacks:
    return served_of(stacks, tiny_base)


@pytest.fixture(scope="session")
def web(served: ServedStacks) -> Iterator[Client]:
    """A client of a server of all of it."""
    with serving(served) as client:
        yield client
