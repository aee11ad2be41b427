"""What is registered: list, info, verify, remove, push, pull. No command here loads tensors."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _entries, _output
from badx_hub.cli._completion import complete_name
from badx_hub.cli._options import (
    BaseOption,
    FormatOption,
    LabelOption,
    NameArgument,
    RatioOption,
    RegistryOption,
    Setup,
    SetupOption,
    TaskOption,
    VersionOption,
)
from badx_hub.cli._output import Format, Table
from badx_hub.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from badx_hub.names import AdapterName
    from badx_hub.registry import Entry, Problem, Registry, Report, Transferred

_HUB_LIKE = re.compile(r"(hf|hf-hub|https?):.*")


def list_adapters(
    pair: Annotated[
        str | None,
        typer.Argument(metavar="PAIR", help="Only adapters of this pair.", autocompletion=complete_name),
    ] = None,
    registry: RegistryOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """List the registered adapters.

    What cannot be read is left out and reported on stderr.
    """
    from badx_hub.registry import open_registry

    found = open_registry(registry)
    entries = tuple(entry for entry in found.list() if pair is None or _is_of(entry.name, pair))
    for problem in found.problems():
        _output.warning(problem.reason)
    if not entries:
        of_pair = f" for {pair}" if pair else ""
        _output.note(f"No adapters{of_pair} in {found.location}. Train one: badx-hub train {pair or 'en-wo'}")
    _output.show(
        format,
        tables=[_entries.table(entries)],
        document=[_entries.document(entry) for entry in entries],
        quiet=dict.fromkeys(entry.manifest.name for entry in entries),
    )


def info(
    name: NameArgument,
    task: TaskOption = None,
    base: BaseOption = None,
    ratio: RatioOption = None,
    setup: SetupOption = Setup.BAD_X,
    label: LabelOption = None,
    version: VersionOption = None,
    registry: RegistryOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show what an adapter is: training, data, scores and files.

    --format json prints all of badx.json; --format quiet prints the adapter's folder alone.
    """
    from badx_hub.registry import open_registry

    found = open_registry(registry)
    named = _entries.name_of(found, name, **_options(task, base, ratio, setup, label))
    entry = found.get(named, _version(found, named, version))
    _output.show(
        format,
        tables=_info_tables(entry),
        document={
            **entry.manifest.model_dump(mode="json"),
            "version": entry.version,
            "location": entry.location,
        },
        quiet=[entry.location],
    )


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Names or pairs; default: everything.", autocompletion=complete_name),
    ] = None,
    registry: RegistryOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Hash every file again and compare with what was published.

    Every version of the named adapters is checked. Exits with 1 if anything is wrong; --format quiet prints
    the names of what is.
    """
    from badx_hub.registry import open_registry

    found = open_registry(registry)
    entries, problems = _named(found, names or [])
    reports = [found.verify(entry) for entry in entries]
    checked = [_checked(report) for report in reports] + [_unreadable(problem) for problem in problems]
    wrong = [check for check in checked if not check["ok"]]
    rows = tuple((check["name"] or check["location"], check["short"], check["state"]) for check in checked)
    _output.show(
        format,
        tables=[Table(("name", "version", "state"), rows, folding=("name", "state"))],
        document=[{k: v for k, v in check.items() if k not in ("short", "state")} for check in checked],
        quiet=dict.fromkeys(check["name"] or check["location"] for check in wrong),
    )
    if not checked:
        _output.note(f"No adapters in {found.location}: nothing to verify.")
    for check in wrong:
        _output.error(f"{check['name'] or check['location']} ({check['short']}): {check['state']}")
    if wrong:
        _output.note("Take what is wrong away with `badx-hub remove NAME` and pull or train it again.")
        raise typer.Exit(1)


def remove(
    name: NameArgument,
    task: TaskOption = None,
    base: BaseOption = None,
    ratio: RatioOption = None,
    setup: SetupOption = Setup.BAD_X,
    label: LabelOption = None,
    version: VersionOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Remove it even from under a task adapter that stands on it.")
    ] = False,
    registry: RegistryOption = None,
) -> None:
    """Remove an adapter: all its versions, or the one of --version."""
    from badx_hub.registry import open_registry

    found = open_registry(registry)
    named = _entries.name_of(found, name, **_options(task, base, ratio, setup, label))
    chosen = _versions(found, named)
    if not chosen:
        found.get(named)  # raises with the nearest names
    if version is not None:
        only = _entries.version_named(tuple(one.version for one in chosen), named, version)
        chosen = [one for one in chosen if one.version == only]
    what = f"{named} ({', '.join(one.version for one in chosen)})"
    if not yes:
        _confirm(f"Remove {what} from {found.location}?")
    for one in chosen:
        found.remove(one, force=force)
    _output.note(f"Removed {what}.")


def push(
    name: NameArgument,
    to: Annotated[str, typer.Option("--to", metavar="DIR", help="The folder of the other registry.")],
    task: TaskOption = None,
    base: BaseOption = None,
    ratio: RatioOption = None,
    setup: SetupOption = Setup.BAD_X,
    label: LabelOption = None,
    registry: RegistryOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Copy an adapter to another registry.

    A task adapter takes the adapter it stands on along. What is there already stays as it is.
    """
    from badx_hub.registry import open_registry

    _refuse_hub(to, "--to")
    source, destination = open_registry(registry), open_registry(to)
    named = _entries.name_of(source, name, **_options(task, base, ratio, setup, label))
    _transfer(source.get(named), source, destination, format)


