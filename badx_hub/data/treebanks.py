"""Treebanks: a folder, one file, or `ud:UD_English-EWT`, looked up in known folders."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from badx_hub.data.embedded import embedded
from badx_hub.data.splits import FileKind, Split, require_split
from badx_hub.errors import NotFoundError, UsageError
from badx_hub.storage import home
from badx_hub.user_paths import user_path

INDEX = "ud:"
DATA_VARIABLE = "BADX_HUB_DATA"
_RELEASES = "https://universaldependencies.org/#download"
_TREEBANK = re.compile(r"UD_[A-Za-z][A-Za-z_]*-[A-Za-z0-9]+")
_CONLLU = FileKind("CoNLL-U", (".conllu",), "*-ud-{split}.conllu")


def split_files(data: str, split: Split) -> tuple[Path, ...]:
    """The CoNLL-U files of one split, as `FileKind.split_files` finds them.

    `data` may also be the name of a treebank in an index (`ud:UD_English-EWT`) or an embedded one
    (`demo:ud/UD_Wolof-WTB`). Raises what `FileKind.split_files` does.
    """
    require_split(split)
    place = str(_indexed_folder(data.removeprefix(INDEX))) if data.startswith(INDEX) else embedded(data)
    return _CONLLU.split_files(place, split)


def search_folders() -> tuple[Path, ...]:
    """Where `ud:` names are looked up: the folders of $BADX_HUB_DATA, then `treebanks` in the home folder."""
    named = os.environ.get(DATA_VARIABLE, "").split(os.pathsep)
    return (*(user_path(folder) for folder in named if folder), home() / "treebanks")


def _indexed_folder(name: str) -> Path:
    if not _TREEBANK.fullmatch(name):
        raise UsageError(f"{name!r} is no treebank's name; expected one like ud:UD_English-EWT.")
    folders = search_folders()
    for folder in folders:
        if (folder / name).is_dir():
            return folder / name
    there = sorted({path.name for folder in folders if folder.is_dir() for path in folder.glob("UD_*-*")})
    nearest = difflib.get_close_matches(name, there, n=3, cutoff=0.4)
    hint = f" (there: {', '.join(nearest)})" if nearest else ""
    raise NotFoundError(
        f"{name} is not in {', '.join(map(str, folders))}{hint}; get a release from {_RELEASES} and put the folder"
        f" {name} into {folders[-1]}, or set {DATA_VARIABLE} to the folder that holds it."
    )
