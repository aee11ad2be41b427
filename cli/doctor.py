"""`badx-hub doctor`: what is wrong or in the way on this machine, and mending it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _errors, _options, _output, _registries
from badx_hub.cli._output import Format
from badx_hub.cli._study import ResultsOption
from badx_hub.errors import BadxError, UsageError
from badx_hub.table import Table
from badx_hub.user_paths import user_path

if TYPE_CHECKING:
    from badx_hub.doctor import Examination, Finding

_LITTLE = 2**30
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_MENDED, _LEFT, _FAILED, _MENDS = "mended", "", "failed", "with --mend"


def doctor(
    mend: Annotated[
        bool, typer.Option("--mend", help="Remove and repair what is marked. [default: only show]")
    ] = False,
    registry: _options.RegistryOption = None,
    results: ResultsOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Show what killed processes left, stopped runs, damaged caches and versions, missing adapters and free space.

    Every file of the registry and of the caches is read; temporary files are looked for in the current folder, too.
    Nothing is changed without --mend, and never what a process works on, what belongs to others, a stopped run, or a
    version. The last tables show the adapters that others were trained on, and the space. Exits with 1 if damage is
    left.
    """
    from badx_hub.doctor import examine
    from badx_hub.registry import LocalRegistry
    from badx_hub.storage import results_folder

    found = _registries.open_there(registry)
    if not isinstance(found, LocalRegistry):
        raise UsageError("The doctor looks after registries in folders. Give --registry a folder, or leave it out.")
    if results is not None and not user_path(results).is_dir():
        raise UsageError(f"There is no folder of results in {results}. Give --results a folder, or leave it out.")
    examination = examine(found, user_path(results) if results else results_folder(), beside=(Path.cwd(),))
    ends = [_end(finding, mend) for finding in examination.findings]
    _output.show(
        format,
        tables=_tables(examination, ends),
        document=_document(examination, ends),
        quiet=[one.place for one in examination.findings],
    )
    _tell(examination, ends)
    if _damage_left(examination.findings, ends):
        raise typer.Exit(1)


def _end(finding: Finding, mend: bool) -> str:
    """The outcome of a finding."""
    if finding.mend is None:
        return _LEFT
    if not mend:
        return _MENDS
    try:
        return _MENDED if finding.mend() else _FAILED
    except BadxError as error:
        _output.error(f"{finding.place}: {_errors.message(error)}")
        return _FAILED


def _damage_left(findings: Sequence[Finding], ends: Sequence[str]) -> bool:
    from badx_hub.doctor.finding import DAMAGE

    return any(one.kind in DAMAGE and end != _MENDED for one, end in zip(findings, ends, strict=True))


def _tables(examination: Examination, ends: Sequence[str]) -> list[Table]:
    found = [
        (one.kind.value, f"{one.place}: {one.what}", _bytes(one.size), _time(one.age), end)
        for one, end in zip(examination.findings, ends, strict=True)
    ]
    needed = [
        (str(one.entry.name), one.entry.version, ", ".join(sorted({str(ta.name) for ta in one.task_adapters})))
        for one in examination.supports
        if one.alone
    ]
    space = [(", ".join(one.holds), str(one.place), _bytes(one.free), _bytes(one.total)) for one in examination.space]
    return [
        Table.of(("finding", "what", "size", "age", "mended"), found, numbers=("size", "age"), folding=("what",)),
        Table.of(
            ("removing", "version", "takes away what was trained on it"),
            needed,
            folding=("removing", "takes away what was trained on it"),
        ),
        Table.of(("space for", "in", "free", "of"), space, numbers=("free", "of"), folding=("space for", "in")),
    ]


def _document(examination: Examination, ends: Sequence[str]) -> dict[str, Any]:
    return {
        "findings": [
            {
                "kind": one.kind.value,
                "place": one.place,
                "what": one.what,
                "bytes": one.size,
                "age_seconds": None if one.age is None else round(one.age, 1),
                "mends": one.mend is not None,
                "mended": end == _MENDED,
                "advice": " ".join(map(_errors.words, one.remedies)) or None,
            }
            for one, end in zip(examination.findings, ends, strict=True)
        ],
        "language_adapters": [
            {
                "name": str(one.entry.name),
                "version": one.entry.version,
                "task_adapters": [{"name": str(ta.name), "version": ta.version} for ta in one.task_adapters],
                "only_version": one.alone,
            }
            for one in examination.supports
        ],
        "space": [
            {"holds": list(one.holds), "place": str(one.place), "free": one.free, "total": one.total}
            for one in examination.space
        ],
    }


def _tell(examination: Examination, ends: Sequence[str]) -> None:
    for one in examination.findings:
        if one.remedies:
            _output.note(f"{one.place}: {' '.join(map(_errors.words, one.remedies))}")
    for space in examination.space:
        if space.free < _LITTLE:
            _output.warning(f"{space.place} has {_bytes(space.free)} free: a training or download may not fit.")
    if not examination.findings:
        _output.note("Nothing is wrong and nothing is in the way.")
    elif _MENDS in ends:
        freed = sum(one.size or 0 for one, end in zip(examination.findings, ends, strict=True) if end == _MENDS)
        _output.note(f"badx-hub doctor --mend removes or repairs {ends.count(_MENDS)} of these ({_bytes(freed)}).")


def _bytes(size: int | None) -> str:
    if size is None:
        return ""
    for unit, least in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= least:
            return f"{size / least:,.1f} {unit}"
    return f"{size} B"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    length, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    return f"{max(0, int(seconds // length))} {unit}"
