"""list, info, verify, remove, push and pull on small real registries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from badx_hub.registry import Entry, LocalRegistry
from tests.cli.conftest import Run
from tests.registry.conftest import MBERT, build, reference

Stack = tuple[Entry, Entry]
LONG = "a-base-with-a-rather-long-name/en-zh_Hant@5:1/pos#a-long-label"


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return tmp_path / "second"


def test_empty_list(run: Run) -> None:
    table, document, quiet = (run("list", "--format", format) for format in ("table", "json", "quiet"))
    assert (table.code, table.out) == (0, "")
    assert "badx-hub train" in table.err
    assert document.json == []
    assert quiet.out == ""


def test_an_empty_list_of_a_pair_says_how_to_train_that_pair(run: Run, stack: Stack) -> None:
    assert "badx-hub train en-fr" in run("list", "en-fr").err


def test_a_hub_of_which_nothing_is_in_the_cache_is_not_called_empty_offline(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    refused = run("pull", "en-wo", "--from", "ORG")
    assert refused.code == 1
    assert "you are offline. Unset HF_HUB_OFFLINE" in refused.err
    assert "published no adapter" not in refused.err
    assert "offline" in run("zoo", "--org", "ORG").err


def test_list_shows_each_entry(run: Run, stack: Stack) -> None:
    lines = run("list").out.splitlines()
    assert lines[0].split() == ["name", "kind", "metric", "created", "version"]
    assert "wo perplexity 12.35" in lines[2]
    assert "(frozen)" in lines[3], "of a head that was not trained, as before there was a choice"
    assert "en accuracy 87.6 %" in lines[4] or "en accuracy 87.7 %" in lines[4]
    assert [entry["name"] for entry in run("list", "--format", "json").json] == ["mbert/en-wo", "mbert/en-wo/pos"]
    assert run("list", "--format", "quiet").out == "mbert/en-wo\nmbert/en-wo/pos\n"


def test_long_names_are_whole_in_the_table_and_elsewhere(run: Run, own: LocalRegistry, tmp_path: Path) -> None:
    own.publish(build(tmp_path / "long", LONG))
    table = run("list").out
    assert max(map(len, table.splitlines())) <= 80
    assert LONG in table.splitlines()
    assert run("list", "--format", "quiet").out == f"{LONG}\n"
    assert run("list", "--format", "json").json[0]["name"] == LONG


def test_list_of_a_pair(run: Run, own: LocalRegistry, stack: Stack, tmp_path: Path) -> None:
    own.publish(build(tmp_path / "other", "mbert/en-fo"))
    own.publish(build(tmp_path / "ratio", "mbert/en-wo@5:1"))
    quiet = ("--format", "quiet")
    assert run("list", "en-fo", *quiet).out == "mbert/en-fo\n"
    assert run("list", "Wolof", *quiet).out == ""
    assert run("list", "en-wo", *quiet).out == "mbert/en-wo\nmbert/en-wo/pos\nmbert/en-wo@5:1\n"
    assert run("list", "en-wo@5:1", *quiet).out == "mbert/en-wo@5:1\n"


def test_list_warns_of_what_is_broken(run: Run, stack: Stack) -> None:
    (Path(stack[1].location) / "badx.json").write_text("{}")
    result = run("list", "--format", "json")
    assert result.code == 0
    assert [entry["name"] for entry in result.json] == ["mbert/en-wo"]
    assert result.err.startswith("warning: ")


@pytest.mark.parametrize("arguments", [["mbert/en-wo/pos"], ["en-wo", "--task", "pos"]])
def test_info_by_name_and_by_pair(run: Run, stack: Stack, arguments: list[str]) -> None:
    task = stack[1]
    table = run("info", *arguments)
    assert "mbert/en-wo/pos" in table.out
    assert max(map(len, table.out.splitlines())) <= 80
    document = run("info", *arguments, "--format", "json").json
    assert document["digest"] == task.manifest.digest
    assert document["version"] == task.version
    assert run("info", *arguments, "--format", "quiet").out == f"{task.location}\n"


def test_info_takes_a_version_or_its_first_digits(run: Run, own: LocalRegistry, tmp_path: Path) -> None:
    old = own.publish(build(tmp_path / "old", "mbert/en-wo", weights=1.0))
    new = own.publish(build(tmp_path / "new", "mbert/en-wo", weights=2.0, created="2026-02-02T00:00:00Z"))
    quiet = ("--format", "quiet")
    assert run("info", "en-wo", *quiet).out == f"{new.location}\n"
    short = old.version.partition("-")[2][:7]
    for version in (old.version, short):
        assert run("info", "en-wo", "--version", version, *quiet).out == f"{old.location}\n"
    wrong = run("info", "en-wo", "--version", "xyz")
    assert wrong.code == 1
    assert old.version in wrong.err


def test_info_refuses_options_beside_a_full_name(run: Run, stack: Stack) -> None:
    result = run("info", "mbert/en-wo", "--task", "pos")
    assert result.code == 2
    assert "--task" in result.err


def test_a_pair_on_two_bases_asks_for_one(run: Run, own: LocalRegistry, stack: Stack, tmp_path: Path) -> None:
    other = MBERT.model_copy(update={"name": "xlm-roberta-base", "digest": "e" * 64})
    own.publish(build(tmp_path / "other", "xlmr-base/en-wo", base=other))
    result = run("info", "en-wo")
    assert result.code == 2
    assert "--base xlm" in result.err
    assert "xlmr-base/en-wo" in run("info", "en-wo", "--base", "xlmr-base").out


def test_control_characters_do_not_reach_the_terminal(run: Run, own: LocalRegistry, tmp_path: Path) -> None:
    entry = own.publish(build(tmp_path / "evil", "mbert/en-wo", versions={"torch": "[red]1"}))
    assert "[red]1" in run("info", "en-wo").out
    manifest = Path(entry.location) / "badx.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("[red]", "\\u001b[2J"), encoding="utf-8")
    result = run("list")
    assert "\x1b" not in result.out + result.err
    assert "a text has the control character U+001B" in result.err


def test_verify_sound_registry(run: Run, stack: Stack) -> None:
    result = run("verify")
    assert (result.code, result.err) == (0, "")
    assert [line.split()[-1] for line in result.out.splitlines()[2:]] == ["ok", "ok"]
    assert all(report["ok"] for report in run("verify", "--format", "json").json)
    assert run("verify", "--format", "quiet").out == ""


def test_verify_names_the_damaged_file(run: Run, stack: Stack) -> None:
    file = Path(stack[0].location) / "adapter.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    result = run("verify", "--format", "json")
    assert result.code == 1
    report = next(report for report in result.json if not report["ok"])
    assert report["name"] == "mbert/en-wo"
    assert {"name": "adapter.safetensors", "state": "changed"} in report["files"]
    assert "adapter.safetensors is changed" in result.err
    assert run("verify", "--format", "quiet").out == "mbert/en-wo\n"
    assert run("verify", "mbert/en-wo/pos").code == 0
    assert run("verify", "mbert/en-wo/pos", "en-wo").code == 1


def test_verify_counts_the_unreadable(run: Run, stack: Stack) -> None:
    (Path(stack[1].location) / "badx.json").write_text("{}")
    assert run("verify").code == 1
    assert run("verify", "mbert/en-wo/pos").code == 1
    assert run("verify", "mbert/en-wo").code == 0


def test_verify_misses_a_removed_parent(run: Run, own: LocalRegistry, stack: Stack) -> None:
    own.remove(stack[0], force=True)
    result = run("verify")
    assert result.code == 1
    assert "mbert/en-wo" in result.err


def test_verify_of_an_unknown_name(run: Run, stack: Stack) -> None:
    assert run("verify", "en-fo").code == 1


def test_remove_asks_for_yes_when_nobody_can_answer(stack: Stack) -> None:
    command = [sys.executable, "-m", "badx_hub", "remove", "mbert/en-wo/pos"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--yes" in done.stderr
    assert Path(stack[1].location).is_dir()


def test_remove_takes_every_version(run: Run, own: LocalRegistry, tmp_path: Path) -> None:
    for weights in (1.0, 2.0):
        own.publish(build(tmp_path / str(weights), "mbert/en-wo", weights=weights))
    assert run("remove", "en-wo", "--yes").code == 0
    assert own.list() == ()


def test_remove_takes_one_version(run: Run, own: LocalRegistry, tmp_path: Path) -> None:
    first, second = (own.publish(build(tmp_path / str(w), "mbert/en-wo", weights=w)) for w in (1.0, 2.0))
    assert run("remove", "en-wo", "--version", first.version, "--yes").code == 0
    assert own.list() == (second,)


def test_remove_takes_the_unreadable(run: Run, own: LocalRegistry, stack: Stack) -> None:
    (Path(stack[1].location) / "badx.json").write_text("{}")
    assert run("remove", "mbert/en-wo/pos", "--yes").code == 0
    assert own.problems() == ()


def test_remove_keeps_what_carries_a_task_adapter(run: Run, own: LocalRegistry, stack: Stack) -> None:
    refused = run("remove", "mbert/en-wo", "--yes")
    assert refused.code == 2
    assert "--force" in refused.err
    assert own.list() == stack
    assert run("remove", "mbert/en-wo", "--yes", "--force").code == 0
    assert own.list() == stack[1:]


def test_remove_of_an_unknown_name(run: Run, stack: Stack) -> None:
    result = run("remove", "mbert/en-fo", "--yes")
    assert result.code == 1
    assert "mbert/en-wo" in result.err


def test_merge_tells_how_a_text_that_is_no_name_was_read(run: Run, stack: Stack) -> None:
    refused = run("merge", "a", "en-wo")
    assert refused.code == 1
    assert "'a' was read as Anus (auq), and no adapter of that is here. Give a name" in refused.err


def test_push_takes_the_parent_along(run: Run, stack: Stack, second: Path) -> None:
    result = run("push", "en-wo", "--task", "pos", "--to", second, "--format", "json")
    assert result.code == 0
    assert [(one["name"], one["copied"]) for one in result.json] == [
        ("mbert/en-wo", True),
        ("mbert/en-wo/pos", True),
    ]
    assert [e.version for e in LocalRegistry(second).list()] == [e.version for e in stack]


def test_push_again_does_nothing(run: Run, stack: Stack, second: Path) -> None:
    run("push", "en-wo", "--to", second)
    result = run("push", "en-wo", "--to", second)
    assert result.code == 0
    assert "already" in result.out and "already" in result.err


def test_pull_brings_it_back(run: Run, own: LocalRegistry, stack: Stack, second: Path) -> None:
    run("push", "en-wo", "--task", "pos", "--to", second)
    run("remove", "mbert/en-wo/pos", "--yes")
    run("remove", "mbert/en-wo", "--yes")
    assert run("pull", "mbert/en-wo/pos", "--from", second, "--format", "quiet").out == (
        "mbert/en-wo\nmbert/en-wo/pos\n"
    )
    assert [e.version for e in own.list()] == [e.version for e in stack]


@pytest.mark.parametrize("where", ["my-org", "hf:my-org"])
def test_a_bare_name_is_an_organisation_on_the_hub(run: Run, stack: Stack, where: str) -> None:
    result = run("push", "en-wo", "--to", where)  # HF_HUB_OFFLINE is set in tests
    assert (result.code, result.out) == (1, "")
    assert "offline" in result.err
    assert run("pull", "en-wo", "--from", where).code == 1


def test_an_address_is_no_registry(run: Run, stack: Stack) -> None:
    result = run("push", "en-wo", "--to", "https://huggingface.co/my-org")
    assert result.code == 2
    assert "HF_ENDPOINT" in result.err


def test_a_name_that_is_a_folder_too_is_refused(
    run: Run, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("second").mkdir()
    result = run("push", "en-wo", "--to", "second")
    assert result.code == 2
    assert "./second" in result.err and "hf:second" in result.err
    assert run("push", "en-wo", "--to", "./second").code == 0


def test_options_of_the_hub_are_refused_for_folders(run: Run, stack: Stack, second: Path) -> None:
    result = run("push", "en-wo", "--to", second, "--private", "--tag", "v1")
    assert result.code == 2
    assert "--private, --tag" in result.err
    assert not second.exists()


def test_pull_needs_a_place(run: Run) -> None:
    result = run("pull", "en-wo")
    assert result.code == 2
    assert "--from" in result.err


def test_pull_from_nowhere(run: Run, second: Path) -> None:
    result = run("pull", "en-wo", "--from", second)
    assert result.code == 1
    assert str(second) in result.err


def test_another_registry(run: Run, second: Path, stack: Stack) -> None:
    run("push", "en-wo", "--to", second)
    assert run("list", "--registry", second, "--format", "quiet").out == "mbert/en-wo\n"


@pytest.fixture
def turns(own: LocalRegistry, tmp_path: Path) -> tuple[Entry, Entry, Entry]:
    """LAs of English and Wolof and a TA that was trained on them in turn, in the user's own registry."""
    en, wo = (
        own.publish(build(tmp_path / tag, f"mbert/{tag}", weights=len(tag) + ord(tag[0]))) for tag in ("en", "wo")
    )
    cycle = (reference(en), reference(wo))
    return en, wo, own.publish(build(tmp_path / "tlr", "mbert/en-wo/pos@tlr", cycle=cycle))


