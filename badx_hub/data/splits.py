"""Find annotated files: in a folder, as one file, or by what the names of several files begin with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from badx_hub.errors import NotFoundError, UsageError
from badx_hub.storage import sha256_file
from badx_hub.user_paths import user_path

Split: TypeAlias = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

_ALIASES: dict[str, Split] = {"dev_matched": "dev", "validation": "dev", "validation_matched": "dev", "valid": "dev"}
# The longest first. Parts as in de_hdt-ud-train-a-1.conllu: large treebanks come in several files.
_SPLIT = "|".join(sorted({*SPLITS, *_ALIASES}, key=len, reverse=True))
_NAME = re.compile(rf"(?P<stem>(?:.*?[-_.])?)(?P<split>{_SPLIT})(?:-[a-z0-9]{{1,2}})*")
_SEPARATORS = "-_."


@dataclass(frozen=True)
class DataReference:
    """A data file as a manifest records it: its name without folders and the SHA-256 of its content, in hex."""

    name: str
    digest: str

    @classmethod
    def of(cls, path: Path) -> DataReference:
        return cls(path.name, sha256_file(path))


@dataclass(frozen=True)
class FileKind:
    """Files of one format.

    `called` names the format in messages. `suffixes` are the ends of file names; each may be followed by `.gz`. `name`
    is an example of a file name, with "{split}" in place of the split.
    """

    called: str
    suffixes: tuple[str, ...]
    name: str

    def split_files(self, data: str, split: Split) -> tuple[Path, ...]:
        """The files of one split, in the order of their names; more than one if they are parts of a whole.

        `data` is a folder that holds one data set (en.train.tsv, en.dev.tsv), what its names begin with where a
        folder holds several (`nli/gn` for gn.dev.tsv and gn.test.tsv), or one file. "validation" and "dev_matched"
        are other names of "dev". An evaluation (`test`) scores a single file whatever its name. In training the name
        counts: with the train file comes the dev file in the same folder. A file whose name has no split has no dev
        split, so that no model is selected on its own training data.

        Raises NotFoundError for missing data or a missing split (it names the files found) and UsageError for another
        split, for a file of another format, and for a folder with several data sets.
        """
        require_split(split)
        path = user_path(data)
        if path.is_dir():
            return self._in_folder(path, split)
        if path.exists():
            if self._bare(path) is None:
                raise UsageError(f"{data} is not {self.called}; expected a name that ends in {self.endings}.")
            return self._from_file(path, split)
        if named := [file for file in self._files(path.parent) if _begins(self._stem(file), path.name)]:
            return self._chosen(path, named, split)
        raise NotFoundError(f"{data} is not there; give a folder with {self._expected(split)} or such a file.")

    @property
    def endings(self) -> str:
        """The suffixes, for messages."""
        return ", ".join(self.suffixes) + f" or {self.suffixes[0]}.gz"

    def _in_folder(self, folder: Path, split: Split) -> tuple[Path, ...]:
        found = self._files(folder)
        wanted = self._chosen(folder, found, split)
        stems = {self._stem(file): file for file in found if self._split(file)}
        if len(stems) > 1:
            names = ", ".join(file.name for file in stems.values())
            raise UsageError(f"{folder} holds several data sets ({names}); say which{self._as_prefix(wanted[0])}.")
        return wanted

    def _chosen(self, place: Path, files: list[Path], split: Split) -> tuple[Path, ...]:
        wanted = [file for file in files if self._split(file) == split]
        if not wanted:
            there = ", ".join(file.name for file in files) or f"no {' or '.join(self.suffixes)} file"
            raise NotFoundError(f"{place} has no {split} split; expected {self._expected(split)}, there is: {there}.")
        if clash := next(self._clashes(wanted), None):
            first, second = clash
            which = f" or say which{self._as_prefix(first)}" if self._stem(first) != self._stem(second) else ""
            raise UsageError(f"{place} has two {split} splits, {first.name} and {second.name}; leave one there{which}.")
        return tuple(wanted)

    def _from_file(self, path: Path, split: Split) -> tuple[Path, ...]:
        called = self._split(path)
        if split in ("test", called) or (called is None and split == "train"):
            return (path,)
        if called == "train" and split == "dev":
            beside = [file for file in self._files(path.parent) if self._stem(file) == self._stem(path)]
            if found := tuple(file for file in beside if self._split(file) == split):
                return found
        raise NotFoundError(
            f"{path} has no {split} split; give the folder that holds {self._expected('train')} and "
            f"{self._expected('dev')}."
        )

    def _files(self, folder: Path) -> list[Path]:
        return sorted(path for path in folder.iterdir() if self._bare(path) is not None) if folder.is_dir() else []

    def _clashes(self, paths: list[Path]) -> Iterator[tuple[Path, Path]]:
        """Neighbours from different data sets, and files with the same split twice (gzipped, or in another format)."""
        for first, second in pairwise(paths):
            if self._stem(first) != self._stem(second) or self._bare(first) == self._bare(second):
                yield first, second

    def _bare(self, path: Path) -> str | None:
        """The name without its suffix; None for a file of another kind."""
        name = path.name.removesuffix(".gz")
        return next((name.removesuffix(suffix) for suffix in self.suffixes if name.endswith(suffix)), None)

    def _split(self, path: Path) -> Split | None:
        match = _NAME.fullmatch(self._bare(path) or "")
        return split_called(match["split"]) if match else None

    def _stem(self, path: Path) -> str | None:
        match = _NAME.fullmatch(self._bare(path) or "")
        return match["stem"] if match else None

    def _as_prefix(self, path: Path) -> str:
        """Advice: the prefix that selects the data set of that file; empty if its name is just the split."""
        prefix = (self._stem(path) or "").rstrip(_SEPARATORS)
        return f", such as {path.parent / prefix}" if prefix else ""

    def _expected(self, split: str) -> str:
        return self.name.format(split=split)


def require_split(split: str) -> None:
    """Raises UsageError unless it is "train", "dev" or "test"."""
    if split not in SPLITS:
        raise UsageError(f"There is no split {split!r}; expected one of: {', '.join(SPLITS)}.")


def split_called(name: str) -> Split | None:
    """The split of that name, "validation" being "dev"; None if there is none."""
    return next((split for split in SPLITS if split == name), _ALIASES.get(name))


def _begins(stem: str | None, prefix: str) -> bool:
    """Whether a stem such as "gn." is the prefix followed by a separator."""
    return stem is not None and bool(prefix) and stem.rstrip(_SEPARATORS) == prefix
