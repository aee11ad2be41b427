"""From what `--data` says to files: a folder, one file, or `ud:UD_English-EWT`, looked up in known folders."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from badx_hub.demo import embedded
from badx_hub.errors import NotFoundError, UsageError
from badx_hub.storage import home, sha256_file

Split: TypeAlias = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
INDEX = "ud:"
DATA_VARIABLE = "BADX_HUB_DATA"
_RELEASES = "https://universaldependencies.org/#download"
_TREEBANK = re.compile(r"UD_[A-Za-z][A-Za-z_]*-[A-Za-z0-9]+")
# de_hdt-ud-train-a-1.conllu: large treebanks come in parts.
_FILE = re.compile(r"(?P<stem>(?:.*?[-_.])?)(?P<split>train|dev|test)(?:-[a-z0-9]{1,2})*\.conllu(?:\.gz)?")
_SUFFIX = re.compile(r"\.conllu(\.gz)?$")


@dataclass(frozen=True)
class DataReference:
    """A data file as a manifest records it: its name without folders and the SHA-256 of its content, in hex."""

    name: str
    digest: str

    @classmethod
    def of(cls, path: Path) -> DataReference:
        return cls(path.name, sha256_file(path))


def split_files(data: str, split: Split) -> tuple[Path, ...]:
    """The files of one split, in the order of their names; more than one if the treebank comes in parts.

    `data` is a folder with `*-ud-{train,dev,test}.conllu[.gz]`, the name of such a treebank in an index
    (`ud:UD_English-EWT`), an embedded one (`demo:ud/UD_Wolof-WTB`) or a `.conllu[.gz]` file. One file is what an
    evaluation (`test`) scores, whatever its name. For training it has to be what it is called: the train file
    brings the dev file beside it, and a file whose name has no split has no dev split, lest a model be selected on
    its own training data.

    Raises NotFoundError for a missing treebank or split (naming the files that are there) and UsageError for
    another split, for what is neither folder nor CoNLL-U file, and for a folder with several treebanks.
    """
    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r}; expected one of: {', '.join(SPLITS)}")
    path = _indexed_folder(data.removeprefix(INDEX)) if data.startswith(INDEX) else Path(embedded(data)).expanduser()
    if path.is_dir():
        return _in_folder(path, split)
    if not path.exists():
        raise NotFoundError(
            f"{data} is not there; give a folder with *-ud-{split}.conllu, a .conllu file or ud:UD_English-EWT"
        )
    if not _SUFFIX.search(path.name):
        raise UsageError(f"{data} is not CoNLL-U; expected a name that ends in .conllu or .conllu.gz")
    return _from_file(path, split)


def search_folders() -> tuple[Path, ...]:
    """Where `ud:` names are looked up: the folders of $BADX_HUB_DATA, then `treebanks` in the home folder."""
    named = os.environ.get(DATA_VARIABLE, "").split(os.pathsep)
    return (*(Path(folder).expanduser() for folder in named if folder), home() / "treebanks")


def _indexed_folder(name: str) -> Path:
    if not _TREEBANK.fullmatch(name):
        raise UsageError(f"{name!r} is no treebank's name; expected one like ud:UD_English-EWT")
    folders = search_folders()
    for folder in folders:
        if (folder / name).is_dir():
            return folder / name
    there = sorted({path.name for folder in folders if folder.is_dir() for path in folder.glob("UD_*-*")})
    nearest = difflib.get_close_matches(name, there, n=3, cutoff=0.4)
    hint = f" (there: {', '.join(nearest)})" if nearest else ""
    raise NotFoundError(
        f"{name} is not in {', '.join(map(str, folders))}{hint}; get a release from {_RELEASES} and put the folder"
        f" {name} into {folders[-1]}, or set {DATA_VARIABLE} to the folder that holds it"
    )


def _in_folder(folder: Path, split: Split) -> tuple[Path, ...]:
    found = _conllu_files(folder)
    wanted = tuple(path for path in found if _split_of(path) == split)
    if not wanted:
        there = ", ".join(path.name for path in found) or "no .conllu file"
        raise NotFoundError(f"{folder} has no {split} split; expected *-ud-{split}.conllu, there is: {there}")
    if clash := next(_clashes(wanted), None):
        raise UsageError(f"{folder} has two {split} splits, {clash[0].name} and {clash[1].name}; leave one there")
    return wanted


def _conllu_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _SUFFIX.search(path.name))


def _clashes(paths: tuple[Path, ...]) -> Iterator[tuple[Path, Path]]:
    """Neighbours of different treebanks, or one file plain and gzipped."""
    for first, second in pairwise(paths):
        if _stem_of(first) != _stem_of(second) or first.name.removesuffix(".gz") == second.name.removesuffix(".gz"):
            yield first, second


def _from_file(path: Path, split: Split) -> tuple[Path, ...]:
    called = _split_of(path)
    if split in ("test", called) or (called is None and split == "train"):
        return (path,)
    if called == "train" and split == "dev":
        files = _conllu_files(path.parent)
        beside = tuple(file for file in files if _split_of(file) == split and _stem_of(file) == _stem_of(path))
        if beside:
            return beside
    raise NotFoundError(
        f"{path} has no {split} split; give the folder that holds *-ud-train.conllu and *-ud-dev.conllu"
    )


def _split_of(path: Path) -> str | None:
    match = _FILE.fullmatch(path.name)
    return match["split"] if match else None


def _stem_of(path: Path) -> str | None:
    match = _FILE.fullmatch(path.name)
    return match["stem"] if match else None
