"""The only place that prints. Data on stdout as a table, one JSON document or bare lines; the rest on stderr."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from io import TextIOWrapper
from typing import Any

import typer

from badx_hub.cli._errors import message
from badx_hub.cli._layout import laid_out
from badx_hub.control_characters import escaped
from badx_hub.errors import StorageError
from badx_hub.remedies import Notice
from badx_hub.table import Table

_MAX_TOLD = 1800
_WITHOUT_TERMINAL = 80
_UNWRITABLE = "The output cannot be written ({}). Send it to another file or disk."


class Format(str, Enum):
    """How a command prints its data."""

    TABLE = "table"
    JSON = "json"
    QUIET = "quiet"


def show(format: Format, *, tables: Iterable[Table], document: object, quiet: Iterable[str]) -> None:
    """Print the same data in the format asked for. Tables without rows are left out."""
    if format is Format.JSON:
        write_json(document)
    elif format is Format.QUIET:
        for line in quiet:
            write(line)
    else:
        _write_tables(table for table in tables if table.rows)


def write(line: str) -> None:
    """One line of data, or several. Characters that steer a terminal are escaped; in JSON it stays the same text."""
    with _data_out():
        sys.stdout.write(f"{escaped(line)}\n")


def clear() -> None:
    """Empty the terminal; does nothing elsewhere."""
    if sys.stdout.isatty():
        sys.stdout.write("\x1b[H\x1b[2J")


def write_row(cells: Iterable[str]) -> None:
    """One row of tab-separated text, whose cells hold no tab or line end: these are escaped, too."""
    with _data_out():
        sys.stdout.write("\t".join(escaped(cell, breaks=False) for cell in cells) + "\n")


def write_exactly(text: str) -> None:
    """Data as it is, without a line end of ours, so that a file stays what it was; to a terminal as `write`."""
    if sys.stdout.isatty():
        write(text.removesuffix("\n"))
        return
    with _data_out():
        sys.stdout.write(text)


def write_json(document: object) -> None:
    """One JSON document, indented."""
    write(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False))


def write_records(records: Iterable[object]) -> None:
    """One JSON document, an array with a record a line."""
    lines = ",\n".join(json.dumps(record, ensure_ascii=False, allow_nan=False) for record in records)
    write(f"[\n{lines}\n]" if lines else "[]")


def note(message: str) -> None:
    """A line worth knowing, on stderr. Of a text that a stranger made endless, the middle is left out."""
    told = printable(message, breaks=False)
    if len(told) > _MAX_TOLD:
        left_out = len(told) - _MAX_TOLD
        told = f"{told[: _MAX_TOLD // 2]} [... {left_out:,} characters ...] {told[-_MAX_TOLD // 2 :]}"
    try:
        sys.stderr.write(f"{told}\n")
    except OSError:  # The terminal was closed. What is done and its exit code stay what they are.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for as long as the process lives


def warning(message: str) -> None:
    """Something wrong that does not stop the command, on stderr."""
    note(f"warning: {message}")


def error(message: str) -> None:
    """Why the command ends, on stderr."""
    note(f"error: {message}")


def printable(text: str, *, breaks: bool = True) -> str:
    r"""The text with control characters escaped: what others wrote must not steer a terminal; `breaks`: "\n" stays.

    A byte of a file's name that is not UTF-8 is written as "\xe9".
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or (breaks and character == "\n") else _escape(character)
        for character in text
    )


def _escape(character: str) -> str:
    byte = ord(character) - 0xDC00  # as in PEP 383
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else repr(character)[1:-1]


def use_utf8() -> None:
    """Write UTF-8 whatever the locale says: words of every language are data here. A closed stream takes nothing."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 - for as long as the process lives
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def hush_libraries() -> None:
    """Keep the libraries' hints to programmers off stderr; their errors are raised anyway."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    # No command has a use for them, and to look for them pydantic opens every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # torch's profiler
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("adapters").setLevel(logging.ERROR)


class _Warnings(logging.Handler):
    """What badx_hub logs, such as repairs of data, as warnings of the command."""

    def emit(self, record: logging.LogRecord) -> None:
        if os.environ.get("RANK", "0") != "0":  # The first one of several processes speaks.
            return
        warning(message(record.msg) if isinstance(record.msg, Notice) else record.getMessage())


_WARNINGS = _Warnings(logging.WARNING)


def show_warnings() -> None:
    """Let what badx_hub logs as a warning be seen."""
    logging.getLogger("badx_hub").addHandler(_WARNINGS)


def flushed(code: int) -> int:
    """Flush stdout; 1 in place of `code` if it cannot, quietly if its reader has gone (`badx-hub list | head -1`)."""
    try:
        sys.stdout.flush()
    except OSError as problem:
        # Python flushes once more at exit; give it somewhere to write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return unwritable(problem)
    return code


def is_of_stdout(problem: OSError) -> bool:
    """Whether it is stdout that takes nothing, when typer prints a help text; all else is printed by this module."""
    return any(frame.f_code is typer.echo.__code__ for frame, _ in traceback.walk_tb(problem.__traceback__))


def unwritable(problem: OSError) -> int:
    """1, and why stdout takes nothing, unless its reader has just gone."""
    if not isinstance(problem, BrokenPipeError):
        error(_UNWRITABLE.format(problem.strerror))
    return 1


@contextmanager
def _data_out() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise StorageError(_UNWRITABLE.format(problem.strerror)) from problem


def _write_tables(tables: Iterable[Table]) -> None:
    with _data_out():
        for index, table in enumerate(tables):
            if index:
                sys.stdout.write("\n")
            if table.title:
                sys.stdout.write(f"{printable(table.title)}\n")
            _write_table(table)


def _write_table(table: Table) -> None:
    layout = laid_out(table, _columns(), printable)
    head = list(layout.head)
    if sys.stdout.isatty() and head:
        _print("\n".join(head[:-1]), style="bold", soft_wrap=True)
        head = head[-1:]
    sys.stdout.write("".join(f"{line}\n" for line in (*head, *layout.body)))


def _columns() -> int:
    """How wide to draw: as COLUMNS says, or a terminal that any stream leads to (`badx-hub list | less`), or 80."""
    if not os.environ.get("COLUMNS", "").isdigit():
        for stream in range(3):
            with suppress(OSError):
                return os.get_terminal_size(stream).columns or _WITHOUT_TERMINAL
    return shutil.get_terminal_size().columns


def _print(what: object, **options: Any) -> None:
    from rich.console import Console

    Console(file=sys.stdout, highlight=False, markup=False, emoji=False).print(what, **options)
