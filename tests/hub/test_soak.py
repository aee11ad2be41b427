"""Servers that are killed at seeded moments, and two publishers of one repository: nothing is lost or half visible.

Each test runs a little here, and with `make soak` for minutes.
"""

from __future__ import annotations

import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from badx_hub.errors import UsageError
from badx_hub.registry import LocalRegistry, copy
from tests.hub.faults import Die
from tests.hub.fixture import hub as hub
from tests.hub.machine import Ended, Machine
from tests.hub.server import HubServer
from tests.hub.story import BA, PAIR, TA, Story, content_of, make_story
from tests.hub.walk import LONGEST_WAIT, manners
from tests.registry.hubs import open_org, stack_in

MOMENTS = ("before", "inside", "after")
SEED = 20261126
PUSH, PULL = ("push", *PAIR, "--to", "acme"), ("pull", *PAIR, "--from", "acme")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Story:
    return make_story(tmp_path_factory.mktemp("story"), tiny_base)


def with_kills(times: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kills", [times, pytest.param(100, marks=pytest.mark.soak)])


def finished(ended: Ended) -> None:
    assert list(manners(ended, 0)) == []


def died_politely(ended: Ended) -> None:
    assert [one for one in manners(ended, ended.code) if "of waiting" not in one] == []
    assert ended.waited <= LONGEST_WAIT


@with_kills(8)
def test_a_server_killed_during_a_push(hub: HubServer, story: Story, tmp_path: Path, kills: int) -> None:
    chance = random.Random(SEED)
    author = Machine(tmp_path / "author", hub.token)
    shutil.copytree(story.first, author.registry.root)
    finished(author.run(*PUSH))
    requests = len(hub.requests)
    for number in range(kills):
        for repo in hub.repos():
            hub.api().delete_repo(repo)
        # Half of them strike a commit, of which there are two.
        moment = chance.choice(MOMENTS)
        if number % 2:
            hub.fault("*/commit/*", Die(moment), skip=chance.randrange(2))
        else:
            hub.fault("*", Die(moment), skip=chance.randrange(requests))
        died_politely(author.run(*PUSH))
        hub.restart()
        is_whole(hub, story, tmp_path / f"look{number}")
        finished(author.run(*PUSH))
        is_whole(hub, story, tmp_path / f"look again{number}", complete=True)


def is_whole(hub: HubServer, story: Story, cache: Path, *, complete: bool = False) -> None:
    """Whatever has a badx.json is there to the byte, and a TA only after its BA."""
    seen = [entry.name.repo_name for entry in open_org(hub, cache, token=hub.other_token).list()]
    assert seen in ([BA, TA],) if complete else ([], [BA], [BA, TA])
    for repo in seen:
        expected = content_of(story.entry(repo))
        there = hub.files(f"acme/{repo}")
        assert {name: there.get(name) for name in expected} == expected
        assert len(hub.history(f"acme/{repo}")) == 2, "published once"


@with_kills(8)
def test_a_server_killed_during_a_pull(hub: HubServer, story: Story, tmp_path: Path, kills: int) -> None:
    chance = random.Random(SEED)
    author = Machine(tmp_path / "author", hub.token)
    shutil.copytree(story.first, author.registry.root)
    finished(author.run(*PUSH))
    hub.requests.clear()
    finished(Machine(tmp_path / "measured").run(*PULL))
    requests = len(hub.requests)
    for number in range(kills):
        reader = Machine(tmp_path / f"reader{number}")
        hub.fault("*", Die(chance.choice(MOMENTS)), skip=chance.randrange(requests))
        died_politely(reader.run(*PULL))
        hub.restart()
        here = reader.registry.contents()
        assert here.problems == ()
        assert all(reader.registry.verify(entry).ok for entry in here.entries)
        finished(reader.run(*PULL))
        assert [content_of(one) for one in reader.registry.list()] == [content_of(story.entry(r)) for r in (BA, TA)]


@pytest.mark.parametrize("rounds", [4, pytest.param(80, marks=pytest.mark.soak)])
def test_two_publishers_of_one_repository(hub: HubServer, tmp_path: Path, rounds: int) -> None:
    """Each publishes a version after the other; who comes late is told so, and what was published stays."""
    chance = random.Random(SEED)
    minutes = chance.sample(range(24 * 60), 2 * rounds)
    times = [f"2026-01-01T{minute // 60:02}:{minute % 60:02}:00Z" for minute in minutes]
    hub.behaviour.accept_stale_parent = bool(chance.getrandbits(1))

    def publish(who: int) -> list[tuple[str, str]]:
        org, done = open_org(hub, tmp_path / f"cache{who}"), []
        for number in range(who, 2 * rounds, 2):
            own = LocalRegistry(tmp_path / f"own{number}")
            made = stack_in(own, tmp_path / f"made{number}", weights=float(number), created=times[number])
            try:
                copied = copy(made[1], own, org).copied
            except UsageError as late:
                assert "newer version" in str(late)
                continue
            done += [(str(entry.name), entry.version) for entry in copied]
        return done

    with ThreadPoolExecutor(2) as pool:
        published = [one for done in pool.map(publish, range(2)) for one in done]
    look = open_org(hub, tmp_path / "look", token=hub.other_token)
    assert len(published) >= 2
    for name, version in published:
        assert look.verify(look.get(name, version)).faults == ()
    assert [look.verify(entry).ok for entry in look.list()] == [True, True]
    assert look.problems() == ()
