"""Registries and folders of others: only plain files of bounded size are opened, and nothing through a link."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from badx_hub import untrusted_files
from badx_hub.errors import IntegrityError, StorageError
from badx_hub.registry import Entry, LocalRegistry, copy
from badx_hub.registry.foreign import convert
from badx_hub.registry.hub.publish import Prepared
from badx_hub.storage import sha256_file
from badx_hub.untrusted_files import IrregularFile, copy_plain, open_plain, read_plain, sha256_plain

SECRET = "-----BEGIN PRIVATE KEY-----"
FILES = ("README.md", "badx.json", "adapter.safetensors", "adapter_config.json")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "id_ed25519"
    path.write_text(SECRET)
    return path


def link(path: Path, secret: Path) -> None:
    path.unlink()
    path.symlink_to(secret)


def link_to_a_twin(path: Path, secret: Path) -> None:
    path.rename(secret.with_name("twin"))
    path.symlink_to(secret.with_name("twin"))


def pipe(path: Path, _secret: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path, _secret: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def folder(path: Path, _secret: Path) -> None:
    path.unlink()
    path.mkdir()


def unix_socket(path: Path, _secret: Path) -> None:
    path.unlink()
    here = Path.cwd()
    os.chdir(path.parent)  # The names of sockets are short.
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(here)


def sparse(path: Path, _secret: Path) -> None:
    os.truncate(path, 2**40)


DAMAGES = (link, link_to_a_twin, pipe, device, folder, unix_socket, sparse)


@pytest.mark.parametrize("in_folders", [True, False], ids=["relative to folders", "by paths alone"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_only_plain_files_are_opened(
    tmp_path: Path,
    secret: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Path, Path], None],
    in_folders: bool,
) -> None:
    monkeypatch.setattr(untrusted_files, "_OPENS_IN_FOLDERS", in_folders and untrusted_files._OPENS_IN_FOLDERS)
    path = tmp_path / "shared" / "README.md"
    path.parent.mkdir()
    path.write_text("A card.")
    assert read_plain(path, limit=100, below=tmp_path) == b"A card."
    assert sha256_plain(path, below=tmp_path) == sha256_file(path)
    damage(path, secret)
    with pytest.raises(IrregularFile) as caught:
        copy_plain(path, tmp_path / "copied", limit=100)
    assert SECRET not in str(caught.value)
    assert not (tmp_path / "copied").exists()


@pytest.mark.parametrize("in_folders", [True, False])
def test_no_folder_on_the_way_is_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_folders: bool) -> None:
    monkeypatch.setattr(untrusted_files, "_OPENS_IN_FOLDERS", in_folders and untrusted_files._OPENS_IN_FOLDERS)
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "real" / "inner" / "x").write_text("x")
    (tmp_path / "root").symlink_to("real")
    assert read_plain(tmp_path / "root" / "inner" / "x", limit=1, below=tmp_path / "root") == b"x"
    (tmp_path / "real" / "other").symlink_to("inner")
    for path, below in ((tmp_path / "root/inner/x", tmp_path), (tmp_path / "real/other/x", tmp_path / "real")):
        with pytest.raises(IrregularFile, match="is a link"):
            read_plain(path, limit=1, below=below)
    with pytest.raises(IrregularFile, match="leads out"):
        open_plain(tmp_path / "real" / ".." / "x", below=tmp_path / "real")


def test_a_link_put_there_after_the_look_is_not_followed(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, and a folder above it, exchanged between looking and opening."""
    if not untrusted_files._OPENS_IN_FOLDERS:
        pytest.skip("this system opens no file relative to a folder")
    inner = tmp_path / "root" / "inner"
    inner.mkdir(parents=True)
    (inner / "x").write_text("x")
    looked = os.stat

    def exchange_file(*given: Any, **options: Any) -> os.stat_result:
        seen = looked(*given, **options)
        if given == ("x",):
            link(inner / "x", secret)
        return seen

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", exchange_file)
        with pytest.raises(IrregularFile):
            read_plain(inner / "x", limit=100, below=tmp_path)
    link_free = tmp_path / "elsewhere"
    link_free.mkdir()
    (link_free / "x").write_text(SECRET)
    shutil.rmtree(inner)
    inner.symlink_to(link_free)
    monkeypatch.setattr(untrusted_files, "_refuse_links", lambda *_: None)  # Opening refuses it by itself.
    with pytest.raises(IrregularFile):
        read_plain(inner / "x", limit=100, below=tmp_path)


