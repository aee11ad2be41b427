"""Text sources: files, folders of files and `datasets` on the Hugging Face Hub, all read as a stream of raw
lines.

Reading is lazy and takes flat memory. Nothing here needs torch; pyarrow and `datasets` are imported when a
source needs them.
"""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from badx_hub import languages
from badx_hub.data.embedded import embedded
from badx_hub.data.rows import HUB_PREFIX as HUB_PREFIX
from badx_hub.data.rows import first_line, open_rows, parsed
from badx_hub.errors import BadxError, DataError, NotFoundError, UsageError
from badx_hub.storage import cached_sha256, digest_of

TEXT_COLUMN = "text"
MAX_LINE_BYTES = 2**24
_SNIFFED_BYTES = 2**13
_CONTROL_BYTES = bytes(sorted({*range(32), 127} - set(b"\t\n\v\f\r\x1b")))


@dataclass(frozen=True)
class TextSource:
    """Where the text of one language comes from, as the user wrote it: a path or ``hf:...``."""

    language: str
    spec: str


class Source(Protocol):
    """Raw lines of text under a name and a digest of their content."""

    @property
    def name(self) -> str:
        """Short name for people and manifests; never an absolute path."""

    @property
    def digest(self) -> str:
        """Hex digest that changes whenever the lines may have changed."""

    def lines(self) -> Iterator[str]:
        """The raw lines or paragraphs, from the first, in an order that never changes.

        Raises:
            DataError: the source cannot be read on; names file and line.
        """


def parse_text_option(option: str) -> TextSource:
    """Parse ``wo=file.txt`` or ``wo=hf:DATASET:CONFIG``; the language is normalised.

    Raises:
        UsageError: no ``=``, nothing behind it, or an unknown language.
    """
    language, _, spec = (part.strip() for part in option.partition("="))
    if not language or not spec:
        raise UsageError(f"--text expects LANG=SOURCE; got {option!r}. For instance --text wo=wolof.txt.")
    return TextSource(languages.normalise(language), spec)


def default_source(language: str) -> TextSource:
    """The Wikipedia of ``language``, streamed from the Hub (BAD-X trains on Wikipedia)."""
    return TextSource(language, f"{HUB_PREFIX}wikimedia/wikipedia:20231101.{language}")


def open_source(language: str, spec: str) -> Source:
    """Open a text source and look at its beginning: the common mistakes come to light before any work.

    Args:
        language: named in the advice of errors.
        spec: ``.txt``, ``.conllu``, ``.jsonl`` (each also with ``.gz``), ``.parquet``, a folder of these
            (read in sorted order) or ``hf:DATASET[:CONFIG[:SPLIT[:COLUMN]]]`` (split ``train`` and column
            ``text`` by default).

    Raises:
        NotFoundError: no such file or dataset, or the Hub cannot be reached.
        UsageError: a kind of file that is not supported.
        DataError: unreadable, empty, binary or not UTF-8; names the file.
    """
    if spec.startswith(HUB_PREFIX):
        return _open_dataset(language, spec)
    return _open_files(Path(embedded(spec)).expanduser())


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
        with _reading(self.path):
            if _stamp(self.path) != self.stamp:
                raise DataError(
                    f"{self.path} changed while it was being read. Run the command again once it is finished."
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


def _open_files(path: Path) -> FileSource:
    with _reading(path):
        if not path.exists():
            raise NotFoundError(f"No such file or folder: {path}. Check the path given to --text.")
        paths = _paths_in(path) if path.is_dir() else (path,)
    if not paths:
        raise DataError(f"{path} holds no text file; expected {_KINDS}.")
    files = tuple(_open_file(file) for file in paths)
    if all(size == 0 for size, _ in (file.stamp for file in files)):
        raise DataError(f"{path} is empty; expected one sentence or paragraph a line.")
    return FileSource(path.absolute().name, files)


def _paths_in(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(p for p in folder.rglob("*") if p.is_file() and _suffix_of(p) and p.name[0] != "."))


def _open_file(path: Path) -> _File:
    suffix = _suffix_of(path)
    if suffix is None:
        raise UsageError(f"{path} is of an unknown kind; expected {_KINDS}, a folder of these, or hf:DATASET.")
    with _reading(path):
        if not path.is_file():
            raise DataError(f"{path} is not a regular file. Save its content to a file first.")
        stamp = _stamp(path)
        head = _head(path)
        if suffix != ".parquet":
            _refuse_binary(path, head)
        return _File(path, suffix, cached_sha256(path), stamp)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _suffix_of(path: Path) -> str | None:
    return next((suffix for suffix in _READERS if path.name.lower().endswith(suffix)), None)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except EOFError as error:
        raise DataError(f"{path} ends in the middle of its gzip data. Fetch or compress the file again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a sound gzip file ({error}). Fetch or compress the file again.") from error
    except BadxError:
        raise
    except OSError as error:
        raise DataError(
            f"Cannot read {path}: {error.strerror or error}. Check the file and its permissions."
        ) from error


def _open_bytes(path: Path) -> BinaryIO:
    if path.name.lower().endswith(".gz"):
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _head(path: Path) -> bytes:
    if not path.stat().st_size:
        return b""
    with _open_bytes(path) as stream:
        return stream.read(_SNIFFED_BYTES)


def _refuse_binary(path: Path, head: bytes) -> None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{path} is UTF-16, not UTF-8. Convert it with: iconv -f utf-16 -t utf-8")
    if _looks_binary(head):
        raise DataError(f"{path} is a binary file, not text; expected UTF-8 text, one sentence or paragraph a line.")


def _looks_binary(head: bytes) -> bool:
    """Latin-1 text has no control bytes and UTF-8 text may have a stray few; binary data is full of them."""
    controls = len(head) - len(head.translate(None, _CONTROL_BYTES))
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return controls * 100 > len(head)
    return controls >= 16 and controls * 10 > len(head)


def _numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    with _reading(path), _open_bytes(path) as stream:
        for number in count(1):
            raw = stream.readline(MAX_LINE_BYTES + 1)
            if not raw:
                return
            if len(raw) > MAX_LINE_BYTES:
                raise DataError(
                    f"{path}:{number}: a line of more than {MAX_LINE_BYTES >> 20} MB; "
                    "expected one sentence or paragraph a line."
                )
            yield number, _decoded(raw, path, number)


def _decoded(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}:{number}: not UTF-8 (byte 0x{raw[error.start]:02x}). "
            "If the file is Latin-1, convert it with: iconv -f latin1 -t utf-8"
        ) from error


