"""What the user means by a registry or a name: a folder, the embedded one, or something on the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from badx_hub.cli import _errors, _output
from badx_hub.errors import NotFoundError, UsageError
from badx_hub.remedies import Notice

if TYPE_CHECKING:
    from badx_hub.hub.ref import HubRef
    from badx_hub.names import AdapterName
    from badx_hub.registry import Registry
    from badx_hub.registry.hub import HubRegistry, PushOptions


def require_there(registry: str | None, flag: str = "--registry") -> None:
    """Raises NotFoundError for a folder that is not there: to read from it is a slip of the keyboard."""
    from badx_hub.hub.ref import parse_location

    if registry in (None, "demo") or not isinstance(place := parse_location(registry), Path):
        return
    if not place.exists():
        raise NotFoundError(f"There is no registry in {registry}. Check the folder given to {flag}.")


def open_there(registry: str | None) -> Registry:
    """The registry to read from. Raises what `require_there` does."""
    from badx_hub.registry import open_registry

    require_there(registry)
    return open_registry(registry)


def open_own(registry: str | None) -> Registry:
    """The registry to write to. Raises UsageError for the embedded one."""
    from badx_hub.registry import open_registry

    if registry == "demo":
        raise UsageError("The demo registry is read-only: leave --registry out, or give a folder.")
    return open_registry(registry)


def is_hub(registry: Registry) -> bool:
    """Whether it is on a Hub, so that reading all of it takes time."""
    from badx_hub.hub.ref import HubRef

    return HubRef.parse(registry.location) is not None


def open_hub(
    owner: str | None, *, revision: str | None = None, offline: bool = False, options: PushOptions | None = None
) -> HubRegistry:
    """The namespace on the Hub; notes go to stderr."""
    from badx_hub.registry.hub import HubRegistry

    return HubRegistry(owner, revision=revision, offline=offline or None, options=options, say=_tell)


def place_in(where: str, flag: str) -> HubRef | str:
    """The place on the Hub that the value of `flag` means, or what `open_registry` opens here: a folder, demo.

    ORG, hf:ORG and the repository ORG/mbert.en-wo are on the Hub; what begins with "/", "." or "~", or has more
    slashes, is a folder. What could be either is refused: to publish in the wrong place costs more than to type two
    more characters.
    """
    from badx_hub.hub.ref import HUB, HubRef, checked_owner, parse_location

    if isinstance(place := parse_location(where), HubRef):
        return place
    if "://" in where:
        raise UsageError(f"{flag} takes no address. Write {flag} ORG, and set HF_ENDPOINT for another Hub.")
    if where in (".", "..", "~", "demo") or where.startswith(("/", ".", "~")) or "\\" in where or where.count("/") > 1:
        return where
    found = HubRef.parse(HUB + where)
    if found is None or found.revision is not None:
        return where if "/" in where else HubRef(checked_owner(where))
    if found.name is None or found.adapter is not None:
        if Path(where).exists():
            what = "an organisation" if found.name is None else "a repository"
            raise UsageError(
                f"{flag} {where} could be the folder ./{where} or {what} on the Hub. "
                f"Write {flag} ./{where} or {flag} {HUB}{where}."
            )
        return found
    if not Path(where).exists():
        raise UsageError(
            f"{flag} {where}: {found.name} is no name of an adapter's repository, and there is no such folder. "
            f"Write {flag} {found.owner} for the Hub, or {flag} ./{where} for a folder."
        )
    return where


def owner_in(place: HubRef, flag: str, name: AdapterName) -> str | None:
    """The namespace of a place on the Hub. Raises UsageError for a repository of another adapter than `name`."""
    if place.name is None:
        return place.namespace
    if place.revision is not None or place.name != name.repo_name:
        raise UsageError(
            f"{flag} {place}: adapters have repositories of their own names, this one {place.owner}/{name.repo_name}. "
            f"Write {flag} {place.owner}."
        )
    return place.owner


def split_name(text: str) -> tuple[str, AdapterName] | None:
    """The owner and the adapter of ORG/mbert.en-wo or hf:ORG/mbert.en-wo; None for any other name."""
    from badx_hub.errors import UsageError
    from badx_hub.hub.ref import HUB
    from badx_hub.names import AdapterName

    owner, slash, repo = text.removeprefix(HUB).partition("/")
    if not slash or not (text.startswith(HUB) or "." in repo):  # mbert/en-wo has no dot in it
        return None
    try:
        return owner, AdapterName.from_repo_name(repo)
    except UsageError as error:
        raise UsageError(f"{text}: {error.fact}", remedies=error.remedies) from error


def named(
    name: str, registry: str | None, *, revision: str | None, offline: bool
) -> tuple[Registry, AdapterName | None]:
    """The registry to look in, and the adapter if `name` is one on the Hub."""
    from badx_hub.hub.ref import HubRef, parse_location

    if (split := split_name(name)) is not None:
        if registry is not None:
            raise UsageError(f"{name} says where it is. Leave out --registry, or give a name such as {split[1]}.")
        return open_hub(split[0], revision=revision, offline=offline), split[1]
    if registry is not None and isinstance(place := parse_location(registry), HubRef):
        return open_hub(place.namespace, revision=revision, offline=offline), None
    refuse_on_folder("this registry", {"--revision": revision is not None})
    return open_there(registry), None


def where(names: list[str], registry: str | None) -> tuple[Registry, list[str]]:
    """The registry to look in, and what the names are called there. Names on the Hub have one owner."""
    on_hub = {text: split for text in names if (split := split_name(text)) is not None}
    owners = sorted({owner for owner, _ in on_hub.values()})
    if not on_hub:
        return open_there(registry), names
    if registry is not None or len(owners) > 1 or len(on_hub) < len(names):
        raise UsageError(
            f"{next(iter(on_hub))} says where it is. Name others of {owners[0]} beside it or none, without --registry."
        )
    return open_hub(owners[0]), [str(name) for _, name in on_hub.values()]


def refuse_on_folder(where: str, given: dict[str, bool]) -> None:
    """Raises UsageError if an option was given that only the Hub knows."""
    if flags := ", ".join(flag for flag, is_given in given.items() if is_given):
        raise UsageError(f"{flags}: only for the Hub, and {where} is not on it. Leave that out or give hf:ORG.")


def _tell(notice: Notice) -> None:
    _output.note(_errors.message(notice))
