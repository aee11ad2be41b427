"""What happened when a command met an artefact, and what of it must not be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.hostile.artefact import SECRET, Expect

CPU_SECONDS = 4
IDLE_SECONDS = 2.0
MEMORY = 2**30
"""Bounds of one command: of CPU time (the machine's other work does not count), of sleep without any work, of memory
beyond that of a process with the libraries loaded."""
FILE_BYTES = 2**28

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_NO_ROOM = re.compile(r"allocate memory|MemoryError|bad_alloc|File too large|memory exhausted", re.IGNORECASE)
_FOREIGN = re.compile(r"Traceback \(most recent call last\)|^\S*\w(?:Warning|Error): |^  File \"", re.MULTILINE)


@dataclass(frozen=True)
class Seen:
    """One command on one artefact. `code` is its exit code, "traceback", or how it was killed."""

    artefact: str
    command: str
    expect: Expect
    code: int | str
    out: str = ""
    err: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0
    faults: tuple[str, ...] = ()
    digest: str | None = None
    line: str = ""
    problems: tuple[str, ...] = field(default=())

    @property
    def refused(self) -> bool:
        return self.code in (1, 2)

    def __str__(self) -> str:
        last = " | ".join(self.err.strip().splitlines()[-3:])[-300:].encode("unicode_escape").decode()
        cost = f"{self.seconds:.1f} s, {self.megabytes:+.0f} MB"
        return f"{self.artefact}: `{self.line}` -> {self.code} ({cost}): {'; '.join(self.problems)}\n      {last}"


def judged(seen: Mapping[str, Any], right_digest: str) -> Seen:
    """`seen`, with all that is wrong about it in `problems`."""
    one = Seen(**{**seen, "faults": tuple(seen["faults"])})
    return Seen(**{**vars(one), "problems": tuple(_problems(one, right_digest))})


def _problems(one: Seen, right_digest: str) -> Iterator[str]:
    yield from one.faults
    if isinstance(one.code, str) or one.code not in (0, 1, 2):
        yield f"ended by {one.code}"
        return
    if one.expect == "refused" and not one.refused:
        yield "was not refused"
    if one.expect == "accepted" and one.code != 0:
        yield "was refused, though harmless"
    if one.expect == "same" and one.code == 0 and one.digest != right_digest:
        yield "other weights, in silence"
    yield from _output_problems(one)
    yield from _row_problems(one)
    if one.megabytes * 2**20 > MEMORY:
        yield f"took {one.megabytes:.0f} MB"


def _row_problems(one: Seen) -> Iterator[str]:
    """A word a row, and of the columns of the format: what a stranger wrote makes no rows and columns of its own."""
    tabs = {"predict": 1, "predict-conllu": 9}.get(one.command)
    if tabs is None or one.code != 0 or "Xale yi" not in one.line:
        return
    rows = [line for line in one.out.split("\n") if line.strip() and not line.startswith("#")]
    if len(rows) != 2 or any(row.count("\t") != tabs for row in rows):
        yield "forged rows of data"


def _output_problems(one: Seen) -> Iterator[str]:
    errors = [line for line in one.err.splitlines() if line.startswith("error: ")]
    if one.refused and not errors:
        yield "no error of ours"
    if len(one.err) > 8000 or any(len(line) > 2000 for line in errors):
        yield f"an endless message ({len(one.err):,} characters)"
    # What is written of a person's own CoNLL-U to a file or a pipe is that file, to the byte.
    verbatim = "--output conllu" in one.line and one.artefact.startswith("texts/")
    if found := _CONTROL.search(one.err if verbatim else one.out + one.err):
        yield f"control character U+{ord(found[0]):04X} in the output"
    if _NO_ROOM.search(one.err):
        yield "asked for more memory or disk than there may be"
    if found := _FOREIGN.search(one.err):
        yield f"words of other libraries ({found[0][:40]!r})"
    if SECRET[5:30] in one.out + one.err:
        yield "printed a secret"
