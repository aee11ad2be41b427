"""What is registered: list, info, verify, remove. No command here loads tensors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _entries, _errors, _options, _output, _registries
from badx_hub.cli._completion import complete_name
from badx_hub.cli._info import info_tables
from badx_hub.cli._output import Format
from badx_hub.errors import IntegrityError, NotFoundError, UsageError
from badx_hub.remedies import ListAdapters
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.names import AdapterName
    from badx_hub.registry import Entry, Problem, Registry, VerificationReport

_FAULTS_SHOWN = 20
_NOT_TOLD = ("short", "state", "only_unsigned")
"""What is known of a version for people alone: scripts read the rest."""


def list_adapters(
    pair: Annotated[
        str | None,
        typer.Argument(metavar="PAIR", help="Only adapters of this pair.", autocompletion=complete_name),
    ] = None,
    registry: _options.RegistryOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """List the registered adapters.

    What cannot be read is left out and reported on stderr.
    """
    found = _registries.open_there(registry)
    everything, problems = found.contents()
    entries = tuple(entry for entry in everything if pair is None or _is_of(entry.name, pair))
    for problem in problems[:_FAULTS_SHOWN]:
        _output.warning(_errors.message(problem.error))
    if more := problems[_FAULTS_SHOWN:]:
        _output.warning(f"{len(more):,} more versions cannot be read.")
    if not entries:
        of_pair = f" for {pair}" if pair else ""
        advice = (
            f"Train one: badx-hub train {pair or 'en-wo'}"
            if registry is None
            else "Check the place given to --registry."
        )
        _output.note(f"No adapters{of_pair} in {found.location}. {advice}")
    _output.show(
        format,
        tables=[_entries.table(entries)],
        document=[_entries.document(entry) for entry in entries],
        quiet=dict.fromkeys(entry.manifest.name for entry in entries),
    )


def info(
    name: _options.NameArgument,
    task: _options.TaskOption = None,
    base: _options.BaseOption = None,
    ratio: _options.RatioOption = None,
    setup: _options.SetupOption = _options.SetupName.BAD_X,
    label: _options.LabelOption = None,
    version: _options.VersionOption = None,
    registry: _options.RegistryOption = None,
    revision: _options.RevisionOption = None,
    offline: _options.OfflineOption = False,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Show what an adapter is: training, data, scores and files.

    ORG/mbert.en-wo is one on the Hub, of which badx.json alone is read. --format json prints all of badx.json;
    --format quiet prints where the adapter is.
    """
    found, named = _registries.named(name, registry, revision=revision, offline=offline)
    if named is None:
        named = _entries.name_of(found, name, **options(task, base, ratio, setup, label))
    entry = found.get(named, version if _registries.is_hub(found) else _version(found, named, version))
    _output.show(
        format,
        tables=info_tables(entry),
        document={
            **entry.manifest.model_dump(mode="json"),
            "version": entry.version,
            "location": entry.location,
        },
        quiet=[entry.location],
    )
    if format is Format.TABLE:  # folded into a cell, a path could not be copied
        _output.note(f"It is in {entry.location}")


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
    for check in wrong[:_FAULTS_SHOWN]:
        _output.error(f"{check['name'] or check['location']} ({check['short']}): {check['state']}")
    if more := wrong[_FAULTS_SHOWN:]:
        _output.error(f"{len(more):,} more versions are not as they should be. The table names them all.")
    if wrong and all(check.get("only_unsigned") for check in wrong):
        raise typer.Exit(1)
    if wrong:
        mended = "Who published what is wrong mends it by pushing it again (`badx-hub push NAME --to ORG`)."
        removed = "Remove what is wrong with `badx-hub remove NAME` and pull or train it again."
        _output.note(mended if _registries.is_hub(found) else removed)
        raise typer.Exit(1)


def remove(
    name: _options.NameArgument,
    task: _options.TaskOption = None,
    base: _options.BaseOption = None,
    ratio: _options.RatioOption = None,
    setup: _options.SetupOption = _options.SetupName.BAD_X,
    label: _options.LabelOption = None,
    version: _options.VersionOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Remove it even if a task adapter was trained on it.")] = False,
    registry: _options.RegistryOption = None,
) -> None:
    """Remove an adapter: all its versions, or the one of --version."""
    from badx_hub.registry import LocalRegistry

    found = _registries.open_there(registry)
    named = _entries.name_of(found, name, **options(task, base, ratio, setup, label))
    chosen = _versions(found, named)
    if not chosen:
        found.get(named)  # raises with the nearest names
    if version is not None:
        only = _entries.version_named(tuple(one.version for one in chosen), named, version)
        chosen = [one for one in chosen if one.version == only]
    what = f"{named} ({', '.join(one.version for one in chosen)})"
    if not yes:
        _confirm(f"Remove {what} from {found.location}?")
    if isinstance(found, LocalRegistry) and not force:
        found.refuse_removal(chosen)  # before the first is gone: all of them or none
    for one in chosen:
        found.remove(one, force=force)
    _output.note(f"Removed {what}.")


def options(
    task: str | None, base: str | None, ratio: str | None, setup: _options.SetupName, label: str | None
) -> dict[str, str | None]:
    """The options as given, for `_entries.name_of`: the default setup counts as none."""
    given = None if setup is _options.SetupName.BAD_X else setup.value
    return {"task": task, "base": base, "ratio": ratio, "setup": given, "label": label}


def _is_of(name: AdapterName, text: str) -> bool:
    """Whether the adapter has these languages, and this ratio if the text gives one."""
    from badx_hub.languages import Mixture

    asked = Mixture.parse(text)
    if name.mixture.languages != asked.languages:
        return False
    return asked.is_balanced or name.mixture == asked


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

    return name == AdapterName.parse(text) if "/" in text else _is_of(name, text)


def _versions(registry: Registry, name: AdapterName) -> list[Entry | Problem]:
    """Every version of the adapter, unreadable ones too, newest first."""
    entries, problems = registry.contents()
    everything: list[Entry | Problem] = [*entries, *problems]
    found = [one for one in everything if one.name == name]
    return sorted(found, key=lambda one: one.version, reverse=True)


def _version(registry: Registry, name: AdapterName, version: str | None) -> str | None:
    if version is None or not (found := _versions(registry, name)):
        return None
    return _entries.version_named(tuple(one.version for one in found), name, version)


def _checked(report: VerificationReport) -> dict[str, Any]:
    faults = [f"{fault.name} is {fault.state}" for fault in report.faults[:_FAULTS_SHOWN]]
    if more := report.faults[_FAULTS_SHOWN:]:
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


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is there to ask: add --yes.")
    if not typer.confirm(_output.printable(question), err=True):
        _output.note("Nothing was removed.")
        raise typer.Exit(1)
