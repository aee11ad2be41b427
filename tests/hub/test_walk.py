"""A walk over all commands in every mode of the server, and what it comes to where not every command can succeed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.hub.behaviour import Behaviour
from tests.hub.faults import Status
from tests.hub.fixture import hub as hub
from tests.hub.fixture import serving
from tests.hub.machine import Ended, Machine
from tests.hub.modes import BY_NAME, FROZEN, MODES, Mode
from tests.hub.server import HubServer
from tests.hub.story import BA, PAIR, TA, Story, content_of, make_story
from tests.hub.walk import LONGEST_WAIT, Step, manners, walk

STEPS = (
    *("push-dry-run", "push", "push-again", "push-again-dry-run"),
    *("search-org", "search", "list", "info", "verify-hub", "pull", "pull-again", "verify", "lock"),
    *("push-next", "push-again-beside-next", "push-newer", "pull-newer", "pull-commit", "predict-locked"),
    *("push-tag", "pull-tag", "push-to-tag"),
    *("push-draft", "push-draft-again", "pull-draft", "push-slash", "push-slash-again", "pull-slash"),
    *("push-private-to-public-dry-run", "push-private-to-public", "push-private", "pull-private"),
    *("pull-private-stranger", "info-private-stranger", "pull-private-anonymous", "info-private-anonymous"),
    *("pull-absent", "remove", "push-read-only", "push-to-others", "push-anonymous"),
)
# Under the others not every command can succeed; they have tests of their own below.
WALKED = tuple(
    mode for mode in MODES if mode.name not in ("frozen", "skipped-files", "skips-known", "pages-refused", "crowd")
)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Story:
    return make_story(tmp_path_factory.mktemp("story"), tiny_base)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, story: Story) -> Callable[[str], Mapping[str, Step]]:
    """walked(mode) -> the steps of the walk in that mode, by name. Each mode is walked through once."""

    @cache
    def steps(mode: str) -> Mapping[str, Step]:
        folder = tmp_path_factory.mktemp(mode)
        with serving(folder) as server:
            server.enter(BY_NAME[mode])
            found = walk(server, story, folder)
        assert tuple(step.name for step in found) == STEPS
        return {step.name: step for step in found}

    return steps


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("mode", WALKED, ids=str)
def test_a_step_of_the_walk(walked: Callable[[str], Mapping[str, Step]], mode: Mode, step: str) -> None:
    found = walked(mode.name)[step]
    assert found.wrong == (), found.ended


@pytest.fixture
def author(hub: HubServer, story: Story, tmp_path: Path) -> Machine:
    """Who has made the adapters, before anything is pushed."""
    machine = Machine(tmp_path / "author", hub.token)
    shutil.copytree(story.first, machine.registry.root)
    return machine


COMMANDS = {
    "search": ("search", "--target", "wo"),
    "list": ("list", "--registry", "hf:acme"),
    "info": ("info", f"acme/{TA}"),
    "verify": ("verify", "--registry", "hf:acme"),
    "pull": ("pull", *PAIR, "--from", "acme"),
    "lock": ("lock", *PAIR, "--registry", "hf:acme"),
    "push": ("push", *PAIR, "--to", "acme"),
    "dry-run": ("push", *PAIR, "--to", "acme", "--dry-run"),
}


def on_frozen(hub: HubServer, machine: Machine, command: str) -> Ended:
    hub.enter(FROZEN)
    return machine.run(*COMMANDS[command], silent=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_frozen_server_is_one_line(hub: HubServer, author: Machine, command: str) -> None:
    ended = on_frozen(hub, author, command)
    assert [wrong for wrong in manners(ended, 1) if "of waiting" not in wrong] == []
    assert "did not answer in time" in ended.err[-1]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_frozen_server_is_not_waited_for_long(hub: HubServer, author: Machine, command: str) -> None:
    assert on_frozen(hub, author, command).waited <= LONGEST_WAIT


@pytest.mark.parametrize("command", COMMANDS)
def test_a_frozen_server_is_told_of_while_it_is_waited_for(hub: HubServer, author: Machine, command: str) -> None:
    assert len(on_frozen(hub, author, command).err) > 1, "only the error at the end"


@pytest.mark.parametrize("command", ["search", "list", "verify", "pull", "push"])
def test_a_refused_page_is_told_of_soon(hub: HubServer, author: Machine, command: str) -> None:
    published(author)
    hub.enter(BY_NAME["pages-refused"])
    reader = Machine(author.home.parent / "reader", hub.other_token)
    ended = (author if command == "push" else reader).run(*COMMANDS[command])
    assert list(manners(ended, 1)) == []
    assert "429" in ended.err[-1]


def test_adapters_behind_a_crowd_are_found_or_it_is_said_that_there_are_more(hub: HubServer, author: Machine) -> None:
    published(author)
    hub.enter(BY_NAME["crowd"])
    ended = Machine(author.home.parent / "reader").run("search", "--target", "wo", "--format", "quiet")
    assert list(manners(ended, ended.code)) == []
    assert f"acme/{TA}" in ended.out or any("20,000" in line for line in ended.err)


@pytest.mark.parametrize("command", ["list", "pull"])
def test_a_crowd_is_not_in_the_way_of_who_knows_the_owner(hub: HubServer, author: Machine, command: str) -> None:
    published(author)
    hub.enter(BY_NAME["crowd"])
    ended = Machine(author.home.parent / "reader").run(*COMMANDS[command])
    assert list(manners(ended, 0)) == []
    assert "tiny/en-wo/pos" in ended.out


def published(author: Machine) -> None:
    assert author.run("push", *PAIR, "--to", "acme").code == 0


def rightly_refused(ended: Ended, *said: str) -> None:
    """One line that says these, and nothing that is not so."""
    assert list(manners(ended, 1)) == []
    assert all(text in ended.err[-1] for text in said), ended.err
    assert "keeps changing" not in ended.err[-1], "the server did that once at most"


def test_a_server_that_skips_files_is_told_of(hub: HubServer, author: Machine) -> None:
    hub.enter(BY_NAME["skipped-files"])
    rightly_refused(author.run("push", *PAIR, "--to", "acme"), "adapter_config.json")
    assert len(hub.history(f"acme/{BA}")) <= 2, "the same was committed again"


def test_a_server_that_sees_no_changes_is_told_of(hub: HubServer, author: Machine, story: Story) -> None:
    hub.behaviour.become(Behaviour(skips_known=True, preupload="nothing", no_change="words"))
    published(author)
    shutil.copytree(story.later, author.registry.root, dirs_exist_ok=True)
    assert author.run("push", *PAIR, "--to", "acme", "--revision", "next").code == 0
    head = hub.refs(f"acme/{TA}")["refs/heads/main"]
    rightly_refused(author.run("push", *PAIR, "--to", "acme"), f"acme/{TA}", "no commit")
    assert hub.refs(f"acme/{TA}")["refs/heads/main"] == head


@pytest.mark.parametrize("private", [False, True])
def test_a_refused_push_leaves_no_repository(hub: HubServer, author: Machine, private: bool) -> None:
    hub.fault("*/commit/*", Status(403), times=None)
    ended = author.run("push", *PAIR, "--to", "acme", *(["--private"] if private else []))
    assert list(manners(ended, 1)) == []
    assert hub.repos() == ()


@pytest.mark.parametrize("repo", [BA, TA])
def test_a_damaged_repository_is_repaired_by_a_push(hub: HubServer, author: Machine, story: Story, repo: str) -> None:
    published(author)
    hub.put(f"acme/{repo}", {"adapter.safetensors": b"half"})
    planned = author.run("push", *PAIR, "--to", "acme", "--dry-run")
    assert (planned.code, "adapter.safetensors" in planned.out) == (0, True)
    assert author.run("push", *PAIR, "--to", "acme").code == 0
    expected = content_of(story.entry(repo))
    assert {name: hub.files(f"acme/{repo}")[name] for name in expected} == expected
