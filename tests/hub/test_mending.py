"""What a push mends, refuses and leaves behind on a Hub, and what is said of what is not ours, hidden or absent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from badx_hub.registry import LocalRegistry
from tests.hub.faults import CutHeaders, Status
from tests.hub.fixture import hub as hub
from tests.hub.machine import Machine
from tests.hub.server import HubServer
from tests.hub.story import BA, PAIR, TA, Story, content_of, make_story
from tests.hub.walk import manners

PUSH = ("push", *PAIR, "--to", "acme")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Story:
    return make_story(tmp_path_factory.mktemp("story"), tiny_base)


@pytest.fixture
def author(hub: HubServer, story: Story, tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "author", hub.token)
    shutil.copytree(story.first, machine.registry.root)
    return machine


@pytest.fixture
def published(author: Machine) -> Machine:
    assert author.run(*PUSH).code == 0
    return author


def test_a_broken_badx_json_of_ours_is_written_again(hub: HubServer, published: Machine, story: Story) -> None:
    for repo in (BA, TA):
        hub.put(f"acme/{repo}", {"badx.json": "{"})
    assert published.run("push", "en-wo", "--to", "acme").code == 0
    assert published.run(*PUSH).code == 0
    for repo in (BA, TA):
        expected = content_of(story.entry(repo))
        assert {name: hub.files(f"acme/{repo}")[name] for name in expected} == expected


def test_a_broken_badx_json_of_somebody_else_is_left_alone(hub: HubServer, author: Machine) -> None:
    hub.put(f"acme/{BA}", {"badx.json": "{"})
    before = hub.refs(f"acme/{BA}")
    ended = author.run(*PUSH)
    assert list(manners(ended, 1)) == []
    assert "left alone" in ended.err[-1]
    assert "--to ORG" in ended.err[-1]
    assert "badx-hub remove" not in ended.err[-1]
    assert hub.refs(f"acme/{BA}") == before


@pytest.mark.parametrize("code", [401, 403, 404, 413])
def test_what_others_put_into_a_new_repository_is_never_deleted(hub: HubServer, author: Machine, code: int) -> None:
    hub.put(f"acme/{BA}", {"README.md": "# Theirs\n"})
    hub.fault("*/commit/*", Status(code), times=None)
    assert author.run(*PUSH).code == 1
    assert hub.files(f"acme/{BA}")["README.md"] == b"# Theirs\n"


def test_a_hub_that_failed_may_yet_make_the_commit(hub: HubServer, author: Machine) -> None:
    hub.fault("*/commit/*", Status(500), times=None)
    assert author.run(*PUSH).code == 1
    assert hub.repos() == (f"acme/{BA}",)
    hub.clear_faults()
    assert author.run(*PUSH).code == 0


def test_an_empty_repository_that_may_not_be_deleted_is_told_of(hub: HubServer, author: Machine) -> None:
    hub.fault("*/commit/*", Status(403), times=None)
    hub.fault("/api/repos/delete", Status(403), times=None)
    ended = author.run(*PUSH)
    assert list(manners(ended, 1)) == []
    assert f"acme/{BA} was made for this and is left there, empty" in ended.err[-1]


def test_a_text_on_the_hub_outlives_an_answer_that_was_cut(hub: HubServer, published: Machine, story: Story) -> None:
    text = hub.files(f"acme/{TA}")["README.md"].replace(b"# ", b"# Our own words: ", 1)
    hub.put(f"acme/{TA}", {"README.md": text})
    shutil.copytree(story.later, published.registry.root, dirs_exist_ok=True)
    fault = hub.fault("*/README.md", CutHeaders(), method="GET")
    assert published.run(*PUSH).code == 0
    assert fault.hits == 1
    assert b"Our own words" in hub.files(f"acme/{TA}")["README.md"]


def test_a_commit_is_no_branch(hub: HubServer, published: Machine) -> None:
    head = hub.refs(f"acme/{TA}")["refs/heads/main"]
    ended = published.run(*PUSH, "--revision", head)
    assert list(manners(ended, 2)) == []
    assert "commit" in ended.err[-1]


@pytest.mark.parametrize("place", [f"acme/{BA}", f"hf:acme/{BA}"])
def test_the_repository_itself_is_a_place_to_push_to(
    hub: HubServer, author: Machine, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert author.run("push", "en-wo", "--to", place).code == 0
    assert hub.repos() == (f"acme/{BA}",)
    assert not (tmp_path / "acme").exists()
    ended = author.run(*PUSH[:-1], place)
    assert list(manners(ended, 2)) == []
    assert f"acme/{TA}" in ended.err[-1]


@pytest.mark.parametrize("command", [("push", "en-wo", "--to"), ("pull", "en-wo", "--from")])
def test_what_could_be_a_folder_or_a_repository_is_asked_about(
    hub: HubServer, author: Machine, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "./shared/ours" in author.run(*command, "shared/ours").err[-1]
    Path("acme", BA).mkdir(parents=True)
    ended = author.run(*command, f"acme/{BA}")
    assert list(manners(ended, 2)) == []
    assert f"./acme/{BA}" in ended.err[-1]
    assert not Path("shared").exists()
    assert hub.repos() == ()


def test_pull_from_a_repository_says_how(hub: HubServer, published: Machine) -> None:
    ended = published.run("pull", "en-wo", "--from", f"acme/{BA}")
    assert list(manners(ended, 2)) == []
    assert f"badx-hub pull acme/{BA}" in ended.err[-1]


def test_an_adapter_of_ours_is_pulled_and_not_imported(hub: HubServer, published: Machine, story: Story) -> None:
    reader = Machine(published.home.parent / "reader")
    ended = reader.run("import", f"acme/{BA}", "--language", "wo", "--base", story.base)
    assert list(manners(ended, 2)) == []
    (advice,) = [part for part in ended.err[-1].split("`") if part.startswith("badx-hub pull")]
    assert reader.run(*advice.replace("'", "").split()[1:]).code == 0
    assert [str(one.name) for one in reader.registry.list()] == ["tiny/en-wo"]
    folder = reader.registry.list()[0].location
    assert reader.run("import", folder, "--language", "wo", "--base", story.base).code == 2


@pytest.mark.parametrize("command", [("info",), ("pull",)])
def test_a_repository_without_badx_json_is_no_adapter_of_ours(hub: HubServer, command: tuple[str, ...]) -> None:
    hub.put(f"acme/{BA}", {"adapter_config.json": "{}"})
    ended = Machine(Path("none")).run(*command, f"acme/{BA}")
    assert list(manners(ended, 1)) == []
    assert "has no badx.json" in ended.err[-1]
    assert f"badx-hub import acme/{BA} --language LANG" in ended.err[-1]


def test_verify_takes_names_on_the_hub(hub: HubServer, published: Machine) -> None:
    ended = published.run("verify", f"acme/{BA}")
    assert list(manners(ended, 0)) == []
    assert "tiny/en-wo " in ended.out
    assert "pos" not in ended.out
    hub.put(f"acme/{BA}", {"adapter.safetensors": b"half"})
    ended = published.run("verify", f"acme/{BA}")
    assert ended.code == 1
    assert "badx-hub push" in ended.err[-1]
    assert published.run("verify", f"acme/{BA}", "tiny/en-wo").code == 2


def test_pages_count_what_is_ours(hub: HubServer, published: Machine) -> None:
    for repo in ("tiny.en-fo", "tiny.en-bm", "tiny.en-yo"):
        hub.put(f"acme/{repo}", {"README.md": "# Named like ours by chance\n"})
    first = published.run("search", "--org", "acme", "--limit", "1", "--format", "quiet")
    second = published.run("search", "--org", "acme", "--limit", "1", "--page", "2", "--format", "quiet")
    assert (first.out, second.out) == (f"acme/{BA}\n", f"acme/{TA}\n")
    third = published.run("search", "--org", "acme", "--limit", "1", "--page", "3", "--format", "quiet")
    assert (third.out, third.err[-1]) == ("", "There is no page 3.")


def test_a_zero_shot_score_is_the_one_that_is_shown(hub: HubServer, published: Machine) -> None:
    manifest = json.loads(hub.files(f"acme/{TA}")["badx.json"])
    manifest["metrics"] = {"dev": {"en/accuracy": 0.9}, "test": {"en/accuracy": 0.8, "wo/accuracy": 0.7}}
    hub.put(f"acme/{TA}", {"badx.json": json.dumps(manifest)})
    ended = published.run("search", "--org", "acme", "--task", "pos")
    assert "zero-shot wo accuracy 70.0 %" in ended.out
    assert "90" not in ended.out


def test_what_is_not_reached_is_no_reason_for_an_option_that_is_not_there(hub: HubServer, author: Machine) -> None:
    hub.fault("*", Status(503), times=None)
    for command in (PUSH, ("list", "--registry", "hf:acme"), ("verify", "--registry", "hf:acme")):
        assert "--offline" not in author.run(*command).err[-1]


def test_the_adapter_of_that_name_goes_before_one_with_its_weights(story: Story, tmp_path: Path) -> None:
    from badx_hub.manifest import LanguageAdapterRef
    from badx_hub.registry.protocol import same_weights

    registry = LocalRegistry(story.first)
    ba = registry.get("tiny/en-wo")
    twin = type(ba)(ba.manifest.model_copy(update={"name": "tiny/wo", "created": "2027-01-01T00:00:00Z"}), "9", "x")
    ref = LanguageAdapterRef(name="tiny/en-wo", digest=ba.manifest.digest)
    assert same_weights((ba, twin), ref) == (ba,)
    assert same_weights((twin,), ref) == (twin,)
