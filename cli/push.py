"""`badx-hub push`: publish adapters on the Hub, or copy them to another registry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _entries, _options, _output, _registries
from badx_hub.cli._output import Format
from badx_hub.cli._transfer import transfer
from badx_hub.errors import UsageError
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.registry import Entry, Registry, Transferred
    from badx_hub.registry.hub import HubRegistry, PushOptions, PushPlan

_ToOption = Annotated[
    str, typer.Option("--to", metavar="ORG|DIR", help="ORG or ORG/mbert.en-wo on the Hub, or the folder ./DIR.")
]
_SignOption = Annotated[
    Path | None, typer.Option("--sign", metavar="KEY", help="Sign what is published with this SSH key.")
]
_CardFieldOption = Annotated[
    list[str] | None,
    typer.Option("--card-field", metavar="KEY=VALUE", help="Metadata of the card (repeatable): license=mit."),
]
_CollectionOption = Annotated[
    str | None, typer.Option("--collection", metavar="ORG/TITLE", help="Put what is pushed into this collection.")
]

_HUB_ONLY = "--private", "--revision", "--tag", "--create-pr", "--message", "--card-field", "--collection", "--dry-run"
"""Options of `push` that mean nothing where the registry is a folder."""


def push(
    name: _options.NameArgument,
    to: _ToOption,
    task: _options.TaskOption = None,
    base: _options.BaseOption = None,
    ratio: _options.RatioOption = None,
    setup: _options.SetupOption = _options.SetupName.BAD_X,
    label: _options.LabelOption = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    revision: _options.RevisionOption = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Give the commit this tag.")] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead.")] = False,
    message: Annotated[str | None, typer.Option("--message", "-m", metavar="TEXT", help="Of the commit.")] = None,
    sign: _SignOption = None,
    card_field: _CardFieldOption = None,
    collection: _CollectionOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be published; change nothing.")] = False,
    registry: _options.RegistryOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Publish an adapter on the Hub, or copy it to another registry.

    A task adapter takes the adapters it was trained on along. What is there already stays as it is.
    """
    from badx_hub.hub.ref import HubRef
    from badx_hub.registry import open_registry

    source = _registries.open_there(registry)
    where = _registries.place_in(to, "--to")
    into = _collection(collection) if collection else None
    fields = _options.key_values("--card-field", "license=mit", card_field)
    if not isinstance(where, HubRef):
        given = (private, revision, tag, create_pr, message, fields, collection, dry_run)
        _registries.refuse_on_folder(to, dict(zip(_HUB_ONLY, map(bool, given), strict=True)))
    named = _entries.name_of(source, name, **_entries.options(task, base, ratio, setup, label))
    entry = source.get(named)
    if not isinstance(where, HubRef):
        transfer(entry, source, open_registry(where), format, sign)
        return
    from badx_hub.registry.hub import PushOptions
    from badx_hub.registry.hub.card_fields import card_fields

    if create_pr and tag:
        raise UsageError("--tag names a published commit, and --create-pr publishes none. Leave one of them out.")
    chosen = PushOptions(private, revision, create_pr, message, card_fields(fields))
    hub = _registries.open_hub(_registries.owner_in(where, "--to", entry.name), options=chosen)
    if dry_run:
        _show_plans(_plans(entry, source, hub), format)
        return
    done = transfer(entry, source, hub, format, sign)
    published = _itself(done, entry)
    if chosen.card and published in done.already:
        published = _with_card(published, chosen)
    if tag:
        hub.tag(published, tag)
    if into:
        _collect(done, *into)


def _itself(done: Transferred, entry: Entry) -> Entry:
    """The adapter itself at the destination, not one that it was trained on."""
    return next(one for one in (*done.copied, *done.already) if one.name == entry.name)


def _collection(text: str) -> tuple[str, str]:
    """ "ORG/My adapters" as its owner and its title. Raises UsageError."""
    from badx_hub.hub.ref import checked_owner

    owner, _, title = text.partition("/")
    if not title.strip():
        raise UsageError(f"--collection expects ORG/TITLE, such as acme/Wolof; got {text!r}.")
    return checked_owner(owner), title.strip()


def _collect(done: Transferred, owner: str, title: str) -> None:
    from badx_hub.hub.client import HubClient

    repos = [one.place.repo for one in (*done.copied, *done.already) if one.place]
    where = HubClient().collect(owner, title, repos)
    _output.note(f"{', '.join(repos)} {'is' if len(repos) == 1 else 'are'} in the collection {where}.")


def _with_card(entry: Entry, chosen: PushOptions) -> Entry:
    """The entry at the commit that sets the wanted metadata of its card, which is published already."""
    from badx_hub.hub.client import HubClient
    from badx_hub.hub.ref import adapter_at_commit
    from badx_hub.registry.hub.card_fields import set_card_fields

    place = replace(adapter_at_commit(entry.location), revision=chosen.revision)
    there = set_card_fields(HubClient(), place, chosen.card, message=chosen.message, create_pr=chosen.create_pr)
    _output.note(f"The card of {there.repo} has {', '.join(chosen.card)} as given.")
    return replace(entry, location=str(there))


def _plans(entry: Entry, source: Registry, hub: HubRegistry) -> list[PushPlan]:
    """What a push would do: first for the adapters that it was trained on, as far as the Hub lacks them or has them
    damaged.
    """
    from badx_hub.registry.transfer import plan_copy

    under = [one for one in plan_copy(entry, source, hub).to_go if one != entry]
    return [hub.plan(source.fetch(one)) for one in (*under, entry)]


def _show_plans(plans: list[PushPlan], format: Format) -> None:
    rows = [(plan.repo, one.name, f"{one.size:,}") for plan in plans if not plan.already for one in plan.uploads]
    rows += [(plan.repo, name, "deleted") for plan in plans if not plan.already for name in plan.deletes]
    for plan in plans:
        _output.note(_summary(plan))
    _output.show(
        format,
        tables=[Table.of(("repository", "file", "bytes"), rows, numbers=("bytes",), folding=("repository",))],
        document=[_plan_document(plan) for plan in plans],
        quiet=[plan.repo for plan in plans if not plan.already],
    )


def _summary(plan: PushPlan) -> str:
    if plan.already:
        return f"{plan.repo}: this version is there already; nothing to do."
    made = "would be created" if plan.creates else "is there"
    kept = "; the text of its README.md is kept" if plan.keeps_readme else ""
    return f"{plan.repo}@{plan.revision} {made}{kept}. Nothing was changed (--dry-run)."


def _plan_document(plan: PushPlan) -> dict[str, Any]:
    return {
        "repo": plan.repo,
        "revision": plan.revision,
        "version": plan.version,
        "creates": plan.creates,
        "already": plan.already is not None,
        "keeps_readme": plan.keeps_readme,
        "files": [] if plan.already else [{"name": one.name, "size": one.size} for one in plan.uploads],
        "deletes": [] if plan.already else list(plan.deletes),
    }
