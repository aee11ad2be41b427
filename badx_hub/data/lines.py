"""Text files, line by line: the one place that opens, decompresses and decodes them and counts their lines.

Text is UTF-8, with or without a byte order mark, with Unix or Windows line ends. A name that ends in `.gz` is gzipped.
Errors are the same for every kind of file: NotFoundError if there is no such file, StorageError if it cannot be read,
and DataError, starting with "FILE:LINE:", for what is damaged or not text.
"""

from __future__ import annotations

import codecs
import gzip
import re
import shlex
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from badx_hub.errors import BadxError, DataError, NotFoundError, StorageError
from badx_hub.json_toml_yaml import read_json_record

MAX_LINE_BYTES = 2**24
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
RETURN_HINT = "a carriage return inside a line. End lines with a line feed: tr '\\r' '\\n' < OLD > NEW"
"""What is wrong with a line that is several to other programs, with the remedy: the end of an error."""

_SNIFFED_BYTES = 2**13
_BEGINNINGS = {  # UTF-32 before UTF-16, which begins in the same way
    rb"\xff\xfe\0\0|\0\0\xfe\xff": "utf-32",
    rb"\xff\xfe|\xfe\xff": "utf-16",
    rb"(?:[^\0]\0){8}": "utf-16le",
    rb"(?:\0[^\0]){8}": "utf-16be",
    rb"\x1f\x8b": "gzip -d",
    rb"\xfd7zXZ\0": "xz -d",
    rb"BZh[1-9]1AY&SY": "bzip2 -d",
    rb"\x28\xb5\x2f\xfd": "zstd -d",
    rb"PK\x03\x04": "unzip",
}
"""What files begin with that are no UTF-8 text: their encoding, or the command that unpacks them."""
_BINARY = "a binary file, not text; expected UTF-8 text, one sentence or paragraph a line."
_CONTROL_BYTES = bytes(sorted({*range(32), 127} - set(b"\t\n\v\f\r\x1b")))


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file without their ends, counted from 1; memory holds one line.

    Raises NotFoundError, StorageError and DataError, as the module says.
    """
    with reading(path), _opened(path) as stream:
        yield from decoded_lines(stream, str(path))


def decoded_lines(stream: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    """`numbered_lines` of an open stream, such as standard input, which is called `name` in errors.

    Raises DataError for what is not UTF-8, for a damaged gzip stream and for a line of more than 16 MB.
    """
    for number, line in whole_lines(stream, name):
        yield number, stripped(number, line)


def numbered_whole_lines(path: Path) -> Iterator[tuple[int, str]]:
    """`numbered_lines` with the byte order mark and the ends of the lines: together they are the file."""
    with reading(path), _opened(path) as stream:
        yield from whole_lines(stream, str(path))


def whole_lines(stream: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    """`numbered_whole_lines` of an open stream; errors as in `decoded_lines`."""
    number = 0
    try:
        # Bytes, split at \n alone: text mode would also break lines at a lone \r.
        for number, raw in enumerate(iter(partial(stream.readline, MAX_LINE_BYTES + 1), b""), start=1):
            if len(raw) > MAX_LINE_BYTES:
                raise DataError(
                    f"{name}:{number}: a line of more than {MAX_LINE_BYTES >> 20} MB. Check that it is a text file."
                )
            if number == 1 and (hint := _other_kind(raw, name)) is not None:
                raise DataError(f"{name}:1: {hint}")
            yield number, raw.decode("utf-8")
    except UnicodeDecodeError as error:
        hint = _BINARY if _looks_binary(error.object) else _converting(error, name)
        raise DataError(f"{name}:{number}: {hint}") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{name}:{number + 1}: damaged gzip file ({error}). Fetch or compress the file again."
        ) from error


def _converting(error: UnicodeDecodeError, name: str) -> str:
    byte = error.object[error.start]
    return f"not UTF-8 (byte 0x{byte:02x}). Convert the file; if it is Latin-1: {_iconv('latin1', name)}"


def _iconv(encoding: str, name: str) -> str:
    """The command that writes the file `name` in UTF-8, whole where `name` is a file that iconv can read."""
    command = f"iconv -f {encoding} -t utf-8"
    path = Path(name)
    if path.suffix == ".gz" or not path.is_file():
        return command
    return f"{command} {shlex.quote(name)} > {shlex.quote(f'utf8-{path.name}')}"


def stripped(number: int, line: str) -> str:
    """A whole line without its end and, if it is line 1, without a byte order mark."""
    return (line.removeprefix(BOM) if number == 1 else line).rstrip("\r\n")


def json_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """FILE:LINE and the object of each line of a JSON Lines file that is not blank.

    Raises what `numbered_lines` does, and DataError for a line that is not a JSON object.
    """
    for number, line in numbered_lines(path):
        if line.strip():
            where = f"{path}:{number}"
            try:
                value = read_json_record(line, "this line")
            except DataError as error:
                raise DataError(f"{where}: {error.fact} Expected one JSON object a line.") from error
            if not isinstance(value, dict):
                raise DataError(f"{where}: not a JSON object; expected one on each line.")
            yield where, value


def require_text(path: Path) -> None:
    """Look at the beginning of a file; raises DataError if it is no UTF-8 text, else as the module says."""
    with reading(path):
        head = _head(path)
    if (hint := _other_kind(head, str(path))) is not None:
        raise DataError(f"{path} is {hint}")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the errors of reading `path` into ours: NotFoundError, StorageError, DataError for damaged gzip data."""
    try:
        yield
    except BadxError:
        raise
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file ({error}). Fetch or compress the file again.") from error
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} is not there. Check the path.") from error
    except OSError as error:
        hint = "Name a file in it." if path.is_dir() else "Check the file and its permissions."
        refusal = StorageError(f"{path} cannot be read: {error.strerror or error}. {hint}")
        refusal.errno = error.errno
        raise refusal from error


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


def _head(path: Path) -> bytes:
    if not path.stat().st_size:
        return b""
    with _opened(path) as stream:
        return stream.read(_SNIFFED_BYTES)


def _other_kind(head: bytes, name: str) -> str | None:
    """What a file that begins so is, if no UTF-8 text, with the command that makes text of it: the end of an error."""
    kind = next((kind for beginning, kind in _BEGINNINGS.items() if re.match(beginning, head, re.DOTALL)), "")
    if kind.startswith("utf"):
        return f"{kind.upper()}, not UTF-8. Convert it with: {_iconv(kind, name)}"
    if kind:
        named = f" {shlex.quote(name)}" if Path(name).is_file() else ""
        return f"compressed, and only gzip is read, by a name that ends in .gz. Unpack it first: {kind}{named}"
    if not _looks_binary(head[:_SNIFFED_BYTES]):
        return None
    return _BINARY


def _looks_binary(head: bytes) -> bool:
    """Latin-1 text has no control bytes and UTF-8 text may have a stray few; binary data is full of them."""
    controls = len(head) - len(head.translate(None, _CONTROL_BYTES))
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return controls * 100 > len(head)
    return controls >= 16 and controls * 10 > len(head)
