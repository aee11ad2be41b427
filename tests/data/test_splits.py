from __future__ import annotations

from pathlib import Path

import pytest

from badx_hub.data.splits import FileKind, Split, split_called
from badx_hub.errors import NotFoundError, UsageError

KIND = FileKind("a table", (".tsv", ".jsonl"), "*.{split}.tsv")


def filled(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def names(data: Path, split: Split) -> list[str]:
    return [path.name for path in KIND.split_files(str(data), split)]


SEVERAL = ("en.train.tsv", "en.dev.tsv", "gn.dev.tsv", "gn.test.jsonl.gz", "README.txt")


def test_a_prefix_says_which_of_several_data_sets(tmp_path: Path) -> None:
    folder = filled(tmp_path / "xx", *SEVERAL)
    assert names(folder / "en", "dev") == ["en.dev.tsv"]
    assert names(folder / "gn", "dev") == ["gn.dev.tsv"]
    assert names(folder / "gn", "test") == ["gn.test.jsonl.gz"]
    with pytest.raises(NotFoundError, match=r"gn has no train split; .*there is: gn\.dev\.tsv, gn\.test\.jsonl\.gz\.$"):
        names(folder / "gn", "train")
    with pytest.raises(NotFoundError, match=r"g is not there; give a folder with \*\.dev\.tsv"):
        names(folder / "g", "dev")


def test_a_folder_with_several_data_sets_is_never_mixed(tmp_path: Path) -> None:
    folder = filled(tmp_path / "xx", *SEVERAL)
    with pytest.raises(UsageError, match=r"two dev splits, en\.dev\.tsv and gn\.dev\.tsv.* such as .*xx/en\.$"):
        names(folder, "dev")
    with pytest.raises(UsageError, match=r"several data sets \(.*gn\.test.*\); say which, such as .*xx/en\.$"):
        names(folder, "train")


def test_one_data_set_may_be_called_by_other_names_but_not_twice(tmp_path: Path) -> None:
    folder = filled(tmp_path / "a", "mnli_train.jsonl", "mnli_dev_matched.jsonl", "mnli_dev_mismatched.jsonl")
    assert names(folder, "train") == ["mnli_train.jsonl"]
    assert names(folder, "dev") == ["mnli_dev_matched.jsonl"]
    assert names(folder / "mnli_train.jsonl", "dev") == ["mnli_dev_matched.jsonl"]
    twice = filled(tmp_path / "b", "train.tsv", "train.jsonl")
    with pytest.raises(UsageError, match=r"two train splits, train\.jsonl and train\.tsv; leave one there\.$"):
        names(twice, "train")
    with pytest.raises(UsageError, match=r"is not a table; expected a name that ends in \.tsv, \.jsonl or \.tsv\.gz"):
        names(filled(tmp_path, "x.csv") / "x.csv", "test")


def test_names_of_splits(tmp_path: Path) -> None:
    names_of = ("dev", "validation", "test", "mine", "val", "devel", "trial", "devtest")
    assert [split_called(name) for name in names_of] == ["dev", "dev", "test", None, "dev", "dev", "dev", "test"]
    assert names(filled(tmp_path / "x", "train.tsv", "val.tsv", "devtest.tsv"), "dev") == ["val.tsv"]


def test_folders_that_hold_the_files_are_named(tmp_path: Path) -> None:
    filled(tmp_path / "x" / "R1", "test.jsonl")
    with pytest.raises(NotFoundError, match=r"no \.tsv or \.jsonl file, but such files in .*x/R1\.$"):
        names(tmp_path / "x", "test")


@pytest.mark.parametrize(
    "rivals",
    [
        ("test-en.tsv", "test-wo.tsv"),
        ("wo-test.tsv", "wo-test-v2.tsv"),
        ("wo.test.tsv", "wo.test (1).tsv"),
        ("wo.test.tsv", "wo.test copy.tsv"),
        ("wo.test.tsv", "Copy of wo.test.tsv"),
        ("test.tsv", "test2.tsv"),
        ("test.tsv", "test-a.tsv"),
        ("test.tsv", "TEST.TSV"),
        ("test_old.tsv", "test_new.tsv"),
        ("test-10.tsv", "test-100.tsv"),
        ("test-2019.tsv", "test-2020.tsv"),
        ("test.tsv", "validation.tsv", "test.bak.tsv"),
    ],
    ids=str,
)
def test_files_that_could_be_one_split_are_asked_about(tmp_path: Path, rivals: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"two test splits, .*; leave one there"):
        names(filled(tmp_path / "x", *rivals), "test")


@pytest.mark.parametrize(
    "parts",
    [
        ("train-a-1.tsv", "train-a-2.tsv", "train-b-1.tsv"),
        ("cs_pdt-ud-train-c.tsv", "cs_pdt-ud-train-l.tsv"),
        ("train-00000-of-00002.jsonl", "train-00001-of-00002.jsonl"),
        ("train.1.tsv", "train.2.tsv"),
        ("train01.tsv", "train02.tsv"),
    ],
    ids=str,
)
def test_parts_of_a_split_are_read_together(tmp_path: Path, parts: tuple[str, ...]) -> None:
    assert names(filled(tmp_path / "x", *parts), "train") == list(parts)


def test_what_systems_leave_behind_is_no_data(tmp_path: Path) -> None:
    folder = filled(tmp_path / "x", "test.tsv", "._test.tsv", ".nfs00test.tsv", ".DS_Store", "~$test.tsv", "test.tsv~")
    assert names(folder, "test") == ["test.tsv"]


def test_a_language_after_the_split_says_which_data_set(tmp_path: Path) -> None:
    folder = filled(tmp_path / "x", "train-en.tsv", "dev-en.tsv", "test-en.tsv", "test-wo.tsv")
    assert names(folder / "wo", "test") == names(folder / "test-wo.tsv", "test") == ["test-wo.tsv"]
    assert names(folder / "train-en.tsv", "dev") == names(folder / "en", "dev") == ["dev-en.tsv"]
    with pytest.raises(UsageError, match=r"such as .*x/en\.$"):
        names(folder, "train")


def test_multinli_and_xnli_are_read_as_they_come(tmp_path: Path) -> None:
    kind = FileKind("pairs", (".tsv", ".jsonl", ".txt"), "*.{split}.tsv")
    released = [
        f"multinli_1.0_{part}{end}" for part in ("train", "dev_matched", "dev_mismatched") for end in (".jsonl", ".txt")
    ]
    folder = filled(tmp_path / "multinli_1.0", *released, "README.txt", "paper.pdf")
    assert [path.name for path in kind.split_files(str(folder), "train")] == ["multinli_1.0_train.jsonl"]
    assert [path.name for path in kind.split_files(str(folder), "dev")] == ["multinli_1.0_dev_matched.jsonl"]
    folder = filled(tmp_path / "XNLI-1.0", "xnli.dev.jsonl", "xnli.dev.tsv", "xnli.test.jsonl", "xnli.test.tsv")
    assert [path.name for path in kind.split_files(str(folder), "test")] == ["xnli.test.jsonl"]
