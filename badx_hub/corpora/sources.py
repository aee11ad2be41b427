"""Text sources: files, folders of files and data sets on the Hugging Face Hub, each a stream of raw lines.

Reading is lazy and takes flat memory. Nothing here needs torch; pyarrow and `datasets` are imported when a
source needs them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

from badx_hub.control_characters import escaped
from badx_hub.data.conllu import read_raw_conllu
from badx_hub.data.dataset_rows import Rows, first_line, open_rows, parsed
from badx_hub.data.demo_data import embedded
from badx_hub.data.lines import json_objects, numbered_lines, reading, require_text
from badx_hub.data.prose_check import SNIFFED_LINES, no_prose
from badx_hub.data.splits import is_rubbish, split_in
from badx_hub.data.treebanks import WordCount
from badx_hub.errors import DataError, NotFoundError, StorageError, UsageError
from badx_hub.hub.ref import HUB
from badx_hub.language_lookup import is_written_language
from badx_hub.remedies import Advice, RunAgain
from badx_hub.storage import atomic_write_text, cached_sha256, digest_of, home
from badx_hub.user_paths import source_text, user_path

TEXT_COLUMN = "text"

_NOTES = re.compile(
    r"(?:read[-_ ]?me|licen[cs]e|copying|copyright|notice|authors|contributors|change(?:s|log)|contributing|citation|"
    r"todo|requirements|metadata)(?![a-z])",
    re.IGNORECASE,
)
"""Names of files that are about a corpus and no part of it."""
_UNRELEASED = "not-to-release"
"""The folder of a treebank of UD where its makers keep what they work with."""
_NAMED = 5
_LOG = logging.getLogger(__name__)


class Source(Protocol):
    """Raw lines of text under a name and a digest of their content."""

    @property
    def name(self) -> str:
        """Short name for people and manifests, without folders."""

    @property
    def digest(self) -> str:
        """Hex digest that changes whenever the lines may have changed."""

    def lines(self) -> Iterator[str]:
        """The raw lines or paragraphs, from the first, in an order that never changes.

        Raises:
            StorageError: a file that cannot be read on.
            DataError: what is not text, or no longer what was opened; names file and line.
        """


def default_source(language: str) -> str:
    """The Wikipedia of ``language``, streamed from the Hub (BAD-X trains on Wikipedia)."""
    return f"{HUB}wikimedia/wikipedia:20231101.{language}"


def open_source(language: str, spec: str | Path) -> Source:
    """Open a text source and look at its beginning, so that common mistakes show before any work is done.

    Args:
        language: named in the advice of errors.
        spec: ``.txt``, ``.conllu``, ``.jsonl`` (each also with ``.gz``), ``.parquet``, a folder of these
            (read in sorted order, without dev and test splits, READMEs and licences; one that has other languages
            beside this one is refused) or
            ``hf:DATASET[:CONFIG[:SPLIT[:COLUMN]]]`` (split ``train`` and column ``text`` by default).

    Raises:
        NotFoundError: no such file or dataset, or the Hub cannot be reached.
        UsageError: a kind of file that is not supported.
        StorageError: a file that cannot be read.
        DataError: empty, binary or not UTF-8; names the file.
    """
    spec = source_text(spec, f"text of {language}")
    if spec.startswith(HUB):
        return _open_dataset(language, spec)
    return _open_files(language, user_path(embedded(spec)))


# --- files ---


@dataclass(frozen=True)
class _File:
    path: Path
    suffix: str
    sha256: str
    stamp: tuple[int, int]

    def lines(self) -> Iterator[str]:
        self._check_unchanged()
        yield from _READERS[self.suffix](self.path)
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        with reading(self.path):
            if _stamp(self.path) != self.stamp:
                raise DataError(
                    f"{self.path} changed while it was being read.", remedies=(RunAgain(" once it is finished"),)
                )


@dataclass(frozen=True)
class FileSource:
    """One file, or the files of a folder in sorted order."""

    name: str
    files: tuple[_File, ...]

    @property
    def digest(self) -> str:
        """Digest over the kind and the sha256 of every file."""
        return digest_of([[file.suffix, file.sha256] for file in self.files])

    def lines(self) -> Iterator[str]:
        """See `Source.lines`."""
        for file in self.files:
            yield from file.lines()


def _open_files(language: str, path: Path) -> FileSource:
    with reading(path):
        if not path.exists():
            raise NotFoundError(
                f"No such file or folder: {path}.", remedies=(Advice("Check the path given to {}.", (("text", None),)),)
            )
        paths = _paths_in(path) if path.is_dir() else (path,)
    _require_one_language(language, path, paths)
    if not paths:
        held = "only dev and test splits and notes" if path.is_dir() and _texts_under(path) else "no text file"
        raise DataError(f"{path} holds {held}; expected {_KINDS}. A file that is named itself is read whatever it is.")
    files = tuple(_open_file(file) for file in paths)
    if all(size == 0 for size, _ in (file.stamp for file in files)):
        raise DataError(f"{path} is empty; expected one sentence or paragraph a line.")
    return FileSource(escaped(path.absolute().name, breaks=False), files)


def _paths_in(folder: Path) -> tuple[Path, ...]:
    """The texts to learn from: what adapters are scored on, and what is about the texts, is left out with a warning."""
    found = _texts_under(folder)
    notes = [path for path in found if _NOTES.match(path.name) or _UNRELEASED in path.relative_to(folder).parts]
    held_out = [path for path in found if path not in notes and _is_held_out(path.relative_to(folder))]
    for paths, what in (
        (held_out, "dev and test splits, on which adapters are scored"),
        (notes, "no text of a corpus"),
    ):
        if paths:
            names = ", ".join(str(path.relative_to(folder)) for path in paths[:_NAMED])
            more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
            _LOG.warning("%s: %s%s left out (%s)", folder, names, more, what)
    return tuple(path for path in found if path not in {*notes, *held_out})


def _require_one_language(language: str, folder: Path, paths: Sequence[Path]) -> None:
    """Raises UsageError if files or folders called by languages, and one of them by this one, show a collection."""
    tops = [path.relative_to(folder).parts[0] for path in paths if path != folder]
    named = {top: tag for top in tops if (tag := is_written_language(top[: -len(_suffix_of(Path(top)) or "") or None]))}
    mine = [top for top, tag in named.items() if tag == language]
    if mine and len({*named.values()}) > 1:
        raise UsageError(
            f"{folder} holds text of several languages ({', '.join(sorted({*named.values()}))}).",
            remedies=(Advice("Say which is meant: {}.", (("text", (language, str(folder / mine[0]))),)),),
        )


def _texts_under(folder: Path) -> list[Path]:
    """The files of known kinds in sorted order, without what systems leave behind and what is hidden."""
    found = (path for path in folder.rglob("*") if path.is_file() and _suffix_of(path))
    return sorted(path for path in found if not any(map(is_rubbish, _below(folder, path))))


def _below(folder: Path, path: Path) -> Iterator[Path]:
    return (Path(part) for part in path.relative_to(folder).parts)


def _is_held_out(path: Path) -> bool:
    """Whether the name of a file, or of a folder it is in, says that it is a dev or test split."""
    bare = path.name[: -len(_suffix_of(path) or "")]
    return any(split_in(name) in ("dev", "test") for name in (*path.parent.parts, bare))


def _open_file(path: Path) -> _File:
    suffix = _suffix_of(path)
    if suffix is None:
        raise UsageError(f"{path} is of an unknown kind; expected {_KINDS}, a folder of these, or hf:DATASET.")
    with reading(path):
        if not path.is_file():
            raise DataError(f"{path} is not a regular file. Save its content to a file first.")
        stamp = _stamp(path)
        if suffix != ".parquet":
            require_text(path)
        if suffix.startswith(".txt"):
            _require_prose(path)
        file = _File(path, suffix, cached_sha256(path), stamp)
    _require_sound(file)
    return file


def _require_prose(path: Path) -> None:
    """Raises DataError if the beginning of a text shows that it is something else."""
    if (hint := no_prose([line for _, line in islice(numbered_lines(path), SNIFFED_LINES)])) is not None:
        raise DataError(f"{path} is {hint}")


def _require_sound(file: _File) -> None:
    """Read a text once from end to end, so that a bad line costs no run; by its digest it is known ever after."""
    mark = home() / "cache" / "sound" / f"{digest_of([file.suffix, file.sha256])}"
    if mark.exists():
        return
    for _ in _READERS[file.suffix](file.path):
        pass
    with suppress(StorageError):  # A full or read-only disk costs speed alone.
        atomic_write_text(mark, "")


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _suffix_of(path: Path) -> str | None:
    return next((suffix for suffix in _READERS if path.name.lower().endswith(suffix)), None)


def _text_lines(path: Path) -> Iterator[str]:
    return (line for _, line in numbered_lines(path))


def _conllu_lines(path: Path) -> Iterator[str]:
    count = WordCount(str(path))
    for raw in read_raw_conllu(path):
        if raw.sentence is not None:
            count.add(raw.sentence)
            yield raw.sentence.text or raw.surface()
    count.checked(None)


def _jsonl_lines(path: Path) -> Iterator[str]:
    for where, record in json_objects(path):
        if TEXT_COLUMN not in record:
            raise DataError(f'{where}: no "{TEXT_COLUMN}" field; expected a JSON object with one on each line.')
        yield from _paragraphs(record[TEXT_COLUMN], where)


def _parquet_lines(path: Path) -> Iterator[str]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            names = table.schema_arrow.names
            if TEXT_COLUMN not in names:
                raise DataError(f'{path} has no column "{TEXT_COLUMN}"; its columns are {", ".join(names)}.')
            batches = table.iter_batches(batch_size=1024, columns=[TEXT_COLUMN])
            texts = chain.from_iterable(batch.column(0).to_pylist() for batch in batches)
            for row, text in enumerate(texts, start=1):
                yield from _paragraphs(text, f"{path}: row {row}")
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is not a sound parquet file ({first_line(error)}). Fetch or write it again."
        ) from error


def _paragraphs(text: Any, where: str) -> list[str]:
    if text is None:
        return [""]
    if not isinstance(text, str):
        raise DataError(f"{where}: expected text, got {type(text).__name__}.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{where}: half a surrogate pair, which is not text. Remove it from the file.") from error
    return text.split("\n")


_READERS: dict[str, Callable[[Path], Iterator[str]]] = {
    ".txt": _text_lines,
    ".txt.gz": _text_lines,
    ".conllu": _conllu_lines,
    ".conllu.gz": _conllu_lines,
    ".conll": _conllu_lines,
    ".conll.gz": _conllu_lines,
    ".jsonl": _jsonl_lines,
    ".jsonl.gz": _jsonl_lines,
    ".parquet": _parquet_lines,
}
_KINDS = ".txt, .conllu or .jsonl (also .gz), or .parquet"


# --- datasets on the Hub ---


@dataclass(frozen=True)
class DatasetSource:
    """One column of a dataset, streamed through `datasets` at a fixed revision."""

    name: str
    digest: str
    column: str
    rows: Rows

    def lines(self) -> Iterator[str]:
        """See `Source.lines`; a document is split into its lines."""
        for number, row in self.rows.numbered():
            if self.column not in row:
                raise DataError(f'{self.name} has no column "{self.column}"; its columns are {", ".join(row)}.')
            yield from _paragraphs(row[self.column], f"{self.name}: row {number}")


def _open_dataset(language: str, spec: str) -> DatasetSource:
    dataset, config, split, column = parsed(spec, "DATASET[:CONFIG[:SPLIT[:COLUMN]]]")
    column = column or TEXT_COLUMN
    advice = Advice("Give text of your own instead: {}.", (("text", (language, "FILE")),))
    found = open_rows(spec, dataset, config, (split or "train",), advice=advice)
    digest = digest_of([found.name, found.split, column, found.content])
    names = found.stream.column_names
    if names is not None:
        if column not in names:
            raise DataError(f'{spec} has no column "{column}"; its columns are {", ".join(names)}.')
        found = replace(found, stream=found.stream.select_columns([column]))
    return DatasetSource(found.name, digest, column, found)
