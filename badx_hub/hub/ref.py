"""Places on a Hub, and the one parser for what users type for a place: pure, total, and `str` parses back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from badx_hub.base_spec import MAIN as MAIN
from badx_hub.errors import NotFoundError, UsageError
from badx_hub.names import AdapterName
from badx_hub.remedies import SearchHub
from badx_hub.user_paths import user_path

HUB = "hf:"
"""What every place on a Hub begins with, typed or written in a file."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?=[A-Za-z0-9_-])){0,95}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_REVISION = re.compile(r"[^@\s]+")


class RepoAt(Protocol):
    """A repository at a revision: a `HubRef` to one, or a `badx_hub.base_spec.HubBase`."""

    @property
    def repo(self) -> str:
        """Its id, "org/name"; those of old models have no owner."""

    @property
    def at(self) -> str:
        """The revision to read at."""


@dataclass(frozen=True)
class HubRef:
    """A place on a Hub: all of it, what an `owner` has there, one repository `name`, or that at a `revision`.

    `str` is "hf:", "hf:org", "hf:org/name" or "hf:org/name@revision". `revision` is a branch, a tag or a commit.
    Anything that does not parse back raises UsageError.
    """

    owner: str | None = None
    name: str | None = None
    revision: str | None = None

    def __post_init__(self) -> None:
        fields = ((self.owner, _OWNER), (self.name, _NAME), (self.revision, _REVISION))
        given = [value is not None for value, _ in fields]
        legal = all(value is None or shape.fullmatch(value) for value, shape in fields)
        if not legal or given != sorted(given, reverse=True):
            raise UsageError(f"{str(self)!r} is not a place on a Hub: expected hf:ORG or hf:ORG/name@revision.")

    def __str__(self) -> str:
        return HUB + (self.owner or "") + (f"/{self.name}" if self.name else "") + self._suffix

    @property
    def repo(self) -> str:
        """The repository's id, "org/name". Raises UsageError for a place that is none."""
        return "/".join(self.parts)

    @property
    def parts(self) -> tuple[str, str]:
        """Owner and name of the repository. Raises UsageError for a place that is none."""
        if self.owner is None or self.name is None:
            raise UsageError(f"{self} names no repository. Expected hf:ORG/name.")
        return self.owner, self.name

    @property
    def repo_at(self) -> str:
        """ "org/name@revision", or "org/name" without one. Raises UsageError for a place that is no repository."""
        return self.repo + self._suffix

    @property
    def at(self) -> str:
        """The revision to read at: main where none is named."""
        return self.revision or MAIN

    @property
    def commit(self) -> str | None:
        """The revision if it is the id of a commit, which never changes what it means."""
        return self.revision if self.revision is not None and is_commit(self.revision) else None

    @property
    def adapter(self) -> AdapterName | None:
        """The adapter that the repository is named as; None if that is no adapter of ours."""
        try:
            return None if self.name is None else AdapterName.from_repo_name(self.name)
        except UsageError:
            return None

    @property
    def namespace(self) -> str | None:
        """The owner of a place that is no single repository, None for all of the Hub. Else raises UsageError."""
        return self.owner if self.name is None else checked_owner(self.repo_at)

    @property
    def _suffix(self) -> str:
        return f"@{self.revision}" if self.revision else ""

    @classmethod
    def parse(cls, text: str, *, bare: bool = False) -> HubRef | None:
        """Reads what `str` gives; with `bare` "hf:" may be left out. None for any other text."""
        return _parse(text, bare)


@lru_cache(4096)
def _parse(text: str, bare: bool) -> HubRef | None:
    if not (bare or text.startswith(HUB)):
        return None
    place, at, revision = text.removeprefix(HUB).partition("@")
    owner, slash, name = place.partition("/")
    try:
        return HubRef(owner if place else None, name if slash else None, revision if at else None)
    except UsageError:
        return None


def parse_location(text: str) -> HubRef | Path:
    """The place that a user means: "hf:..." on a Hub, anything else a folder ("~" is their home).

    Raises UsageError for "hf:" before something that is no place on a Hub.
    """
    if not text.startswith(HUB):
        return user_path(text)
    found = HubRef.parse(text)
    return HubRef(checked_owner(text.removeprefix(HUB))) if found is None else found


def is_commit(text: str) -> bool:
    """Whether this is the full id of a commit: 40 or, on other Hubs, 64 hex digits."""
    return _COMMIT.fullmatch(text) is not None


def checked_owner(owner: str) -> str:
    """The name of a user or an organisation. Raises UsageError."""
    if not _OWNER.fullmatch(owner):
        raise UsageError(f"{owner!r} is not a user or an organisation of a Hub: write `hf:ORG`, ORG as in ORG/name.")
    return owner


def split_repo(repo: str) -> tuple[str, AdapterName] | None:
    """The owner and the adapter of a repository's id, None if it is not named as an adapter of ours."""
    place = HubRef.parse(HUB + repo)
    if place is None or place.owner is None or place.revision is not None or (name := place.adapter) is None:
        return None
    return place.owner, name


def adapter_at_commit(location: str) -> HubRef:
    """An entry's location: an adapter's repository at a commit. Raises NotFoundError for any other."""
    place = HubRef.parse(location)
    if place is None or place.commit is None or place.adapter is None:
        raise NotFoundError(f"{location!r} is no place on a Hub.", remedies=(SearchHub(),))
    return place
