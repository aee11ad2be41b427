from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from badx_hub.errors import IntegrityError, NotFoundError, UsageError
from badx_hub.registry import Entry, LocalRegistry, copy
from tests.refusals import refused


@pytest.fixture
def other(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "other")


@pytest.fixture
def stack(put: Any) -> tuple[Entry, Entry]:
    ba = put("mbert/en-wo")
    return ba, put("mbert/en-wo/pos", on=ba)


def versions(entries: tuple[Entry, ...]) -> list[tuple[str, str]]:
    return [(str(entry.name), entry.version) for entry in entries]


def test_a_ta_takes_its_ba_along_and_comes_back(
    registry: LocalRegistry, other: LocalRegistry, stack: tuple[Entry, Entry], tmp_path: Path
) -> None:
    done = copy(stack[1], registry, other)
    assert versions(done.copied) == versions(stack)
    assert done.already == ()
    assert all(other.verify(entry).ok for entry in other.list())
    third = LocalRegistry(tmp_path / "third")
    assert versions(copy(done.copied[1], other, third).copied) == versions(stack)
    for entry in stack:
        here, there = registry.fetch(entry), third.fetch(entry)
        assert {p.name: p.read_bytes() for p in here.iterdir()} == {p.name: p.read_bytes() for p in there.iterdir()}


def test_there_already(registry: LocalRegistry, other: LocalRegistry, stack: tuple[Entry, Entry]) -> None:
    copy(stack[0], registry, other)
    second = copy(stack[1], registry, other)
    assert versions(second.copied) == versions(stack[1:])
    assert versions(second.already) == versions(stack[:1])
    third = copy(stack[1], registry, other)
    assert third.copied == ()
    assert versions(third.already) == versions(stack)
    assert copy(stack[1], registry, registry).already == stack


def test_the_parent_is_found_by_digest_under_any_name(
    registry: LocalRegistry, other: LocalRegistry, stack: tuple[Entry, Entry], put: Any
) -> None:
    twin = put("mbert/en-wo#twin", into=other)
    assert twin.manifest.digest == stack[0].manifest.digest
    done = copy(stack[1], registry, other)
    assert done.already == (twin,)
    assert versions(done.copied) == versions(stack[1:])


def test_a_missing_parent_copies_nothing(
    registry: LocalRegistry, other: LocalRegistry, stack: tuple[Entry, Entry], put: Any
) -> None:
    registry.remove(stack[0], force=True)
    put("mbert/en-wo", weights=2.0)
    with refused(NotFoundError, rf"{stack[0].manifest.digest[:12]}.*badx-hub pull"):
        copy(stack[1], registry, other)
    assert other.list() == ()


Turns = tuple[Entry, Entry, Entry]


def test_a_ta_takes_all_that_it_was_trained_on_along(
    registry: LocalRegistry, other: LocalRegistry, turns: Turns, put: Any
) -> None:
    done = copy(turns[2], registry, other)
    assert versions(done.copied) == versions(turns)
    assert all(other.verify(entry).ok for entry in other.list())
    assert versions(copy(turns[2], registry, other).already) == versions(turns)
    weighted = put("mbert/en-wo@2:1/pos@tlr", on=(turns[0], turns[0], turns[1]))
    assert versions(copy(weighted, registry, other).copied) == versions((weighted,))


def test_of_what_it_was_trained_on_only_what_is_lacking_is_copied(
    registry: LocalRegistry, other: LocalRegistry, turns: Turns
) -> None:
    copy(turns[1], registry, other)
    done = copy(turns[2], registry, other)
    assert versions(done.copied) == versions((turns[0], turns[2]))
    assert versions(done.already) == versions((turns[1],))


@pytest.mark.parametrize("which", [0, 1])
def test_one_missing_adapter_of_several_copies_nothing(
    registry: LocalRegistry, other: LocalRegistry, turns: Turns, which: int
) -> None:
    registry.remove(turns[which], force=True)
    with refused(NotFoundError, f"was trained on {turns[which].name} .*badx-hub pull '{turns[which].name}'"):
        copy(turns[2], registry, other)
    assert other.list() == ()


def test_a_whole_model_goes_to_folders(registry: LocalRegistry, other: LocalRegistry, put: Any) -> None:
    model = put("mbert/en/pos@full")
    done = copy(model, registry, other)
    assert versions(done.copied) == versions((model,))
    assert other.verify(done.copied[0]).ok


@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_source_is_refused(
    registry: LocalRegistry, other: LocalRegistry, stack: tuple[Entry, Entry], which: int
) -> None:
    (registry.fetch(stack[which]) / "adapter.safetensors").write_bytes(b"other")
    with pytest.raises(IntegrityError, match="sha256"):
        copy(stack[1], registry, other)
    assert versions(other.list()) == versions(stack[:which])


@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_destination_is_reported(
    registry: LocalRegistry, other: LocalRegistry, stack: tuple[Entry, Entry], which: int
) -> None:
    copy(stack[1], registry, other)
    (other.fetch(stack[which]) / "adapter.safetensors").unlink()
    with pytest.raises(IntegrityError, match=r"adapter\.safetensors: missing"):
        copy(stack[1], registry, other)


def test_a_read_only_destination(registry: LocalRegistry, stack: tuple[Entry, Entry], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="read-only"):
        copy(stack[0], registry, LocalRegistry(tmp_path / "closed", read_only=True))


def test_an_entry_that_has_gone(registry: LocalRegistry, other: LocalRegistry, stack: tuple[Entry, Entry]) -> None:
    registry.remove(stack[0], force=True)
    with pytest.raises(NotFoundError):
        copy(stack[0], registry, other)
    assert other.list() == ()
