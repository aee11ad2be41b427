"""How a base is named: `demo`, a folder, or a model on a Hub, perhaps at a revision ("org/name@revision")."""

from __future__ import annotations

from dataclasses import dataclass

from badx_hub.names import base_slug
from badx_hub.user_paths import user_path

DEMO = "demo"
"""The base inside the package."""

MAIN = "main"

_AT = "@"


@dataclass(frozen=True)
class HubBase:
    """A model on a Hub; old ones have no owner in `repo`. `revision`: a branch, a tag, a commit, or "refs/pr/1".

    `str` gives what a user types.
    """

    repo: str
    revision: str | None = None

    @property
    def at(self) -> str:
        """The revision to read at: main where none is named."""
        return self.revision or MAIN

    def __str__(self) -> str:
        return self.repo if self.revision is None else f"{self.repo}{_AT}{self.revision}"


def hub_base(spec: str) -> HubBase | None:
    """The model on a Hub that `spec` names; None for `demo`, a folder or a file, and what looks like the path of one.

    A folder that is there comes first, so that its name may have an "@" in it.
    """
    if spec == DEMO or user_path(spec).exists():
        return None
    repo, at, revision = spec.partition(_AT)
    if spec.startswith((".", "/", "~")) or repo.count("/") > 1 or "\\" in spec or (at and not revision):
        return None
    return HubBase(repo, revision or None)


def spec_slug(spec: str) -> str:
    """The slug of the base that `spec` names: its revision does not count. Raises UsageError as `base_slug`."""
    named = hub_base(spec) if _AT in spec else None
    return base_slug(named.repo if named else spec)
