"""Treebanks: a folder, one file, or `ud:UD_English-EWT`, looked up in known folders and on the Hub."""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from badx_hub.data.conllu import NOT_ANNOTATED, Sentence
from badx_hub.data.demo_data import embedded
from badx_hub.data.hub_treebanks import cached_treebank, dataset, fetched_treebank, sentences_file
from badx_hub.data.splits import FileKind, Split, require_split
from badx_hub.errors import BadxError, DataError, HubError, NotFoundError, UsageError
from badx_hub.hub.ref import HUB
from badx_hub.storage import home
from badx_hub.user_paths import user_path

INDEX = "ud:"
DATA_VARIABLE = "BADX_HUB_DATA"
_RELEASES = "https://universaldependencies.org/#download"
_TREEBANK = re.compile(r"UD_[A-Za-z][A-Za-z_]*-[A-Za-z0-9]+")
_LOG = logging.getLogger(__name__)
_ResultT = TypeVar("_ResultT")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CONLLU = FileKind("CoNLL-U", (".conllu", ".conll"), "*-ud-{split}.conllu")


def split_files(data: str | Path, split: Split) -> tuple[Path, ...]:
    """The CoNLL-U files of one split, as `FileKind.split_files` finds them.

    `data` may also be the name of a treebank in an index (`ud:UD_English-EWT`, or `ud:UD_English-EWT@COMMIT` for that
    one of the Hub) or an embedded one (`demo:ud/UD_Wolof-WTB`). A treebank that is not on this machine is fetched from
    the Hub (`badx_hub.data.hub_treebanks`) once, and is in the cache from then on.

    `hf:DATASET[:CONFIG[:SPLIT]]` is any data set with such columns (tokens, upos, head, deprel).

    Raises what `FileKind.split_files` does.
    """
    require_split(split)
    data = os.fspath(data)
    if data.startswith(HUB):
        return (sentences_file(data, split),)
    place = str(_indexed_folder(data.removeprefix(INDEX))) if data.startswith(INDEX) else embedded(data)
    return _CONLLU.split_files(place, split)


def with_words(sentences: Iterable[Sentence], name: str) -> tuple[Sentence, ...]:
    """The sentences of a file called `name`. Raises DataError if most of their words are withheld."""
    found = WordCount(name)
    return found.checked(tuple(map(found.add, sentences)))


class WordCount:
    """Counts the words of a file that are not there: some treebanks of UD come with "_" in place of every word."""

    def __init__(self, name: str) -> None:
        """`name` stands for the file in errors."""
        self._name, self._words, self._withheld = name, 0, 0

    def add(self, sentence: Sentence) -> Sentence:
        """Count the words of one more sentence, and return it."""
        self._words += len(sentence.words)
        # One underscore can be a word of a text.
        if len(sentence.words) > 1 and all(word == NOT_ANNOTATED for word in sentence.words):
            self._withheld += len(sentence.words)
        return sentence

    @property
    def has_words(self) -> bool:
        """Whether a word was there so far."""
        return self._withheld < self._words

    def refuse(self) -> None:
        """Raises DataError if most words so far are withheld."""
        if 2 * self._withheld > self._words:
            raise DataError(
                f"{self._name}: the words are withheld (FORM is _ in {self._withheld:,} of {self._words:,} words), as "
                "in the treebanks that UD releases without their text. Its README says how to put the words in."
            )

    def checked(self, result: _ResultT) -> _ResultT:
        """`result`, once all is counted. Raises what `refuse` does; logs a warning if some words are withheld."""
        self.refuse()
        if self._withheld:
            _LOG.warning(
                "%s: %d of %d words are withheld (FORM is _ in their whole sentences)",
                self._name,
                self._withheld,
                self._words,
            )
        return result


def search_folders() -> tuple[Path, ...]:
    """Where `ud:` names are looked up: the folders of $BADX_HUB_DATA, then `treebanks` in the home folder."""
    named = os.environ.get(DATA_VARIABLE, "").split(os.pathsep)
    return (*(user_path(folder) for folder in named if folder), home() / "treebanks")


def _indexed_folder(text: str) -> Path:
    name, at, revision = text.partition("@")
    if not _TREEBANK.fullmatch(name) or (at and not _REVISION.fullmatch(revision)):
        raise UsageError(f"{text!r} is no treebank's name; expected one like ud:UD_English-EWT.")
    for folder in search_folders() if not at else ():
        if (folder / name).is_dir():
            return folder / name
    if (found := cached_treebank(name, revision or None)) is not None:
        return found
    try:
        _LOG.info("fetching %s from the data set %s", name, dataset())
        return fetched_treebank(name, revision or None)
    except (NotFoundError, HubError) as error:
        raise NotFoundError(_not_there(name, error)) from error


def _not_there(name: str, error: BadxError) -> str:
    folders = search_folders()
    there = sorted({path.name for folder in folders if folder.is_dir() for path in folder.glob("UD_*-*")})
    nearest = difflib.get_close_matches(name, there, n=3, cutoff=0.4)
    hint = f" (there: {', '.join(nearest)})" if nearest else ""
    return (
        f"{name} is not in {', '.join(map(str, folders))}{hint}, and was not fetched: {error.fact} Get a release from "
        f"{_RELEASES} and put the folder {name} into {folders[-1]}, or set {DATA_VARIABLE} to the folder that holds it."
    )