def test_info_and_list_name_all_that_took_turns(run: Run, turns: tuple[Entry, Entry, Entry]) -> None:
    en, wo, _ = turns
    asked = ("en-wo", "--task", "pos", "--setup", "tlr")
    shown = " ".join(run("info", *asked).out.split())
    assert f"trained on mbert/en ({en.manifest.digest[:12]}), mbert/wo ({wo.manifest.digest[:12]}), in turn" in shown
    assert "stands on" not in shown
    document = run("info", *asked, "--format", "json").json
    assert [one["name"] for one in document["cycle"]] == ["mbert/en", "mbert/wo"]
    assert "cycle" not in run("info", "mbert/en", "--format", "json").json
    listed = {one["name"]: one for one in run("list", "--format", "json").json}
    assert [one["digest"] for one in listed["mbert/en-wo/pos@tlr"]["carriers"]] == [
        en.manifest.digest,
        wo.manifest.digest,
    ]
    assert listed["mbert/en"]["carriers"] == []


def test_verify_and_remove_know_all_that_took_turns(
    run: Run, own: LocalRegistry, turns: tuple[Entry, Entry, Entry]
) -> None:
    refused = run("remove", "mbert/wo", "--yes")
    assert refused.code == 2
    assert "mbert/en-wo/pos@tlr" in refused.err
    own.remove(turns[1], force=True)
    result = run("verify", "--format", "json")
    assert result.code == 1
    (wrong,) = [one for one in result.json if not one["ok"]]
    assert wrong["parent"] == "missing"
    assert wrong["reason"] == f"mbert/wo ({turns[1].manifest.digest[:12]}), on which it was trained, is not here"


def test_push_and_pull_take_all_that_took_turns(
    run: Run, own: LocalRegistry, turns: tuple[Entry, Entry, Entry], second: Path
) -> None:
    asked = ("en-wo", "--task", "pos", "--setup", "tlr", "--format", "quiet")
    names = "mbert/en\nmbert/wo\nmbert/en-wo/pos@tlr\n"
    assert run("push", *asked, "--to", second).out == names
    for entry in reversed(turns):
        own.remove(entry)
    assert run("pull", *asked, "--from", second).out == names
    assert run("verify").code == 0


def test_a_whole_model_is_shown_and_stays_off_the_hub(
    run: Run, own: LocalRegistry, tmp_path: Path, second: Path
) -> None:
    own.publish(build(tmp_path / "full", "mbert/en/pos@full"))
    assert run("list").out.splitlines()[2].split()[:2] == ["mbert/en/pos@full", "model"]
    asked = ("en-wo", "--task", "pos", "--setup", "full")
    assert run("info", *asked, "--format", "json").json["kind"] == "model"
    assert run("push", *asked, "--to", second, "--format", "quiet").out == "mbert/en/pos@full\n"
    assert run("verify", "--registry", second).code == 0
