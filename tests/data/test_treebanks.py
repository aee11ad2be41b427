from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path
from typing import cast

import pytest

from badx_hub.data.splits import DataReference, Split
from badx_hub.data.treebanks import split_files
from badx_hub.errors import NotFoundError, UsageError


def filled(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


EWT = ("en_ewt-ud-train.conllu", "en_ewt-ud-dev.conllu.gz", "en_ewt-ud-test.conllu", "README.md", "stats.xml")


def names(data: Path | str, split: Split) -> list[str]:
    return [path.name for path in split_files(str(data), split)]


def test_splits_of_a_folder(tmp_path: Path) -> None:
    folder = filled(tmp_path / "UD_English-EWT", *EWT)
    assert names(folder, "train") == ["en_ewt-ud-train.conllu"]
    assert names(folder, "dev") == ["en_ewt-ud-dev.conllu.gz"]
    assert names(folder, "test") == ["en_ewt-ud-test.conllu"]


def test_a_treebank_in_parts(tmp_path: Path) -> None:
    parts = [f"de_hdt-ud-train-{part}.conllu" for part in ("a-1", "a-2", "b-1")]
    assert names(filled(tmp_path / "x", *parts, "de_hdt-ud-dev.conllu"), "train") == parts


@pytest.mark.parametrize(
    "rival", ["en_gum-ud-train.conllu", "en_ewt-ud-train.conllu.gz"], ids=["another treebank", "the same, gzipped"]
)
def test_two_candidates_for_a_split(tmp_path: Path, rival: str) -> None:
    folder = filled(tmp_path / "x", *EWT, rival)
    with pytest.raises(UsageError, match="two train splits, en_ewt"):
        split_files(str(folder), "train")


def test_a_missing_split_names_what_is_there(tmp_path: Path) -> None:
    folder = filled(tmp_path / "x", "qu_x-ud-test.conllu", "notes.txt")
    with pytest.raises(
        NotFoundError, match=r"no dev split; expected \*-ud-dev.conllu, there is: qu_x-ud-test.conllu\.$"
    ):
        split_files(str(folder), "dev")
    with pytest.raises(NotFoundError, match=r"there is: no \.conllu or \.conll file"):
        split_files(str(filled(tmp_path / "empty")), "dev")


def test_a_file_is_evaluated_whatever_its_name(tmp_path: Path) -> None:
    folder = filled(tmp_path, *EWT, "mine.conllu")
    for name in ("mine.conllu", "en_ewt-ud-dev.conllu.gz", "en_ewt-ud-train.conllu"):
        assert names(folder / name, "test") == [name]


def test_a_file_to_train_on_has_its_dev_split_beside_it(tmp_path: Path) -> None:
    folder = filled(tmp_path, *EWT, "mine.conllu", "en_gum-ud-dev.conllu", "en_lines-ud-train.conllu")
    assert names(folder / "en_ewt-ud-train.conllu", "train") == ["en_ewt-ud-train.conllu"]
    assert names(folder / "en_ewt-ud-train.conllu", "dev") == ["en_ewt-ud-dev.conllu.gz"]
    assert names(folder / "en_gum-ud-dev.conllu", "dev") == ["en_gum-ud-dev.conllu"]
    assert names(folder / "mine.conllu", "train") == ["mine.conllu"]
    refused: tuple[tuple[str, Split], ...] = (
        ("mine.conllu", "dev"),
        ("en_lines-ud-train.conllu", "dev"),
        ("en_ewt-ud-test.conllu", "dev"),
        ("en_ewt-ud-test.conllu", "train"),
    )
    for name, split in refused:
        with pytest.raises(NotFoundError, match=f"{name} has no {split} split"):
            split_files(str(folder / name), split)


def test_what_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere is not there; give a folder"):
        split_files("nowhere", "test")
    with pytest.raises(UsageError, match=r"notes\.txt is not CoNLL-U"):
        split_files(str(filled(tmp_path, "notes.txt") / "notes.txt"), "test")
    with pytest.raises(UsageError, match="no split 'valid'; expected one of: train, dev, test"):
        split_files(str(tmp_path), cast(Split, "valid"))


def test_named_treebanks_are_found_in_the_given_folders_and_at_home(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path / "b" / "UD_English-EWT", *EWT)
    filled(home / "treebanks" / "UD_Wolof-WTB", "wo_wtb-ud-test.conllu")
    monkeypatch.setenv("BADX_HUB_DATA", os.pathsep.join([str(tmp_path / "a"), "", str(tmp_path / "b")]))
    assert names("ud:UD_English-EWT", "dev") == ["en_ewt-ud-dev.conllu.gz"]
    assert names("ud:UD_Wolof-WTB", "test") == ["wo_wtb-ud-test.conllu"]
    with pytest.raises(NotFoundError) as raised:
        split_files("ud:UD_English-ETW", "test")
    message = str(raised.value)
    assert "(there: UD_English-EWT" in message
    assert "universaldependencies.org" in message
    assert str(home / "treebanks") in message
    assert "BADX_HUB_DATA" in message


def test_an_embedded_treebank() -> None:
    assert names("demo:ud/UD_Wolof-WTB", "test") == ["wo_wtb-ud-test.conllu.gz"]


@pytest.mark.parametrize("name", ["ud:", "ud:../UD_English-EWT", "ud:English", "ud:UD_English-EWT/.."])
def test_no_treebanks_name(name: str) -> None:
    with pytest.raises(UsageError, match="no treebank's name"):
        split_files(name, "test")


def test_a_reference_names_no_folder_and_hashes_the_file(tmp_path: Path) -> None:
    content = gzip.compress(b"x")
    path = tmp_path / "a.conllu.gz"
    path.write_bytes(content)
    assert DataReference.of(path) == DataReference("a.conllu.gz", hashlib.sha256(content).hexdigest())