def _text_lines(path: Path) -> Iterator[str]:
    for _, line in _numbered_lines(path):
        yield line


def _conllu_lines(path: Path) -> Iterator[str]:
    from badx_hub.data.conllu import read_conllu

    for sentence in read_conllu(path):
        yield sentence.text or " ".join(sentence.words)


def _jsonl_lines(path: Path) -> Iterator[str]:
    for number, line in _numbered_lines(path):
        if line.strip():
            yield from _paragraphs(_json_text(line, f"{path}:{number}"), f"{path}:{number}")


def _json_text(line: str, where: str) -> Any:
    try:
        record = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error}); expected one JSON object a line.") from error
    if not isinstance(record, dict) or TEXT_COLUMN not in record:
        raise DataError(f'{where}: no "{TEXT_COLUMN}" field; expected a JSON object with one on each line.')
    return record[TEXT_COLUMN]


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
    rows: Any

    def lines(self) -> Iterator[str]:
        """See `Source.lines`; a document is split into its lines."""
        from datasets.exceptions import DatasetsError

        number = 0
        try:
            for number, row in enumerate(self.rows, start=1):
                if self.column not in row:
                    raise DataError(f'{self.name} has no column "{self.column}"; its columns are {", ".join(row)}.')
                yield from _paragraphs(row[self.column], f"{self.name}: row {number}")
        except BadxError:
            raise
        except (OSError, ValueError, DatasetsError) as error:
            raise DataError(
                f"Reading {self.name} stopped after row {number} ({first_line(error)}). "
                "Run the same command again: the text read so far is kept."
            ) from error


def _open_dataset(language: str, spec: str) -> DatasetSource:
    dataset, config, split, column = parsed(spec, "DATASET[:CONFIG[:SPLIT[:COLUMN]]]")
    column = column or TEXT_COLUMN
    advice = f"Give text of your own instead: --text {language}=FILE."
    found = open_rows(spec, dataset, config, (split or "train",), advice=advice)
    rows = found.stream
    if rows.column_names is not None:
        if column not in rows.column_names:
            raise DataError(f'{spec} has no column "{column}"; its columns are {", ".join(rows.column_names)}.')
        rows = rows.select_columns([column])
    return DatasetSource(found.name, digest_of([found.name, found.split, column, found.content]), column, rows)
