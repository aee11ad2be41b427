"""`badx-hub verify`: whether the files of adapters are those that were published. Loads no tensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _entries, _errors, _options, _output, _registries
from badx_hub.cli._completion import complete_name
from badx_hub.cli._output import Format
from badx_hub.errors import IntegrityError, NotFoundError
from badx_hub.remedies import ListAdapters
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.names import AdapterName
    from badx_hub.registry import Entry, Problem, Registry, VerificationReport

_NOT_TOLD = ("short", "state", "only_unsigned")
"""What is known of a version for people alone: scripts read the rest."""


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Names or pairs; default: everything.", autocompletion=complete_name),
    ] = None,
    signed_by: Annotated[
        Path | None,
        typer.Option("--signed-by", metavar="FILE", help="Each has to be signed by one of these allowed signers."),
    ] = None,
    registry: _options.RegistryOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Hash every file again and compare with what was published.

    Every version of the named adapters is checked. Exits with 1 if anything is wrong; --format quiet prints
    the names of what is.
    """
    found, names = _registries.where(names or [], registry)
    entries, problems = _named(found, names)
    reports = [found.verify(entry) for entry in entries]
    checked = [_with_signer(_checked(report), found, report.entry, signed_by) for report in reports] + [
        _unreadable(problem) for problem in problems
    ]
    wrong = [check for check in checked if not check["ok"]]
    rows = tuple((check["name"] or check["location"], check["short"], check["state"]) for check in checked)
    _output.show(
        format,
        tables=[Table.of(("name", "version", "state"), rows, folding=("name", "state"))],
        document=[{k: v for k, v in check.items() if k not in _NOT_TOLD} for check in checked],
        quiet=dict.fromkeys(check["name"] or check["location"] for check in wrong),
    )
    if not checked:
        _output.note(f"No adapters in {found.location}: nothing to verify.")
    for check in wrong[: _entries.FAULTS_SHOWN]:
        _output.error(f"{check['name'] or check['location']} ({check['short']}): {check['state']}")
    if more := wrong[_entries.FAULTS_SHOWN :]:
        _output.error(f"{len(more):,} more versions are not as they should be. The table names them all.")
    if wrong and all(check.get("only_unsigned") for check in wrong):
        raise typer.Exit(1)
    if wrong:
        mended = "Who published what is wrong mends it by pushing it again (`badx-hub push NAME --to ORG`)."
        removed = "Remove what is wrong with `badx-hub remove NAME` and pull or train it again."
        _output.note(mended if _registries.is_hub(found) else removed)
        raise typer.Exit(1)


def _named(registry: Registry, texts: list[str]) -> tuple[list[Entry], list[Problem]]:
    """The entries and problems of the names and pairs, each once; of the whole registry if there are none."""
    entries, problems = registry.contents()
    if not texts:
        return list(entries), list(problems)
    names = [entry.name for entry in entries] + [one.name for one in problems if one.name is not None]
    for text in texts:
        if not any(_matches(name, text) for name in names):
            raise NotFoundError(f"{text} is not in {registry.location}.", remedies=(ListAdapters(),))
    return (
        [entry for entry in entries if any(_matches(entry.name, text) for text in texts)],
        [one for one in problems if one.name is not None and any(_matches(one.name, text) for text in texts)],
    )


def _matches(name: AdapterName, text: str) -> bool:
    from badx_hub.names import AdapterName

    return name == AdapterName.parse(text) if "/" in text else _entries.is_of(name, text)


def _checked(report: VerificationReport) -> dict[str, Any]:
    faults = [f"{fault.name} is {fault.state}" for fault in report.faults[: _entries.FAULTS_SHOWN]]
    if more := report.faults[_entries.FAULTS_SHOWN :]:
        faults.append(f"{len(more):,} more files are not as they should be")
    faults += [f"{ref.name} ({ref.digest[:12]}), on which it was trained, is not here" for ref in report.missing]
    return {
        "name": report.entry.manifest.name,
        "version": report.entry.version,
        "location": report.entry.location,
        "ok": report.ok,
        "files": [{"name": check.name, "state": check.state} for check in report.files],
        "parent": report.language_adapters,
        "reason": "; ".join(faults) or None,
        "short": _entries.short(report.entry.version),
        "state": "; ".join(faults) or "ok",
    }


def _with_signer(checked: dict[str, Any], registry: Registry, entry: Entry, allowed: Path | None) -> dict[str, Any]:
    """With who signed the version, where that is asked; not signed by anybody who is allowed is a fault."""
    from badx_hub.registry.adapter_folder import signed_by

    if allowed is None:
        return checked
    try:
        signer = signed_by(registry.fetch(entry), allowed.expanduser(), str(entry.name))
        return checked | {"signer": signer, "state": f"{checked['state']}, signed by {signer}"}
    except IntegrityError as error:
        reason = "; ".join(filter(None, (checked["reason"], _errors.message(error))))
        told = {"reason": reason, "state": reason, "only_unsigned": checked["ok"]}
        return checked | {"signer": None, "ok": False, **told}


def _unreadable(problem: Problem) -> dict[str, Any]:
    return {
        "name": None if problem.name is None else str(problem.name),
        "version": problem.version,
        "location": problem.location,
        "ok": False,
        "files": [],
        "parent": None,
        "reason": _errors.message(problem.error),
        "short": _entries.short(problem.version),
        "state": _errors.message(problem.error),
    }