def test_a_file_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        read_plain(tmp_path / "x", limit=1)
    with pytest.raises(StorageError, match="No such file"):
        read_plain(tmp_path / "a" / "x", limit=1, below=tmp_path)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_an_adapter_with_such_a_file_is_neither_copied_nor_sound(
    registry: LocalRegistry, put: Any, tmp_path: Path, secret: Path, damage: Callable[[Path, Path], None], file: str
) -> None:
    entry = put("mbert/en-wo")
    path = registry.fetch(entry)
    damage(path / file, secret)
    states = {check.name: check.state for check in registry.verify(entry).faults}
    assert states == {file: "irregular"}
    other = LocalRegistry(tmp_path / "other")
    with pytest.raises(IntegrityError):
        copy(entry, registry, other)
    assert other.list() == ()
    with pytest.raises(IntegrityError):
        Prepared.of(path)


def test_an_edited_card_is_copied_and_told_of(registry: LocalRegistry, put: Any, tmp_path: Path) -> None:
    entry = put("mbert/en-wo")
    card = registry.fetch(entry) / "README.md"
    card.write_text("My own words.")
    other = LocalRegistry(tmp_path / "other")
    copied = copy(entry, registry, other).copied[0]
    assert (other.fetch(copied) / "README.md").read_text() == "My own words."
    assert {check.name: check.state for check in other.verify(copied).files}["README.md"] == "edited"


def test_a_card_that_is_another_name_of_a_file_elsewhere_is_not_taken_for_an_edit(
    registry: LocalRegistry, put: Any, tmp_path: Path, secret: Path
) -> None:
    entry = put("mbert/en-wo")
    card = registry.fetch(entry) / "README.md"
    twin = tmp_path / "twin"
    twin.hardlink_to(card)  # as package managers do: the content is as published
    assert registry.verify(entry).ok
    card.unlink()
    card.hardlink_to(secret)
    assert [check.state for check in registry.verify(entry).faults] == ["irregular"]
    with pytest.raises(IntegrityError):
        copy(entry, registry, LocalRegistry(tmp_path / "other"))


def test_a_version_that_is_a_link_is_a_problem_and_can_be_removed(
    registry: LocalRegistry, put: Any, tmp_path: Path
) -> None:
    entry = put("mbert/en-wo")
    version = registry.fetch(entry)
    version.rename(tmp_path / version.name)
    version.symlink_to(tmp_path / version.name)
    assert registry.list() == ()
    (problem,) = registry.problems()
    assert "is a link" in problem.reason
    with pytest.raises(IrregularFile, match="is a link"):
        registry.get("mbert/en-wo")
    with pytest.raises(IrregularFile, match="is a link"):
        registry.fetch(entry)
    with pytest.raises(IrregularFile, match="is a link"):
        registry.verify(entry)
    registry.remove(problem)
    assert registry.problems() == ()
    assert (tmp_path / version.name / "badx.json").is_file()


def test_an_adapter_whose_folder_is_a_link_is_a_problem(
    registry: LocalRegistry, put: Any, make: Any, tmp_path: Path
) -> None:
    entry = put("mbert/en-wo")
    repo = registry.root / entry.name.repo_name
    repo.rename(tmp_path / "repo")
    repo.symlink_to(tmp_path / "repo")
    assert registry.list() == ()
    assert [problem.name for problem in registry.problems()] == [entry.name]
    before = sorted((tmp_path / "repo").rglob("*"))
    with pytest.raises(IrregularFile, match="is a link"):
        registry.get("mbert/en-wo")
    with pytest.raises(IrregularFile, match="is a link"):
        registry.publish(make("mbert/en-wo", weights=2.0))
    assert sorted((tmp_path / "repo").rglob("*")) == before


def test_nothing_is_staged_or_swept_through_a_link(registry: LocalRegistry, make: Any, tmp_path: Path) -> None:
    others = tmp_path / "others" / "thesis"
    others.mkdir(parents=True)
    (others / "chapter").write_text("x")
    for path in (others / "chapter", others):
        os.utime(path, (0, 0))
    repo = registry.root / "mbert.en-wo"
    repo.mkdir(parents=True)
    (repo / ".staging").symlink_to(others.parent)
    with pytest.raises(StorageError, match="is a link"):
        registry.publish(make("mbert/en-wo"))
    assert [path.name for path in others.parent.rglob("*")] == ["thesis", "chapter"]


def test_a_pickle_behind_a_link_is_not_converted(tmp_path: Path, secret: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "pytorch_adapter.bin").symlink_to(secret)
    with pytest.raises(IrregularFile, match="is a link"):
        convert(tmp_path / "old")


def test_entries_are_the_same_value_however_they_are_read(registry: LocalRegistry, put: Any) -> None:
    """Reading below the root changes nothing for sound adapters."""
    entry: Entry = put("mbert/en-wo")
    assert registry.list() == (entry,) == (registry.get("mbert/en-wo"),)
    assert registry.verify(entry).ok
