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


def test_names_of_splits() -> None:
    assert [split_called(name) for name in ("dev", "validation", "test", "mine")] == ["dev", "dev", "test", None]
