"""Find annotated files: in a folder, as one file, or by what the names of several files begin with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from badx_hub.control_characters import escaped
from badx_hub.errors import NotFoundError, UsageError
from badx_hub.storage import sha256_file
from badx_hub.user_paths import user_path

Split: TypeAlias = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

_ALIASES: dict[str, Split] = {
    **dict.fromkeys(("dev_matched", "validation", "validation_matched", "valid", "val"), "dev"),
    **dict.fromkeys(("devel", "development", "trial"), "dev"),
    "devtest": "test",
}
# MultiNLI's second dev set, of other genres: nothing is selected on it.
_NO_SPLIT = ("dev_mismatched", "validation_mismatched")
# The longest first, and of several in a name the last. What follows is a part of the split, or another data set.
_SPLIT = "|".join(sorted({*SPLITS, *_ALIASES, *_NO_SPLIT}, key=len, reverse=True))
_SEPARATORS = "-_. "
_NAME = re.compile(rf"(?si)(?P<stem>(?:.*[-_. ])?)(?P<split>{_SPLIT})(?P<rest>(?:[-_. (~+\d].*)?)")
# As in de_hdt-ud-train-a-1.conllu, since large treebanks come in several files, or train-00000-of-00002.jsonl.
_PARTS = re.compile(r"(?:[-_.][a-z]|[-_.]?[0-9]{1,3}|-[0-9]{5}-of-[0-9]{5})*", re.IGNORECASE)
# Released twice with the same rows, as tables and as JSON lines, which say more.
_TWINS = re.compile(r"(?:multinli_|snli_|xnli).*", re.IGNORECASE)
_RUBBISH = re.compile(r"\..*|__MACOSX|~\$.*|.*~", re.DOTALL)


@dataclass(frozen=True)
class DataReference:
    """A data file as a manifest records it: its name without folders and the SHA-256 of its content, in hex."""

    name: str
    digest: str

    @classmethod
    def of(cls, path: Path) -> DataReference:
        return cls(escaped(path.name, breaks=False), sha256_file(path))


@dataclass(frozen=True)
class FileKind:
    """Files of one format.

    `called` names the format in messages. `suffixes` are the ends of file names; each may be followed by `.gz`. `name`
    is an example of a file name, with "{split}" in place of the split.
    """

    called: str
    suffixes: tuple[str, ...]
    name: str

    def split_files(self, data: str | Path, split: Split) -> tuple[Path, ...]:
        """The files of one split, in the order of their names; more than one if they are parts of a whole.

        `data` is a folder that holds one data set (en.train.tsv, en.dev.tsv), what its names begin or end with where
        a folder holds several (`nli/gn` for gn.dev.tsv and gn.test.tsv, `xtreme/wo` for dev-wo.conllu and
        test-wo.conllu), or one file. Parts of a split end in letters or in numbers that count on (train-a-1,
        train-a-2). "validation" and "dev_matched" are other names of "dev". An evaluation (`test`) scores a single
        file whatever its name. In training the name counts: with the train file comes the dev file in the same
        folder. A file whose name has no split has no dev split, so that no model is selected on its own training
        data. Files that systems leave in folders (.DS_Store, ._x, .nfs123, x~) are not there.

        Raises NotFoundError for missing data or a missing split (it names the files found) and UsageError for another
        split, for a file of another format, and for a folder with several data sets.
        """
        require_split(split)
        if str(data).startswith("ud:"):
            raise UsageError(f"{data} is a treebank, and {self.called} is needed. Give a folder with such files.")
        path = user_path(data)
        if path.is_dir():
            return self._in_folder(path, split)
        if path.exists():
            if self._bare(path) is None:
                raise UsageError(f"{data} is not {self.called}; expected a name that ends in {self.endings}.")
            return self._from_file(path, split)
        if named := [file for file in self._files(path.parent) if self._begins(file, path.name)]:
            return self._chosen(path, named, split)
        raise NotFoundError(f"{data} is not there; give a folder with {self._expected(split)} or such a file.")

    @property
    def endings(self) -> str:
        """The suffixes, for messages."""
        return ", ".join(self.suffixes) + f" or {self.suffixes[0]}.gz"

    def _in_folder(self, folder: Path, split: Split) -> tuple[Path, ...]:
        found = self._files(folder)
        wanted = self._chosen(folder, found, split)
        sets = {self._set(file): file for file in found if self._split(file)}
        if len(sets) > 1:
            names = ", ".join(file.name for file in sets.values())
            raise UsageError(f"{folder} holds several data sets ({names}); say which{self._as_choice(wanted[0])}.")
        return wanted

    def _chosen(self, place: Path, files: list[Path], split: Split) -> tuple[Path, ...]:
        wanted = self._without_twins([file for file in files if self._split(file) == split])
        if not wanted:
            there = ", ".join(file.name for file in files) or self._nothing_in(place)
            raise NotFoundError(f"{place} has no {split} split; expected {self._expected(split)}, there is: {there}.")
        if clash := next(self._clashes(wanted), None):
            first, second = clash
            which = f" or say which{self._as_choice(first)}" if self._set(first) != self._set(second) else ""
            raise UsageError(f"{place} has two {split} splits, {first.name} and {second.name}; leave one there{which}.")
        return tuple(wanted)

    def _nothing_in(self, place: Path) -> str:
        """What there is, for an error, where there is no file of this format: the folders that hold some."""
        inside = sorted(path for path in place.iterdir() if not is_rubbish(path)) if place.is_dir() else []
        folders = ", ".join(str(path) for path in inside if self._files(path))
        return f"no {' or '.join(self.suffixes)} file{f', but such files in {folders}' if folders else ''}"

    def _from_file(self, path: Path, split: Split) -> tuple[Path, ...]:
        called = self._split(path)
        if split in ("test", called) or (called is None and split == "train"):
            return (path,)
        if called == "train" and split == "dev":
            beside = [file for file in self._files(path.parent) if self._set(file) == self._set(path)]
            if any(self._split(file) == split for file in beside):
                return self._chosen(path.parent, beside, split)
        raise NotFoundError(
            f"{path} has no {split} split; give the folder that holds {self._expected('train')} and "
            f"{self._expected('dev')}."
        )

    def _files(self, folder: Path) -> list[Path]:
        if not folder.is_dir():
            return []
        return sorted(path for path in folder.iterdir() if self._bare(path) is not None and not is_rubbish(path))

    def _clashes(self, paths: list[Path]) -> Iterator[tuple[Path, Path]]:
        """Neighbours from different data sets, files with the same split twice (gzipped, or in another format), and
        what counts no parts, as copies do not.
        """
        for first, second in pairwise(paths):
            other = self._set(first) != self._set(second) or self._bare(first) == self._bare(second)
            if other or not (self._rest(first) and self._rest(second)):
                yield first, second
        numbers = [int(rest) for path in paths if (rest := self._rest(path).strip(_SEPARATORS)).isdecimal()]
        if len(numbers) > 1 and sorted(numbers) not in (list(range(len(numbers))), list(range(1, len(numbers) + 1))):
            yield paths[0], paths[1]

    def _without_twins(self, paths: list[Path]) -> list[Path]:
        """The files, only the first of `suffixes` of each that was released in several formats."""
        lines = {self._bare(path) for path in paths if ".jsonl" in path.name.lower()}
        return [
            path
            for path in paths
            if ".jsonl" in path.name.lower() or self._bare(path) not in lines or not _TWINS.fullmatch(path.name)
        ]

    def _bare(self, path: Path) -> str | None:
        """The name without its suffix; None for a file of another kind."""
        name = re.sub(r"\.gz\Z", "", path.name, flags=re.IGNORECASE)
        ending = next((suffix for suffix in self.suffixes if name.lower().endswith(suffix)), None)
        return name[: -len(ending)] if ending else None

    def _match(self, path: Path) -> re.Match[str] | None:
        return _NAME.fullmatch(self._bare(path) or "")

    def _split(self, path: Path) -> Split | None:
        match = self._match(path)
        return split_called(match["split"].lower()) if match else None

    def _rest(self, path: Path) -> str:
        """What follows the split in the name."""
        match = self._match(path)
        return match["rest"] if match else ""

    def _set(self, path: Path) -> tuple[str, str] | None:
        """The data set that a file is of: what precedes the split in its name, and what follows it but for parts."""
        match = self._match(path)
        if match is None:
            return None
        return match["stem"], "" if _PARTS.fullmatch(match["rest"]) else match["rest"]

    def _begins(self, path: Path, prefix: str) -> bool:
        """Whether a file is of the data set that is called `prefix` ("gn" for gn.dev.tsv and for dev-gn.tsv)."""
        stem, rest = self._set(path) or ("", "")
        called = stem.rstrip(_SEPARATORS) if not rest else "" if stem else rest.strip(_SEPARATORS)
        return bool(prefix) and called == prefix

    def _as_choice(self, path: Path) -> str:
        """Advice: what selects the data set of that file; empty if its name is just the split."""
        stem, rest = self._set(path) or ("", "")
        if rest:
            named = rest.strip(_SEPARATORS)
            return f", such as {path.parent / named if not stem and named.isalnum() else path}"
        prefix = stem.rstrip(_SEPARATORS)
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


def is_rubbish(path: Path) -> bool:
    """Whether it is what systems and editors leave behind: .DS_Store, ._x, .nfs123, __MACOSX, x~."""
    return _RUBBISH.fullmatch(path.name) is not None


def split_in(name: str) -> Split | None:
    """The split that the name of a file, without its suffix, or of a folder says it is; None if it says none."""
    match = _NAME.fullmatch(name)
    return split_called(match["split"].lower()) if match else None
