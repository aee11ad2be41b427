"""push with a card's fields and a collection, through the program and against a Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from badx_hub.registry.hub.readme import metadata_of
from tests.hub.fixture import hub as hub
from tests.hub.machine import Machine
from tests.hub.server import HubServer
from tests.registry.hubs import stack_in

PUSH = ("push", "en-wo", "--task", "pos", "--to", "acme")
REPOS = ["acme/mbert.en-wo", "acme/mbert.en-wo.pos"]


@pytest.fixture
def machine(hub: HubServer, tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "machine", hub.token)
    stack_in(machine.registry, tmp_path / "made")
    return machine


def card(hub: HubServer, repo: str) -> dict[str, Any]:
    return metadata_of(hub.files(repo)["README.md"].decode())


def test_fields_of_a_first_push_and_of_a_later_one(hub: HubServer, machine: Machine) -> None:
    first = machine.run(*PUSH, "--card-field", "licence=cc-by-4.0", "--card-field", "tags=[wolof]")
    assert first.code == 0, first.err
    for repo in REPOS:
        assert card(hub, repo)["license"] == "cc-by-4.0" and "wolof" in card(hub, repo)["tags"]
    again = machine.run(*PUSH, "--card-field", "license=apache-2.0", "--tag", "v1")
    assert again.code == 0 and f"The card of {REPOS[1]} has license as given." in again.err
    assert [card(hub, repo)["license"] for repo in REPOS] == ["cc-by-4.0", "apache-2.0"]
    refs = hub.refs(REPOS[1])
    assert refs["refs/tags/v1"] == refs["refs/heads/main"]


def test_a_collection_takes_the_whole_stack(hub: HubServer, machine: Machine) -> None:
    for _ in range(2):
        done = machine.run(*PUSH, "--collection", "acme/BAD-X for Wolof")
        assert done.code == 0 and "are in the collection http" in done.err[-1]
    assert hub.collections() == {"BAD-X for Wolof": REPOS}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--card-field", "license"), "--card-field expects KEY=VALUE"),
        (("--card-field", "library_name=peft"), "badx.json alone"),
        (("--collection", "acme"), "--collection expects ORG/TITLE"),
    ],
)
def test_wrong_usage_publishes_nothing(hub: HubServer, machine: Machine, options: tuple[str, str], said: str) -> None:
    done = machine.run(*PUSH, *options)
    assert done.code == 2 and said in done.err[-1]
    assert hub.repos() == ()


def test_a_folder_has_neither(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    done = machine.run(
        "push", "en-wo", "--to", f"{tmp_path}/x", "--card-field", "license=mit", "--collection", "acme/W"
    )
    assert done.code == 2 and "--card-field, --collection: only for the Hub" in done.err[-1]


def test_another_s_collection_is_refused(hub: HubServer, machine: Machine) -> None:
    done = machine.run(*PUSH, "--collection", "stranger/Mine")
    assert done.code == 1 and "Adding to the collection stranger/Mine: the Hub answered 403" in done.err[-1]
