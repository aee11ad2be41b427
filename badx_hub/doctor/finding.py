"""One thing that was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from badx_hub.remedies import Remedy


class FindingKind(str, Enum):
    """What was found; those of `DAMAGE` make `doctor` exit with 1."""

    LEFTOVER = "leftover"
    AT_WORK = "at work"
    STOPPED = "stopped run"
    CACHE = "damaged cache"
    VERSION = "damaged version"
    PARENT = "missing parent"


DAMAGE = (FindingKind.CACHE, FindingKind.VERSION, FindingKind.PARENT)


@dataclass(frozen=True)
class Finding:
    """One thing that was found, and what mends it.

    Attributes:
        place: a path, or an adapter's name and version.
        what: a few words for people.
        size: its bytes; None if that says nothing.
        age: seconds since it was last written to; None if that says nothing.
        mend: puts it right and returns whether it is; None if that is not ours to do, or nothing is to be done.
        remedies: what the user can do where `mend` is None.
    """

    kind: FindingKind
    place: str
    what: str
    size: int | None = None
    age: float | None = None
    mend: Callable[[], bool] | None = None
    remedies: tuple[Remedy, ...] = ()