def pull(
    name: NameArgument,
    origin: Annotated[str, typer.Option("--from", metavar="DIR", help="The folder of the other registry, or demo.")],
    task: TaskOption = None,
    base: BaseOption = None,
    ratio: RatioOption = None,
    setup: SetupOption = Setup.BAD_X,
    label: LabelOption = None,
    registry: RegistryOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Copy an adapter from another registry into yours.

    A task adapter brings the adapter it stands on along. What is here already stays as it is.
    """
    from badx_hub.registry import open_registry
    from badx_hub.registry.local import DEMO

    if origin != DEMO:
        _refuse_hub(origin, "--from")
        if not Path(origin).expanduser().exists():
            raise NotFoundError(f"There is no registry in {origin}. Check the folder given to --from.")
    source, destination = open_registry(origin), open_registry(registry)
    named = _entries.name_of(source, name, **_options(task, base, ratio, setup, label))
    _transfer(source.get(named), source, destination, format)


def _options(
    task: str | None, base: str | None, ratio: str | None, setup: Setup, label: str | None
) -> dict[str, str | None]:
    """The options as given: the default setup counts as none."""
    given = None if setup is Setup.BAD_X else setup.value
    return {"task": task, "base": base, "ratio": ratio, "setup": given, "label": label}


def _is_of(name: AdapterName, text: str) -> bool:
    """Whether the adapter has these languages, and this ratio if the text gives one."""
    from badx_hub.languages import Mixture

    asked = Mixture.parse(text)
    if name.mixture.languages != asked.languages:
        return False
    return set(asked.weights) == {1} or name.mixture == asked


def _named(registry: Registry, texts: list[str]) -> tuple[list[Entry], list[Problem]]:
    """The entries and problems of the names and pairs, each once; of the whole registry if there are none."""
    entries, problems = registry.list(), registry.problems()
    if not texts:
        return list(entries), list(problems)
    names = [entry.name for entry in entries] + [one.name for one in problems if one.name is not None]
    for text in texts:
        if not any(_matches(name, text) for name in names):
            raise NotFoundError(f"{text} is not in {registry.location}. See `badx-hub list`.")
    return (
        [entry for entry in entries if any(_matches(entry.name, text) for text in texts)],
        [one for one in problems if one.name is not None and any(_matches(one.name, text) for text in texts)],
    )


def _matches(name: AdapterName, text: str) -> bool:
    from badx_hub.names import AdapterName

    return name == AdapterName.parse(text) if "/" in text else _is_of(name, text)


def _versions(registry: Registry, name: AdapterName) -> list[Entry | Problem]:
    """Every version of the adapter, unreadable ones too, newest first."""
    everything: list[Entry | Problem] = [*registry.list(), *registry.problems()]
    found = [one for one in everything if one.name == name]
    return sorted(found, key=lambda one: one.version, reverse=True)


def _version(registry: Registry, name: AdapterName, version: str | None) -> str | None:
    if version is None or not (found := _versions(registry, name)):
        return None
    return _entries.version_named(tuple(one.version for one in found), name, version)


def _checked(report: Report) -> dict[str, Any]:
    faults = [f"{fault.name} is {fault.state}" for fault in report.faults]
    parent = report.entry.manifest.parent
    if report.parent == "missing" and parent is not None:
        faults.append(f"{parent.name} ({parent.digest[:12]}), on which it stands, is not here")
    return {
        "name": report.entry.manifest.name,
        "version": report.entry.version,
        "location": report.entry.location,
        "ok": report.ok,
        "files": [{"name": check.name, "state": check.state} for check in report.files],
        "parent": report.parent,
        "reason": "; ".join(faults) or None,
        "short": _short(report.entry.version),
        "state": "; ".join(faults) or "ok",
    }


def _unreadable(problem: Problem) -> dict[str, Any]:
    return {
        "name": None if problem.name is None else str(problem.name),
        "version": problem.version,
        "location": problem.location,
        "ok": False,
        "files": [],
        "parent": None,
        "reason": problem.reason,
        "short": _short(problem.version),
        "state": problem.reason,
    }


def _short(version: str) -> str:
    return version.partition("-")[2][:7] or version


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is there to ask: add --yes.")
    if not typer.confirm(_output.printable(question), err=True):
        _output.note("Nothing was removed.")
        raise typer.Exit(1)


def _refuse_hub(where: str, flag: str) -> None:
    """Until registries on the Hub are here, a bare name could only be meant as one."""
    is_path = any(mark in where for mark in "/\\") or where in (".", "..", "~") or Path(where).is_dir()
    if _HUB_LIKE.fullmatch(where) or not is_path:
        raise UsageError(
            f"{flag} {where} is not a folder, and only folders are supported now. "
            f"Write a path: {flag} ./{re.sub('[^A-Za-z0-9._-]+', '-', where)}"
        )


def _transfer(entry: Entry, source: Registry, destination: Registry, format: Format) -> None:
    from badx_hub.registry import copy

    done: Transferred = copy(entry, source, destination)
    states = [("already there", one) for one in done.already] + [("copied", one) for one in done.copied]
    if not done.copied:
        _output.note(f"Nothing to do: {entry.name} is in {destination.location} already.")
    _output.show(
        format,
        tables=[
            Table(
                ("name", "version", "state"),
                tuple((str(one.name), _short(one.version), state) for state, one in states),
                folding=("name",),
                title=f"{source.location} -> {destination.location}",
            )
        ],
        document=[{**_entries.document(one), "copied": state == "copied"} for state, one in states],
        quiet=[str(one.name) for _, one in states],
    )


def _info_tables(entry: Entry) -> list[Table]:
    manifest = entry.manifest
    training = manifest.training
    read = f"{training.tokens:,} tokens" if training.tokens else f"{training.sentences or 0:,} sentences"
    facts = {
        "name": manifest.name,
        "kind": manifest.kind,
        "version": entry.version,
        "created": manifest.created,
        "base": f"{manifest.base.name} ({manifest.base.digest[:12]})",
        "stands on": f"{manifest.parent.name} ({manifest.parent.digest[:12]})" if manifest.parent else "",
        "languages": ", ".join(f"{language}:{weight}" for language, weight in manifest.mixture),
        "task": manifest.task or "",
        "setup": manifest.setup or "",
        "labels": ", ".join(manifest.labels or ()),
        "training": f"{training.steps:,} steps (kept: {training.best_step:,}), {read}, {training.seconds:,.0f} s",
        "seed": str(manifest.seed),
        "licence": manifest.licence or "",
        "digest": manifest.digest,
        "made with": ", ".join(f"{package} {number}" for package, number in sorted(manifest.versions.items())),
        "location": entry.location,
    }
    return [
        Table(("field", "value"), tuple((k, v) for k, v in facts.items() if v), folding=("value",)),
        Table(("recipe", "value"), tuple(_flat(manifest.recipe)), folding=("value",)),
        Table(
            ("language", "data", "digest", "counts"),
            tuple(
                (
                    source.language,
                    source.name,
                    source.digest[:12],
                    ", ".join(f"{what} {count:,}" for what, count in source.counts.items()),
                )
                for source in manifest.data
            ),
            folding=("data", "counts"),
        ),
        Table(
            ("split", "metric", "score"),
            tuple(
                (split, metric, _entries.figure(metric, value))
                for split, scores in manifest.metrics.items()
                for metric, value in scores.items()
            ),
            numbers=("score",),
            folding=("metric",),
        ),
    ]


def _flat(recipe: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in recipe.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", str(value)))
    return rows
